//! The files of the page. Nothing else is loaded by it, and nothing from elsewhere.

/// A file: its name in the page's address, what it is, and its text.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Its name; empty for the page itself.
    pub name: &'static str,
    /// Its type.
    pub kind: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// The style, which the report has, too.
pub const STYLE: &str = include_str!("style.css");

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// All of them.
pub const FILES: [File; 9] = [
    File { name: "", kind: "text/html; charset=utf-8", text: include_str!("page.html") },
    File { name: "style.css", kind: "text/css; charset=utf-8", text: STYLE },
    File { name: "page.js", kind: SCRIPT, text: include_str!("page.js") },
    File { name: "make.js", kind: SCRIPT, text: include_str!("make.js") },
    File { name: "knobs.js", kind: SCRIPT, text: include_str!("knobs.js") },
    File { name: "predict.js", kind: SCRIPT, text: include_str!("predict.js") },
    File { name: "code.js", kind: SCRIPT, text: include_str!("code.js") },
    File { name: "lanes.js", kind: SCRIPT, text: include_str!("lanes.js") },
    File { name: "result.js", kind: SCRIPT, text: include_str!("result.js") },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_asked_for_and_nothing_is_written_into_the_page_as_markup() {
        let all: String = FILES.map(|file| file.text).concat();
        for file in &FILES[1..] {
            assert!(
                all.contains(&format!("\"{}\"", file.name)) || all.contains(&format!("\"./{}\"", file.name)),
                "{}",
                file.name
            );
        }
        for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "https://", "//cdn"] {
            assert!(!all.contains(word), "{word}");
        }
    }
}
