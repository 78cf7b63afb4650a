//! Visits every reachable state, breadth first; then asks from which of them a quiet state is reachable by helpful steps alone.
//!
//! Of a state that has been visited its fingerprint is kept, the number of the one it was found from, and the numbers of those that helpful steps
//! lead to: about 40 bytes. The states themselves are kept while they wait to be visited.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::Hash;

use crate::seen::{Seen, fingerprint};

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
    /// The states in which one that sleeps has woken up for nothing.
    fn woken(&self, _: &Self::State) -> Vec<(u8, Self::State)> {
        vec![]
    }
    /// The same state with what is interchangeable in a fixed order.
    fn normal(&self, s: Self::State) -> Self::State {
        s
    }
}

/// A model in which sleepers wake up for nothing at any time, as a futex allows.
pub struct Spurious<M>(pub M);

impl<M: Model> Model for Spurious<M> {
    type State = M::State;
    fn init(&self) -> M::State {
        self.0.init()
    }
    fn next(&self, s: &M::State, out: &mut Vec<Step<M::State>>) {
        self.0.next(s, out);
        let step = |(who, to)| Step { who, what: "wakes up for nothing", helps: false, to };
        out.extend(self.0.woken(s).into_iter().map(step));
    }
    fn broken(&self, s: &M::State) -> Option<&'static str> {
        self.0.broken(s)
    }
    fn quiet(&self, s: &M::State) -> bool {
        self.0.quiet(s)
    }
    fn normal(&self, s: M::State) -> M::State {
        self.0.normal(s)
    }
}

pub struct Report {
    pub states: usize,
    pub broken: Option<&'static str>,
    pub trace: Vec<String>,
}

/// So many bytes are used for one case: more is a verdict that nobody expects, not a machine without memory. Two run at a time.
const MOST: usize = 6 << 30;

pub fn explore<M: Model>(m: &M) -> Report {
    let mut seen = Seen::new();
    let first = m.normal(m.init());
    seen.insert(fingerprint(&first));
    let mut waiting = VecDeque::from([first]);
    let mut from = vec![0u32];
    // Where helpful steps lead to, state by state, and how many there are of each.
    let (mut edges, mut degree) = (Vec::<u32>::new(), Vec::<u8>::new());
    let mut good = Vec::<bool>::new();
    let mut steps = vec![];
    while let Some(state) = waiting.pop_front() {
        let at = good.len();
        let used = seen.bytes() + waiting.len() * size_of::<M::State>() + 4 * (from.len() + edges.len()) + 2 * at;
        let why = m.broken(&state).or((used > MOST).then_some("too many states"));
        if let Some(why) = why {
            return end(m, &seen, &from, at, why);
        }
        good.push(m.quiet(&state));
        m.next(&state, &mut steps);
        let before = edges.len();
        for step in steps.drain(..) {
            let to = m.normal(step.to);
            let (number, new) = seen.insert(fingerprint(&to));
            if new {
                from.push(at as u32);
                waiting.push_back(to);
            }
            if step.helps && number as usize != at {
                edges.push(number);
            }
        }
        degree.push(u8::try_from(edges.len() - before).expect("fewer steps"));
    }
    // Most steps lead to higher numbers, so few rounds are needed.
    loop {
        let mut changed = false;
        let mut after = edges.len();
        for n in (0..good.len()).rev() {
            let first = after - usize::from(degree[n]);
            if !good[n] && edges[first..after].iter().any(|&to| good[to as usize]) {
                good[n] = true;
                changed = true;
            }
            after = first;
        }
        if !changed {
            break;
        }
    }
    match good.iter().position(|g| !g) {
        Some(n) => end(m, &seen, &from, n, "stuck"),
        None => Report { states: from.len(), broken: None, trace: vec![] },
    }
}

/// A report with the shortest way to state `at`, which is gone again from the first. Interchangeable processes may swap their numbers from one
/// line to the next.
fn end<M: Model>(m: &M, seen: &Seen, from: &[u32], mut at: usize, why: &'static str) -> Report {
    let mut way = vec![];
    while at != 0 {
        way.push(at as u32);
        at = from[at] as usize;
    }
    let mut state = m.normal(m.init());
    let (mut trace, mut steps) = (vec![], vec![]);
    for &number in way.iter().rev() {
        m.next(&state, &mut steps);
        let found = |step: Step<M::State>| {
            let to = m.normal(step.to);
            (seen.number(fingerprint(&to)) == number).then_some((step.who, step.what, to))
        };
        let (who, what, to) = steps.drain(..).find_map(found).expect("it was found that way");
        steps.clear();
        trace.push(format!("{who}: {what}"));
        state = to;
    }
    trace.push(format!("{state:?}"));
    Report { states: from.len(), broken: Some(why), trace }
}
