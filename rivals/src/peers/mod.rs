//! The peers, one file for each library.

mod iceoryx;
mod ipc_channel;
mod procspawn;
mod python;

use gristmill::bench::contender::Contender;

/// All of them.
pub fn all() -> Vec<Box<dyn Contender>> {
    let mut all: Vec<Box<dyn Contender>> =
        vec![Box::new(procspawn::Procspawn), Box::new(ipc_channel::IpcChannel), Box::new(iceoryx::Iceoryx)];
    all.extend(python::all());
    all
}

/// Returns at once if this process is nobody's worker. Stands in `main` after `gristmill::init`, before there are threads.
pub fn init() {
    ::procspawn::init();
}
