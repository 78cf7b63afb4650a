//! Columns and lines that fit a terminal.

use comfy_table::{CellAlignment, ColumnConstraint, Table, presets};

/// A table without lines, of which columns give way if there is no room.
pub struct Columns {
    heads: Vec<String>,
    left: Vec<usize>,
    hidden: Vec<usize>,
    gives_way: Vec<String>,
    rows: Vec<Vec<String>>,
}

fn owned(heads: &[&str]) -> Vec<String> {
    heads.iter().map(|&head| head.to_owned()).collect()
}

impl Columns {
    /// With these heads. The first two columns are words, the others numbers.
    pub fn new(heads: &[&str]) -> Columns {
        Columns { heads: owned(heads), left: vec![0, 1], hidden: vec![], gives_way: vec![], rows: vec![] }
    }

    /// And one that is aligned to the left, if it is to be shown.
    pub fn left(mut self, head: &str, shown: bool) -> Columns {
        self.left.push(self.heads.len());
        if !shown {
            self.hidden.push(self.heads.len());
        }
        self.heads.push(head.into());
        self
    }

    /// Leaves one out, whatever room there is.
    pub fn hide(&mut self, head: &str) {
        self.hidden.extend(self.heads.iter().position(|other| other == head));
    }

    /// And these.
    pub fn more(mut self, heads: &[&str]) -> Columns {
        self.heads.extend(owned(heads));
        self
    }

    /// Which are left out if there is no room, the first of these first.
    pub fn gives_way(self, heads: &[&str]) -> Columns {
        Columns { gives_way: owned(heads), ..self }
    }

    /// One more row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.heads.len());
        self.rows.push(cells.into());
    }

    /// The table in so many columns of a terminal.
    pub fn fitting(&self, width: usize) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(self.heads.clone());
        for row in &self.rows {
            table.add_row(row.clone());
        }
        for (n, column) in table.column_iter_mut().enumerate() {
            column.set_cell_alignment(if self.left.contains(&n) { CellAlignment::Left } else { CellAlignment::Right });
            if self.hidden.contains(&n) {
                column.set_constraint(ColumnConstraint::Hidden);
            }
        }
        let mut gives_way = self.gives_way.iter();
        while table.lines().any(|line| line.trim_end().chars().count() > width) {
            let Some(head) = gives_way.next() else { break };
            let column = self.heads.iter().position(|other| other == head).and_then(|at| table.column_mut(at));
            column.into_iter().for_each(|column| {
                column.set_constraint(ColumnConstraint::Hidden);
            });
        }
        table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }
}

/// Lines of so many characters at most, broken between words; those after the first are moved in. A longer word stays whole.
pub fn wrapped(text: &str, width: usize, indent: usize) -> Vec<String> {
    text.split('\n').flat_map(|line| wrapped_line(line, width, indent)).collect()
}

fn wrapped_line(text: &str, width: usize, indent: usize) -> Vec<String> {
    if text.chars().count() <= width {
        return vec![text.to_owned()];
    }
    let own = text.chars().take_while(|c| *c == ' ').count();
    let mut lines = vec![];
    let mut line = " ".repeat(own);
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut line, " ".repeat(own + indent)));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_give_way_in_the_order_that_is_asked_for() {
        let mut columns = Columns::new(&["name", "waits", "rate", "cpu"]).gives_way(&["cpu", "waits"]);
        columns.row(["pipe".into(), "blocks".into(), "1.00 M".into(), "300 ns".into()]);
        let heads =
            |width| columns.fitting(width).lines().next().unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(heads(80), ["name", "waits", "rate", "cpu"]);
        assert_eq!(heads(26), ["name", "waits", "rate"]);
        assert_eq!(heads(20), ["name", "rate"]);
        assert_eq!(heads(1), ["name", "rate"], "what may not give way stays");
        columns.hide("waits");
        assert_eq!(columns.fitting(80).lines().next().unwrap().split_whitespace().collect::<Vec<_>>(), ["name", "rate", "cpu"]);
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("one two three", 7, 2), ["one two", "  three"]);
        assert_eq!(wrapped("  a bbbbbbbbbb c", 6, 1), ["  a", "   bbbbbbbbbb", "   c"]);
        assert_eq!(wrapped("short\n\nlines", 80, 2), ["short", "", "lines"]);
    }
}
