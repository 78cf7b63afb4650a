//! What victims and survivors do: they go through a lock again and again, and the victim dies at a point of the way.

use crate::bench::contender::Result;
use crate::bench::shared::Shared;
use crate::lab::crew::Worker;
use crate::lab::gate::Gate;
use crate::lock::{Acquired, RawLock, Visitor};
use std::hint::black_box;
use std::time::Duration;

/// When it dies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    /// It means to take the lock, and has not yet asked for it.
    Before,
    /// Between the two writes.
    Inside,
    /// It has given the lock back, and done nothing since.
    After,
}

pub const MOMENTS: [Moment; 3] = [Moment::Before, Moment::Inside, Moment::After];

impl Moment {
    pub fn name(self) -> &'static str {
        ["killed before it", "killed inside", "killed after it"][self as usize]
    }
}

/// Turns that a victim takes before its last one: by then all others go through the lock as well.
const TURNS: u64 = 10;

/// All locks are tried at once: a pause after each turn leaves the CPUs to those who use another lock.
const PAUSE: Duration = Duration::from_micros(200);

/// A turn takes one from the first and gives it to the second: together they are 0, except between the two writes.
type Accounts = [u64; 2];

/// What a turn has met with, as it is noted: it was told that the last owner had died; it found the accounts half-changed, and repaired them.
type Met = [bool; 2];
pub const TOLD: usize = 0;
pub const TORN: usize = 1;

/// A lock of some kind, with its accounts.
pub trait Door: Sync {
    /// Goes through once. At each moment `at` is called, and may never come back.
    fn turn(&self, worker: &Worker<'_>, at: &dyn Fn(Moment)) -> Met;
}

impl<L: RawLock> Door for Shared<Gate<L, Accounts>> {
    fn turn(&self, worker: &Worker<'_>, at: &dyn Fn(Moment)) -> Met {
        at(Moment::Before);
        let met = self.with(worker, |[from, to], acquired| {
            let torn = from.wrapping_add(*to) != 0;
            if torn {
                *to = from.wrapping_neg();
            }
            *from = from.wrapping_sub(1);
            // In memory now: to the compiler, nobody could see it from a call that never returns.
            black_box(&mut *from);
            at(Moment::Inside);
            *to = to.wrapping_add(1);
            [acquired == Acquired::OwnerDied, torn]
        });
        at(Moment::After);
        met
    }
}

/// Makes a door with a lock of each kind.
pub struct Make;
impl Visitor for Make {
    type Out = Result<Box<dyn Door>>;

    fn visit<L: RawLock>(self) -> Self::Out {
        Ok(Box::new(Gate::<L, Accounts>::new()?))
    }
}

/// Whoever is a victim dies in its last turn, at that moment.
pub fn live(victim: Option<Moment>, worker: &Worker<'_>, door: &dyn Door) {
    let turn = || {
        for (place, _) in door.turn(worker, &|_| ()).into_iter().enumerate().filter(|(_, met)| *met) {
            worker.note(place, 1);
        }
        worker.did(1);
        std::thread::sleep(PAUSE);
    };
    match victim {
        None => {
            while worker.on() {
                turn();
            }
        }
        Some(last) => {
            (0..TURNS).for_each(|_| turn());
            let dies = |now| {
                if now == last {
                    worker.die();
                }
            };
            door.turn(worker, &dies);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::crew::{Crew, Members};
    use crate::lab::laboratory::tests::lab;
    use crate::lock::{Holder, PthreadRobustLock};
    use std::cell::RefCell;

    fn alone<L: RawLock>(body: impl Fn(&Worker<'_>, &Shared<Gate<L, Accounts>>) + Sync) -> [u64; 4] {
        let door = Gate::<L, Accounts>::new().unwrap();
        let crew = Crew { members: Members::Threads, size: 1 };
        crew.work(&lab(1), "turns", Duration::from_secs(10), &door, body).unwrap().tallies[0].notes
    }

    #[test]
    fn accounts_that_were_left_half_changed_are_found_once() {
        let notes = alone::<PthreadRobustLock>(|worker, door| {
            let torn = || u64::from(door.turn(worker, &|_| ())[TORN]);
            worker.note(0, torn());
            door.with(worker, |accounts, _| accounts[0] = accounts[0].wrapping_sub(1));
            worker.note(1, torn());
            worker.note(2, torn());
        });
        assert_eq!(notes[..3], [0, 1, 0]);
    }

    thread_local! {
        static LOG: RefCell<Vec<&'static str>> = const { RefCell::new(vec![]) };
    }

    fn log(what: &'static str) {
        LOG.with_borrow_mut(|log| log.push(what));
    }

    /// Says what is done with it. There is one thread, so it need not keep anybody out.
    struct Logged;

    // SAFETY: it is used by one thread, which takes it only after it has given it back.
    unsafe impl RawLock for Logged {
        const NAME: &'static str = "logged";
        const RECOVERS: bool = false;

        unsafe fn init(_: *mut Self) -> std::io::Result<()> {
            Ok(())
        }

        fn lock(&self, _: Holder) -> Acquired {
            log("taken");
            Acquired::Clean
        }

        fn try_lock(&self, me: Holder) -> Option<Acquired> {
            Some(self.lock(me))
        }

        unsafe fn unlock(&self, _: Holder) {
            log("given back");
        }
    }

    #[test]
    fn the_moments_are_before_the_lock_is_asked_for_with_it_and_after_it_was_given_back() {
        alone::<Logged>(|worker, door| {
            door.turn(worker, &|moment| log(moment.name()));
            let seen = LOG.take();
            assert_eq!(seen, ["killed before it", "taken", "killed inside", "given back", "killed after it"]);
            worker.note(0, seen.len() as u64);
        });
    }
}
