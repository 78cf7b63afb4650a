//! Where the parent keeps items that it moved out of the region while it waited for something else (DESIGN.md, "Full rings never
//! stop the parent").

use crate::ring::Payload;
use std::collections::VecDeque;

/// Payloads of slots in order, each with its length and its number of items before it.
#[derive(Default)]
pub struct Spill {
    bytes: VecDeque<u8>,
    items: usize,
    scratch: Vec<u8>,
}

/// Bytes of memory that are kept when nothing is left.
const KEPT: usize = 4 << 20;

/// Bytes before each payload.
const HEAD: usize = 5;

impl Spill {
    /// How many items.
    pub fn len(&self) -> usize {
        self.items
    }

    /// Appends a payload of so many items.
    pub fn push(&mut self, items: u8, payload: Payload<'_>) {
        self.scratch.clear();
        payload.append_to(&mut self.scratch);
        self.bytes.extend((self.scratch.len() as u32).to_le_bytes());
        self.bytes.push_back(items);
        self.bytes.extend(&self.scratch);
        self.items += usize::from(items);
    }

    /// Takes the first payload out into `to`, whose contents are replaced; how many items it holds, `None` if there is none.
    pub fn pop_into(&mut self, to: &mut Vec<u8>) -> Option<u8> {
        if self.items == 0 {
            return None;
        }
        let mut head = [0; HEAD];
        self.take(&mut head);
        let [length @ .., items] = head;
        to.clear();
        to.resize(u32::from_le_bytes(length) as usize, 0);
        self.take(to);
        self.items -= usize::from(items);
        if self.items == 0 && self.bytes.capacity() > KEPT {
            // A burst's memory is not kept for ever.
            self.bytes = VecDeque::new();
        }
        Some(items)
    }

    /// Moves the first bytes out, in two pieces at most.
    fn take(&mut self, to: &mut [u8]) {
        let (first, second) = self.bytes.as_slices();
        let cut = to.len().min(first.len());
        let (a, b) = to.split_at_mut(cut);
        a.copy_from_slice(&first[..cut]);
        b.copy_from_slice(&second[..b.len()]);
        self.bytes.drain(..to.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_come_back_in_order_and_whole() {
        let mut spill = Spill::default();
        let item = |n: usize| (vec![n as u8; n % 300], (n % 64 + 1) as u8);
        let mut out = vec![];
        let mut next = 0;
        let mut take = |spill: &mut Spill| {
            let items = spill.pop_into(&mut out)?;
            assert_eq!((out.clone(), items), item(next));
            next += 1;
            Some(next)
        };
        for n in 0..2000 {
            spill.push(item(n).1, Payload::of(&item(n).0));
            if n % 3 == 0 {
                assert!(take(&mut spill).is_some());
            }
        }
        let mut last = 0;
        while let Some(n) = take(&mut spill) {
            last = n;
        }
        assert_eq!((last, spill.len()), (2000, 0));
    }
}
