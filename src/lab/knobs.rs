//! What can be set in an experiment, within bounds that no machine is hurt by.

use crate::bench::contender::Result;
use serde::Serialize;
use std::collections::BTreeMap;

/// Something that can be set.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Knob {
    /// Its name at the command line.
    pub name: &'static str,
    /// What it is, and its unit.
    pub says: &'static str,
    /// What it can be.
    pub range: Range,
}

/// What a knob can be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Range {
    /// A number.
    Number {
        /// At least.
        least: u64,
        /// At most.
        most: u64,
        /// If nothing is said.
        usual: u64,
    },
    /// One of some words.
    Word {
        /// These.
        of: &'static [&'static str],
        /// The place of the one that is taken if nothing is said.
        usual: usize,
    },
}

/// Worker processes of a crew, at most.
pub const MOST_WORKERS: u64 = 64;

impl Knob {
    /// A number from `least` to `most`.
    pub const fn number(name: &'static str, says: &'static str, least: u64, usual: u64, most: u64) -> Knob {
        Knob { name, says, range: Range::Number { least, most, usual } }
    }

    /// One of some words, the first one if nothing is said.
    pub const fn word(name: &'static str, says: &'static str, of: &'static [&'static str]) -> Knob {
        Knob { name, says, range: Range::Word { of, usual: 0 } }
    }

    fn usual(&self) -> u64 {
        match self.range {
            Range::Number { usual, .. } => usual,
            Range::Word { usual, .. } => usual as u64,
        }
    }

    fn read(&self, text: &str) -> std::result::Result<u64, String> {
        match self.range {
            Range::Number { least, most, .. } => match text.parse() {
                Ok(n) if (least..=most).contains(&n) => Ok(n),
                _ => Err(format!("{} is a number from {least} to {most}, not '{text}'", self.name)),
            },
            Range::Word { of, .. } => match of.iter().position(|word| *word == text) {
                Some(at) => Ok(at as u64),
                None => Err(format!("{} is one of {}, not '{text}'", self.name, of.join(", "))),
            },
        }
    }

    /// A value as it was typed.
    fn written(&self, value: u64) -> String {
        match self.range {
            Range::Number { .. } => value.to_string(),
            Range::Word { of, .. } => of.get(value as usize).copied().unwrap_or_default().to_owned(),
        }
    }
}

/// How the knobs of an experiment stand.
#[derive(Clone, Debug)]
pub struct Knobs {
    knobs: &'static [Knob],
    set: BTreeMap<&'static str, u64>,
}

impl Knobs {
    /// As they are if nothing is said.
    pub fn usual(knobs: &'static [Knob]) -> Knobs {
        Knobs { knobs, set: knobs.iter().map(|knob| (knob.name, knob.usual())).collect() }
    }

    /// As they are said to be: each is `NAME=VALUE`.
    ///
    /// # Errors
    /// In one line: what there is no knob for, or is out of bounds.
    pub fn read(knobs: &'static [Knob], said: &[String]) -> Result<Knobs> {
        let mut all = Knobs::usual(knobs);
        for (n, text) in said.iter().enumerate() {
            let (name, value) = text.split_once('=').ok_or_else(|| format!("'{text}' is no NAME=VALUE"))?;
            let Some(knob) = knobs.iter().find(|knob| knob.name == name) else {
                let names: Vec<&str> = knobs.iter().map(|knob| knob.name).collect();
                return Err(format!("there is no knob '{name}'; there are {}", names.join(", ")).into());
            };
            if said[..n].iter().any(|before| before.split_once('=').is_some_and(|(before, _)| before == name)) {
                return Err(format!("{name} is set twice").into());
            }
            all.set.insert(knob.name, knob.read(value)?);
        }
        Ok(all)
    }

    /// The number that a knob stands at.
    ///
    /// # Panics
    /// If the experiment has no such knob.
    pub fn number(&self, name: &str) -> u64 {
        self.set[name]
    }

    /// The word that a knob stands at.
    ///
    /// # Panics
    /// If the experiment has no such knob, or it has numbers.
    pub fn word(&self, name: &str) -> &'static str {
        match self.knobs.iter().find(|knob| knob.name == name).map(|knob| knob.range) {
            Some(Range::Word { of, .. }) => of[self.set[name] as usize],
            _ => panic!("{name} has no words"),
        }
    }

    /// All of them, as `NAME=VALUE`.
    pub fn written(&self) -> Vec<String> {
        self.knobs.iter().map(|knob| format!("{}={}", knob.name, knob.written(self.set[knob.name]))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOBS: &[Knob] =
        &[Knob::number("workers", "worker processes", 1, 4, 64), Knob::word("lock", "kind of lock", &["futex", "spin"])];

    fn read(said: &[&str]) -> std::result::Result<Knobs, String> {
        Knobs::read(KNOBS, &said.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_not_said_is_as_usual() {
        let knobs = read(&["lock=spin"]).unwrap();
        assert_eq!((knobs.number("workers"), knobs.word("lock")), (4, "spin"));
        assert_eq!(knobs.written(), ["workers=4", "lock=spin"]);
    }

    #[test]
    fn what_cannot_be_is_told_in_one_line_with_what_can() {
        let says = |said: &str| read(&[said]).unwrap_err();
        assert_eq!(says("workers=65"), "workers is a number from 1 to 64, not '65'");
        assert_eq!(says("workers=-1"), "workers is a number from 1 to 64, not '-1'");
        assert_eq!(says("lock=mutex"), "lock is one of futex, spin, not 'mutex'");
        assert_eq!(says("speed=1"), "there is no knob 'speed'; there are workers, lock");
        assert_eq!(says("workers"), "'workers' is no NAME=VALUE");
    }
}
