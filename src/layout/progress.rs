//! How far a worker is with a bundle of a pool's jobs: one 64-bit word, so that a death between any two steps leaves it whole.
//!
//! | bits | meaning |
//! |---|---|
//! | 0 to 13 | done: how many jobs of the bundle have their outcome in the result area |
//! | 14 to 27 | limit: how many of them are to be run here; whoever gives the rest to others lowers it |
//! | 28 to 35 | hand: how many jobs, from number *done* on, have been begun; more than one only of an array |
//! | 36 | condemned: the job in hand has been cancelled or is overdue; its worker is being killed |
//! | 37 to 39 | 0 |
//! | 40 to 63 | length: bytes of the outcomes of the jobs that are done |
//!
//! Its writers are the slot's owner (each step by CAS) and the parent, which may lower the limit to what has been begun, or condemn. After a
//! death recovery takes both flags away.

/// So many jobs a bundle holds at most.
pub const MAX_ITEMS: u32 = (1 << 14) - 1;

/// So many jobs of an array may be begun at once.
pub const MAX_HAND: u32 = (1 << 8) - 1;

/// Bytes of outcomes that the word can tell.
pub const MAX_LENGTH: u32 = (1 << 24) - 1;

/// The word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Progress(pub u64);

impl Progress {
    const HAND: u64 = (MAX_HAND as u64) << 28;
    const CONDEMNED: u64 = 1 << 36;

    /// Nothing done of `limit` jobs.
    ///
    /// `limit` must be at most [`MAX_ITEMS`]: higher bits would reach into the flags.
    pub const fn new(limit: u32) -> Self {
        Progress(((limit & MAX_ITEMS) as u64) << 14)
    }

    /// Jobs whose outcomes are there.
    #[inline]
    pub const fn done(self) -> u32 {
        self.0 as u32 & MAX_ITEMS
    }

    /// Jobs that are to be run here.
    #[inline]
    pub const fn limit(self) -> u32 {
        (self.0 >> 14) as u32 & MAX_ITEMS
    }

    /// Jobs that have been begun and have no outcome that counts.
    #[inline]
    pub const fn hand(self) -> u32 {
        (self.0 >> 28) as u32 & MAX_HAND
    }

    /// Whether there are any.
    #[inline]
    pub const fn in_hand(self) -> bool {
        self.0 & Self::HAND != 0
    }

    /// Whether the job in hand is to end with its worker.
    #[inline]
    pub const fn condemned(self) -> bool {
        self.0 & Self::CONDEMNED != 0
    }

    /// Bytes of outcomes.
    #[inline]
    pub const fn length(self) -> u32 {
        (self.0 >> 40) as u32
    }

    /// Jobs that have been begun.
    #[inline]
    pub const fn begun(self) -> u32 {
        self.done() + self.hand()
    }

    /// The next `jobs`, at most [`MAX_HAND`], begun; nothing is in hand before.
    #[inline]
    pub const fn begin(self, jobs: u32) -> Self {
        Progress(self.0 | ((jobs & MAX_HAND) as u64) << 28)
    }

    /// `jobs` of those in hand done, with `bytes` of outcomes more, and `hand` in hand now.
    #[inline]
    pub const fn finish(self, jobs: u32, bytes: u32, hand: u32) -> Self {
        let rest = self.0 & !(Self::HAND | MAX_ITEMS as u64) & ((1 << 40) - 1);
        let done = (self.done() + jobs) & MAX_ITEMS;
        let length = self.length().wrapping_add(bytes) as u64;
        Progress(rest | done as u64 | ((hand & MAX_HAND) as u64) << 28 | length << 40)
    }

    /// Nothing in hand, not condemned: as it is for the next worker.
    pub const fn let_go(self) -> Self {
        Progress(self.0 & !(Self::HAND | Self::CONDEMNED))
    }

    /// The job in hand is to end with its worker.
    pub const fn condemn(self) -> Self {
        Progress(self.0 | Self::CONDEMNED)
    }

    /// Only what has been begun is to be run here.
    pub const fn cut(self) -> Self {
        self.limited(self.begun())
    }

    /// Only what has been begun is to be run here, and if that is nothing, the next job: what it has cost is noted here and nowhere else.
    pub const fn cut_behind(self) -> Self {
        let next = if self.done() < self.limit() { self.done() + 1 } else { self.done() };
        self.limited(if next > self.begun() { next } else { self.begun() })
    }

    const fn limited(self, limit: u32) -> Self {
        Progress(self.0 & !((MAX_ITEMS as u64) << 14) | ((limit & MAX_ITEMS) as u64) << 14)
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} done, {} bytes", self.done(), self.limit(), self.length())?;
        if self.in_hand() {
            write!(f, ", {} in hand", self.hand())?;
        }
        write!(f, "{}", if self.condemned() { ", condemned" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_touch_each_other_at_their_extremes() {
        let mut p = Progress::new(MAX_ITEMS);
        for n in 0..MAX_ITEMS {
            assert_eq!((p.done(), p.in_hand()), (n, n > 0));
            p = if n == 0 { p.begin(1) } else { p };
            assert_eq!((p.begun(), p.limit(), p.length()), (n + 1, MAX_ITEMS, n * 100));
            p = p.finish(1, 100, (n + 1 < MAX_ITEMS).into());
        }
        assert_eq!((p.done(), p.limit(), p.in_hand(), p.condemned()), (MAX_ITEMS, MAX_ITEMS, false, false));
        let full = p.finish(0, MAX_LENGTH - p.length(), 0);
        assert_eq!((full.length(), full.done(), full.limit()), (MAX_LENGTH, MAX_ITEMS, MAX_ITEMS));
        let hand = Progress::new(MAX_ITEMS).begin(MAX_HAND);
        assert_eq!((hand.hand(), hand.begun(), hand.condemned(), hand.length()), (MAX_HAND, MAX_HAND, false, 0));
        let some = hand.finish(7, 30, 1);
        assert_eq!((some.done(), some.hand(), some.limit(), some.length()), (7, 1, MAX_ITEMS, 30));
    }

    #[test]
    fn cut_leaves_what_has_been_begun() {
        let p = Progress::new(64).begin(1).finish(1, 9, 1);
        assert_eq!((p.cut().limit(), p.cut().begun()), (2, 2));
        assert_eq!((p.let_go().begin(9).cut().limit(), p.let_go().begin(9).cut_behind().limit()), (10, 10));
        assert_eq!(
            (p.cut_behind().limit(), Progress::new(2).cut_behind().limit(), Progress::new(0).cut_behind().limit()),
            (2, 1, 0)
        );
        let condemned = p.condemn();
        assert_eq!(condemned.let_go(), p.let_go());
        assert_eq!((condemned.let_go().done(), condemned.let_go().in_hand()), (1, false));
    }
}
