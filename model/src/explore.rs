//! Visits every reachable state, breadth first; then asks from which of them a quiet state is reachable without a crash.

use std::collections::HashMap;
use std::hash::Hash;

pub struct Step<S> {
    pub what: String,
    pub crash: bool,
    pub to: S,
}

pub trait Model {
    type State: Clone + Eq + Hash + std::fmt::Debug;
    fn init(&self) -> Self::State;
    fn next(&self, s: &Self::State) -> Vec<Step<Self::State>>;
    fn broken(&self, s: &Self::State) -> Option<&'static str>;
    fn quiet(&self, s: &Self::State) -> bool;
}

pub struct Report {
    pub states: usize,
    pub broken: Option<&'static str>,
    pub trace: Vec<String>,
}

pub fn explore<M: Model>(m: &M) -> Report {
    let mut ids = HashMap::from([(m.init(), 0usize)]);
    let mut states = vec![m.init()];
    let mut from = vec![(0, String::new())];
    let mut back: Vec<Vec<u32>> = vec![Vec::new()];
    let mut at = 0;
    let end = |states: &[M::State], from: &[(usize, String)], at: usize, why| {
        let (mut i, mut trace) = (at, vec![format!("{:?}", states[at])]);
        while i != 0 {
            trace.push(from[i].1.clone());
            i = from[i].0;
        }
        trace.reverse();
        Report { states: states.len(), broken: Some(why), trace }
    };
    while at < states.len() {
        if let Some(why) = m.broken(&states[at]) {
            return end(&states, &from, at, why);
        }
        for step in m.next(&states[at].clone()) {
            let id = *ids.entry(step.to.clone()).or_insert_with(|| {
                states.push(step.to);
                from.push((at, step.what));
                back.push(Vec::new());
                states.len() - 1
            });
            if !step.crash {
                back[id].push(at as u32);
            }
        }
        at += 1;
    }
    let mut good: Vec<bool> = states.iter().map(|s| m.quiet(s)).collect();
    let mut todo: Vec<usize> = (0..states.len()).filter(|&i| good[i]).collect();
    while let Some(i) = todo.pop() {
        for &j in &back[i] {
            if !std::mem::replace(&mut good[j as usize], true) {
                todo.push(j as usize);
            }
        }
    }
    match good.iter().position(|g| !g) {
        Some(i) => end(&states, &from, i, "stuck"),
        None => Report { states: states.len(), broken: None, trace: Vec::new() },
    }
}
