//! What a run writes: files, opened before it, since not an hour later it shall be found out that one cannot be written; and standard output.

use super::contender::Result;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Error, ErrorKind, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file that can be written.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    file: File,
    /// Whether it was not there before.
    made: bool,
}

impl Output {
    /// Opens all that are named, or none. What is in them stays until there is something to write.
    ///
    /// # Errors
    /// If one cannot be written, or two are the same file; in one line that names it.
    pub fn open_all(paths: &[Option<&Path>]) -> Result<Vec<Option<Output>>> {
        let mut outputs: Vec<Option<Output>> = vec![];
        for path in paths {
            let output = match path.map(|path| Output::open(path, outputs.iter().flatten())).transpose() {
                Ok(output) => output,
                Err(why) => {
                    outputs.into_iter().flatten().for_each(Output::give_up);
                    return Err(why);
                }
            };
            outputs.push(output);
        }
        Ok(outputs)
    }

    fn open<'a>(path: &Path, mut others: impl Iterator<Item = &'a Output>) -> Result<Output> {
        let told = |why: &str| format!("{}: cannot be written: {why}", path.display());
        let made = !path.exists();
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(path).map_err(|e| told(&reason(&e)))?;
        let same = |one: &File, other: &File| -> std::io::Result<bool> {
            let (one, other) = (one.metadata()?, other.metadata()?);
            // A device such as /dev/null takes all there is.
            Ok(one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino()))
        };
        match others.find(|other| same(&file, &other.file).unwrap_or(false)) {
            Some(_) => Err(told("two reports would be written to it; give each a file of its own").into()),
            None => Ok(Output { path: path.to_owned(), file, made }),
        }
    }

    /// Writes it anew.
    ///
    /// # Errors
    /// If that fails; the file is named.
    pub fn write(mut self, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let told = |e: &dyn std::fmt::Display| format!("{}: {e}", self.path.display());
        if self.file.metadata().is_ok_and(|meta| meta.is_file()) {
            self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(|e| told(&reason(&e)))?;
        }
        let mut to = BufWriter::new(&self.file);
        write(&mut to).map_err(|e| told(&e))?;
        to.flush().map_err(|e| told(&reason(&e)))?;
        Ok(())
    }

    /// Leaves nothing behind that was not there.
    pub fn give_up(self) {
        if self.made {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// To standard output. A reader that closes it early has what it wants.
///
/// # Errors
/// If it cannot be written, a closed reader excepted.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(why) if why.kind() != ErrorKind::BrokenPipe => Err(format!("cannot write output: {why}").into()),
        _ => Ok(()),
    }
}

/// What the system says, without the number.
fn reason(error: &Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder that ends with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("gristmill-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn refused(paths: &[&Path]) -> String {
        let paths: Vec<Option<&Path>> = paths.iter().map(|path| Some(*path)).collect();
        let why = Output::open_all(&paths).unwrap_err().to_string();
        assert!(!why.contains('\n'), "{why:?}");
        why
    }

    #[test]
    fn what_cannot_be_written_is_told_before_and_leaves_nothing() {
        let folder = Folder::new("outputs");
        let (one, old) = (folder.0.join("one"), folder.0.join("old"));
        fs::write(&old, "kept").unwrap();
        assert!(refused(&[&folder.0]).ends_with("cannot be written: is a directory"));
        let missing = folder.0.join("missing/file");
        assert!(refused(&[&one, &old, &missing]).ends_with("missing/file: cannot be written: no such file or directory"));
        assert!(!one.exists(), "what was made is taken back");
        assert_eq!(fs::read_to_string(&old).unwrap(), "kept");
    }

    #[test]
    fn two_reports_need_two_files_whatever_their_paths() {
        let folder = Folder::new("twice");
        let (one, link) = (folder.0.join("one"), folder.0.join("link"));
        let other_path = folder.0.join(".").join("one");
        assert!(refused(&[&one, &other_path]).contains("two reports"));
        assert!(!one.exists());
        fs::write(&one, "kept").unwrap();
        fs::hard_link(&one, &link).unwrap();
        assert!(refused(&[&one, &link]).contains("two reports"));
        let null = Path::new("/dev/null");
        let outputs = Output::open_all(&[Some(null), None, Some(null)]).unwrap();
        assert!(outputs[1].is_none());
        for output in outputs.into_iter().flatten() {
            output.write(|to| Ok(to.write_all(b"x")?)).unwrap();
        }
    }

    #[test]
    fn what_is_written_replaces_all_that_was_there() {
        let folder = Folder::new("replaces");
        let path = folder.0.join("file");
        fs::write(&path, "longer than what comes").unwrap();
        let mut outputs = Output::open_all(&[Some(&path)]).unwrap();
        outputs.remove(0).unwrap().write(|to| Ok(to.write_all(b"new")?)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }
}
