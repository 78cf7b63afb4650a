//! How a pool's jobs and outcomes share a payload: one record after the other, in the order of the bundle's jobs.
//!
//! | first byte | then | meaning |
//! |---|---|---|
//! | 0 to 239 | so many bytes | a job, or the value that it gave |
//! | 240 + kind | 4 bytes of length, so many bytes | an outcome of that [`Kind`]; a job or a value of more than 239 bytes has kind 1 |
//! | 254 | width: 1 byte, count: 2 bytes, then count × width bytes | so many jobs, or values that they gave, of so many bytes each |
//! | 255 | block, length: 4 bytes each | an outcome's record stands in that block of the results' arena |
//!
//! Numbers are little-endian.

pub use crate::layout::OutcomeKind as Kind;

/// The longest value with a head of one byte.
pub const SHORT: usize = 239;
/// First byte of a record that has its length in four more.
pub const LONG: u8 = 240;
/// First byte of an array.
pub const ARRAY: u8 = 254;
/// Bytes of an array before its values.
pub const ARRAY_HEAD: usize = 4;
/// First byte of a reference.
pub const REFERENCE: u8 = 255;
/// Bytes of a reference: what every outcome finds room for, wherever its bytes are.
pub const REFERENCE_BYTES: usize = 9;

/// The bytes before a record's own, and how many of them count.
#[inline(always)]
pub fn head(kind: Kind, length: usize) -> ([u8; 5], usize) {
    if kind == Kind::Value && length <= SHORT {
        return ([length as u8, 0, 0, 0, 0], 1);
    }
    let [a, b, c, d] = (length as u32).to_le_bytes();
    ([LONG + kind as u8, a, b, c, d], 5)
}

/// Appends a record.
#[inline]
pub fn push(to: &mut Vec<u8>, kind: Kind, bytes: &[u8]) {
    let (head, n) = head(kind, bytes.len());
    to.extend_from_slice(&head[..n]);
    to.extend_from_slice(bytes);
}

/// Appends the record of a job or value whose bytes `append` appends; nothing if that fails.
///
/// # Errors
/// What `append` says.
#[inline]
pub fn push_with<E>(to: &mut Vec<u8>, append: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    let start = to.len();
    to.push(0);
    if let Err(why) = append(to) {
        to.truncate(start);
        return Err(why);
    }
    let length = to.len() - start - 1;
    if length <= SHORT {
        to[start] = length as u8;
    } else {
        let (head, n) = head(Kind::Value, length);
        to.splice(start..=start, head[..n].iter().copied());
    }
    Ok(())
}

/// Bytes of the record of a job or value of `length` bytes.
#[inline]
pub const fn size(length: usize) -> usize {
    length + if length <= SHORT { 1 } else { 5 }
}

/// A reference to a record of `length` bytes in a block.
pub fn reference(block: u32, length: u32) -> [u8; REFERENCE_BYTES] {
    let mut bytes = [REFERENCE; REFERENCE_BYTES];
    bytes[1..5].copy_from_slice(&block.to_le_bytes());
    bytes[5..].copy_from_slice(&length.to_le_bytes());
    bytes
}

/// The bytes before the values of an array.
#[inline]
pub fn array(width: u8, count: u16) -> [u8; ARRAY_HEAD] {
    let [a, b] = count.to_le_bytes();
    [ARRAY, width, a, b]
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A job or an outcome.
    Here(Kind, &'a [u8]),
    /// Several jobs, or several values, each of so many bytes.
    Array(usize, &'a [u8]),
    /// Its bytes stand elsewhere.
    In {
        /// The block.
        block: u32,
        /// Bytes of the record there.
        length: u32,
    },
}

/// The bytes of the record at `at` if it is a short value, as nearly all are: its end is theirs.
#[inline(always)] // `read` makes a Record, in memory, of what fits registers
pub fn short(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(*bytes.get(at)?);
    if length > SHORT { None } else { bytes.get(at + 1..at + 1 + length) }
}

/// Reads the record at `at`, in private memory; and where the next one starts. `None` if what is there is no record.
#[inline]
pub fn read(bytes: &[u8], at: usize) -> Option<(Record<'_>, usize)> {
    let first = *bytes.get(at)?;
    let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (kind, from, length) = match first {
        0..=239 => (Kind::Value, at + 1, usize::from(first)),
        REFERENCE => {
            return Some((Record::In { block: number(at + 1)?, length: number(at + 5)? }, at + REFERENCE_BYTES));
        }
        ARRAY => {
            let head = bytes.get(at..at + ARRAY_HEAD)?;
            let (width, count) = (usize::from(head[1]), usize::from(u16::from_le_bytes([head[2], head[3]])));
            let from = at + ARRAY_HEAD;
            let values = bytes.get(from..from + width * count).filter(|values| !values.is_empty())?;
            return Some((Record::Array(width, values), from + values.len()));
        }
        LONG.. => (Kind::of(u32::from(first - LONG))?, at + 5, number(at + 1)? as usize),
    };
    let end = from.checked_add(length)?;
    Some((Record::Here(kind, bytes.get(from..end)?), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_order() {
        let mut bytes = vec![];
        let long = vec![7u8; 100_000];
        for length in [0, 1, 239, 240, 100_000] {
            push(&mut bytes, Kind::Value, &long[..length]);
        }
        push(&mut bytes, Kind::Panicked, b"why");
        bytes.extend_from_slice(&reference(3, 9));
        bytes.extend_from_slice(&array(2, 300));
        bytes.extend_from_slice(&long[..600]);
        let mut at = 0;
        for length in [0, 1, 239, 240, 100_000] {
            let (record, next) = read(&bytes, at).unwrap();
            assert_eq!(record, Record::Here(Kind::Value, &long[..length]));
            assert_eq!(next - at, size(length));
            at = next;
        }
        let (record, at) = read(&bytes, at).unwrap();
        assert_eq!(record, Record::Here(Kind::Panicked, b"why"));
        let next = at + REFERENCE_BYTES;
        assert_eq!(read(&bytes, at), Some((Record::In { block: 3, length: 9 }, next)));
        assert_eq!(read(&bytes, next), Some((Record::Array(2, &long[..600]), bytes.len())));
        assert_eq!(read(&bytes, bytes.len()), None);
    }

    #[test]
    fn bytes_that_are_no_record_are_refused() {
        let arrays = [&[254u8, 2, 1, 0, 7][..], &[254, 0, 9, 0], &[254, 1, 0, 0], &[254, 1, 1]];
        for bad in arrays.into_iter().chain([
            &[5u8, 1][..],
            &[240, 0, 0, 0, 0],
            &[241, 255, 255, 255, 255, 1],
            &[251, 0, 0, 0, 0],
            &[255, 1],
            &[241],
        ]) {
            assert_eq!(read(bad, 0), None, "{bad:?}");
        }
    }
}
