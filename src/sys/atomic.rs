//! The atomics of shared memory: the standard library's. A test of memory orders, built with `--cfg gristmill_weak`, puts a machine of its own
//! below them, and below the futex and the copies of payloads: there a load may return any value that the language allows, and not only
//! the newest one. See `weak/tests/orders`.

#[cfg(not(gristmill_weak))]
pub use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};

/// Bytes of shared memory that are read without being atomic.
#[cfg(not(gristmill_weak))]
#[inline(always)]
pub fn plain_read(_place: *const u8, _length: usize) {}

/// The same for a write.
#[cfg(not(gristmill_weak))]
#[inline(always)]
pub fn plain_write(_place: *const u8, _length: usize) {}

#[cfg(gristmill_weak)]
pub use weak::*;

#[cfg(gristmill_weak)]
mod weak {
    use std::cell::Cell;
    use std::panic::Location;
    use std::sync::atomic::Ordering;

    /// What stands below the atomics while a test runs. Addresses are those of the words.
    #[allow(missing_docs)]
    pub trait Machine {
        fn load(&self, at: usize, now: u64, order: Ordering, site: &'static Location<'static>) -> u64;
        fn store(&self, at: usize, now: u64, value: u64, order: Ordering, site: &'static Location<'static>);
        /// `change` gives the new value for the newest one, or nothing; the answer is the old value, and whether there was a new one.
        fn change(
            &self,
            at: usize,
            now: u64,
            orders: (Ordering, Ordering),
            site: &'static Location<'static>,
            change: &mut dyn FnMut(u64) -> Option<u64>,
        ) -> (u64, bool);
        fn plain(&self, at: usize, length: usize, writes: bool, site: &'static Location<'static>);
        fn futex_wait(&self, at: usize, now: u32, expected: u32);
        fn futex_wake(&self, at: usize, count: u32) -> u32;
    }

    thread_local! {
        /// The machine of the test that this thread runs.
        pub static MACHINE: Cell<Option<&'static dyn Machine>> = const { Cell::new(None) };
    }

    pub(crate) fn machine() -> Option<&'static dyn Machine> {
        MACHINE.get()
    }

    /// See above.
    #[track_caller]
    pub fn plain_read(place: *const u8, length: usize) {
        if let Some(machine) = machine() {
            machine.plain(place as usize, length, false, Location::caller());
        }
    }

    /// See above.
    #[track_caller]
    pub fn plain_write(place: *const u8, length: usize) {
        if let Some(machine) = machine() {
            machine.plain(place as usize, length, true, Location::caller());
        }
    }

    macro_rules! atomic {
        ($Name:ident, $of:ty) => {
            /// As the standard library's.
            #[repr(transparent)]
            #[derive(Debug, Default)]
            pub struct $Name(std::sync::atomic::$Name);

            #[allow(missing_docs)]
            impl $Name {
                pub const fn new(value: $of) -> Self {
                    $Name(std::sync::atomic::$Name::new(value))
                }

                pub const fn as_ptr(&self) -> *mut $of {
                    self.0.as_ptr()
                }

                fn at(&self) -> usize {
                    self.as_ptr() as usize
                }

                fn now(&self) -> u64 {
                    self.0.load(Ordering::SeqCst).into()
                }

                #[track_caller]
                pub fn load(&self, order: Ordering) -> $of {
                    match machine() {
                        Some(machine) => machine.load(self.at(), self.now(), order, Location::caller()) as $of,
                        None => self.0.load(order),
                    }
                }

                #[track_caller]
                pub fn store(&self, value: $of, order: Ordering) {
                    if let Some(machine) = machine() {
                        machine.store(self.at(), self.now(), value.into(), order, Location::caller());
                        return self.0.store(value, Ordering::SeqCst);
                    }
                    self.0.store(value, order);
                }

                #[track_caller]
                fn change(&self, orders: (Ordering, Ordering), mut change: impl FnMut($of) -> Option<$of>) -> Result<$of, $of> {
                    let Some(machine) = machine() else {
                        return self.0.fetch_update(orders.0, orders.1, change);
                    };
                    let mut new = None;
                    let mut one = |old: u64| {
                        new = change(old as $of);
                        new.map(u64::from)
                    };
                    let (old, changed) = machine.change(self.at(), self.now(), orders, Location::caller(), &mut one);
                    match new {
                        Some(new) if changed => {
                            self.0.store(new, Ordering::SeqCst);
                            Ok(old as $of)
                        }
                        _ => Err(old as $of),
                    }
                }

                #[track_caller]
                pub fn compare_exchange(&self, from: $of, to: $of, yes: Ordering, no: Ordering) -> Result<$of, $of> {
                    match machine() {
                        Some(_) => self.change((yes, no), |now| (now == from).then_some(to)),
                        None => self.0.compare_exchange(from, to, yes, no),
                    }
                }

                #[track_caller]
                pub fn compare_exchange_weak(&self, from: $of, to: $of, yes: Ordering, no: Ordering) -> Result<$of, $of> {
                    self.compare_exchange(from, to, yes, no)
                }

                #[track_caller]
                pub fn fetch_update(
                    &self,
                    yes: Ordering,
                    no: Ordering,
                    change: impl FnMut($of) -> Option<$of>,
                ) -> Result<$of, $of> {
                    self.change((yes, no), change)
                }

                #[track_caller]
                fn always(&self, order: Ordering, change: impl Fn($of) -> $of) -> $of {
                    let (Ok(old) | Err(old)) = self.change((order, Ordering::Relaxed), |now| Some(change(now)));
                    old
                }

                #[track_caller]
                pub fn swap(&self, to: $of, order: Ordering) -> $of {
                    self.always(order, |_| to)
                }

                #[track_caller]
                pub fn fetch_add(&self, by: $of, order: Ordering) -> $of {
                    self.always(order, |now| now.wrapping_add(by))
                }

                #[track_caller]
                pub fn fetch_sub(&self, by: $of, order: Ordering) -> $of {
                    self.always(order, |now| now.wrapping_sub(by))
                }

                #[track_caller]
                pub fn fetch_and(&self, with: $of, order: Ordering) -> $of {
                    self.always(order, |now| now & with)
                }

                #[track_caller]
                pub fn fetch_or(&self, with: $of, order: Ordering) -> $of {
                    self.always(order, |now| now | with)
                }

                #[track_caller]
                pub fn fetch_max(&self, with: $of, order: Ordering) -> $of {
                    self.always(order, |now| now.max(with))
                }
            }
        };
    }

    atomic!(AtomicU8, u8);
    atomic!(AtomicU16, u16);
    atomic!(AtomicU32, u32);
    atomic!(AtomicU64, u64);
}
