//! The one 64-bit word that is the truth about a job.
//!
//! | bits | meaning |
//! |---|---|
//! | 0 to 3 | [`State`] |
//! | 4 to 15 | owner: a participant's number, 0 where the state has none |
//! | 16 to 31 | attempt: how many workers the job has cost |
//! | 32 to 63 | generation: grows, modulo 2^32, whenever the slot becomes free |

/// Where a slot's job is in its life. 4 is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// No job.
    Free = 0,
    /// A producer fills it.
    Owned = 1,
    /// Accepted, not started.
    Ready = 2,
    /// A worker has it (in a Queue: somebody copies the item out).
    Running = 3,
    /// The outcome is complete and not delivered.
    Finished = 5,
    /// The outcome waits to be collected.
    Done = 6,
}

/// A slot word's value.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct SlotWord(pub u64);

impl SlotWord {
    /// Puts a word together.
    ///
    /// `owner` must be at most 4095: higher bits would reach into the attempt.
    pub const fn new(state: State, owner: u16, attempt: u16, generation: u32) -> Self {
        SlotWord(state as u64 | ((owner & 0xFFF) as u64) << 4 | (attempt as u64) << 16 | (generation as u64) << 32)
    }

    /// The state, or `None` for a value that no protocol step writes.
    pub const fn state(self) -> Option<State> {
        Some(match self.0 & 0xF {
            0 => State::Free,
            1 => State::Owned,
            2 => State::Ready,
            3 => State::Running,
            5 => State::Finished,
            6 => State::Done,
            _ => return None,
        })
    }

    /// Whether the state is `state`.
    pub const fn is(self, state: State) -> bool {
        self.0 & 0xF == state as u64
    }

    /// The participant that owns the slot; 0 for none.
    pub const fn owner(self) -> u16 {
        (self.0 >> 4) as u16 & 0xFFF
    }

    /// How many workers the job has cost.
    pub const fn attempt(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// Which use of the slot this is.
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The same job in another state, with another owner.
    pub const fn to(self, state: State, owner: u16) -> Self {
        SlotWord::new(state, owner, self.attempt(), self.generation())
    }

    /// The slot given back: free, in the next generation.
    pub const fn freed(self) -> Self {
        SlotWord::new(State::Free, 0, 0, self.generation().wrapping_add(1))
    }

    /// The same word with so many attempts.
    pub const fn with_attempt(self, attempt: u16) -> Self {
        SlotWord(self.0 & !(0xFFFF << 16) | (attempt as u64) << 16)
    }

    /// The same word without attempts.
    pub const fn uncharged(self) -> Self {
        self.with_attempt(0)
    }

    /// The same word with one more attempt counted; it stays at the highest number there is.
    pub const fn charged(self) -> Self {
        self.with_attempt(self.attempt().saturating_add(1))
    }
}

impl std::fmt::Debug for SlotWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.state() {
            Some(state) => write!(f, "{state:?}")?,
            None => write!(f, "state {}", self.0 & 0xF)?,
        }
        write!(f, "(owner {}, attempt {}, generation {})", self.owner(), self.attempt(), self.generation())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_at_their_extremes() {
        for state in [State::Free, State::Owned, State::Ready, State::Running, State::Finished, State::Done] {
            let w = SlotWord::new(state, 4095, u16::MAX, u32::MAX);
            assert_eq!((w.state(), w.owner(), w.attempt(), w.generation()), (Some(state), 4095, u16::MAX, u32::MAX));
            assert_eq!(w.charged().attempt(), u16::MAX);
            assert_eq!(w.charged().owner(), 4095);
        }
    }

    #[test]
    fn generation_wraps_without_touching_its_neighbours() {
        let w = SlotWord::new(State::Done, 7, 9, u32::MAX).freed();
        assert_eq!(w, SlotWord::new(State::Free, 0, 0, 0));
    }
}
