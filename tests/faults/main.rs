//! Nothing lost: faults of every kind, and one oracle that looks at what is left after each.
//!
//! Workers are this binary, executed again: `init` stands first in `main`, so the harness is `libtest-mimic`. Each file is one kind of fault, and ends with the
//! list of its tests. How long the random ones go on, and from which seed, comes from the environment: see [`amount`] and [`numbers::seed`].

#[path = "../common/mod.rs"]
mod common;
mod exhaustion;
mod garbage;
mod hangs;
mod held;
mod intruder;
mod killer;
mod loads;
#[path = "../common/numbers.rs"]
mod numbers;
mod oracle;
mod parent;
#[path = "../common/reach.rs"]
mod reach;
mod refuse;
mod scribble;
#[path = "../common/skip.rs"]
mod skip;
mod soak;
mod steps;
mod stopped;
mod storm;
mod system;
#[path = "../engine/view.rs"]
#[allow(dead_code, reason = "tests of the engine use the rest")]
mod view;

use libtest_mimic::{Arguments, Trial};
use numbers::seed;

/// A test and its name.
type Tests = &'static [(&'static str, fn())];

/// A number from the environment, for runs that are longer than CI's: `GRISTMILL_KILLS=1000000 cargo test --release --test faults storm`.
fn amount(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{variable}: {text} is no number")))
}

/// Jobs that die on purpose leave no core files.
fn no_core_dumps() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `none` is a valid rlimit, and lowering it needs no right.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) }, 0);
}

/// The variable that says how many milliseconds a worker takes before it comes to `init`.
const SLOW_START: &str = "GRISTMILL_SLOW_START";

fn main() {
    // Cargo names folders in which each worker's loader would look for libraries that there are not: hundreds of calls to be refused, none of them ours.
    // SAFETY: there is no other thread yet.
    unsafe { std::env::remove_var("LD_LIBRARY_PATH") };
    std::thread::sleep(std::time::Duration::from_millis(amount(SLOW_START, 0)));
    no_core_dumps();
    let mut tasks = gristmill::tasks![
        exhaustion::bytes,
        exhaustion::double,
        exhaustion::relay,
        garbage::act,
        garbage::number,
        garbage::serve,
        intruder::echo,
        oracle::note,
        loads::work,
        loads::number,
        loads::chunk,
        loads::grind,
        hangs::trouble,
        stopped::echo,
        soak::scramble,
        soak::scramble_all
    ];
    tasks.extend(steps::tasks());
    gristmill::init(tasks);
    if let Some((role, arg)) = common::role() {
        return match &*role {
            "exhaustion" => exhaustion::role(&arg),
            "planter" | "victim" | "intruder" => intruder::role(&role, &arg),
            "parent" => parent::role(&arg),
            _ => panic!("no such role: {role} {arg}"),
        };
    }
    let files: [(&str, Tests); 11] = [
        ("exhaustion", exhaustion::TESTS),
        ("garbage", garbage::TESTS),
        ("hangs", hangs::TESTS),
        ("held", held::TESTS),
        ("intruder", intruder::TESTS),
        ("oracle", oracle::TESTS),
        ("parent", parent::TESTS),
        ("soak", soak::TESTS),
        ("steps", steps::TESTS),
        ("stopped", stopped::TESTS),
        ("storm", storm::TESTS),
    ];
    let trials = files.iter().flat_map(|(file, tests)| {
        tests.iter().map(move |&(name, test)| {
            Trial::test(format!("{file}::{name}"), move || {
                test();
                Ok(())
            })
        })
    });
    let mut arguments = Arguments::from_args();
    // Each looks at the whole machine's share of this process.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials.collect()).exit();
}
