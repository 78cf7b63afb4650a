//! The pool's one thread: it publishes what is kept back when a worker has nothing to do, gives jobs behind a long one to idle
//! workers, collects when somebody is to be told and nobody waits, and ends jobs that take too long or too much. Otherwise it sleeps.

use super::engine::{Engine, PATIENCE, State};
use crate::ring::event;
use crate::ring::frame::Kind;
use crate::sys::clock::{self, Deadline};
use crate::sys::limits;
use crate::sys::thread::Thread;
use std::sync::Arc;
use std::time::Duration;

/// How often workers' memory is looked at, while jobs are under way.
const MEMORY_EVERY: Duration = Duration::from_millis(50);

/// Starts the thread.
pub(super) fn start(engine: Arc<Engine>) -> std::io::Result<Thread> {
    Thread::start(c"gristmill-pool", move || serve(&engine))
}

fn serve(engine: &Engine) {
    let d = engine.channel.desc();
    loop {
        // Before the looks below: what happens after them moves it.
        let seen = event::look(&d.assist);
        let timer = timers(engine);
        let mut state = engine.lock();
        if state.quit {
            return;
        }
        let kept_back = state.keeps_back();
        // Without a free slot: outcomes that nobody has collected may hold some.
        if !engine.flush(&mut state)
            && let Ok(None) = engine.collect(&mut state)
        {
            engine.flush(&mut state);
        }
        if let Err(why) = engine.channel.check() {
            engine.end(&mut state, why);
        }
        if state.ended.is_some() {
            // There is nothing to be done any more.
            return engine.release(state);
        }
        let needed = |state: &State| state.watched > 0 || engine.room_wanted();
        if needed(&state) {
            let until = timer.unwrap_or(Deadline(u64::MAX));
            let (state, _) = engine
                .wait_until(state, Some(until), |state| (state.quit || state.ended.is_some() || !needed(state)).then_some(()));
            engine.release(state);
            continue;
        }
        let again = state.nudged && kept_back;
        state.nudged = again;
        engine.release(state);
        if give_rests(engine) {
            continue;
        }
        if again {
            // More may follow, of which bundles are made meanwhile: nobody has to wake this thread for each.
            std::thread::sleep(PATIENCE);
            continue;
        }
        event::wait_asleep(engine.channel.region(), &d.assist, seen, timer);
    }
}

/// Jobs that wait behind one that runs long go to workers that have nothing to do; whether there were any. A bundle of short jobs is
/// over before that.
fn give_rests(engine: &Engine) -> bool {
    let behind = engine.behind();
    if behind.is_empty() {
        return false;
    }
    std::thread::sleep(PATIENCE);
    let mut state = engine.lock();
    let gave = engine.rebalance(&mut state, |slot, word| behind.contains(&(slot, word)));
    engine.release(state);
    gave
}

/// Ends what is over a bound; when to look again.
fn timers(engine: &Engine) -> Option<Deadline> {
    if engine.limits.timeout.is_none() && engine.limits.memory.is_none() || engine.lock().unfinished == 0 {
        return None;
    }
    let now = clock::now();
    let mut next = u64::MAX;
    if let Some(timeout) = engine.limits.timeout {
        let timeout = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        // What begins after this look is not over before that.
        next = now.saturating_add(timeout);
        engine.condemn(Kind::TimedOut, |_, began| {
            let over = began.saturating_add(timeout);
            if over > now {
                next = next.min(over);
            }
            over <= now
        });
    }
    if let Some(memory) = engine.limits.memory {
        next = next.min(now + MEMORY_EVERY.as_nanos() as u64);
        let region = engine.channel.region();
        engine.condemn(Kind::Memory, |worker, _| {
            let pid = region.participant(worker).map_or(0, |p| p.pid.load(std::sync::atomic::Ordering::Relaxed));
            limits::private_memory(pid).is_some_and(|bytes| bytes > memory)
        });
    }
    Some(Deadline(next))
}
