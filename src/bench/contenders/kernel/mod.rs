//! Pipes and other queues of the kernel.

mod fifo;
mod lock;
mod mesh;
mod messages;
mod pipe_atomic;
mod pipe_each;
mod pipe_locked;
mod posix_mq;
mod socketpair_dgram;
mod socketpair_seqpacket;
mod socketpair_stream;
mod spread;
mod stream;
mod sys;
mod sysv_mq;
mod tcp;
mod unix_socket;

use crate::bench::contender::Contender;

/// The contenders.
pub fn all() -> Vec<Box<dyn Contender>> {
    vec![
        Box::new(pipe_locked::PipeLocked),
        Box::new(pipe_atomic::PipeAtomic),
        Box::new(fifo::Fifo),
        Box::new(pipe_each::PipeEach),
        Box::new(socketpair_stream::SocketPairStream),
        Box::new(socketpair_dgram::SOCKETPAIR_DGRAM),
        Box::new(socketpair_seqpacket::SOCKETPAIR_SEQPACKET),
        Box::new(unix_socket::UnixSocket),
        Box::new(tcp::Tcp),
        Box::new(posix_mq::PosixMq),
        Box::new(sysv_mq::SystemVMq),
    ]
}
