//! How a pool's job ended: the kinds of outcome, as their records number them.

/// The kinds of outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OutcomeKind {
    /// What the task made.
    Value = 1,
    /// The panic's message, and its place.
    Panicked = 3,
    /// The worker died: exit status and number of workers, 4 bytes each.
    Died = 4,
    /// The job ran longer than it may.
    TimedOut = 5,
    /// It was cancelled.
    Cancelled = 6,
    /// The worker could not make a value of the job's bytes: why.
    Undecodable = 7,
    /// The worker took more memory than it may.
    Memory = 8,
    /// The result has no encoding: why.
    Unencodable = 9,
    /// No block can hold the result: its bytes and the most there can be, 8 bytes each.
    TooLarge = 10,
}

impl OutcomeKind {
    /// The kind of that number.
    pub const fn of(number: u32) -> Option<OutcomeKind> {
        Some(match number {
            1 => OutcomeKind::Value,
            3 => OutcomeKind::Panicked,
            4 => OutcomeKind::Died,
            5 => OutcomeKind::TimedOut,
            6 => OutcomeKind::Cancelled,
            7 => OutcomeKind::Undecodable,
            8 => OutcomeKind::Memory,
            9 => OutcomeKind::Unencodable,
            10 => OutcomeKind::TooLarge,
            _ => return None,
        })
    }
}
