//! A machine with weak memory, below the engine's own atomics: threads that are switched at any access, and loads that may give old values.
//!
//! It follows the C11 model as far as it can be run step by step. Each word keeps all values that it ever had, in order. Each thread has a *view*: of each word,
//! the oldest value that it may still see. A relaxed load takes any value from there on; an acquiring load also takes over the view that the
//! value's writer released with it; a change reads the newest value and goes on with the release that it found. Sequentially consistent accesses
//! see what the ones before them have written. Copies of payloads must be ordered by what was acquired: two that are not, one of them
//! a write, are a data race, which ends the run. Not covered: stores that take effect before ones that were made earlier by other threads.

use corosensei::{Coroutine, CoroutineResult, Yielder};
use gristmill::sys::atomic::{MACHINE, Machine};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::atomic::Ordering::{self, *};

/// An access in the source, by its place.
pub type Site = (&'static str, u32, u32);

/// An access that is weaker in a run than it is written: made relaxed, or, where it is sequentially consistent, acquiring and releasing.
pub type Weakened = (Site, Ordering);

/// Accesses after which a run counts as one that goes on for ever.
const MOST_STEPS: u64 = 40_000;

/// By word: the number of the oldest value that may be seen.
type View = Vec<u32>;

fn join(view: &mut View, other: &View) {
    if view.len() < other.len() {
        view.resize(other.len(), 0);
    }
    view.iter_mut().zip(other).for_each(|(mine, theirs)| *mine = (*mine).max(*theirs));
}

fn seen(view: &View, word: usize) -> u32 {
    view.get(word).copied().unwrap_or(0)
}

fn see(view: &mut View, word: usize, value: u32) {
    if view.len() <= word {
        view.resize(word + 1, 0);
    }
    view[word] = view[word].max(value);
}

/// A value that a word had, with what its writer released: a view, and how far each thread was.
#[derive(Clone)]
struct Value {
    is: u64,
    view: View,
    clock: View,
}

#[derive(Default)]
struct Thread {
    view: View,
    clock: View,
    /// The word that it sleeps on.
    asleep: Option<usize>,
    over: bool,
}

/// A byte of a payload: who wrote them last, and who has read them since, each with how far it was.
#[derive(Default)]
struct Plain {
    wrote: Option<(usize, u32)>,
    read: Vec<(usize, u32)>,
}

struct State {
    rng: StdRng,
    /// Ranges of addresses that are one memory: several processes' mappings of it.
    mappings: Vec<(usize, usize)>,
    words: HashMap<usize, usize>,
    values: Vec<Vec<Value>>,
    consistent: View,
    plain: HashMap<usize, Plain>,
    threads: Vec<Thread>,
    current: usize,
    steps: u64,
    switches: f64,
    stale: f64,
    weakened: Option<Weakened>,
    sites: BTreeMap<Site, Ordering>,
}

/// One for each thread of the harness.
pub struct Weak {
    state: RefCell<State>,
    yielder: Cell<*const Yielder<(), ()>>,
}

impl State {
    fn place(&self, at: usize) -> usize {
        let inside = self.mappings.iter().find(|(base, size)| (*base..base + size).contains(&at));
        inside.map_or(at, |(base, _)| at - base)
    }

    fn word(&mut self, at: usize, now: u64) -> usize {
        let place = self.place(at);
        let next = self.values.len();
        let word = *self.words.entry(place).or_insert(next);
        if word == next {
            self.values.push(vec![Value { is: now, view: vec![], clock: vec![] }]);
        }
        word
    }

    /// The order of this access in this run.
    fn order(&mut self, order: Ordering, site: &'static Location<'static>) -> Ordering {
        let here = (site.file(), site.line(), site.column());
        if order != Relaxed {
            self.sites.insert(here, order);
        }
        match self.weakened {
            Some((site, to)) if site == here && order != Relaxed => to,
            _ => order,
        }
    }

    fn take(&mut self, word: usize, number: u32, order: Ordering) {
        let me = self.current;
        see(&mut self.threads[me].view, word, number);
        if matches!(order, Acquire | AcqRel | SeqCst) {
            let value = self.values[word][number as usize].clone();
            join(&mut self.threads[me].view, &value.view);
            join(&mut self.threads[me].clock, &value.clock);
        }
    }

    fn add(&mut self, word: usize, is: u64, order: Ordering, goes_on: Option<(View, View)>) {
        let me = self.current;
        let number = self.values[word].len() as u32;
        see(&mut self.threads[me].view, word, number);
        let (mut view, mut clock) = goes_on.unwrap_or_default();
        see(&mut view, word, number);
        if matches!(order, Release | AcqRel | SeqCst) {
            join(&mut view, &self.threads[me].view);
            join(&mut clock, &self.threads[me].clock);
            // What follows is not released with it.
            let mine = seen(&self.threads[me].clock, me) + 1;
            see(&mut self.threads[me].clock, me, mine);
        }
        self.values[word].push(Value { is, view, clock });
        if order == SeqCst {
            see(&mut self.consistent, word, number);
        }
    }
}

impl Weak {
    /// Another thread may run first.
    fn step(&self) {
        let mut state = self.state.borrow_mut();
        state.steps += 1;
        assert!(state.steps < MOST_STEPS, "goes on for ever");
        let switches = state.switches;
        let switch = state.rng.random_bool(switches);
        drop(state);
        if switch {
            self.switch();
        }
    }

    fn switch(&self) {
        // SAFETY: the yielder of the coroutine that runs now, set when it began or was last resumed.
        unsafe { (*self.yielder.get()).suspend(()) };
    }
}

impl Machine for Weak {
    fn load(&self, at: usize, now: u64, order: Ordering, site: &'static Location<'static>) -> u64 {
        self.step();
        let mut state = self.state.borrow_mut();
        let (word, order) = (state.word(at, now), state.order(order, site));
        let mut oldest = seen(&state.threads[state.current].view, word);
        if order == SeqCst {
            oldest = oldest.max(seen(&state.consistent, word));
        }
        let newest = state.values[word].len() as u32 - 1;
        let stale = state.stale;
        let number = if state.rng.random_bool(stale) { state.rng.random_range(oldest..=newest) } else { newest };
        state.take(word, number, order);
        state.values[word][number as usize].is
    }

    fn store(&self, at: usize, now: u64, value: u64, order: Ordering, site: &'static Location<'static>) {
        self.step();
        let mut state = self.state.borrow_mut();
        let (word, order) = (state.word(at, now), state.order(order, site));
        state.add(word, value, order, None);
    }

    fn change(
        &self,
        at: usize,
        now: u64,
        orders: (Ordering, Ordering),
        site: &'static Location<'static>,
        change: &mut dyn FnMut(u64) -> Option<u64>,
    ) -> (u64, bool) {
        self.step();
        let mut state = self.state.borrow_mut();
        let word = state.word(at, now);
        let newest = state.values[word].len() as u32 - 1;
        let old = state.values[word][newest as usize].clone();
        let yes = state.order(orders.0, site);
        match change(old.is) {
            Some(new) => {
                state.take(word, newest, yes);
                state.add(word, new, yes, Some((old.view, old.clock)));
                (old.is, true)
            }
            None => {
                let no = state.order(orders.1, site);
                state.take(word, newest, no);
                (old.is, false)
            }
        }
    }

    fn plain(&self, at: usize, length: usize, writes: bool, site: &'static Location<'static>) {
        self.step();
        let mut state = self.state.borrow_mut();
        let (place, me) = (state.place(at), state.current);
        let clock = state.threads[me].clock.clone();
        let now = seen(&clock, me);
        let before = |&(who, when): &(usize, u32)| who == me || when <= seen(&clock, who);
        for byte in place..place + length {
            let plain = state.plain.entry(byte).or_default();
            let ordered = plain.wrote.iter().all(before) && (!writes || plain.read.iter().all(before));
            assert!(ordered, "a data race: {} of thread {me} at {site}", if writes { "a write" } else { "a read" });
            if writes {
                *plain = Plain { wrote: Some((me, now)), read: vec![] };
            } else {
                plain.read.push((me, now));
            }
        }
    }

    fn futex_wait(&self, at: usize, now: u32, expected: u32) {
        self.step();
        let mut state = self.state.borrow_mut();
        let word = state.word(at, now.into());
        // The kernel looks itself, and sees the newest value.
        if state.values[word].last().expect("one at least").is != u64::from(expected) {
            return;
        }
        let me = state.current;
        state.threads[me].asleep = Some(word);
        drop(state);
        self.switch();
    }

    fn futex_wake(&self, at: usize, count: u32) -> u32 {
        self.step();
        let mut state = self.state.borrow_mut();
        let Some(&word) = state.words.get(&state.place(at)) else { return 0 };
        let mut asleep: Vec<usize> = (0..state.threads.len()).filter(|&t| state.threads[t].asleep == Some(word)).collect();
        let mut woken = 0;
        while woken < count && !asleep.is_empty() {
            let next = state.rng.random_range(0..asleep.len());
            state.threads[asleep.swap_remove(next)].asleep = None;
            woken += 1;
        }
        woken
    }
}

/// A thread of a scenario.
pub type Body = Box<dyn FnOnce()>;

thread_local! {
    static WEAK: &'static Weak = Box::leak(Box::new(Weak {
        state: RefCell::new(State {
            rng: StdRng::seed_from_u64(0), mappings: vec![], words: HashMap::new(), values: vec![], consistent: vec![],
            plain: HashMap::new(), threads: vec![], current: 0, steps: 0, switches: 0.0, stale: 0.0, weakened: None, sites: BTreeMap::new(),
        }),
        yielder: Cell::new(std::ptr::null()),
    }));
}

/// Runs the threads once. `mappings`: where the same memory is mapped. What went wrong, if anything did; and each access that was stronger than
/// relaxed, with its order.
pub fn run(
    seed: u64,
    weakened: Option<Weakened>,
    mappings: Vec<(usize, usize)>,
    bodies: Vec<Body>,
) -> (Result<(), String>, BTreeMap<Site, Ordering>) {
    let weak: &'static Weak = WEAK.with(|weak| *weak);
    let mut rng = StdRng::seed_from_u64(seed);
    let switches = [0.02, 0.1, 0.3, 0.6][rng.random_range(0..4)];
    let stale = [0.0, 0.2, 0.6, 0.95][rng.random_range(0..4)];
    let thread = |n: usize| {
        let mut thread = Thread::default();
        see(&mut thread.clock, n, 1);
        thread
    };
    let threads = (0..bodies.len()).map(thread).collect();
    *weak.state.borrow_mut() = State {
        rng,
        mappings,
        words: HashMap::new(),
        values: vec![],
        consistent: vec![],
        plain: HashMap::new(),
        threads,
        current: 0,
        steps: 0,
        switches,
        stale,
        weakened,
        sites: BTreeMap::new(),
    };
    let mut all: Vec<_> = bodies
        .into_iter()
        .map(|body| {
            let mine: &'static Cell<*const Yielder<(), ()>> = Box::leak(Box::new(Cell::new(std::ptr::null())));
            let coroutine = Coroutine::new(move |yielder: &Yielder<(), ()>, ()| {
                mine.set(yielder);
                weak.yielder.set(yielder);
                body();
            });
            (coroutine, mine)
        })
        .collect();
    MACHINE.set(Some(weak));
    let result = loop {
        let mut state = weak.state.borrow_mut();
        let ready: Vec<usize> =
            (0..all.len()).filter(|&n| !state.threads[n].over && state.threads[n].asleep.is_none()).collect();
        if ready.is_empty() {
            let sleepers = (0..all.len()).filter(|&n| !state.threads[n].over).collect::<Vec<_>>();
            break if sleepers.is_empty() { Ok(()) } else { Err(format!("threads {sleepers:?} sleep for ever")) };
        }
        let next = ready[state.rng.random_range(0..ready.len())];
        state.current = next;
        drop(state);
        let (coroutine, mine) = &mut all[next];
        weak.yielder.set(mine.get());
        match catch_unwind(AssertUnwindSafe(|| coroutine.resume(()))) {
            Ok(CoroutineResult::Yield(())) => {}
            Ok(CoroutineResult::Return(())) => weak.state.borrow_mut().threads[next].over = true,
            Err(why) => {
                let text = why.downcast_ref::<String>().cloned().or_else(|| why.downcast_ref::<&str>().map(|t| t.to_string()));
                break Err(format!("thread {next}: {}", text.unwrap_or_default()));
            }
        }
    };
    // Those that have not ended are unwound, on memory as it is.
    MACHINE.set(None);
    drop(all);
    (result, std::mem::take(&mut weak.state.borrow_mut().sites))
}
