//! An event count: the place where those sleep who found nothing to do.
//!
//! A *sequence* that only grows, and a number of *sleepers* (protocol, rule 1).
//!
//! | sleeper | waker |
//! |---|---|
//! | read the sequence under the ring's lock, when the ring is found empty (S0) | change the ring under its lock, unlock |
//! | turns += 1 (T), sleepers += 1 (S1) | sequence += 1 (W1) |
//! | last look (S2), then futex-wait while the sequence is what was read | load sleepers (W2); wake if there are any |
//!
//! S1 and W1 are read-modify-writes, S2 and W2 loads, all four sequentially consistent: either W2 sees the sleeper, or W1 came before S1, and
//! then the wait finds another sequence and does not sleep. Who wakes all whatever W2 would say needs a release only. Sleepers are never
//! reset after a death: recovery takes back exactly one for a dead participant whose entry says that it slept (`sleeps_on` is set after S1
//! and cleared before the number goes down, so it never takes back what was not counted).
//!
//! A wake-up takes its time, and who is woken counts as a sleeper until it runs. A producer that is faster than that would make a system call
//! with each put, for nobody. So a process remembers whom it has [`Told`]: *turns* counts those who came to sleep. If it is what it was before
//! the W1 of wake-ups that this process has made, for as many as were counted, then each of these sleepers was woken, or will find that the
//! sequence has moved; and another wake-up would find nobody.

use super::region::{Condition, Region, WaitPolicy};
use crate::layout::EventWords;
use crate::sys::atomic::AtomicU64;
use crate::sys::clock::{self, Deadline};
use crate::sys::futex::{self, Wait};
use crate::sys::planted::{Bug, planted};
use std::sync::atomic::Ordering::*;
use std::time::Duration;

/// How long a waiter looks again before it sleeps: about what a sleep and a wake-up cost on a virtual machine, so that looking costs at
/// most twice the better choice.
const LOOK_NANOS: u64 = 25_000;

/// The same with [`WaitPolicy::Block`]: less than a sleep costs, and enough to see that the next payload is on its way. Who sleeps at once gets
/// each payload of a stream by a wake-up of its own, since who puts is no slower than who takes: 0.8 against 2.0 million a second.
const BRIEF_NANOS: u64 = 1_000;

/// With [`WaitPolicy::Spin`], how many looks are taken before the clock is read.
const LOOKS_PER_CLOCK: u32 = 64;

/// What a sleeper of the parent adds to the number of sleepers beside its one: so workers that need the parent see where it sleeps.
const PARENT: u32 = 1 << 16;

/// The sequence as it was when the condition was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen(pub u32);

/// How long an operation waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// Not at all.
    Now,
    /// Until a moment, or for ever.
    Until(Option<Deadline>),
}

impl Patience {
    pub(crate) const FOREVER: Patience = Patience::Until(None);

    pub(crate) fn for_(timeout: Duration) -> Self {
        Patience::Until(Some(Deadline::after(timeout)))
    }
}

/// What this process has told the sleepers of an event: how many had come when it began to (upper half), and how many of them it has not woken
/// yet (lower half).
pub struct Told(AtomicU64);

impl Told {
    /// Nothing.
    pub fn nothing() -> Self {
        Told(AtomicU64::new(u32::MAX.into()))
    }
}

/// The sequence now. Read it before looking for what is waited for, or under the lock when it is found missing.
#[inline]
pub fn look(event: &EventWords) -> Seen {
    // S0 ↔ W1 where no lock is between.
    Seen(event.sequence.load(Acquire))
}

/// Says that something happened, of which up to `count` sleepers can make use.
#[inline]
pub fn notify(event: &EventWords, count: u32) {
    move_sequence(event);
    let sleepers = event.sleepers.load(SeqCst); // W2 ↔ S1
    if sleepers != 0 {
        wake(event, count.min(sleepers));
    }
}

/// The same, for one who says it again and again: those who have been woken and have not come yet are not woken once more.
#[inline]
pub fn notify_again(event: &EventWords, told: &Told, count: u32) {
    // Acquire ↔ T: who is counted here has read the sequence before it moves.
    let before = event.turns.load(Acquire);
    move_sequence(event);
    let sleepers = event.sleepers.load(SeqCst); // W2 ↔ S1
    if sleepers != 0 {
        tell(event, told, before, sleepers % PARENT, count);
    }
}

fn tell(event: &EventWords, told: &Told, before: u32, sleepers: u32, count: u32) {
    // Relaxed: W2 has acquired S1 of all who were counted, and T comes before it.
    let turns = event.turns.load(Relaxed);
    // A ↔ R below: the wake-ups of other threads of this process have been made.
    let known = told.0.load(Acquire);
    let same = (known >> 32) as u32 == turns || planted(Bug::ForgetsTurns) && known as u32 == 0;
    let left = if same { known as u32 } else { sleepers };
    let count = count.min(left);
    if count == 0 {
        return;
    }
    wake(event, count);
    // If somebody came since `before`, it may have read the sequence after it moved and sleep only now.
    if turns == before {
        told.0.store(u64::from(turns) << 32 | u64::from(left - count), Release);
    }
}

#[inline]
fn move_sequence(event: &EventWords) {
    if !planted(Bug::SequenceStays) {
        event.sequence.fetch_add(1, SeqCst); // W1 ↔ S1
    }
}

#[cold]
fn wake(event: &EventWords, count: u32) {
    futex::wake(&event.sequence, if planted(Bug::WakesOne) { 1 } else { count });
}

/// Moves the sequence and wakes all who may sleep, whatever the number of sleepers says.
pub fn notify_all(event: &EventWords) {
    // No look at the sleepers follows that it would have to come before.
    event.sequence.fetch_add(1, Release); // R ↔ S0
    futex::wake_all(&event.sequence);
}

/// Whether the parent may be asleep here.
pub fn parent_sleeps(event: &EventWords) -> bool {
    // SeqCst ↔ S1 of the parent, which then looks whether anybody needs it.
    event.sleepers.load(SeqCst) >= PARENT
}

/// Waits until the sequence is no longer `seen`, or the deadline passes. `last_look` is asked after this thread has been counted as a
/// sleeper, which one that spins is too after a while: `true` means that there is something to do after all. May return early; the caller looks again.
pub fn wait(
    region: &Region,
    event: &EventWords,
    seen: Seen,
    deadline: Option<Deadline>,
    last_look: impl FnOnce() -> bool,
) -> Wait {
    let moved = || event.sequence.load(Relaxed) != seen.0 || region.condition() != Condition::Open;
    match region.wait_policy() {
        WaitPolicy::Spin => {
            // The clock is read only by those who are not lucky at once.
            if spin(moved, LOOKS_PER_CLOCK) {
                return Wait::Woken;
            }
            let patience = Deadline(clock::now() + LOOK_NANOS);
            if spin_until(moved, Some(deadline.map_or(patience, |d| d.min(patience)))) == Wait::Woken {
                return Wait::Woken;
            }
        }
        policy @ (WaitPolicy::Adaptive | WaitPolicy::Block) => {
            // Each look is followed by a yield: it costs 0.2 µs if nobody else could run, and if somebody could, they do. On two cores
            // with three busy processes this moves two to six times the jobs of sleeping at once, and unlike pausing in a loop it does
            // not collapse when the machine has other work.
            let most = if policy == WaitPolicy::Block { BRIEF_NANOS } else { LOOK_NANOS };
            let start = clock::now();
            loop {
                if moved() {
                    return Wait::Woken;
                }
                let now = clock::now();
                if deadline.is_some_and(|d| now >= d.0) {
                    return Wait::TimedOut;
                }
                if now - start > most {
                    break;
                }
                std::thread::yield_now();
            }
        }
    }
    sleep(region, event, seen, deadline, region.wait_policy() == WaitPolicy::Spin, last_look)
}

/// The same without looking again first, whatever the policy: for those whom nobody waits for.
pub fn wait_asleep(region: &Region, event: &EventWords, seen: Seen, deadline: Option<Deadline>) -> Wait {
    sleep(region, event, seen, deadline, false, || false)
}

fn spin(moved: impl Fn() -> bool, looks: u32) -> bool {
    (0..looks).any(|_| {
        let moved = moved();
        if !moved {
            std::hint::spin_loop();
        }
        moved
    })
}

fn spin_until(moved: impl Fn() -> bool + Copy, deadline: Option<Deadline>) -> Wait {
    loop {
        if spin(moved, LOOKS_PER_CLOCK) {
            return Wait::Woken;
        }
        if deadline.is_some_and(Deadline::passed) {
            return Wait::TimedOut;
        }
    }
}

/// Who spins counts as a sleeper from here on as well: others must see that somebody waits, and it must take its last look.
#[cold]
fn sleep(
    region: &Region,
    event: &EventWords,
    seen: Seen,
    deadline: Option<Deadline>,
    awake: bool,
    last_look: impl FnOnce() -> bool,
) -> Wait {
    let entry = region.own_entry();
    let one = if region.me().id() == 1 { 1 + PARENT } else { 1 };
    event.turns.fetch_add(1, Release); // T ↔ `before`: S0 came before
    event.sleepers.fetch_add(one, SeqCst); // S1 ↔ W1, W2
    // One thread of a process is registered; if another one is, a death of this process leaves the number one too high, which costs
    // needless wake-ups and nothing else.
    let offset = event as *const EventWords as u64 - region.base() as u64;
    let registered = entry.sleeps_on.compare_exchange(0, offset, Relaxed, Relaxed).is_ok();
    // S2: SeqCst inside the closure's own loads ↔ W1 of whoever changed what it looks at.
    let result = if last_look() || region.header().condition.load(SeqCst) != 0 {
        Wait::Woken
    } else if awake {
        spin_until(|| event.sequence.load(Relaxed) != seen.0 || region.condition() != Condition::Open, deadline)
    } else {
        futex::wait(&event.sequence, seen.0, deadline)
    };
    if registered {
        // R ↔ the supervisor reads it after this process's end, which orders it; the release keeps it before the next line for a process that is killed between the two.
        entry.sleeps_on.store(0, Release);
    }
    event.sleepers.fetch_sub(one, SeqCst);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::Plan;
    use crate::sys::mapping::Mapping;
    use std::time::Duration;

    fn anonymous(wait: WaitPolicy) -> Region {
        let plan = Plan { arena: 4096, participants: 2, channels: 1, wait };
        Region::create(Mapping::anonymous(crate::layout::MIN_REGION).unwrap(), plan).unwrap()
    }

    /// Two came to sleep and are slow to come back: the third wake-up would find nobody. One of them comes back, and another one comes to sleep.
    #[test]
    fn who_has_been_woken_and_has_not_come_is_not_woken_again() {
        let region = anonymous(WaitPolicy::Block);
        let event = region.arena(0).room();
        let told = Told::nothing();
        let left = || told.0.load(Relaxed) as u32;
        event.turns.store(2, Relaxed);
        event.sleepers.store(2, Relaxed);
        let lefts = [(); 4].map(|()| {
            notify_again(event, &told, 1);
            left()
        });
        assert_eq!(lefts, [1, 0, 0, 0]);
        // It is still known that both have been told, whatever is counted now.
        event.sleepers.store(1, Relaxed);
        notify_again(event, &told, 1);
        assert_eq!(left(), 0);
        // Two sleep, of whom one is new.
        event.turns.store(3, Relaxed);
        event.sleepers.store(2, Relaxed);
        notify_again(event, &told, 1);
        assert_eq!(told.0.load(Relaxed), 3 << 32 | 1);
        assert_eq!(event.sequence.load(Relaxed), 6);
    }

    /// The story: a worker stores FINISHED, sees no sleeper, and goes on with a job of an hour. Who waits for the outcome spins, and so was
    /// never counted: nobody will ever tell it. It has to look for itself.
    #[test]
    fn who_waits_looks_for_itself_under_every_policy() {
        for wait in [WaitPolicy::Adaptive, WaitPolicy::Spin, WaitPolicy::Block] {
            let region = anonymous(wait);
            let event = region.arena(0).room();
            let mut looks = 0;
            let deadline = Deadline::after(Duration::from_secs(60));
            let waited = super::wait(&region, event, look(event), Some(deadline), || {
                looks += 1;
                true
            });
            assert_eq!((waited, looks, event.sleepers.load(SeqCst)), (Wait::Woken, 1, 0), "{wait:?}");
        }
    }
}
