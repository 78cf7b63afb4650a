//! The document's program in C, compiled and run against live regions and against ruined ones.

use super::common::Scratch;
use super::document::{block, read, section};
use gristmill::Mill;
use gristmill::layout::{Header, presence};
use gristmill::ring::Kind;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const HEADING: &str = "Attach in 30 lines of C";

/// The program, compiled. Each test has its own.
fn compiled(what: &str) -> Scratch {
    let text = read();
    let source = Scratch::new(&format!("{what}.c"));
    fs::write(&source.0, block(section(&text, HEADING), "c")).unwrap();
    let program = Scratch::new(what);
    let cc = Command::new("cc").args(["-Wall", "-Wextra", "-Werror", "-O1", "-o"]).arg(&program.0).arg(&source.0).output();
    let cc = cc.expect("the tests need a C compiler, cc");
    assert!(cc.status.success(), "{}", String::from_utf8_lossy(&cc.stderr));
    program
}

fn run(program: &Scratch, region: &Path) -> Output {
    Command::new(&program.0).arg(region).output().expect("the program has just been compiled")
}

/// What the program must say of a region, from what the API says.
struct Expected(String);

impl Expected {
    fn channel(&mut self, index: usize, kind: Kind, slots: usize, pending: u64, depth: u64) {
        let line = format!("channel {index}: kind {}, slots {slots}, pending {pending}, depth {depth}\n", kind as u32);
        self.0 += &line;
    }

    fn found(self, program: &Scratch, region: &Path) {
        let out = run(program, region);
        let us = format!("participant 1: pid {}, state {}\n", std::process::id(), presence::ATTACHED);
        assert_eq!(String::from_utf8_lossy(&out.stdout), self.0 + &us, "{}", String::from_utf8_lossy(&out.stderr));
        assert_eq!((out.status.code(), out.stderr.as_slice()), (Some(0), &b""[..]));
    }
}

/// Makes queues, puts jobs in, takes some, and compares.
fn exercise(mill: &Mill, program: &Scratch, region: &Path) {
    let none = Expected(String::new());
    none.found(program, region);

    let jobs = mill.joinable_queue::<u64>(10).unwrap();
    let items = mill.queue::<String>(7).unwrap();
    (0..5).for_each(|n| jobs.put(n).unwrap());
    (0..3).for_each(|n| items.put("x".repeat(1000 * n)).unwrap());
    let mut now = Expected(String::new());
    now.channel(0, Kind::Joinable, jobs.capacity(), jobs.pending(), 5);
    now.channel(1, Kind::Queue, items.capacity(), items.qsize() as u64, 3);
    now.found(program, region);

    // One is done, and one held: a single taker has popped all five, so that only those put later are in the ring.
    jobs.get().unwrap().task_done();
    let held = jobs.get().unwrap();
    (0..2).for_each(|n| jobs.put(n).unwrap());
    assert_eq!(items.drain().unwrap().len(), 3);
    let _ = mill.pod_queue::<u32>(1).unwrap();
    let mut now = Expected(String::new());
    now.channel(0, Kind::Joinable, jobs.capacity(), jobs.pending(), 2);
    now.channel(1, Kind::Queue, items.capacity(), items.qsize() as u64, 0);
    now.channel(2, Kind::Queue, 1, 0, 0);
    now.found(program, region);
    held.task_done();
}

#[test]
fn a_program_written_after_the_document_understands_a_live_region_in_a_file() {
    let program = compiled("attach-file");
    let region = Scratch::new("live-file");
    let mill = Mill::builder().file(&region.0).build().unwrap();
    exercise(&mill, &program, &region.0);
}

#[cfg(feature = "named")]
#[test]
fn a_program_written_after_the_document_understands_a_live_region_with_a_name() {
    let program = compiled("attach-named");
    let name = format!("gristmill-test-{}-layout", std::process::id());
    let mill = Mill::builder().name(&name).build().unwrap();
    exercise(&mill, &program, &Path::new("/dev/shm").join(name));
}

#[test]
fn a_program_written_after_the_document_understands_a_live_region_without_a_name() {
    let program = compiled("attach-memory");
    // A size that no other test of this process uses tells its descriptor from theirs.
    const SIZE: u64 = 9 << 20;
    let mill = Mill::builder().region_size(SIZE as usize).build().unwrap();
    let own = fs::read_dir("/proc/self/fd").unwrap().filter_map(|e| {
        let path = e.ok()?.path();
        let ours = fs::read_link(&path).ok()?.to_string_lossy().contains("memfd:gristmill");
        (ours && fs::metadata(&path).ok()?.len() == SIZE).then(|| path.file_name().unwrap().to_owned())
    });
    let fds: Vec<_> = own.collect();
    assert_eq!(fds.len(), 1, "{fds:?}");
    let region = format!("/proc/{}/fd/{}", std::process::id(), fds[0].to_str().unwrap());
    exercise(&mill, &program, Path::new(&region));
}

/// A region that its parent has left behind in a file.
fn left(what: &str) -> (Scratch, Vec<u8>) {
    let region = Scratch::new(what);
    let mill = Mill::builder().file(&region.0).region_size(128 << 10).arena_size(4096).max_processes(2).max_queues(2);
    let mill = mill.build().unwrap();
    mill.joinable_queue::<u64>(3).unwrap().put(1).unwrap();
    drop(mill);
    let bytes = fs::read(&region.0).unwrap();
    (region, bytes)
}

#[test]
fn a_program_written_after_the_document_refuses_what_is_no_region() {
    let program = compiled("attach-refused");
    let (region, good) = left("refused");
    let refused = |bytes: &[u8], why: &str| {
        fs::write(&region.0, bytes).unwrap();
        let out = run(&program, &region.0);
        let text = String::from_utf8_lossy(&out.stderr);
        assert_eq!((out.status.code(), out.stdout.as_slice()), (Some(1), &b""[..]), "{why}: {text}");
        assert!(text.contains(why) && text.ends_with('\n') && text.lines().count() == 1, "{why}: {text:?}");
        assert!(text.starts_with(region.0.to_str().unwrap()), "{text:?}");
    };
    let changed = |at: usize, to: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    let field = |name: &str| Header::DESCRIBED.fields.iter().find(|f| f.name == name).expect("a field").offset;
    refused(&changed(field("magic"), b"gristmil"), "not a gristmill region");
    refused(&changed(field("version"), &2u32.to_le_bytes()), "version");
    refused(&changed(field("ready"), &[0; 4]), "never made ready");
    refused(&changed(field("region_size"), &(1u64 << 40).to_le_bytes()), "truncated");
    refused(&changed(field("channels_offset"), &(1u64 << 40).to_le_bytes()), "damaged");
    refused(&changed(field("participants"), &u32::MAX.to_le_bytes()), "damaged");
    refused(&good[..good.len() - 4096], "truncated");
    refused(&good[..4096], "truncated");
    refused(b"", "truncated");
    refused(&vec![0; good.len()], "not a gristmill region");
    fs::write(&region.0, &good).unwrap();
    assert_eq!(run(&program, &region.0).status.code(), Some(0));
    let nowhere = Scratch::new("nowhere");
    assert_eq!(run(&program, &nowhere.0).status.code(), Some(1));
}

#[test]
fn a_program_written_after_the_document_survives_whatever_a_header_says() {
    let program = compiled("attach-garbage");
    let (region, good) = left("garbage");
    let survives = |changed: &[&str], value: u64| {
        let mut bytes = good.clone();
        for field in Header::DESCRIBED.fields.iter().filter(|f| changed.contains(&f.name)) {
            bytes[field.offset..field.offset + field.size].copy_from_slice(&value.to_le_bytes()[..field.size]);
        }
        fs::write(&region.0, bytes).unwrap();
        let out = run(&program, &region.0);
        assert!(matches!(out.status.code(), Some(0 | 1)), "{changed:?} = {value:#x}: {:?}", out.status);
    };
    for value in [0u64, 1, 64, 65_535, 65_536, good.len() as u64 - 64, 1 << 31, u64::MAX - 63, u64::MAX] {
        for field in Header::DESCRIBED.fields.iter().filter(|f| f.size == 4 || f.size == 8) {
            survives(&[field.name], value);
        }
        survives(&["participants", "participants_used"], value);
        survives(&["channels", "channels_used"], value);
    }
}

#[test]
fn the_program_has_the_lines_that_its_heading_promises() {
    let text = read();
    let source = block(section(&text, HEADING), "c");
    let main = source.lines().skip_while(|l| !l.starts_with("int main")).skip(1).take_while(|l| *l != "}").count();
    assert!(main <= 30, "main has {main} lines");
}
