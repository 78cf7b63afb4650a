//! A pair of Unix sockets that are connected and keep messages apart.

use super::messages::SocketPair;

/// The contender.
pub const SOCKETPAIR_SEQPACKET: SocketPair = SocketPair {
    name: "socketpair-seqpacket",
    says: "a pair of Unix SEQPACKET sockets, no locks; batches by sendmmsg and recvmmsg",
    kind: libc::SOCK_SEQPACKET,
};
