//! The page that all participants of a turn share: who is to do what, and how far they are.
//!
//! It is the harness's own, and touched as little as possible: a participant stores to a line of its own, which the host looks at from time to time.

use super::contender::Result;
use super::payload;
use super::work::{self, Work};
use crate::sys::futex;
use memmap2::{MmapOptions, MmapRaw};
use std::fs::{File, OpenOptions};
use std::mem::offset_of;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};

/// Participants of a turn, at most.
pub const SEATS: usize = 512;

#[repr(C, align(128))]
struct Head {
    /// The number of the phase that is on.
    phase: AtomicU32,
    /// Whether consumers note how late each payload was.
    record: AtomicU32,
    /// Payloads of each producer.
    jobs: AtomicU64,
    /// Nanoseconds between two payloads of a producer; 0 for as fast as can be.
    interval: AtomicU64,
    /// When the first one is due.
    start: AtomicU64,
    /// Nanoseconds of a step of work, the bits of an `f64`.
    step: AtomicU64,
    /// The first payload of each producer that is tallied.
    tally_from: AtomicU64,
}

/// What one participant says.
#[repr(C, align(128))]
pub struct Seat {
    /// The last phase that it has finished, and one more: 1 when it is ready for the first.
    pub done: AtomicU32,
    /// Payloads sent or received, since the start.
    pub count: AtomicU64,
    /// The sum of [`mix`](super::payload::mix) of their numbers.
    pub digest: AtomicU64,
    /// Payloads that were not as they were sent.
    pub wrong: AtomicU64,
    /// Samples noted in this phase.
    pub noted: AtomicU64,
}

/// What producers do in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orders {
    /// Which phase it is.
    pub phase: u32,
    /// Payloads of each producer.
    pub jobs: u64,
    /// Nanoseconds between two payloads of a producer; 0 for as fast as can be.
    pub interval: u64,
    /// When the first one is due.
    pub start: u64,
}

/// The page, as one process has it.
pub struct Control {
    map: MmapRaw,
    file: File,
    samples: usize,
    tallies: usize,
}

/// The size of a page.
fn bytes(samples: usize, tallies: usize) -> usize {
    size_of::<Head>() + SEATS * size_of::<Seat>() + SEATS * samples * 8 + tallies
}

impl Control {
    /// A new page, with room for so many samples of each participant.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn create(samples: usize) -> Result<Control> {
        Control::tallying(samples, 0)
    }

    /// And on which up to so many payloads, of all producers together, are counted each by itself.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn tallying(samples: usize, tallies: usize) -> Result<Control> {
        let file = crate::sys::mapping::memory_file(&[])?;
        file.set_len(bytes(samples, tallies) as u64)?;
        let control = Control::over(file, samples, tallies)?;
        control.tally_from(u64::MAX);
        control.head().step.store(work::nanos_a_step().to_bits(), Relaxed);
        Ok(control)
    }

    /// The page that process `pid` has as descriptor `fd`.
    ///
    /// # Errors
    /// If it is not there any more.
    pub fn open(at: &Address) -> Result<Control> {
        Control::over(OpenOptions::new().read(true).write(true).open(at.path())?, at.samples, at.tallies)
    }

    fn over(file: File, samples: usize, tallies: usize) -> Result<Control> {
        let map = MmapOptions::new().map_raw(&file)?;
        assert!(map.len() >= bytes(samples, tallies));
        Ok(Control { map, file, samples, tallies })
    }

    /// Where other programs find it.
    pub fn address(&self) -> Address {
        Address { pid: std::process::id(), fd: self.file.as_raw_fd(), samples: self.samples, tallies: self.tallies }
    }

    fn head(&self) -> &Head {
        // SAFETY: the mapping is larger than a head, lives as long as `self`, and a head is atomics only.
        unsafe { &*self.map.as_ptr().cast::<Head>() }
    }

    /// The seat of a participant: producers first, then consumers.
    pub fn seat(&self, seat: usize) -> &Seat {
        assert!(seat < SEATS);
        // SAFETY: as above; there are `SEATS` of them behind the head, whose size is a multiple of their alignment.
        unsafe { &*self.map.as_ptr().add(size_of::<Head>()).cast::<Seat>().add(seat) }
    }

    fn sample(&self, seat: usize, n: usize) -> &AtomicU64 {
        assert!(seat < SEATS && n < self.samples);
        let at = size_of::<Head>() + SEATS * size_of::<Seat>() + (seat * self.samples + n) * 8;
        // SAFETY: as above; `over` has looked that they are all inside.
        unsafe { &*self.map.as_ptr().add(at).cast::<AtomicU64>() }
    }

    /// Forgets what was noted: before a phase, so that its start does not wait for that. Nobody notes anything between phases.
    pub fn clear(&self) {
        (0..SEATS).for_each(|seat| self.seat(seat).noted.store(0, Relaxed));
    }

    /// Work of so many nanoseconds: as many steps in all processes of a turn.
    pub fn work(&self, nanos: u64) -> Work {
        Work::at(f64::from_bits(self.head().step.load(Relaxed)), nanos)
    }

    /// Starts a phase. What belongs to it is written before: R1 ↔ A1.
    pub fn begin(&self, orders: &Orders, record: bool) {
        let head = self.head();
        head.record.store(record.into(), Relaxed);
        head.jobs.store(orders.jobs, Relaxed);
        head.interval.store(orders.interval, Relaxed);
        head.start.store(orders.start, Relaxed);
        head.phase.store(orders.phase, Release); // R1
        futex::wake_all(&head.phase);
    }

    /// Waits for the phase after `last` and tells what it is.
    pub fn wait_for(&self, last: u32) -> Orders {
        let head = self.head();
        loop {
            let phase = head.phase.load(Acquire); // A1
            if phase != last {
                let (jobs, interval) = (head.jobs.load(Relaxed), head.interval.load(Relaxed));
                return Orders { phase, jobs, interval, start: head.start.load(Relaxed) };
            }
            futex::wait(&head.phase, phase, None);
        }
    }

    /// From now on payloads are tallied that come after so many of each producer.
    pub fn tally_from(&self, n: u64) {
        self.head().tally_from.store(n, Relaxed);
    }

    fn slot(&self, producer: usize, n: u64, producers: usize) -> Option<&AtomicU8> {
        let after = n.checked_sub(self.head().tally_from.load(Relaxed))? as usize;
        let slot = after.checked_mul(producers)?.checked_add(producer).filter(|slot| *slot < self.tallies)?;
        // SAFETY: as above; the tallies come after all samples.
        Some(unsafe { &*self.map.as_ptr().add(bytes(self.samples, 0) + slot).cast::<AtomicU8>() })
    }

    /// Tallies a payload that was worked on to the end, if that is asked for.
    #[inline]
    pub fn tally(&self, number: u64, producers: usize) {
        if self.tallies > 0 {
            let (producer, n) = payload::parts(number);
            if let Some(slot) = self.slot(producer, n, producers) {
                slot.fetch_add(1, Relaxed);
            }
        }
    }

    /// How often the `n`-th payload of a producer was.
    pub fn tallied(&self, producer: usize, n: u64, producers: usize) -> u64 {
        self.slot(producer, n, producers).map_or(0, |slot| slot.load(Relaxed).into())
    }

    /// Notes how many nanoseconds after the moment it was due a payload was there, if that is asked for.
    #[inline]
    pub fn note(&self, seat: usize, late: impl FnOnce() -> u64) {
        if self.head().record.load(Relaxed) == 0 {
            return;
        }
        let noted = &self.seat(seat).noted;
        let n = noted.load(Relaxed);
        if (n as usize) < self.samples {
            self.sample(seat, n as usize).store(late(), Relaxed);
            noted.store(n + 1, Relaxed);
        }
    }

    /// What was noted at a seat in this phase.
    pub fn noted(&self, seat: usize) -> impl Iterator<Item = u64> {
        let n = self.seat(seat).noted.load(Relaxed) as usize;
        (0..n.min(self.samples)).map(move |k| self.sample(seat, k).load(Relaxed))
    }
}

/// Where a page is found by programs that are no copies of its maker.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Address {
    pid: u32,
    fd: i32,
    samples: usize,
    tallies: usize,
}

impl Address {
    /// The file that is the page, for as long as its maker lives.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", self.pid, self.fd)
    }

    /// Where in it is what.
    pub fn layout(&self) -> Layout {
        let seats = size_of::<Head>();
        Layout {
            bytes: bytes(self.samples, self.tallies),
            phase: offset_of!(Head, phase),
            record: offset_of!(Head, record),
            jobs: offset_of!(Head, jobs),
            interval: offset_of!(Head, interval),
            start: offset_of!(Head, start),
            seats,
            seat: size_of::<Seat>(),
            done: offset_of!(Seat, done),
            count: offset_of!(Seat, count),
            digest: offset_of!(Seat, digest),
            wrong: offset_of!(Seat, wrong),
            noted: offset_of!(Seat, noted),
            notes: seats + SEATS * size_of::<Seat>(),
            samples: self.samples,
            tally_from: offset_of!(Head, tally_from),
            tally: bytes(self.samples, 0),
            tallies: self.tallies,
        }
    }
}

/// Where in a page is what, in bytes, for programs in other languages.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Layout {
    /// Its size.
    pub bytes: usize,
    /// 32 bits: the number of the phase, a futex.
    pub phase: usize,
    /// 32 bits: whether consumers note how late payloads are.
    pub record: usize,
    /// As all that follow, 64 bits: payloads of each producer.
    pub jobs: usize,
    /// Nanoseconds between two of them.
    pub interval: usize,
    /// When the first one is due.
    pub start: usize,
    /// The first seat.
    pub seats: usize,
    /// From one seat to the next.
    pub seat: usize,
    /// In a seat, 32 bits: the last phase that is finished, and one more.
    pub done: usize,
    /// In a seat: payloads sent or received.
    pub count: usize,
    /// In a seat: the sum of what they add to it.
    pub digest: usize,
    /// In a seat: payloads that were not as they were sent.
    pub wrong: usize,
    /// In a seat: samples noted in this phase.
    pub noted: usize,
    /// The samples of the first seat.
    pub notes: usize,
    /// Samples of each seat, at most.
    pub samples: usize,
    /// The first payload of each producer that is tallied.
    pub tally_from: usize,
    /// For each payload from that one on, a byte: how often it was received. Of all producers the first one, then of all the second one.
    pub tally: usize,
    /// How many there are.
    pub tallies: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_says_where_things_are() {
        let control = Control::create(3).unwrap();
        let layout = control.address().layout();
        assert_eq!(layout.bytes, control.map.len());
        let at = |place: usize| {
            // SAFETY: inside the page, and aligned, if the layout is right.
            unsafe { *control.map.as_ptr().add(place).cast::<u64>() }
        };
        control.begin(&Orders { phase: 1, jobs: 7, interval: 5, start: 3 }, true);
        assert_eq!([at(layout.jobs), at(layout.interval), at(layout.start)], [7, 5, 3]);
        control.seat(2).digest.store(9, Relaxed);
        control.note(2, || 10);
        control.note(2, || 11);
        let seat = layout.seats + 2 * layout.seat;
        assert_eq!([at(seat + layout.digest), at(seat + layout.noted)], [9, 2]);
        assert_eq!(at(layout.notes + (2 * layout.samples + 1) * 8), 11);
    }

    #[test]
    fn each_payload_from_a_certain_one_on_is_tallied_by_itself() {
        let control = Control::tallying(2, 10).unwrap();
        let other = Control::open(&control.address()).unwrap();
        other.tally(payload::number(1, 9), 2);
        control.tally_from(7);
        for n in [6, 7, 9, 9, 12] {
            other.tally(payload::number(1, n), 2);
        }
        let found = |producer: usize| (6..13).map(|n| control.tallied(producer, n, 2)).collect::<Vec<_>>();
        assert_eq!(found(1), [0, 1, 0, 2, 0, 0, 0], "the last is beyond what there is room for");
        assert_eq!(found(0), [0; 7]);
        let layout = control.address().layout();
        assert_eq!((layout.tally + layout.tallies, layout.bytes), (control.map.len(), control.map.len()));
    }

    #[test]
    fn what_one_mapping_writes_another_reads() {
        let control = Control::create(3).unwrap();
        let other = Control::open(&control.address()).unwrap();
        let orders = Orders { phase: 1, jobs: 7, interval: 5, start: 3 };
        control.begin(&orders, true);
        assert_eq!(other.wait_for(0), orders);
        (10..20).for_each(|late| other.note(SEATS - 1, || late));
        assert_eq!(control.noted(SEATS - 1).collect::<Vec<_>>(), [10, 11, 12]);
        control.clear();
        control.begin(&Orders { phase: 2, ..orders }, false);
        other.note(0, || panic!("nothing is to be noted"));
        assert_eq!(control.noted(SEATS - 1).count(), 0);
    }
}
