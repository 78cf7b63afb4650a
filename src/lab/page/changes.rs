//! The lines that differ between two states of the code.

use serde::Serialize;

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// It is in both.
    Same,
    /// It was there, and is no more.
    Gone,
    /// It was not there.
    New,
}

/// A line and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Line<'a> {
    /// What became of it.
    pub mark: Mark,
    /// The line.
    pub text: &'a str,
}

/// From one state to the next: their longest common lines, and between them what has gone before what is new.
pub fn changes<'a>(before: &'a str, after: &'a str) -> Vec<Line<'a>> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    // How many lines are common to what is left of both.
    let mut common = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, vec![]);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(Line { mark: Mark::Same, text: old[i] });
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            lines.push(Line { mark: Mark::Gone, text: old[i] });
            i += 1;
        } else {
            lines.push(Line { mark: Mark::New, text: new[j] });
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_moved_is_gone_there_and_new_here() {
        let lines = changes("loop {\n  lock();\n  work();\n}", "loop {\n  work();\n  lock();\n}");
        let written: Vec<String> = lines.iter().map(|line| format!("{:?} {}", line.mark, line.text.trim())).collect();
        assert_eq!(written, ["Same loop {", "Gone lock();", "Same work();", "New lock();", "Same }"]);
    }

    #[test]
    fn from_nothing_all_is_new_and_to_itself_nothing_is() {
        assert!(changes("", "a\nb").iter().all(|line| line.mark == Mark::New));
        assert!(changes("a\nb", "a\nb").iter().all(|line| line.mark == Mark::Same));
        assert_eq!(changes("a", "").len(), 1);
    }
}
