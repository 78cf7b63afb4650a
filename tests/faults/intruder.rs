//! Another user of the machine cannot get in: not open, map, trace or guess a region, and not make a program take something of theirs for one.
//!
//! The story: a program of one user has a region without a name, one with a name, one in a file and a shared vector, and a worker. A program of
//! another user tries all that Linux has for reaching into a process; before that it has planted files and links where regions are to be. To see that
//! the attempts are real, a program of the same user makes them, too. Only root can play the two users; without it this says so and does nothing.

use crate::common::{end, role_args, start_role};
use crate::reach::{self, opens};
use crate::skip::skipped;
use gristmill::sys::mapping::{MapError, Mapping};
use gristmill::sys::pidfd::Exit;
use gristmill::sys::spawn;
use gristmill::{JoinableQueue, Mill, Queue, SharedVec};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, RawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub const TESTS: crate::Tests = &[("another_user_cannot_reach_a_region", another_user)];

const VICTIM: u32 = 65533;
const INTRUDER: u32 = 65534;
const CONTROL: RawFd = 500;

pub fn echo(jobs: &JoinableQueue<u64>, back: &Queue<u64>) {
    reach::open_to_tracers();
    while let Ok(job) = jobs.get() {
        if back.put(*job).is_err() {
            return;
        }
        job.task_done();
    }
}

/// Names and paths that belong to one run.
struct Place(String);

impl Place {
    fn dir(&self) -> PathBuf {
        PathBuf::from(format!("/tmp/gristmill-intruder-{}", self.0))
    }

    fn name(&self, what: &str) -> String {
        format!("gristmill-intruder-{}-{what}", self.0)
    }

    fn shm(&self, what: &str) -> PathBuf {
        Path::new("/dev/shm").join(self.name(what))
    }
}

impl Drop for Place {
    /// In the roles, which end by `exit`, this does not happen.
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.dir());
        for what in ["region", "link", "own"] {
            let _ = fs::remove_file(self.shm(what));
        }
    }
}

/// Calls this process makes as another user, in a program of its own: only that has nothing of root's.
pub fn role(role: &str, arg: &str) {
    let (uid, arg) = arg.split_once(' ').expect("user, then what the role needs");
    let uid: u32 = uid.parse().unwrap();
    // SAFETY: none of the calls touches memory but the null list of no groups.
    if unsafe { libc::geteuid() } != uid {
        // SAFETY: as above.
        let done =
            unsafe { libc::setgroups(0, std::ptr::null()) | libc::setresgid(uid, uid, uid) | libc::setresuid(uid, uid, uid) };
        assert_eq!(done, 0, "{}", io::Error::last_os_error());
        panic!("{}", Command::new("/proc/self/exe").args(role_args(role, &format!("{uid} {arg}"))).exec());
    }
    // Not dropped: what is there is the business of the test.
    let place = |id: &str| &*Box::leak(Box::new(Place(id.into())));
    match role {
        "planter" => plant(place(arg)),
        "victim" => victim(place(arg), &UnixDatagram::from(spawn::inherited(CONTROL).unwrap())),
        "intruder" => intrude(arg, &UnixDatagram::from(spawn::inherited(CONTROL).unwrap())),
        other => panic!("no such role: {other}"),
    }
    std::process::exit(0);
}

/// What lies in wait where regions are to be.
fn plant(place: &Place) {
    let own = place.dir().join("own");
    for path in [&own, &place.shm("own")] {
        fs::write(path, vec![7; 1 << 20]).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
    }
    symlink(&own, place.dir().join("link")).unwrap();
    symlink(&own, place.shm("link")).unwrap();
}

fn refused(what: &str, result: Result<Mapping, MapError>) {
    match result {
        Err(e) => assert_eq!(e.to_string().lines().count(), 1, "{e}"),
        Ok(_) => panic!("{what} was taken for a region"),
    }
}

type Used = (Mill, JoinableQueue<u64>, Queue<u64>, gristmill::Daemons);

fn start(builder: gristmill::MillBuilder) -> Used {
    let mill = builder.region_size(1 << 20).arena_size(64 << 10).max_processes(2).build().unwrap();
    let (jobs, back) = (mill.joinable_queue(8).unwrap(), mill.queue(8).unwrap());
    let daemons = mill.spawn_daemons(1, echo, (&jobs, &back)).unwrap();
    (mill, jobs, back, daemons)
}

fn works((_, jobs, back, _): &Used) {
    (0..100).for_each(|n| jobs.put(n).unwrap());
    jobs.join().unwrap();
    assert_eq!(back.drain().unwrap(), Vec::from_iter(0..100));
}

fn victim(place: &Place, control: &UnixDatagram) {
    reach::open_to_tracers();
    // SAFETY: the call touches no memory.
    unsafe { libc::umask(0) };
    for what in ["link", "own"] {
        refused(what, Mapping::named(&place.name(what), 1 << 20));
        refused(what, Mapping::open_named(&place.name(what)));
        refused(what, Mapping::file(&place.dir().join(what), 1 << 20));
        refused(what, Mapping::open_file(&place.dir().join(what)));
    }
    let file = place.dir().join("region");
    let mills =
        [start(Mill::builder()), start(Mill::builder().name(&place.name("region"))), start(Mill::builder().file(&file))];
    let array = SharedVec::from_fn(1000, |n| n as u64).unwrap();
    mills.iter().for_each(works);
    for path in [&file, &place.shm("region")] {
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o7777, 0o600, "{}", path.display());
    }
    let workers = mills.iter().flat_map(|m| m.3.pids()).map(|pid| pid.to_string());
    let pids: Vec<_> = [std::process::id().to_string()].into_iter().chain(workers).collect();
    control.send(pids.join(" ").as_bytes()).unwrap();
    control.recv(&mut [0]).unwrap();
    // As good as before, also for a worker that starts after somebody has put another file in the place of ours.
    for mill in &mills {
        works(mill);
        // SAFETY: the number is that of a child that nobody waits for here.
        unsafe { libc::kill(mill.3.pids()[0] as libc::pid_t, libc::SIGKILL) };
        works(mill);
    }
    assert!(array.iter().enumerate().all(|(n, &item)| n as u64 == item));
}

/// Tries everything, and tells what went.
fn intrude(arg: &str, control: &UnixDatagram) {
    let (id, pids) = arg.split_once(' ').unwrap();
    let place = Box::leak(Box::new(Place(id.into())));
    let mut went = BTreeSet::new();
    let mut attempt = |what: &'static str, ok: bool| {
        if ok {
            went.insert(what);
        }
    };
    for pid in pids.split(' ').map(|pid| pid.parse().unwrap()) {
        reach::into(pid).into_iter().for_each(|what| attempt(what, true));
        let number = pid as libc::pid_t;
        // SAFETY: no call touches memory of this process: no limits are given, and none asked for.
        unsafe {
            attempt("a signal", libc::kill(number, 0) == 0);
            attempt("its limits", libc::prlimit(number, libc::RLIMIT_AS, std::ptr::null(), std::ptr::null_mut()) == 0);
        }
    }
    attempt("the named region", opens(&place.shm("region")));
    attempt("the named region, attached", Mapping::open_named(&place.name("region")).is_ok());
    attempt("the file", opens(&place.dir().join("region")));
    attempt("the file, attached", Mapping::open_file(&place.dir().join("region")).is_ok());
    let name = CString::new(place.name("region")).unwrap();
    // Whoever owns it may, and is not to do it here.
    // SAFETY: the name ends with NUL.
    let removed = fs::metadata(place.shm("region")).unwrap().uid() != unsafe { libc::geteuid() }
        && unsafe { libc::shm_unlink(name.as_ptr()) } == 0;
    attempt("the name, removed", removed);
    control.send(Vec::from_iter(went).join("; ").as_bytes()).unwrap();
}

fn another_user() {
    // SAFETY: the call touches no memory.
    if unsafe { libc::geteuid() } != 0 {
        return skipped("only root can be two users");
    }
    let place = Place(std::process::id().to_string());
    fs::create_dir(place.dir()).unwrap();
    // Without the sticky bit: others may put files in the place of ours.
    fs::set_permissions(place.dir(), Permissions::from_mode(0o777)).unwrap();
    let start = |role: &str, uid: u32, rest: &str| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        ours.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        (start_role(None, role, &format!("{uid} {rest}"), &[(theirs.as_fd(), CONTROL)]), ours)
    };
    let hear = |from: &UnixDatagram| {
        let mut text = [0; 4096];
        let length = from.recv(&mut text).expect("it says something");
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    assert_eq!(end(&start("planter", INTRUDER, &place.0).0), Exit::Code(0));
    let (victim, control) = start("victim", VICTIM, &place.0);
    let arg = format!("{} {}", place.0, hear(&control));
    let what_goes = |uid| {
        let (intruder, said) = start("intruder", uid, &arg);
        let said = hear(&said);
        assert_eq!(end(&intruder), Exit::Code(0));
        said
    };
    assert_eq!(what_goes(INTRUDER), "", "another user reaches into the region");
    let same = what_goes(VICTIM);
    println!("the same user reaches: {same}");
    let same: BTreeSet<&str> = same.split("; ").collect();
    let of_region = ["the named region, attached", "the file, attached"];
    let of_process = if reach::nobody_may_trace() { &[][..] } else { &reach::ALL };
    for real in of_region.iter().chain(of_process) {
        assert!(same.contains(real), "the attempt at {real} is none: {same:?}");
    }
    // Another file is there under the region's path.
    let file = place.dir().join("region");
    fs::rename(place.dir().join("own"), &file).unwrap();
    control.send(&[0]).unwrap();
    assert_eq!(end(&victim), Exit::Code(0), "see standard error");
    assert_eq!(fs::metadata(&file).unwrap().len(), 1 << 20);
    assert!(fs::read(&file).unwrap().iter().all(|&byte| byte == 7), "a file that is not the region was written to");
    assert!(!place.shm("region").exists(), "the name is left");
}
