//! Death at *every* instruction. A worker does one operation under ptrace, instruction by instruction, and is killed after the k-th, for each k from the first
//! instruction to the last. After each death whoever waits must get on, and the accounts must be right.
//!
//! In a build without optimization an operation is thousands of instructions, most of them in checks and wrappers; a build with optimization
//! (`cargo test --release`) comes to each one. Without it, every n-th is taken, beginning anywhere; `GRISTMILL_STEPS=all` takes each one in any case.

use crate::numbers::Numbers;
use crate::support::*;
use gristmill::process::{Arguments, Target};
use gristmill::sync::{Barrier, BarrierError, Condvar, Counter, LockError, Mutex, RwLock, Semaphore};
use gristmill::{Mill, Process, Task, tasks};
use std::sync::atomic::Ordering::*;

tests![
    mutex_survives_a_death_at_every_instruction,
    rwlock_survives_a_death_at_every_instruction,
    semaphore_survives_a_death_at_every_instruction,
    barrier_survives_a_death_at_every_instruction,
    mutex_survives_a_death_at_every_instruction_of_a_waiter,
    condvar_survives_a_death_at_every_instruction_of_a_waiter,
];

pub fn tasks() -> Vec<Task> {
    tasks![change, write_and_read, use_and_release, come, wait_and_take]
}

/// The numbers of instructions after which there is a death: not too many unless all are wanted, since each takes the time of all instructions before it.
fn deaths(instructions: usize) -> impl Iterator<Item = usize> {
    const MOST: usize = if cfg!(debug_assertions) { 40 } else { 3000 };
    let all = std::env::var("GRISTMILL_STEPS").is_ok_and(|value| value == "all");
    let stride = if all { 1 } else { instructions.div_ceil(MOST) };
    println!("{instructions} instructions, a death at one of {stride}");
    let first = Numbers::new().below(stride as u64) as usize;
    (first..=instructions).step_by(stride)
}

type Cells = [u64; 4];

/// Says that it is here, waits for its turn without a system call, does it, says so.
fn in_turn(turn: &Counter, operation: impl FnOnce()) {
    turn.add(1);
    while turn.get() != 2 {
        std::hint::spin_loop();
    }
    operation();
    turn.set(3);
    forever();
}

fn change(mutex: &Mutex<Cells>, turn: &Counter) {
    in_turn(turn, || {
        let mut cells = mutex.lock().unwrap();
        let next = cells[0] + 1;
        cells.fill(next);
    });
}

fn write_and_read(lock: &RwLock<Cells>, turn: &Counter) {
    in_turn(turn, || {
        let mut cells = lock.write().unwrap();
        let next = cells[0] + 1;
        cells.fill(next);
        drop(cells);
        drop(lock.read().unwrap());
    });
}

fn use_and_release(semaphore: &Semaphore, turn: &Counter) {
    in_turn(turn, || {
        drop(semaphore.acquire().unwrap());
        semaphore.acquire().unwrap().forget();
        semaphore.release(1).unwrap();
    });
}

fn come(barrier: &Barrier, turn: &Counter) {
    in_turn(turn, || {
        let _ = barrier.wait();
    });
}

/// Waits until the first cell is not 0, and makes it 0. The last cell says that there is nothing more to come.
fn wait_and_take(cells: &Mutex<Cells>, change: &Condvar, turn: &Counter) {
    in_turn(turn, || take(cells, change));
}

fn take(cells: &Mutex<Cells>, change: &Condvar) {
    let mut guard = relock(cells.lock());
    while guard[0] == 0 && guard[3] == 0 {
        guard = relock(change.wait(guard));
    }
    guard[0] = 0;
}

fn relock<G>(locked: Result<G, LockError<G>>) -> G {
    locked.unwrap_or_else(|e| e.into_guard().expect("locked"))
}

/// A worker that stands still before its operation, in this thread's hands.
struct Stepped {
    process: Process,
    pid: i32,
    turn: Counter,
}

impl Stepped {
    fn new<F, R>(mill: &Mill, turn: &Counter, target: F, arguments: R) -> Stepped
    where
        R: Arguments,
        F: Target<R::Owned>,
    {
        turn.set(0);
        let process = start(mill, target, arguments);
        let pid = process.pid().unwrap() as i32;
        until(|| turn.get() == 1);
        let stepped = Stepped { process, pid, turn: turn.clone() };
        stepped.request(libc::PTRACE_SEIZE);
        stepped.request(libc::PTRACE_INTERRUPT);
        stepped.stands(true);
        turn.set(2);
        stepped
    }

    fn request(&self, request: libc::c_uint) {
        // SAFETY: these requests take no address: nothing of this process is read or written.
        let r = unsafe { libc::ptrace(request, self.pid, 0usize, 0usize) };
        assert_eq!(r, 0, "ptrace({request}): {}", std::io::Error::last_os_error());
    }

    /// Whether it sleeps in a system call.
    fn sleeps(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
    }

    /// Waits until it stands still, or, impatient, until it has slept for 5 ms; whether it does. Its end is left to the supervisor, whose child it is.
    fn stands(&self, patient: bool) -> bool {
        let begin = std::time::Instant::now();
        loop {
            // SAFETY: all zero is a valid siginfo.
            let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
            let flags = libc::WSTOPPED | libc::__WALL | if patient { 0 } else { libc::WNOHANG };
            // SAFETY: `info` is valid to write to.
            let r = unsafe { libc::waitid(libc::P_PID, self.pid as u32, &mut info, flags) };
            assert_eq!(r, 0, "waitid: {}", std::io::Error::last_os_error());
            if info.si_signo != 0 {
                return true;
            }
            // It may also be this thread that did not run for so long: only a sleeper needs somebody who wakes it. One that was asked while the
            // worker is stopped with the mutex would wait for ever.
            if !patient && begin.elapsed() > std::time::Duration::from_millis(5) && self.sleeps() {
                return false;
            }
        }
    }

    /// Up to `steps` instructions; how many there were before it was done.
    fn step(&self, steps: usize) -> usize {
        self.step_or(steps, || ())
    }

    /// The same; `asleep` is called when an instruction does not end, and has to see that it does.
    fn step_or(&self, steps: usize, mut asleep: impl FnMut()) -> usize {
        for k in 0..steps {
            if self.turn.get() == 3 {
                return k;
            }
            self.request(libc::PTRACE_SINGLESTEP);
            if !self.stands(false) {
                asleep();
                self.stands(true);
            }
        }
        steps
    }
}

/// Runs the operation once to count its instructions, then again and again with a death after the k-th. `meanwhile` runs in another thread at the time of
/// the death, `after` when it was dealt with.
fn at_every_instruction<F, R>(
    mill: &Mill,
    turn: &Counter,
    target: F,
    arguments: R,
    meanwhile: impl Fn() + Sync,
    after: impl Fn(usize),
) where
    R: Arguments + Copy,
    F: Target<R::Owned>,
{
    let whole = Stepped::new(mill, turn, target, arguments);
    let instructions = whole.step(usize::MAX);
    kill(&whole.process);
    after(0);
    for k in deaths(instructions) {
        let worker = Stepped::new(mill, turn, target, arguments);
        worker.step(k);
        std::thread::scope(|scope| {
            scope.spawn(&meanwhile);
            kill(&worker.process);
        });
        after(k);
    }
}

fn repaired(cells: &mut Cells) {
    let high = cells.iter().max().copied().unwrap_or(0);
    assert!(cells.iter().all(|c| high - c <= 1), "{cells:?}");
    cells.fill(high);
}

fn mutex_survives_a_death_at_every_instruction() {
    let mill = mill();
    let mutex = Mutex::new(&mill, [0; 4]).unwrap();
    let turn = Counter::new(&mill, 0).unwrap();
    let warned = std::sync::atomic::AtomicUsize::new(0);
    let look = || {
        warned.fetch_add(usize::from(repaired_under(&mutex)), Relaxed);
    };
    at_every_instruction(&mill, &turn, change, (&mutex, &turn), look, |_| drop(mutex.try_lock().unwrap()));
    assert!(mutex.lock().unwrap()[0] > 1);
    assert!(warned.into_inner() > 0, "no death fell into the time of the lock, or none was told");
}

fn rwlock_survives_a_death_at_every_instruction() {
    let mill = mill();
    let lock = RwLock::new(&mill, [0; 4]).unwrap();
    let turn = Counter::new(&mill, 0).unwrap();
    let look = || match lock.write() {
        Ok(cells) => assert_eq!(*cells, [cells[0]; 4], "not whole, and no warning"),
        Err(LockError::OwnerDied(mut cells)) => {
            repaired(&mut cells);
            cells.repair();
        }
        Err(e) => panic!("{e}"),
    };
    at_every_instruction(&mill, &turn, write_and_read, (&lock, &turn), look, |_| {
        drop(lock.try_write().unwrap());
        drop(lock.try_read().unwrap());
    });
}

/// The operation uses one permit up and makes one: there are two, or one if the death fell between.
fn semaphore_survives_a_death_at_every_instruction() {
    let mill = mill();
    let semaphore = Semaphore::bounded(&mill, 2).unwrap();
    let turn = Counter::new(&mill, 0).unwrap();
    let look = || drop(semaphore.acquire().unwrap());
    at_every_instruction(&mill, &turn, use_and_release, (&semaphore, &turn), look, |k| {
        let mut had: Vec<_> = (0..3).map_while(|_| semaphore.try_acquire().ok()).collect();
        assert!((1..=2).contains(&had.len()), "{} permits after a death at {k}", had.len());
        had.clear();
        if semaphore.available() == 1 {
            semaphore.release(1).unwrap();
        }
        assert!(semaphore.release(1).is_err());
    });
}

/// The other party waits when the worker dies. It goes through if the worker was the last of a complete round; it gets "broken" if the worker died inside; and if the
/// worker died before it came, it is still there and goes through with another.
fn barrier_survives_a_death_at_every_instruction() {
    let mill = mill();
    let barrier = Barrier::new(&mill, 2).unwrap();
    let turn = Counter::new(&mill, 0).unwrap();
    let whole = Stepped::new(&mill, &turn, come, (&barrier, &turn));
    let instructions = std::thread::scope(|scope| {
        let other = scope.spawn(|| barrier.wait());
        until(|| barrier.waiting() == 1);
        let instructions = whole.step(usize::MAX);
        kill(&whole.process);
        assert_eq!(other.join().unwrap(), Ok(false));
        instructions
    });
    let mut ends = [0; 3];
    for k in deaths(instructions) {
        let worker = Stepped::new(&mill, &turn, come, (&barrier, &turn));
        std::thread::scope(|scope| {
            let other = scope.spawn(|| barrier.wait());
            until(|| barrier.waiting() == 1);
            worker.step(k);
            kill(&worker.process);
            let late = barrier.waiting() == 1;
            if late {
                barrier.wait().unwrap();
            }
            let end = other.join().unwrap();
            match end {
                Ok(_) => ends[usize::from(late)] += 1,
                Err(BarrierError::Broken) => ends[2] += 1,
                Err(e) => panic!("after {k} instructions: {e}"),
            }
        });
        if barrier.is_broken() {
            barrier.reset().unwrap();
        }
        assert_eq!(barrier.waiting(), 0);
    }
    assert!(ends[0] > 0 && ends[1] > 0, "{ends:?}");
    println!("the barrier's ends: {ends:?}");
}

/// The mutex is held when the worker comes, so that it goes to sleep; then another thread comes and sleeps behind it, and the mutex is given back. The one wake-up
/// is the worker's, and it dies after the k-th instruction, before or after that. The thread behind it must get the mutex.
fn mutex_survives_a_death_at_every_instruction_of_a_waiter() {
    let mill = mill();
    let mutex = Mutex::new(&mill, [0; 4]).unwrap();
    let turn = Counter::new(&mill, 0).unwrap();
    let look = || {
        repaired_under(&mutex);
    };
    each_step_of_a_sleeper(
        |k| {
            let guard = std::cell::Cell::new(Some(mutex.lock().unwrap()));
            let worker = Stepped::new(&mill, &turn, change, (&mutex, &turn));
            std::thread::scope(|scope| {
                let steps = worker.step_or(k, || {
                    scope.spawn(look);
                    std::thread::sleep(std::time::Duration::from_millis(1));
                    drop(guard.take());
                });
                drop(guard.take());
                kill(&worker.process);
                steps
            })
        },
        || {
            // The thread may have been before the worker.
            look();
            drop(mutex.try_lock().unwrap());
        },
    );
}

/// Locks, repairs the value if a death is told, and says whether one was.
fn repaired_under(mutex: &Mutex<Cells>) -> bool {
    match mutex.lock() {
        Ok(cells) => {
            assert_eq!(*cells, [cells[0]; 4], "not whole, and no warning");
            false
        }
        Err(LockError::OwnerDied(mut cells)) => {
            repaired(&mut cells);
            cells.repair();
            true
        }
        Err(e) => panic!("{e}"),
    }
}

/// A worker sleeps at the condition, and a thread behind it. One token is made and one notification sent, which is the worker's. It dies after the k-th
/// instruction, with the token or without it. In the end the token has been taken, and nobody sends a second notification.
fn condvar_survives_a_death_at_every_instruction_of_a_waiter() {
    let mill = mill();
    let cells = Mutex::new(&mill, [0; 4]).unwrap();
    let change = Condvar::new(&mill).unwrap();
    let turn = Counter::new(&mill, 0).unwrap();
    let set = |cell: usize, value: u64| {
        let mut guard = relock(cells.lock());
        guard[cell] = value;
        guard.repair();
    };
    each_step_of_a_sleeper(
        |k| {
            set(3, 0);
            set(0, 0);
            let worker = Stepped::new(&mill, &turn, wait_and_take, (&cells, &change, &turn));
            std::thread::scope(|scope| {
                let made = std::cell::Cell::new(false);
                let steps = worker.step_or(k, || {
                    scope.spawn(|| take(&cells, &change));
                    std::thread::sleep(std::time::Duration::from_millis(1));
                    set(0, 1);
                    change.notify_one();
                    made.set(true);
                });
                kill(&worker.process);
                if !made.get() {
                    set(0, 1);
                    scope.spawn(|| take(&cells, &change));
                }
                until(|| relock(cells.lock())[0] == 0);
                set(3, 1);
                change.notify_all();
                steps
            })
        },
        || drop(relock(cells.try_lock())),
    );
}

/// Runs `steps(k)` for each number of instructions before the death; it tells how many there were.
fn each_step_of_a_sleeper(steps: impl Fn(usize) -> usize, after: impl Fn()) {
    let instructions = steps(usize::MAX);
    after();
    for k in deaths(instructions) {
        steps(k);
        after();
    }
}
