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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::contender::{Opened, Pattern, Shape};
    use crate::bench::control::Control;

    #[test]
    fn each_has_the_room_that_is_asked_for_or_says_how_much_less() {
        let shape =
            Shape { pattern: Pattern::OneWay, payload: 64, producers: 2, consumers: 2, batch: 1, capacity: 100, work: 0 };
        let control = Control::create(0).unwrap();
        let mut looked = 0;
        for contender in all() {
            let name = contender.info().name;
            // A System V queue is made in a turn only, and not every kernel has the others.
            let Ok(Opened::Processes(queue)) = contender.open(&shape, &control) else {
                assert!(name.ends_with("-mq"), "{name}");
                continue;
            };
            let room = queue.room(shape.capacity).unwrap_or_else(|| panic!("{name} does not say"));
            assert!(room >= if name == "posix-mq" { 1 } else { shape.capacity }, "{name}: {room}");
            looked += 1;
        }
        assert!(looked >= 9, "{looked}");
    }
}
