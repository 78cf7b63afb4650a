//! Regions: what they promise about room, resizing, names and owners.

mod common;
#[path = "common/skip.rs"]
mod skip;

use common::{Scratch, end, start_role};
use gristmill::sys::mapping::{MapError, Mapping};
use gristmill::sys::memory;
use gristmill::sys::pidfd::Exit;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

const SIZE: usize = 1 << 20;

/// Not a test by itself: what the tests below run in processes of their own.
#[test]
fn role() {
    let Some((role, arg)) = common::role() else { return };
    match role.as_str() {
        "file limit" => {
            let limit = libc::rlimit { rlim_cur: 65536, rlim_max: 65536 };
            // SAFETY: the limit is valid to read.
            unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) };
            for made in [Mapping::anonymous(SIZE), Mapping::file(Path::new(&arg), SIZE)] {
                let text = made.err().expect("more than the limit").to_string();
                assert!(text.contains("1048576") && text.contains("65536") && text.contains("ulimit -f"), "{text}");
            }
            Mapping::anonymous(65536).unwrap();
        }
        "outside" => {
            let m = Mapping::guarded(SIZE).unwrap();
            let at = m.base().wrapping_offset(arg.parse().unwrap());
            // SAFETY: none is needed by who ends here; else the parent sees that.
            unsafe { at.write_volatile(1) };
        }
        "fork" => {
            let m = Mapping::anonymous(SIZE).unwrap();
            let mapped = || fs::read_to_string("/proc/self/maps").unwrap().contains("memfd:gristmill");
            assert!(mapped() && forked(mapped));
            m.not_inherited_by_forks().unwrap();
            assert!(mapped() && !forked(mapped));
        }
        #[cfg(feature = "named")]
        "forked drop" => {
            let m = Mapping::named(&arg, SIZE).unwrap();
            let copy = std::mem::ManuallyDrop::new(m);
            // SAFETY: in the child this is the only drop; the parent's own follows below.
            assert!(forked(|| unsafe {
                drop(std::ptr::read(&*copy));
                true
            }));
            assert!(shm(&arg).exists(), "a child's drop removed the name");
            drop(std::mem::ManuallyDrop::into_inner(copy));
            assert!(!shm(&arg).exists());
        }
        #[cfg(feature = "named")]
        "full" => {
            let e = Mapping::named(&arg, 2 * SIZE).err().unwrap();
            assert!(matches!(e, MapError::Full { wanted: 2097152, free: 1048576, .. }), "{e:?}");
            assert!(!shm(&arg).exists());
            let path = Path::new("/dev/shm/file");
            let e = Mapping::file(path, 2 * SIZE).err().unwrap();
            assert!(matches!(e, MapError::Full { .. }) && !path.exists(), "{e:?}");
            Mapping::named(&arg, SIZE / 2).unwrap();
        }
        _ => unreachable!("{role}"),
    }
    std::process::exit(42);
}

/// What `f` says in a forked child.
fn forked(f: impl Fn() -> bool) -> bool {
    // SAFETY: the child uses one thread's own data and the allocator, which the C library keeps usable, and leaves by _exit.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            libc::_exit(f() as i32);
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
        assert!(libc::WIFEXITED(status));
        libc::WEXITSTATUS(status) == 1
    }
}

fn plays(role: &str, arg: &str) {
    assert_eq!(end(&start_role(None, role, arg, &[])), Exit::Code(42), "role {role}");
}

fn put(m: &Mapping, at: usize, value: u8) {
    assert!(at < m.size());
    // SAFETY: inside the mapping, which lives; only this thread uses it.
    unsafe { m.base().add(at).write_volatile(value) }
}

fn get(m: &Mapping, at: usize) -> u8 {
    assert!(at < m.size());
    // SAFETY: as for `put`.
    unsafe { m.base().add(at).read_volatile() }
}

fn file_of(m: &Mapping) -> File {
    m.fd().try_clone_to_owned().unwrap().into()
}

fn reserved(m: &Mapping) -> bool {
    file_of(m).metadata().unwrap().blocks() * 512 >= m.size() as u64
}

fn memfd(flags: libc::c_uint, len: u64) -> File {
    use std::os::fd::FromRawFd;
    // SAFETY: the name ends with NUL, and the descriptor is new.
    let f = unsafe { File::from_raw_fd(libc::memfd_create(c"test".as_ptr(), flags)) };
    f.set_len(len).unwrap();
    f
}

#[test]
fn nobody_can_resize_a_region_without_a_name() {
    let m = Mapping::anonymous(SIZE).unwrap();
    let file = file_of(&m);
    for len in [0, SIZE as u64 - 1, SIZE as u64 + 1] {
        assert_eq!(file.set_len(len).unwrap_err().raw_os_error(), Some(libc::EPERM));
    }
    // A seal that would lock out who attaches later.
    // SAFETY: the descriptor is open.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_FUTURE_WRITE) }, -1);
    // SAFETY: the descriptor is open.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFD) } & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    // SAFETY: the descriptor is open.
    assert_eq!(unsafe { libc::fcntl(m.fd().as_raw_fd(), libc::F_GETFD) } & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_region_is_zero_reserved_and_shared_with_who_has_its_descriptor() {
    let m = Mapping::anonymous(SIZE).unwrap();
    assert!(reserved(&m));
    assert_eq!((m.size(), get(&m, 0), get(&m, SIZE - 1)), (SIZE, 0, 0));
    let other = Mapping::from_fd(m.fd().try_clone_to_owned().unwrap()).unwrap();
    assert_eq!(other.size(), SIZE);
    put(&m, SIZE - 1, 7);
    assert_eq!(get(&other, SIZE - 1), 7);
    drop(m);
    assert_eq!(get(&other, SIZE - 1), 7);
}

#[test]
fn a_guarded_region_is_zero_shared_within_the_process_and_given_back() {
    let maps = || fs::read_to_string("/proc/self/maps").unwrap();
    let m = Mapping::guarded(SIZE).unwrap();
    let range = format!("{:x}-{:x} rw-p", m.base() as usize, m.base() as usize + SIZE);
    assert_eq!((m.size(), get(&m, 0), get(&m, SIZE - 1)), (SIZE, 0, 0));
    let other = m.again().unwrap();
    put(&m, SIZE - 1, 7);
    drop(m);
    assert_eq!(get(&other, SIZE - 1), 7);
    assert!(maps().contains(&range), "{range} is not in {}", maps());
    drop(other);
    assert!(!maps().contains(&range), "{range} is still in {}", maps());
    assert!(matches!(Mapping::guarded(100), Err(MapError::TooSmall { wanted: 100 })));
    assert!(matches!(Mapping::guarded(usize::MAX), Err(MapError::TooLarge { .. })));
}

#[test]
fn who_steps_out_of_a_guarded_region_is_ended_by_a_signal() {
    let size = SIZE as i64;
    for (at, inside) in
        [(0, true), (size - 1, true), (-1, false), (size, false), (-1 << 32, false), (size + u32::MAX as i64, false)]
    {
        let exit = end(&start_role(None, "outside", &at.to_string(), &[]));
        let right = if inside { exit == Exit::Code(42) } else { matches!(exit, Exit::Signal { signal: libc::SIGSEGV, .. }) };
        assert!(right, "at {at}: {exit:?}");
    }
}

#[test]
fn more_than_there_is_gives_an_error_with_both_sizes() {
    let available = memory::room(true).bytes as usize;
    for wanted in [1 << 60, available * 100, usize::MAX] {
        let Err(e) = Mapping::anonymous(wanted) else { panic!("{wanted} bytes") };
        let MapError::TooLarge { room, .. } = &e else { panic!("{e:?}") };
        let text = e.to_string();
        assert!(text.contains(&wanted.to_string()) && text.contains(&room.bytes.to_string()), "{text}");
        assert!(text.contains("MiB") && !text.contains('\n'), "{text}");
    }
    assert!(matches!(Mapping::anonymous(100), Err(MapError::TooSmall { wanted: 100 })));
    assert!(matches!(Mapping::anonymous(0), Err(MapError::TooSmall { wanted: 0 })));
}

#[test]
fn the_limit_on_file_sizes_is_an_error_and_not_a_signal() {
    let path = Scratch::new("limit");
    plays("file limit", path.0.to_str().unwrap());
    assert!(!path.0.exists());
}

#[test]
fn forks_do_not_inherit_what_is_kept_from_them() {
    plays("fork", "");
}

#[test]
fn an_inherited_descriptor_that_is_no_region_is_refused() {
    let open = memfd(libc::MFD_ALLOW_SEALING | libc::MFD_CLOEXEC, 8192);
    let Err(e) = Mapping::from_fd(open.into()) else { panic!("not sealed") };
    assert!(matches!(&e, MapError::NotOurs { why, .. } if why.contains("sealed")), "{e}");
    let Err(e) = Mapping::from_fd(memfd(libc::MFD_CLOEXEC, 100).into()) else { panic!("truncated") };
    assert!(matches!(e, MapError::Truncated { found: 100, .. }), "{e}");
    assert!(matches!(Mapping::from_fd(File::open("/dev/null").unwrap().into()), Err(MapError::NotOurs { .. })));
}

#[test]
fn a_region_in_a_file_is_private_new_and_stays() {
    let path = Scratch::new("file");
    let m = Mapping::file(&path.0, SIZE).unwrap();
    assert!(reserved(&m));
    assert_eq!(fs::metadata(&path.0).unwrap().mode() & 0o777, 0o600);
    assert!(matches!(Mapping::file(&path.0, SIZE), Err(MapError::NameTaken { .. })));
    put(&m, 5, 55);
    let inherited = Mapping::from_fd(m.fd().try_clone_to_owned().unwrap()).unwrap();
    drop(m);
    assert_eq!(get(&inherited, 5), 55);
    assert_eq!(get(&Mapping::open_file(&path.0).unwrap(), 5), 55);
    check_refusals(&path.0, || Mapping::open_file(&path.0));
    let none = Scratch::new("none");
    assert!(matches!(Mapping::open_file(&none.0), Err(MapError::System { action: "open", .. })));
}

/// What must not be attached to: others may open it, others own it, it is too short.
fn check_refusals(path: &Path, open: impl Fn() -> Result<Mapping, MapError>) {
    let mode = |m| fs::set_permissions(path, fs::Permissions::from_mode(m)).unwrap();
    let refused = || match open() {
        Err(MapError::NotOurs { why, .. }) => why,
        Err(e) => panic!("{e:?}"),
        Ok(_) => panic!("attached"),
    };
    for bits in [0o640, 0o604, 0o666] {
        mode(bits);
        assert!(refused().contains(&format!("{bits:o}")));
    }
    mode(0o600);
    open().unwrap();
    if std::os::unix::fs::chown(path, Some(12345), None).is_ok() {
        assert!(refused().contains("12345"));
        std::os::unix::fs::chown(path, Some(0), None).unwrap();
    } else {
        skip::skipped("only root can give a file away");
    }
    File::options().write(true).open(path).unwrap().set_len(4095).unwrap();
    assert!(matches!(open(), Err(MapError::Truncated { found: 4095, .. })));
}

#[cfg(feature = "named")]
fn shm(name: &str) -> std::path::PathBuf {
    Path::new("/dev/shm").join(name)
}

#[cfg(feature = "named")]
mod named {
    use super::*;

    fn name(what: &str) -> String {
        format!("gristmill-test-{}-{what}", std::process::id())
    }

    #[test]
    fn a_name_is_private_taken_once_and_gone_with_its_creator() {
        let name = name("life");
        let m = Mapping::named(&name, SIZE).unwrap();
        assert!(reserved(&m));
        assert_eq!(fs::metadata(shm(&name)).unwrap().mode() & 0o777, 0o600);
        let Err(e) = Mapping::named(&name, SIZE) else { panic!("made twice") };
        assert!(matches!(&e, MapError::NameTaken { .. }) && e.to_string().contains(&name), "{e}");
        let other = Mapping::open_named(&name).unwrap();
        assert_eq!(other.size(), SIZE);
        put(&m, 9, 99);
        assert_eq!(get(&other, 9), 99);
        drop(other);
        assert!(shm(&name).exists(), "an attacher removed the name");
        let inherited = Mapping::from_fd(m.fd().try_clone_to_owned().unwrap()).unwrap();
        drop(m);
        assert!(!shm(&name).exists());
        assert_eq!(get(&inherited, 9), 99);
        let late = Mapping::from_fd(inherited.fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(get(&late, 9), 99, "without the name it is what it was");
        assert!(matches!(Mapping::open_named(&name), Err(MapError::System { action: "open", .. })));
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        let name = name("refused");
        let m = Mapping::named(&name, SIZE).unwrap();
        check_refusals(&shm(&name), || Mapping::open_named(&name));
        drop(m);
        assert!(!shm(&name).exists());
    }

    #[test]
    fn a_name_that_somebody_uses_again_is_left_to_them() {
        let name = name("again");
        let m = Mapping::named(&name, SIZE).unwrap();
        fs::remove_file(shm(&name)).unwrap();
        let theirs = Mapping::named(&name, SIZE).unwrap();
        drop(m);
        assert!(shm(&name).exists());
        drop(theirs);
        assert!(!shm(&name).exists());
    }

    #[test]
    fn bad_names_and_sizes_leave_nothing() {
        for bad in ["", "a/b", "/a", ".hidden", "a\0b", &"x".repeat(251)] {
            assert!(matches!(Mapping::named(bad, SIZE), Err(MapError::BadName { .. })), "{bad:?}");
            assert!(matches!(Mapping::open_named(bad), Err(MapError::BadName { .. })), "{bad:?}");
        }
        let name = name("large");
        assert!(matches!(Mapping::named(&name, 1 << 60), Err(MapError::TooLarge { .. })));
        assert!(matches!(Mapping::named(&name, 5), Err(MapError::TooSmall { .. })));
        assert!(!shm(&name).exists());
    }

    #[test]
    fn the_drop_of_a_forked_copy_leaves_the_name() {
        plays("forked drop", &name("fork"));
    }

    // A container often has a /dev/shm of a few MiB. Tried in a mount namespace of its own, where there is leave to make one.
    #[test]
    fn a_full_shm_is_an_error_with_both_sizes_and_leaves_nothing() {
        let unshare = |script: &str| {
            let mut c = std::process::Command::new("unshare");
            c.args(["-rm", "sh", "-c", script, "sh"]);
            c.arg(std::env::current_exe().unwrap()).args(common::role_args("full", &name("full")));
            c.status().is_ok_and(|s| s.code() == Some(42))
        };
        let mount = "mount -t tmpfs -o size=1m none /dev/shm";
        if unshare(&format!("{mount} && exit 42")) {
            assert!(unshare(&format!("{mount} && exec \"$@\"")));
        } else {
            crate::skip::skipped("no leave to mount, so there is no full /dev/shm");
        }
    }
}
