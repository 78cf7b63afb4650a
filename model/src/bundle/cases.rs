//! Sizes that must hold, and planted bugs that must be found.

use super::*;
use crate::case::{Case, holds, large, planted};

const BASE: Bundles = Bundles { jobs: 3, crashes: 1, attempts: 2, endless: 0, cancels: None, timeout: false, bug: Bug::None };

pub fn cases() -> Vec<Case> {
    let small = [
        ("bundle", BASE),
        ("bundle-endless", Bundles { endless: 1, crashes: 0, ..BASE }),
        ("bundle-endless-behind", Bundles { endless: 2, ..BASE }),
        ("bundle-cancel", Bundles { jobs: 2, cancels: Some(1), ..BASE }),
        ("bundle-cancel-first", Bundles { jobs: 2, cancels: Some(0), endless: 1, ..BASE }),
        ("bundle-timeout", Bundles { jobs: 2, timeout: true, endless: 1, ..BASE }),
    ];
    let big = [
        ("bundle-2-crashes", Bundles { crashes: 2, ..BASE }),
        ("bundle-cancel-of-3", Bundles { cancels: Some(1), ..BASE }),
        ("bundle-cancel-first-of-3", Bundles { cancels: Some(0), endless: 1, ..BASE }),
        ("bundle-timeout-of-3", Bundles { timeout: true, endless: 1, ..BASE }),
        ("bundle-3-crashes", Bundles { crashes: 3, attempts: 3, ..BASE }),
        ("bundle-cancel-2-crashes", Bundles { cancels: Some(1), crashes: 2, ..BASE }),
        ("bundle-cancel-3-crashes", Bundles { cancels: Some(2), crashes: 3, attempts: 1, ..BASE }),
        ("bundle-timeout-2-crashes", Bundles { timeout: true, crashes: 2, ..BASE }),
    ];
    let calm = Bundles { crashes: 0, ..BASE };
    let cancel = Bundles { cancels: Some(1), ..calm };
    let bugs = [
        (Bug::CountsBeforeOutcome, calm, "an outcome is taken that was not written"),
        (Bug::BitBeforeBegin, Bundles { cancels: Some(0), ..calm }, "a job runs of which cancel has said that it will not"),
        (Bug::LooksBeforeBit, cancel, "a job gives a value of which cancel has said that it gives none"),
        (Bug::KillsWithoutCondemning, Bundles { timeout: true, ..calm }, "the pool killed an innocent job"),
        (Bug::CutsWhatIsBegun, calm, "one job runs in two live workers"),
        (Bug::CutsByStore, calm, "one job runs in two live workers"),
        (Bug::RecoversByStore, BASE, "one job runs in two live workers"),
        (Bug::KeepsFlags, BASE, "a worker finds a job in hand that it has not begun"),
        (Bug::ChargesUnbegun, BASE, "a job is charged for other than the workers that it has cost"),
        (
            Bug::AdvancesByStore,
            Bundles { jobs: 1, cancels: Some(0), ..calm },
            "a job gives a value of which cancel has said that it gives none",
        ),
        (Bug::ImpatientAfterLook, Bundles { jobs: 2, endless: 2, ..calm }, "stuck"),
        (Bug::LooksBeforeAdvance, Bundles { jobs: 2, endless: 2, ..calm }, "stuck"),
        (Bug::AsksBeforeCounting, Bundles { endless: 1, ..calm }, "stuck"),
        (Bug::NobodyIsImpatient, Bundles { jobs: 2, endless: 2, ..calm }, "stuck"),
    ];
    let mut all: Vec<Case> = small.into_iter().map(|(name, model)| holds(name, model)).collect();
    all.extend(big.into_iter().map(|(name, model)| large(name, model)));
    all.extend(bugs.into_iter().map(|(bug, model, why)| planted("bundle", format!("{bug:?}"), Bundles { bug, ..model }, why)));
    all
}
