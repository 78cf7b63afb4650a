//! Visits every reachable state, breadth first; then asks from which of them a quiet state is reachable by helpful steps alone.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};

/// One operation of one process.
pub struct Step<S> {
    pub who: u8,
    pub what: &'static str,
    /// Whether liveness may count on it: not on a death, a wake-up for nothing, a recovery that nobody asked for.
    pub helps: bool,
    pub to: S,
}

pub trait Model {
    type State: Clone + Eq + Hash + Debug;
    fn init(&self) -> Self::State;
    fn next(&self, s: &Self::State, out: &mut Vec<Step<Self::State>>);
    fn broken(&self, s: &Self::State) -> Option<&'static str>;
    fn quiet(&self, s: &Self::State) -> bool;
    /// The same state with what is interchangeable in a fixed order.
    fn normal(&self, s: Self::State) -> Self::State {
        s
    }
}

pub struct Report {
    pub states: usize,
    pub broken: Option<&'static str>,
    pub trace: Vec<String>,
}

/// So many bytes of states are explored: more is a verdict that nobody expects, not a machine without memory.
const MOST: usize = 10 << 30;

/// A multiplicative hash: states are short, and nobody chooses them to collide.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.write_u64(u64::from_le_bytes(word));
        }
    }
    fn write_u8(&mut self, n: u8) {
        self.write_u64(n.into());
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }
}

/// States by their numbers, and numbers by states.
struct Seen<S> {
    states: Vec<S>,
    /// Numbers plus 1, by hash; its length is a power of two.
    table: Vec<u32>,
}

impl<S: Eq + Hash> Seen<S> {
    /// The number of a state, and whether it is new.
    fn insert(&mut self, state: S) -> (u32, bool) {
        if (self.states.len() + 1) * 10 > self.table.len() * 7 {
            let table = vec![0; (self.table.len() * 2).max(1024)];
            self.table = table;
            for n in 0..self.states.len() {
                let at = self.place(&self.states[n], true);
                self.table[at] = n as u32 + 1;
            }
        }
        let at = self.place(&state, false);
        match self.table[at] {
            0 => {
                self.states.push(state);
                self.table[at] = self.states.len() as u32;
                (self.table[at] - 1, true)
            }
            n => (n - 1, false),
        }
    }

    /// Where it stands or is to stand; `fresh`: it is known not to be there.
    fn place(&self, state: &S, fresh: bool) -> usize {
        let mut hasher = Mix::default();
        state.hash(&mut hasher);
        let mask = self.table.len() - 1;
        let mut at = hasher.finish() as usize & mask;
        while self.table[at] != 0 && (fresh || self.states[self.table[at] as usize - 1] != *state) {
            at = (at + 1) & mask;
        }
        at
    }
}

pub fn explore<M: Model>(m: &M) -> Report {
    let mut seen = Seen { states: vec![], table: vec![] };
    seen.insert(m.normal(m.init()));
    let mut from = vec![0u32];
    // Helpful steps: those of state n stand in `edges[first[n]..first[n + 1]]`.
    let (mut edges, mut first) = (vec![], vec![0u32]);
    let mut steps = vec![];
    let mut at = 0;
    while at < seen.states.len() {
        if let Some(why) = m.broken(&seen.states[at]) {
            return end(m, &seen.states, &from, at, why);
        }
        m.next(&seen.states[at], &mut steps);
        for step in steps.drain(..) {
            let (id, new) = seen.insert(m.normal(step.to));
            if new {
                from.push(at as u32);
            }
            if step.helps {
                edges.push(id);
            }
        }
        first.push(u32::try_from(edges.len()).expect("fewer steps"));
        at += 1;
        if seen.states.len() > MOST / size_of::<M::State>() {
            return end(m, &seen.states, &from, at - 1, "too many states");
        }
    }
    drop(seen.table);
    let mut good: Vec<bool> = seen.states.iter().map(|s| m.quiet(s)).collect();
    // Most steps lead to higher numbers, so few rounds are needed.
    loop {
        let mut changed = false;
        for n in (0..good.len()).rev() {
            if !good[n] && edges[first[n] as usize..first[n + 1] as usize].iter().any(|&to| good[to as usize]) {
                good[n] = true;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    match good.iter().position(|g| !g) {
        Some(n) => end(m, &seen.states, &from, n, "stuck"),
        None => Report { states: seen.states.len(), broken: None, trace: vec![] },
    }
}

/// A report with the shortest way to state `at`. Interchangeable processes may swap their numbers from one line to the next.
fn end<M: Model>(m: &M, states: &[M::State], from: &[u32], mut at: usize, why: &'static str) -> Report {
    let mut trace = vec![format!("{:?}", states[at])];
    let mut steps = vec![];
    while at != 0 {
        let before = from[at] as usize;
        m.next(&states[before], &mut steps);
        let step = steps.drain(..).find(|step| m.normal(step.to.clone()) == states[at]).expect("it was found that way");
        trace.push(format!("{}: {}", step.who, step.what));
        steps.clear();
        at = before;
    }
    trace.reverse();
    Report { states: states.len(), broken: Some(why), trace }
}
