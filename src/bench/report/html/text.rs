//! Text and tables as HTML. Whatever comes from outside goes through [`escape`].

/// The text, so that it means itself between tags and in attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // No form of HTML has these.
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A cell: plain text, and a class if it is marked.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    class: &'static str,
}

impl Cell {
    /// With a class of the style sheet.
    pub fn marked(text: impl Into<String>, class: &'static str) -> Cell {
        Cell { text: text.into(), class }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell::marked(text, "")
    }
}

/// A table in a box of its own, in which it can be moved if the screen is narrow. The first `words` columns are text, the others numbers; the first
/// one names its row.
pub fn table(caption: &str, heads: &[&str], words: usize, rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let caption = escape(caption);
    let mut out = format!("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\">\n<table>\n");
    out += &format!("<caption>{caption}</caption>\n<thead><tr>");
    for (n, head) in heads.iter().enumerate() {
        let class = if n < words { "" } else { " class=\"number\"" };
        out += &format!("<th scope=\"col\"{class}>{}</th>", escape(head));
    }
    out += "</tr></thead>\n<tbody>\n";
    for row in rows {
        debug_assert_eq!(row.len(), heads.len(), "{caption}");
        out += "<tr>";
        for (n, cell) in row.iter().enumerate() {
            let (tag, scope) = if n == 0 { ("th", " scope=\"row\"") } else { ("td", "") };
            let classes = [if n < words { "" } else { "number" }, cell.class].join(" ");
            let class = match classes.trim() {
                "" => String::new(),
                some => format!(" class=\"{some}\""),
            };
            out += &format!("<{tag}{scope}{class}>{}</{tag}>", escape(&cell.text));
        }
        out += "</tr>\n";
    }
    out + "</tbody>\n</table>\n</div>\n"
}

/// A part of the page with a heading.
pub fn section(id: &str, heading: &str, body: &str) -> String {
    format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-heading\">\n<h2 id=\"{id}-heading\">{heading}</h2>\n{body}</section>\n\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_means_itself() {
        assert_eq!(escape("<b a=\"x\" b='y'>&amp;\u{1b}[1m"), "&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;\u{fffd}[1m");
    }

    #[test]
    fn a_table_names_its_rows_and_escapes_its_cells() {
        let made = table("a <caption>", &["name", "rate"], 1, [vec!["<i>".into(), Cell::marked("1", "bad")]]);
        assert!(made.contains("<caption>a &lt;caption&gt;</caption>"), "{made}");
        assert!(made.contains("<th scope=\"row\">&lt;i&gt;</th><td class=\"number bad\">1</td>"), "{made}");
        assert!(made.contains("<th scope=\"col\">name</th><th scope=\"col\" class=\"number\">rate</th>"), "{made}");
    }
}
