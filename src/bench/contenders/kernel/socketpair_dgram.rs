//! A pair of Unix datagram sockets.

use super::messages::SocketPair;

/// The contender.
pub const SOCKETPAIR_DGRAM: SocketPair = SocketPair {
    name: "socketpair-dgram",
    says: "a pair of Unix datagram sockets, no locks; batches by sendmmsg and recvmmsg",
    kind: libc::SOCK_DGRAM,
};
