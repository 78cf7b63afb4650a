//! What the parent knows of each job that has been submitted: where it is, its outcome, and who waits for it.

use super::wait::Watch;
use crate::ring::Stop;
use crate::ring::frame::Kind;
use std::sync::Arc;
use std::task::Waker;

/// Bytes of an outcome in private memory: few stand here themselves.
#[derive(Clone, Debug)]
pub(crate) enum Bytes {
    Here(u8, [u8; Self::HERE]),
    There(Arc<[u8]>),
}

impl Bytes {
    const HERE: usize = 22;

    #[inline]
    pub fn of(bytes: &[u8]) -> Bytes {
        if bytes.len() <= Self::HERE {
            let mut here = [0; Self::HERE];
            match bytes.first_chunk::<8>() {
                // Of a length that the compiler knows, and common.
                Some(eight) if bytes.len() == 8 => here[..8].copy_from_slice(eight),
                _ => here[..bytes.len()].copy_from_slice(bytes),
            }
            Bytes::Here(bytes.len() as u8, here)
        } else {
            Bytes::There(bytes.into())
        }
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Here(n, here) => &here[..usize::from(*n)],
            Bytes::There(there) => there,
        }
    }
}

/// What became of a job.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// One of the kinds that a worker or recovery writes.
    Of(Kind, Bytes),
    /// All outcomes of a chunk, one record after the other; and how many nanoseconds it took, 0 if that was not measured.
    Chunk(Arc<Vec<u8>>, u64),
    /// The region ended before it had one.
    Ended(Stop),
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Kept back in the open bundle, under this number.
    Open(u32),
    /// In this slot, under this number.
    Slot(u32, u32),
    /// Nowhere any more.
    Done,
}

/// Who is to be told of an outcome.
#[derive(Default)]
pub(super) struct Waiting {
    pub wakers: Vec<Waker>,
    pub callbacks: Vec<Box<dyn FnOnce() + Send>>,
    pub watches: Vec<(Arc<Watch>, usize)>,
}

/// One job.
pub(super) struct Record {
    /// Its place in the order of submissions.
    pub index: u64,
    pub place: Place,
    pub outcome: Option<Outcome>,
    /// How many handles there are; with none, the record goes when the outcome comes.
    pub handles: u32,
    pub waiting: Option<Box<Waiting>>,
}

/// All records, by number; numbers are used again.
#[derive(Default)]
pub(super) struct Records {
    all: Vec<Record>,
    free: Vec<u32>,
}

impl Records {
    /// A record without outcome.
    #[inline]
    pub fn insert(&mut self, index: u64, place: Place, handles: u32) -> u32 {
        match self.free.pop() {
            Some(number) => {
                // `remove` has left neither an outcome nor anybody who waits.
                let record = &mut self.all[number as usize];
                (record.index, record.place, record.handles) = (index, place, handles);
                number
            }
            None => {
                self.all.push(Record { index, place, outcome: None, handles, waiting: None });
                (self.all.len() - 1) as u32
            }
        }
    }

    #[inline]
    pub fn remove(&mut self, number: u32) {
        let record = &mut self.all[number as usize];
        (record.outcome, record.waiting) = (None, None);
        self.free.push(number);
        // A burst's memory is not kept for ever.
        if self.free.len() == self.all.len() && self.all.len() > 1 << 16 {
            *self = Records::default();
        }
    }

    /// The numbers of jobs that have no outcome.
    pub fn unfinished(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.all).filter(|(_, r)| r.place != Place::Done).map(|(number, _)| number)
    }
}

impl std::ops::Index<u32> for Records {
    type Output = Record;
    #[inline]
    fn index(&self, number: u32) -> &Record {
        &self.all[number as usize]
    }
}

impl std::ops::IndexMut<u32> for Records {
    #[inline]
    fn index_mut(&mut self, number: u32) -> &mut Record {
        &mut self.all[number as usize]
    }
}
