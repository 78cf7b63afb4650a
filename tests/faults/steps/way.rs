//! Which instructions a worker executes in a cycle, and at which of them it dies.

use std::collections::{HashMap, HashSet};

/// An instruction: in the so-manieth piece of code that is mapped, from its start on. These lie elsewhere in each process.
pub type Place = (usize, u64);

/// The way that the worker takes through a cycle.
pub struct Way {
    /// Instruction by instruction; `None` is code of the kernel's (the clock).
    pub places: Vec<Option<Place>>,
    /// For each instruction the last one up to there to whose place the worker comes for the first time.
    pub landmarks: Vec<Option<usize>>,
    /// The so-manieth time that it comes to its place since it was at the landmark.
    pub times: Vec<u32>,
    /// How many instructions have been executed, each time that the region was another one than before or a system call had been made.
    pub noticed: Vec<usize>,
}

impl Way {
    pub fn walked(places: Vec<Option<Place>>, noticed: Vec<usize>) -> Way {
        let (mut seen, mut since, mut last) = (HashSet::new(), HashMap::new(), None);
        let (mut landmarks, mut times) = (vec![], vec![]);
        for (n, place) in places.iter().enumerate() {
            if place.is_some() && seen.insert(place) {
                last = Some(n);
                since.clear();
            }
            landmarks.push(last);
            times.push(*since.entry(place).and_modify(|times| *times += 1).or_insert(1));
        }
        Way { places, landmarks, times, noticed }
    }

    /// Each instruction of the way, by its place and the so-manieth time that the worker is there.
    pub fn instructions(&self) -> Vec<(Option<Place>, u32)> {
        let mut times = HashMap::new();
        let count = |&place| (place, *times.entry(place).and_modify(|times| *times += 1).or_insert(1));
        self.places.iter().map(count).collect()
    }
}

/// Where in a cycle the worker dies.
#[derive(Clone, Copy, Debug)]
pub enum Point {
    /// When it has come to this instruction of the way. The worker runs up to the last landmark before, and is stepped from there.
    Before(usize),
    /// The same, stepped from the start.
    Stepping(usize),
    /// At the end, asleep.
    End,
}
