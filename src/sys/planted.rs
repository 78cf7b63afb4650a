//! Bugs that are planted on purpose, to see that the tests catch each of them: built with `--cfg gristmill_planted`, a program has the one that
//! `GRISTMILL_PLANTED` names, and so have its workers. Built without, it has none, and nothing is asked: see `planted/`.

macro_rules! bugs {
    ($($(#[$text:meta])+ $Bug:ident $name:literal,)*) => {
        /// A bug of the protocol; each breaks a rule of DESIGN.md.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug {
            $($(#[$text])+ $Bug,)*
        }

        impl Bug {
            /// All of them, by name.
            pub const ALL: &[(&str, Bug)] = &[$(($name, Bug::$Bug),)*];
        }
    };
}

bugs! {
    /// A queue's slot is READY before its payload has been written (9).
    CommitBeforePayload "commit-before-payload",
    /// An outcome counts before its bytes have been written (9).
    OutcomeCountsEarly "outcome-counts-early",
    /// An old entry of a ring starts the slot's next job (10).
    NoGeneration "no-generation",
    /// A job that is popped is charged (11).
    ChargesPopped "charges-popped",
    /// An array's numbers that a dead worker had done within its last step do not count (11).
    NoCountArray "no-count-array",
    /// The pending count of a queue falls before its slots are FREE (12).
    CountFallsFirst "count-falls-first",
    /// The same, of a pool and DONE.
    PoolCountFallsFirst "pool-count-falls-first",
    /// A pool's outcome is delivered by a store, also if somebody else has delivered it (13).
    DeliveryWithoutCas "delivery-without-cas",
    /// Who is about to sleep does not deliver what others have finished (13).
    NoHelp "no-help",
    /// A wake-up does not move the sequence (1).
    SequenceStays "sequence-stays",
    /// Who puts k slots wakes one (2).
    WakesOne "wakes-one",
    /// Who has told all sleepers does not look whether others have come since.
    ForgetsTurns "forgets-turns",
    /// Recovery sets the number of sleepers to zero (3).
    ResetsSleepers "resets-sleepers",
    /// Who has slept takes a lock without the waiters' bit (6).
    DropsWaiters "drops-waiters",
    /// A takeover drops the bit (6).
    TakeoverDropsWaiters "takeover-drops-waiters",
    /// Recovery wakes nobody (21).
    NoWakeAll "no-wake-all",
    /// Recovery does not look at the slots if no lock and no slot names the dead one (21).
    NoScan "no-scan",
    /// Recovery appends to the rings what is in them already (22).
    RecoveryAppends "recovery-appends",
    /// Recovery frees DONE slots (23).
    FreesDone "frees-done",
    /// The dead one's slots still name it when its number is given out again (24).
    KeepsDeadOwner "keeps-dead-owner",
    /// What the dead one had finished is run again (25).
    RunsFinishedAgain "runs-finished-again",
    /// Blocks that died with whoever took them stay taken.
    KeepsDeadBlocks "keeps-dead-blocks",
}

/// Whether this bug is here.
#[cfg(not(gristmill_planted))]
#[inline(always)]
pub const fn planted(_: Bug) -> bool {
    false
}

/// Whether this bug is here.
///
/// # Panics
/// If the environment names a bug that there is not.
#[cfg(gristmill_planted)]
pub fn planted(bug: Bug) -> bool {
    static HERE: std::sync::OnceLock<Option<Bug>> = std::sync::OnceLock::new();
    let named = || {
        let name = std::env::var("GRISTMILL_PLANTED").ok()?;
        let found = Bug::ALL.iter().find(|(known, _)| *known == name);
        Some(found.unwrap_or_else(|| panic!("GRISTMILL_PLANTED={name}: no such bug")).1)
    };
    *HERE.get_or_init(named) == Some(bug)
}
