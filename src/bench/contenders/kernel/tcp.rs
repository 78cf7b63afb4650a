//! TCP over the loopback device, without delay (`TCP_NODELAY`), a connection for each producer and consumer (see `mesh`).

use super::mesh::{Mesh, Net, share};
use super::socketpair_stream::room;
use super::sys::{self, Buffer};
use crate::bench::contender::{Contender, Family, Info, Opened, Result, Shape, Waits};
use crate::bench::control::Control;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

/// Bytes of a buffer, at least. With less than a segment of the loopback device has (64 KiB) TCP waits for its timers, and shows nothing but them.
const LEAST: usize = 256 << 10;

/// The contender.
pub struct Tcp;

impl Contender for Tcp {
    fn info(&self) -> Info {
        let says =
            "TCP on the loopback device, no delay, a connection for each producer and consumer; room of 256 KiB at least";
        Info::new("tcp", says, Family::Kernel, Waits::Block).batching()
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, _: &Control) -> Result<Opened> {
        // One half waits where it is sent, the other one where it is received.
        let room = (room(share(shape), shape.payload) / 2).max(LEAST);
        let listen = |_| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            // Its connections have it from their start, as the window needs it.
            sys::set_buffer(listener.as_fd(), Buffer::Receive, room)?;
            let at = listener.local_addr()?;
            Ok((listener, at))
        };
        let listeners = (0..shape.consumers).map(listen).collect::<Result<_>>()?;
        Ok(Opened::Processes(Box::new(Mesh { net: Loopback { listeners, room }, shape: *shape })))
    }
}

struct Loopback {
    listeners: Vec<(TcpListener, SocketAddr)>,
    room: usize,
}

impl Net for Loopback {
    fn accept(&self, consumer: usize) -> io::Result<File> {
        let (stream, _) = self.listeners[consumer].0.accept()?;
        stream.set_nodelay(true)?;
        Ok(OwnedFd::from(stream).into())
    }

    fn connect(&self, consumer: usize) -> io::Result<File> {
        let stream = TcpStream::connect(self.listeners[consumer].1)?;
        stream.set_nodelay(true)?;
        sys::set_buffer(stream.as_fd(), Buffer::Send, self.room)?;
        Ok(OwnedFd::from(stream).into())
    }
}
