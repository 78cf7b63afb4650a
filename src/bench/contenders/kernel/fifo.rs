//! A pipe with a name, used as the one without: a report tests itself by comparing both.

use super::pipe_atomic::{Pipe, set_room, too_large};
use super::sys;
use crate::bench::contender::{Contender, Family, Info, Opened, Result, Shape, Waits};
use crate::bench::control::Control;
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

/// The contender.
pub struct Fifo;

impl Contender for Fifo {
    fn info(&self) -> Info {
        let says = "a FIFO: pipe-atomic with a name";
        Info::new("fifo", says, Family::Kernel, Waits::Block).batching()
    }

    fn refuses(&self, shape: &Shape) -> Option<String> {
        too_large(shape)
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        let folder = Folder::new()?;
        let path = folder.0.join("fifo");
        sys::make_fifo(&path)?;
        // Who opens one end waits for the other one, unless it is told not to: here both are this process.
        let reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path)?;
        let writer = File::options().write(true).open(&path)?;
        sys::set_nonblocking(reader.as_fd(), false)?;
        set_room(&writer, shape.capacity, shape.payload);
        Ok(Opened::Processes(Box::new(Pipe { reader, writer, size: shape.payload })))
    }
}

/// A folder of this user alone that is removed with what is in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder> {
        let name = format!("gristmill-fifo-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let path = std::env::temp_dir().join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Folder(path)),
            Err(e) => Err(format!("cannot make {}: {e}", path.display()).into()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
