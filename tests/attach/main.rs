//! Regions that cannot be made, and memory that is no region or a ruined one: each is a typed error of one line that says what, where and
//! what to do; none is a crash, and a refusal leaves nothing behind.
#![allow(missing_docs)] // A test has no reader but this file's.

#[path = "../common/mod.rs"]
mod common;
mod garbage;
mod left;
mod uses;

use common::Scratch;
use gristmill::layout::{self, Described, Header};
use gristmill::lock::Holder;
use gristmill::ring::{Channel, Region, RegionError};
use gristmill::sys::mapping::{MapError, Mapping};
use gristmill::{Error, Mill, MillBuilder};
use left::{SIZE, left};
use std::fs;
use std::path::Path;
use std::sync::Arc;

fn attach(path: &Path) -> Result<Region, RegionError> {
    Region::attach(Mapping::open_file(path)?, Holder::new(2, 1))
}

/// An error's text: one line, with all of these in it.
fn says(error: &dyn std::fmt::Display, parts: &[&str]) {
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text:?}");
    for part in parts {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
}

fn field(structure: &'static Described, name: &str) -> std::ops::Range<usize> {
    let field = structure.fields.iter().find(|f| f.name == name).expect("a field of the structure");
    field.offset..field.offset + field.size
}

/// Attaches to the region with one field of the header changed.
fn with(path: &Path, good: &[u8], name: &str, value: u64) -> Result<Region, RegionError> {
    let mut bytes = good.to_vec();
    let place = field(&Header::DESCRIBED, name);
    let size = place.len();
    bytes[place].copy_from_slice(&value.to_le_bytes()[..size]);
    fs::write(path, bytes).unwrap();
    attach(path)
}

#[test]
fn a_region_that_is_whole_is_attached() {
    let (path, good) = left("whole");
    let region = Arc::new(with(&path.0, &good, "workers", 0).unwrap());
    let pending: Vec<_> = (0..3).map(|k| Channel::open(&region, k).unwrap().pending()).collect();
    assert_eq!(pending, [4, 4, 3]);
    assert!(Channel::open(&region, 3).is_none());
    assert_eq!(region.mapping().place(), path.0.to_str().unwrap());
}

#[test]
fn memory_that_is_no_region_is_refused_whatever_its_size() {
    let (path, good) = left("not-ours");
    let file = path.0.to_str().unwrap();
    let Err(e) = with(&path.0, &good, "magic", 0x2020_6C6C_6974_7372) else { panic!("attached") };
    assert!(matches!(e, RegionError::NotOurs { found: 0x2020_6C6C_6974_7372, .. }), "{e:?}");
    says(&e, &[file, "not a gristmill region", "0x20206c6c69747372", "attach to one that gristmill has made"]);
    for size in [4096, SIZE] {
        fs::write(&path.0, vec![b'x'; size]).unwrap();
        assert!(matches!(attach(&path.0), Err(RegionError::NotOurs { .. })), "{size} bytes");
    }
    let Err(e) = attach(Path::new("/dev/null")) else { panic!("attached") };
    says(&e, &["/dev/null"]);
}

#[test]
fn another_layout_version_is_refused_by_its_number_before_anything_else_is_read() {
    let (path, mut good) = left("version");
    // In another version everything else may stand elsewhere.
    good[12..128].fill(0xA5);
    for version in [0, layout::VERSION + 1, u32::MAX] {
        let Err(e) = with(&path.0, &good, "version", version.into()) else { panic!("attached") };
        assert!(matches!(e, RegionError::Version { found, .. } if found == version), "{e:?}");
        says(&e, &[path.0.to_str().unwrap(), &version.to_string(), &layout::VERSION.to_string(), "build both"]);
    }
}

#[test]
fn a_region_whose_maker_died_before_the_ready_mark_is_refused() {
    let (path, good) = left("never-ready");
    let file = path.0.to_str().unwrap();
    let mut refused = vec![with(&path.0, &good, "ready", 0), with(&path.0, &good, "ready", 1)];
    fs::write(&path.0, vec![0; SIZE]).unwrap();
    refused.push(attach(&path.0));
    for result in refused {
        let Err(e) = result else { panic!("attached") };
        assert!(matches!(e, RegionError::NotReady { .. }), "{e:?}");
        says(&e, &[file, "never made ready", "try again", "remove it"]);
    }
}

#[test]
fn a_truncated_region_is_refused_with_both_sizes() {
    let (path, good) = left("truncated");
    let file = path.0.to_str().unwrap();
    for length in [SIZE - 1, SIZE / 2, 4096] {
        fs::write(&path.0, &good[..length]).unwrap();
        let Err(e) = attach(&path.0) else { panic!("attached") };
        assert!(matches!(e, RegionError::Truncated { says, mapped, .. } if (says, mapped) == (SIZE as u64, length)), "{e:?}");
        says(&e, &[file, "truncated", &SIZE.to_string(), &length.to_string(), "make it anew"]);
    }
    for length in [0, 1, 4095] {
        fs::write(&path.0, &good[..length]).unwrap();
        let Err(e) = attach(&path.0) else { panic!("attached") };
        assert!(matches!(e, RegionError::Map(MapError::Truncated { found, .. }) if found == length as u64), "{e:?}");
        says(&e, &[file, &length.to_string(), "truncated"]);
    }
}

#[test]
fn a_header_that_contradicts_itself_names_what_cannot_be_right() {
    let (path, good) = left("inconsistent");
    for (name, value, what) in [
        ("region_size", 65_535, "size"),
        ("header_size", 255, "structure sizes"),
        ("participant_size", 64, "structure sizes"),
        ("participants", 2, "number of participants"),
        ("participants", 4097, "number of participants"),
        ("participants_offset", 0, "participants"),
        ("channels", 65_535, "number of channels"),
        ("channels", 60_000, "channels"),
        ("channels_offset", 257, "channels"),
        ("arenas_offset", SIZE as u64, "arenas"),
        ("heap_offset", u64::MAX - 63, "heap"),
        ("heap_size", SIZE as u64, "heap"),
        ("participants_offset", 640, "overlap"),
        ("arenas_offset", 4096, "arena"),
        ("heap_offset", 4096, "overlap"),
    ] {
        let Err(e) = with(&path.0, &good, name, value) else { panic!("attached with {name} = {value}") };
        assert!(matches!(e, RegionError::Inconsistent { what: found, .. } if found.contains(what)), "{name} = {value}: {e:?}");
        says(&e, &[path.0.to_str().unwrap(), what, "damaged", "make it anew"]);
    }
}

/// What `build` says, which must be an error of a region.
fn refused(builder: MillBuilder) -> RegionError {
    match builder.build() {
        Err(Error::Region(e)) => e,
        Err(e) => panic!("{e:?}"),
        Ok(_) => panic!("built"),
    }
}

#[test]
fn a_file_that_exists_is_left_alone() {
    let path = Scratch::new("exists");
    fs::write(&path.0, "precious").unwrap();
    let e = refused(Mill::builder().file(&path.0));
    assert!(matches!(e, RegionError::Map(MapError::NameTaken { .. })), "{e:?}");
    says(&e, &[path.0.to_str().unwrap(), "taken", "choose another name"]);
    assert_eq!(fs::read(&path.0).unwrap(), b"precious");
    let nowhere = Path::new("/nonexistent/directory/region");
    let e = refused(Mill::builder().file(nowhere));
    assert!(matches!(e, RegionError::Map(MapError::System { .. })), "{e:?}");
    says(&e, &["create", "/nonexistent/directory/region", "No such file"]);
}

#[cfg(feature = "named")]
#[test]
fn a_name_that_is_taken_stays_with_its_owner() {
    let name = format!("gristmill-test-{}-taken", std::process::id());
    let owner = Mill::builder().name(&name).build().unwrap();
    let jobs = owner.joinable_queue::<u64>(4).unwrap();
    jobs.put(1).unwrap();
    let e = refused(Mill::builder().name(&name));
    assert!(matches!(e, RegionError::Map(MapError::NameTaken { .. })), "{e:?}");
    says(&e, &[&name, "taken", "choose another name"]);
    let attached = Region::attach(Mapping::open_named(&name).unwrap(), Holder::new(2, 1)).unwrap();
    let seen = Channel::open(&Arc::new(attached), 0).unwrap().pending();
    assert_eq!((seen, jobs.pending()), (1, 1), "the owner's region has been changed");
    drop((owner, jobs));
    assert!(Mapping::open_named(&name).is_err(), "the name goes with its owner");
    let e = refused(Mill::builder().name("a/b"));
    assert!(matches!(e, RegionError::Map(MapError::BadName { .. })), "{e:?}");
    says(&e, &["a/b", "cannot name a region", "use"]);
}

#[test]
fn a_region_that_is_too_small_is_refused_with_what_it_needs_and_leaves_nothing() {
    let path = Scratch::new("too-small");
    let tiny = |size| Mill::builder().region_size(size).arena_size(1).max_processes(1).max_queues(1).file(&path.0);
    let small = |size| Mill::builder().region_size(size).file(&path.0);
    for (size, builder) in
        [0, 1, 4096, 32_768, 61_440].map(|s| (s, tiny(s))).into_iter().chain([100_000, 4 << 20].map(|s| (s, small(s))))
    {
        let e = refused(builder.clone());
        let RegionError::TooSmall { size: found, needed } = e else { panic!("{size} bytes: {e:?}") };
        assert!(found >= size && found < needed, "{size}: {e}");
        says(&e, &[&found.to_string(), &needed.to_string(), "too small", "larger region_size"]);
        assert!(!path.0.exists(), "a refusal has left a file");
        // What it says is true.
        drop(builder.region_size(needed).build().unwrap_or_else(|e| panic!("{needed} bytes: {e}")));
        fs::remove_file(&path.0).unwrap();
    }
    for arena in [1 << 40, 1 << 50, usize::MAX] {
        let e = refused(Mill::builder().arena_size(arena).file(&path.0));
        assert!(matches!(e, RegionError::TooSmall { needed, .. } if needed >= arena), "{e:?}");
        says(&e, &["smaller arena_size"]);
    }
    let e = refused(Mill::builder().max_queues(u32::MAX).file(&path.0));
    says(&e, &["too small", "fewer processes and queues"]);
    assert!(!path.0.exists());
}

#[test]
fn a_region_beyond_the_machine_is_refused_before_anything_is_made() {
    let path = Scratch::new("too-large");
    for size in [1 << 50, usize::MAX / 2, usize::MAX] {
        let e = refused(Mill::builder().region_size(size));
        let RegionError::Map(MapError::TooLarge { wanted, room }) = &e else { panic!("{e:?}") };
        assert!(*wanted as usize >= size && room.bytes < *wanted);
        says(&e, &[&wanted.to_string(), &room.bytes.to_string(), room.limit, "ask for a smaller one"]);
        // A file on a disk can be larger than memory; then the disk, or the system, says so.
        let e = refused(Mill::builder().region_size(size).file(&path.0));
        says(&e, &["region"]);
        assert!(!path.0.exists(), "a refusal has left a file");
    }
}

/// A region that the disk has no room for once filled it to the last byte before it was refused, and whoever else wrote to it failed.
#[test]
fn a_region_beyond_the_disk_is_refused_without_filling_it() {
    let path = Scratch::new("beyond");
    let folder = std::ffi::CString::new(path.0.parent().unwrap().as_os_str().as_encoded_bytes()).unwrap();
    let free = || {
        // SAFETY: all zeroes is a valid statvfs.
        let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
        // SAFETY: the path ends with NUL, and `stat` is valid to write to.
        assert_eq!(unsafe { libc::statvfs(folder.as_ptr(), &mut stat) }, 0);
        stat.f_bavail * stat.f_frsize
    };
    let before = free();
    if before == 0 {
        eprintln!("the folder for temporary files has no bound, or no room: not tested");
        return;
    }
    let over = std::sync::atomic::AtomicBool::new(false);
    let least = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut least = free();
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                least = least.min(free());
            }
            least
        });
        let e = refused(Mill::builder().region_size(before as usize + (1 << 30)).file(&path.0));
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(matches!(e, RegionError::Map(MapError::Full { .. } | MapError::TooLarge { .. })), "{e:?}");
        watch.join().unwrap()
    });
    assert!(least > before / 2, "{least} of {before} bytes were left");
}

#[test]
fn a_queue_of_an_absurd_capacity_is_refused_and_the_mill_goes_on() {
    let mill = Mill::builder().max_queues(2).build().unwrap();
    for slots in [0, (1 << 24) + 1, u32::MAX as usize, usize::MAX] {
        let Err(e) = mill.queue::<u64>(slots) else { panic!("{slots} slots") };
        assert!(matches!(e, Error::Capacity { slots: found, max: 16_777_216 } if found == slots), "{e:?}");
        says(&e, &["queue", &slots.to_string(), "1 to 16777216"]);
        assert!(matches!(mill.pod_joinable_queue::<[u64; 512]>(slots), Err(Error::Capacity { .. })));
    }
    for slots in [1 << 20, 1 << 24] {
        let Err(e) = mill.pod_joinable_queue::<[u64; 512]>(slots) else { panic!("{slots} slots") };
        let Error::NoSpace { needed, left, .. } = e else { panic!("{e:?}") };
        assert!(needed > left && needed > 64 * slots as u64, "{e}");
        says(&e, &[&slots.to_string(), &needed.to_string(), &left.to_string(), "larger region_size"]);
    }
    // Refusals have cost neither a descriptor nor any of the heap.
    let queue = mill.queue::<u64>(1).unwrap();
    queue.put(7).unwrap();
    assert_eq!(queue.get().unwrap(), 7);
    mill.queue::<u64>(1).unwrap();
    let Err(e) = mill.queue::<u64>(1) else { panic!("a third queue of two") };
    assert!(matches!(e, Error::TooManyQueues { max: 2 }), "{e:?}");
    says(&e, &["room for 2 queues"]);
}

#[test]
fn a_number_of_processes_that_cannot_be_is_refused() {
    for asked in [0, 4095, usize::MAX] {
        let Err(e) = Mill::builder().max_processes(asked).build() else { panic!("{asked} processes") };
        assert!(matches!(e, Error::Processes { asked: found, max: 4094 } if found == asked), "{e:?}");
        says(&e, &["4094", &asked.to_string()]);
    }
}
