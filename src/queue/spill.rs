//! Where the parent keeps items that it moved out of the region while it waited for something else (design.md, D8).

use std::collections::VecDeque;

/// Items in order, each with its length before it.
#[derive(Default)]
pub struct Spill {
    bytes: VecDeque<u8>,
    items: usize,
}

impl Spill {
    /// How many items.
    pub fn len(&self) -> usize {
        self.items
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Bytes that the items take.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Appends an item.
    pub fn push(&mut self, item: &[u8]) {
        self.bytes.extend(&(item.len() as u32).to_le_bytes());
        self.bytes.extend(item);
        self.items += 1;
    }

    /// Takes the first item out into `to`, whose contents are replaced.
    pub fn pop_into(&mut self, to: &mut Vec<u8>) -> bool {
        if self.items == 0 {
            return false;
        }
        let mut length = [0; 4];
        for (to, from) in length.iter_mut().zip(self.bytes.drain(..4)) {
            *to = from;
        }
        to.clear();
        to.extend(self.bytes.drain(..u32::from_le_bytes(length) as usize));
        self.items -= 1;
        if self.items == 0 {
            self.bytes = VecDeque::new();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_back_in_order_and_whole() {
        let mut spill = Spill::default();
        let item = |n: usize| vec![n as u8; n % 300];
        let mut out = vec![];
        let mut next = 0;
        for n in 0..2000 {
            spill.push(&item(n));
            if n % 3 == 0 {
                assert!(spill.pop_into(&mut out));
                assert_eq!(out, item(next));
                next += 1;
            }
        }
        while spill.pop_into(&mut out) {
            assert_eq!(out, item(next));
            next += 1;
        }
        assert_eq!((next, spill.size(), spill.len()), (2000, 0, 0));
    }
}
