//! A lock that is free, taken and given back.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use gristmill::lock::{Holder, Kind, RawLock, Visitor};
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::Mutex;

/// One entry, for the kind that it visits.
struct Entry<'a, 'b>(&'a mut BenchmarkGroup<'b, WallTime>);

impl Visitor for Entry<'_, '_> {
    type Out = ();

    fn visit<L: RawLock>(self) {
        let mut place = Box::new(MaybeUninit::<L>::uninit());
        // SAFETY: the box is as large and aligned as the lock, is nobody else's, and stays where it is until the entry is over.
        unsafe { L::init(place.as_mut_ptr()) }.expect("cannot make the lock");
        // SAFETY: it has just been made.
        let lock = unsafe { place.assume_init_ref() };
        let me = Holder::new(1, 1);
        self.0.bench_function(L::NAME, |b| {
            b.iter(|| {
                black_box(lock).lock(me);
                // SAFETY: this thread has just taken it, as `me`.
                unsafe { black_box(lock).unlock(me) };
            });
        });
    }
}

/// Each kind of the crate, and the standard library's.
pub fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lock and unlock");
    for &kind in Kind::ALL {
        kind.visit(Entry(&mut group));
    }
    let lock = Mutex::new(());
    group.bench_function("std::sync::Mutex", |b| b.iter(|| drop(black_box(&lock).lock().expect("nobody panics"))));
    group.finish();
}
