//! What is handed from thread to thread: a payload as a value where its size is known to the compiler, as the engine has it, else a box.

use crate::bench::contender::{Opened, Payloads, Queue, Result};

/// A payload.
pub trait Item: Send + 'static {
    /// From its bytes, of the size that all of a turn have.
    fn of(bytes: &[u8]) -> Self;

    /// Its bytes.
    fn bytes(&self) -> &[u8];
}

impl<const N: usize> Item for [u8; N] {
    fn of(bytes: &[u8]) -> Self {
        bytes.try_into().expect("the shape's size")
    }
    fn bytes(&self) -> &[u8] {
        self
    }
}

impl Item for Box<[u8]> {
    fn of(bytes: &[u8]) -> Self {
        bytes.into()
    }
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// What a channel carries: one payload or a batch of them.
pub trait Message: Send + 'static {
    /// From what is sent in one call.
    fn of(payloads: Payloads<'_>) -> Self;

    /// Hands on what is in it.
    fn each(&self, each: &mut dyn FnMut(&[u8]));
}

/// One payload.
pub struct One<I>(I);

impl<I: Item> Message for One<I> {
    fn of(payloads: Payloads<'_>) -> Self {
        One(I::of(payloads.bytes()))
    }
    fn each(&self, each: &mut dyn FnMut(&[u8])) {
        each(self.0.bytes());
    }
}

/// Several in one message, for channels that have no call for many.
impl<I: Item> Message for Vec<I> {
    fn of(payloads: Payloads<'_>) -> Self {
        payloads.iter().map(I::of).collect()
    }
    fn each(&self, each: &mut dyn FnMut(&[u8])) {
        self.iter().for_each(|one| each(one.bytes()));
    }
}

/// Makes a queue for a type that is not known before a shape is.
pub trait Make {
    /// Of payloads.
    fn of<I: Item>(&self) -> Box<dyn Queue>;
}

/// The queue for payloads of `size` bytes.
pub fn sized(size: usize, make: &impl Make) -> Result<Opened> {
    Ok(Opened::Threads(match size {
        8 => make.of::<[u8; 8]>(),
        64 => make.of::<[u8; 64]>(),
        512 => make.of::<[u8; 512]>(),
        4096 => make.of::<[u8; 4096]>(),
        _ => make.of::<Box<[u8]>>(),
    }))
}

/// What `says` adds to this.
pub const BOXES: &str = "payloads of 8, 64, 512 and 4096 B as values, others in boxes";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_gives_back_what_was_put_into_it() {
        fn there_and_back<M: Message>(bytes: &[u8], size: usize) -> Vec<Vec<u8>> {
            let mut seen = vec![];
            M::of(Payloads::new(bytes, size)).each(&mut |one| seen.push(one.to_vec()));
            seen
        }
        let bytes: Vec<u8> = (0..24).collect();
        let parts: Vec<Vec<u8>> = bytes.chunks(8).map(<[u8]>::to_vec).collect();
        assert_eq!(there_and_back::<Vec<[u8; 8]>>(&bytes, 8), parts);
        assert_eq!(there_and_back::<Vec<Box<[u8]>>>(&bytes, 8), parts);
        assert_eq!(there_and_back::<One<Box<[u8]>>>(&bytes, 24).concat(), bytes);
        assert_eq!(there_and_back::<One<[u8; 24]>>(&bytes, 24).concat(), bytes);
    }
}
