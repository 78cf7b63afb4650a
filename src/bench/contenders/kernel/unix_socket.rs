//! Unix stream sockets with names, a connection for each producer and consumer (see `mesh`). The names are abstract: they end with their sockets.

use super::mesh::{Mesh, Net, share};
use super::socketpair_stream::room;
use super::sys::{self, Buffer};
use crate::bench::contender::{Contender, Family, Info, Opened, Result, Shape, Waits};
use crate::bench::control::Control;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

/// The contender.
pub struct UnixSocket;

impl Contender for UnixSocket {
    fn info(&self) -> Info {
        let says = "named Unix stream sockets, a connection for each producer and consumer, which share the room";
        Info::new("unix-socket", says, Family::Kernel, Waits::Block).batching()
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        let listen = |_| {
            let name = format!("gristmill-bench-{:016x}", rand::random::<u64>());
            let name = SocketAddr::from_abstract_name(name)?;
            Ok((UnixListener::bind_addr(&name)?, name))
        };
        let listeners = (0..shape.consumers).map(listen).collect::<Result<_>>()?;
        let net = Unix { listeners, room: room(share(shape), shape.payload) };
        Ok(Opened::Processes(Box::new(Mesh { net, shape: *shape })))
    }
}

struct Unix {
    listeners: Vec<(UnixListener, SocketAddr)>,
    room: usize,
}

impl Net for Unix {
    fn accept(&self, consumer: usize) -> io::Result<File> {
        Ok(OwnedFd::from(self.listeners[consumer].0.accept()?.0).into())
    }

    fn connect(&self, consumer: usize) -> io::Result<File> {
        let stream = UnixStream::connect_addr(&self.listeners[consumer].1)?;
        sys::set_buffer(stream.as_fd(), Buffer::Send, self.room)?;
        Ok(OwnedFd::from(stream).into())
    }
}
