//! Walks at random, for what is too large to be explored: each goes from the first state to a quiet one where no helpful step is left, and must get
//! there.

use std::time::{Duration, Instant};

use crate::explore::{Model, Report};

/// So long is no walk that ends.
const LONGEST: usize = 1 << 18;

pub struct Random(pub u64);

impl Random {
    /// SplitMix64.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(z ^ z >> 31) * n as u128) >> 64) as usize
    }
}

/// The report counts steps for states. A walk that fails can be gone again from the same seed.
pub fn walk<M: Model>(m: &M, seed: u64, time: Duration) -> Report {
    let begun = Instant::now();
    let mut random = Random(seed);
    let mut total = 0;
    while begun.elapsed() < time {
        let (trace, broken) = once(m, &mut random);
        total += trace.len();
        if broken.is_some() {
            return Report { states: total, broken, trace };
        }
    }
    Report { states: total, broken: None, trace: vec![] }
}

fn once<M: Model>(m: &M, random: &mut Random) -> (Vec<String>, Option<&'static str>) {
    // Each walk has its own taste: how rarely a process is interrupted, how rarely something happens to it.
    let stays = random.below(4) * 30;
    let rare = 5 + random.below(200);
    let mut state = m.normal(m.init());
    let (mut way, mut steps, mut last) = (vec![], vec![], 0);
    let line = |&(who, what): &(u8, &'static str)| format!("{who}: {what}");
    loop {
        steps.clear();
        m.next(&state, &mut steps);
        let quiet = m.quiet(&state);
        let helped = steps.iter().any(|s| s.helps);
        let broken = match m.broken(&state) {
            None if !helped && !quiet => Some("stuck"),
            None if way.len() == LONGEST => Some("no end in sight"),
            found => found,
        };
        if broken.is_some() || quiet && !helped {
            let mut trace: Vec<String> = way.iter().map(line).collect();
            trace.push(format!("{state:?}"));
            return (trace, broken);
        }
        let wants = random.below(rare) != 0 || steps.iter().all(|s| s.helps);
        let some: Vec<usize> = (0..steps.len()).filter(|&i| steps[i].helps == wants).collect();
        let mine: Vec<usize> = some.iter().copied().filter(|&i| steps[i].who == last).collect();
        let among = if !mine.is_empty() && random.below(100) < stays { mine } else { some };
        let step = steps.swap_remove(among[random.below(among.len())]);
        last = step.who;
        way.push((step.who, step.what));
        state = m.normal(step.to);
    }
}
