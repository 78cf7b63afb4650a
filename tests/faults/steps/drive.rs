//! The same cycle of a worker again and again, killed one instruction later each time.
//!
//! A cycle begins with the worker asleep, then there is work, and it ends with the worker asleep again. So it goes through the wake-up, pop, start,
//! run, finish, deliver, and through falling asleep. It may sleep in between: for want of room, or in a lock that somebody else holds.
//!
//! By default a worker is killed after each instruction that somebody else could notice: one that changed a byte of the region, or was a
//! system call (a wake-up changes no byte). What an instruction between two of these has changed is private to the worker, its registers and its own
//! memory, and goes with it: a death after it leaves the same region and the same kernel behind as a death before it, so the one
//! stands for the other. With `GRISTMILL_STEPS=all` it is killed after every instruction nevertheless. A build without optimization executes ten times as
//! many, so there the deaths are spread over those instructions, beginning anywhere.

use super::everywhere::kill_everywhere;
use super::look::Look;
use super::traced::{STEPPED, Step, Traced, sleeps};
use super::turnstile::Turnstile;
use super::way::{Place, Point, Way};
use crate::held::Held;
use crate::skip::skipped;
use gristmill::MillStats;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::time::{Duration, Instant};

/// One cycle may take some more instructions than another to come to the same one: so many more are allowed.
const DETOUR: usize = 400;

/// So long there may be neither a step nor a death before it hangs.
const WATCHDOG: Duration = Duration::from_secs(60);

/// A cycle of more instructions has no end: many times what any has.
const ENDLESS: usize = 5_000_000;

/// Who is killed, at what work, and what must be true afterwards.
pub trait Scene: Sized {
    fn look(&self) -> &Look;

    fn stats(&self) -> MillStats;

    /// All workers.
    fn pids(&self) -> Vec<u32>;

    /// One that is not killed.
    fn second(&self) -> Option<u32> {
        None
    }

    /// The worker that is killed.
    fn worker(&self) -> Option<u32> {
        let second = self.second();
        self.pids().into_iter().find(|&pid| Some(pid) != second)
    }

    /// The locks that the parent holds while the worker comes to them.
    fn turnstile(&self) -> Option<&Turnstile> {
        None
    }

    /// The worker is in the kernel: whether it sleeps there until somebody wakes it, for want of work or of room, or in a lock.
    fn rests(&self, id: u16) -> bool {
        self.look().sleeps_on(id).is_some() || self.turnstile().is_some_and(Turnstile::is_met)
    }

    /// The worker stands still, asleep: there is work.
    fn wake(&mut self);

    /// The worker sleeps again. `true`: it is not at its end, and something has been done that wakes it.
    fn go_on(&mut self) -> bool {
        false
    }

    /// The worker stands still. Instead of its death: the parent does something meanwhile, and it goes on. Whether it is so here.
    fn meddle(&self, _id: u16) -> bool {
        false
    }

    /// The worker stands still and is about to be killed; `id` is its participant.
    fn note(&mut self, id: u16);

    /// It has been killed, and its death may not have been dealt with.
    fn killed(&mut self) {}

    /// Everything is done: lets the parent put away what it does later otherwise.
    fn settle(&self) {}

    /// It is dead, and its death dealt with: has all been done as often as it may be?
    fn check(&mut self, before: &MillStats);
}

/// How a worker died.
#[derive(PartialEq, Eq)]
pub enum Died {
    There,
    /// It took another way: a lock was not free, a search began elsewhere.
    Elsewhere,
}

/// Waits for what must come; the watchdog ends what does not.
pub fn until(mut so: impl FnMut() -> bool) {
    while !so() {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Waits for it for some seconds, then says what is wrong.
fn settled(mut wrong: impl FnMut() -> Option<String>) {
    let begin = Instant::now();
    while let Some(what) = wrong() {
        assert!(begin.elapsed() < WATCHDOG / 4, "{what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// The process number and the participant of a worker that sleeps for want of work.
fn sleeper<S: Scene>(scene: &S, pid: u32) -> Option<(u32, u16)> {
    let id = scene.look().id_of(pid)?;
    (scene.look().sleeps_on(id).is_some() && sleeps(pid as i32)).then_some((pid, id))
}

/// The worker, asleep for want of work, as all are.
fn asleep<S: Scene>(scene: &S) -> (u32, u16) {
    let mut found = None;
    until(|| {
        found = scene.worker().and_then(|pid| sleeper(scene, pid));
        found.is_some() && scene.second().is_none_or(|pid| sleeper(scene, pid).is_some())
    });
    found.expect("just seen")
}

/// Where the worker, and the one that lives, say that they sleep.
fn sleeping_places<S: Scene>(scene: &S, id: u16) -> [Option<usize>; 2] {
    let second = scene.second().and_then(|pid| scene.look().id_of(pid));
    [Some(id), second].map(|id| scene.look().sleeps_on(id?))
}

/// A worker that sleeps, stopped and in our hands. `None`: the system does not let us.
fn seize<S: Scene>(scene: &S) -> Option<(u16, Traced)> {
    let (pid, id) = asleep(scene);
    let seized =
        Traced::seize(pid).inspect_err(|e| skipped(format!("no single steps here: the system does not allow ptrace: {e}")));
    Some((id, seized.ok()?))
}

/// A whole cycle step by step, with everything that can be noticed of it, and a death at its end.
pub fn walk<S: Scene>(scene: &mut S) -> Option<Way> {
    let (id, mut traced) = seize(scene)?;
    scene.wake();
    let code = traced.code();
    let (mut places, mut noticed, mut region) = (vec![], vec![], vec![]);
    scene.look().changed(&mut region);
    loop {
        let at = traced.at();
        assert!(places.len() < ENDLESS, "the worker goes on and on");
        places.push(code.iter().position(|range| range.contains(&at)).map(|k| (k, at - code[k].start)));
        let call = traced.is_system_call(at);
        if traced.step(at, || scene.rests(id)) == Step::Asleep {
            if !scene.go_on() {
                break;
            }
            traced.woken();
        }
        if scene.look().changed(&mut region) || call {
            noticed.push(places.len());
        }
    }
    end(scene, id, traced);
    Some(Way::walked(places, noticed))
}

/// One cycle with one death.
pub fn cycle<S: Scene>(scene: &mut S, point: Point, way: &Way) -> Died {
    let (id, mut traced) = seize(scene).expect("it was allowed before");
    scene.wake();
    let died = go(scene, id, &mut traced, point, way);
    if died == Died::There && !matches!(point, Point::End) && scene.meddle(id) {
        traced.run_on(|| scene.rests(id));
    }
    end(scene, id, traced);
    died
}

fn go<S: Scene>(scene: &mut S, id: u16, traced: &mut Traced, point: Point, way: &Way) -> Died {
    let code = traced.code();
    let address = |place: Place| code[place.0].start + place.1;
    let (from, to) = match point {
        // At its first instruction it stands, and will go back into the system call that was interrupted.
        Point::Before(to) => (way.landmarks[to].filter(|&from| from > 0), Some(to)),
        Point::Stepping(to) => (None, Some(to)),
        Point::End => (None, None),
    };
    if let Some(place) = from.and_then(|from| way.places[from]) {
        let way = traced.run_to(address(place));
        while traced.come(&way, || scene.rests(id)) == Step::Asleep {
            if !scene.go_on() {
                return Died::Elsewhere;
            }
        }
    }
    let left = to.map_or(usize::MAX, |to| to - from.unwrap_or(0));
    let wanted = to.and_then(|to| way.places[to]).map(address);
    let times = match point {
        Point::Before(to) => way.times[to] as usize,
        Point::Stepping(to) => way.places[..=to].iter().filter(|&&place| place == way.places[to]).count(),
        Point::End => 0,
    };
    let slowly = matches!(point, Point::Stepping(_));
    let (mut met, mut region) = (0, vec![]);
    // Since the landmark, where the count begins anew.
    for n in 0..left.saturating_add(DETOUR) {
        let at = traced.at();
        match wanted {
            Some(wanted) if at == wanted => met += 1,
            // In the kernel's code only the number of steps tells where it is.
            None if n == left => return Died::There,
            _ => {}
        }
        if wanted.is_some() && met == times {
            return Died::There;
        }
        if traced.step(at, || scene.rests(id)) == Step::Asleep {
            if !scene.go_on() {
                return if to.is_none() { Died::There } else { Died::Elsewhere };
            }
            traced.woken();
        }
        if slowly {
            // As when the way was walked.
            scene.look().changed(&mut region);
        }
    }
    Died::Elsewhere
}

pub fn kill_asleep<S: Scene>(scene: &S) {
    let deaths = scene.stats().deaths;
    let (_, traced) = seize(scene).expect("it was allowed before");
    traced.kill();
    until(|| scene.stats().deaths > deaths);
}

/// Kills the worker and looks at what comes of it.
fn end<S: Scene>(scene: &mut S, id: u16, traced: Traced) {
    let before = scene.stats();
    let counted = scene.look().sleepers();
    let slept_on = sleeping_places(scene, id);
    scene.note(id);
    traced.kill();
    scene.killed();
    until(|| scene.stats().deaths > before.deaths);
    scene.check(&before);
    assert_eq!(scene.stats().deaths, before.deaths + 1, "another one has died");
    // Whoever slept is not counted any more, and nobody else is forgotten. A sleeper that had counted itself and not said so yet, or was no
    // longer saying so, leaves a number that is too high, as long as the region lives: it costs needless wake-ups, and nothing else.
    let (_, id) = asleep(scene);
    let sleep_on = sleeping_places(scene, id);
    let those = |here: [Option<usize>; 2], k| here.iter().filter(|&&place| place == Some(k)).count() as u32;
    let expected: Vec<u32> = (0..counted.len()).map(|k| counted[k] - those(slept_on, k) + those(sleep_on, k)).collect();
    settled(|| {
        let now = scene.look().sleepers();
        (now != expected).then(|| format!("{now:?} sleepers are counted, and it should be {expected:?}"))
    });
    settled(|| {
        scene.settle();
        scene.look().left()
    });
}

/// What is going on, for the watchdog.
struct Watched {
    over: AtomicBool,
    /// Deaths that are over.
    beats: AtomicU64,
}

/// Ends this process, and its workers with it, if nothing goes on.
fn watch(watched: &Watched, name: &str) {
    let mut last = (0, Instant::now());
    while !watched.over.load(Relaxed) {
        let (deaths, stepped) = (watched.beats.load(Relaxed), STEPPED.load(Relaxed));
        if deaths + stepped != last.0 {
            last = (deaths + stepped, Instant::now());
        }
        if last.1.elapsed() > WATCHDOG {
            eprintln!("steps::{name}: hangs after {deaths} deaths");
            std::process::abort();
        }
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

/// Kills the worker of a scene at every point of its cycle. `each`: in a new region each time, for what must not have happened before in it.
pub fn every_step<S: Scene>(name: &str, make: impl Fn() -> S, each: bool) {
    let before = Held::now();
    let watched = Watched { over: AtomicBool::new(false), beats: AtomicU64::new(0) };
    std::thread::scope(|scope| {
        let dog = scope.spawn(|| watch(&watched, name));
        let result = catch_unwind(AssertUnwindSafe(|| kill_everywhere(name, &make, each, &watched.beats)));
        watched.over.store(true, Relaxed);
        dog.thread().unpark();
        result.unwrap_or_else(|why| std::panic::resume_unwind(why));
    });
    before.compare();
}
