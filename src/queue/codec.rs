//! How values become bytes: any `serde` type by `postcard`, plain data as it is.

use crate::ring::Payload;
use bytemuck::{AnyBitPattern, NoUninit};
use serde::{Serialize, de::DeserializeOwned};
use std::any::{Any, TypeId};

/// Turns values of `T` into bytes and back.
pub trait Codec<T>: 'static {
    /// Bytes that a slot should hold itself, for values of this type.
    const INLINE: usize;
    /// Bytes of every encoding, if all are of one length; else 0.
    const FIXED: usize;

    /// Hands the value's bytes to `then`.
    ///
    /// # Errors
    /// What the encoder says, if the value has no encoding.
    fn encode<R>(value: &T, then: impl FnOnce(&[u8]) -> R) -> Result<R, String>;

    /// Makes a value from bytes, which nobody has checked.
    ///
    /// # Errors
    /// What is wrong with them.
    fn decode(payload: Payload<'_>) -> Result<T, String>;

    /// The same from bytes in private memory.
    ///
    /// # Errors
    /// What is wrong with them.
    fn read(bytes: &[u8]) -> Result<T, String> {
        Self::decode(Payload::of(bytes))
    }

    /// Appends the value's bytes to `to`.
    ///
    /// # Errors
    /// What the encoder says; `to` then ends with a part of them.
    fn append(value: &T, to: &mut Vec<u8>) -> Result<(), String> {
        Self::encode(value, |bytes| to.extend_from_slice(bytes))
    }

    /// Appends the values of `bytes`, which lie one after the other, to `items`. Only for encodings of one length.
    ///
    /// # Errors
    /// What is wrong with the first that is no value; those before it have been appended.
    fn decode_all(bytes: &[u8], items: &mut Vec<T>) -> Result<(), String> {
        for one in bytes.chunks(Self::FIXED.max(1)) {
            items.push(Self::decode(Payload::of(one))?);
        }
        Ok(())
    }
}

/// Every type that `serde` knows, in `postcard`'s format; numbers, strings and vectors of bytes by themselves as they lie in memory.
#[derive(Clone, Copy, Debug)]
pub struct Postcard;

/// Hands a number's bytes to `then`; `None` if `T` is no type of number. Which it is, and how many bytes, is known when this is compiled.
#[inline(always)]
pub(crate) fn with_number<T: 'static, R>(value: &T, then: impl FnOnce(&[u8]) -> R) -> Option<R> {
    macro_rules! try_each {
        ($($N:ty)*) => { $(
            if let Some(number) = (value as &dyn Any).downcast_ref::<$N>() {
                return Some(then(&number.to_le_bytes()));
            }
        )* };
    }
    try_each!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64);
    None
}

/// Whether `T` is a type of number.
#[inline(always)]
pub(crate) fn is_number<T: 'static>() -> bool {
    macro_rules! any_of {
        ($($N:ty)*) => { false $(|| TypeId::of::<T>() == TypeId::of::<$N>())* };
    }
    any_of!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64)
}

/// The number that these bytes are, if `T` is a type of number; the error says how many there should be.
#[inline(always)]
fn number_from<T: 'static>(bytes: &[u8]) -> Option<Result<T, usize>> {
    macro_rules! try_each {
        ($($N:ty)*) => { $(
            if TypeId::of::<T>() == TypeId::of::<$N>() {
                let Ok(bytes) = bytes.try_into() else { return Some(Err(size_of::<$N>())) };
                let mut number = Some(<$N>::from_le_bytes(bytes));
                // The types are the same, so there is one.
                return (&mut number as &mut dyn Any).downcast_mut::<Option<T>>().and_then(Option::take).map(Ok);
            }
        )* };
    }
    try_each!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64);
    None
}

/// Appends the numbers that stand side by side in `bytes`, the last one first.
#[inline]
pub(crate) fn numbers_backwards<T: 'static>(bytes: &[u8], to: &mut Vec<T>) {
    to.extend(bytes.chunks_exact(size_of::<T>().max(1)).rev().filter_map(|one| number_from(one)?.ok()));
}

/// The bytes of a string or of a vector of bytes. Through `postcard` a vector's would go one by one.
#[inline(always)]
fn as_bytes<T: 'static>(value: &T) -> Option<&[u8]> {
    let value = value as &dyn Any;
    value.downcast_ref::<Vec<u8>>().map(Vec::as_slice).or_else(|| value.downcast_ref::<String>().map(String::as_bytes))
}

/// The string or the vector that has these bytes, which `bytes` makes if `T` is such a type; the error says what is wrong with them.
#[inline(always)]
fn from_bytes<T: 'static>(bytes: impl FnOnce() -> Vec<u8>) -> Option<Result<T, String>> {
    fn same<A: 'static, T: 'static>(value: A) -> Option<T> {
        (&mut Some(value) as &mut dyn Any).downcast_mut::<Option<T>>().and_then(Option::take)
    }
    if TypeId::of::<T>() == TypeId::of::<Vec<u8>>() {
        same(bytes()).map(Ok)
    } else if TypeId::of::<T>() == TypeId::of::<String>() {
        String::from_utf8(bytes()).map_err(|e| e.to_string()).map(same).transpose()
    } else {
        None
    }
}

/// Where `postcard` appends to a vector.
struct Append<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Append<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Bytes on the stack that spare most values an allocation.
const STACK: usize = 128;

impl<T: Serialize + DeserializeOwned + 'static> Codec<T> for Postcard {
    // Integers take up to a byte in seven more than in memory; strings and vectors go beyond their three words.
    const INLINE: usize = {
        let guess = size_of::<T>() + size_of::<T>() / 4 + 2;
        if guess < 40 {
            40
        } else if guess > 232 {
            232
        } else {
            guess
        }
    };

    const FIXED: usize = 0;

    #[inline]
    fn encode<R>(value: &T, then: impl FnOnce(&[u8]) -> R) -> Result<R, String> {
        if is_number::<T>() {
            return with_number(value, then).ok_or_else(|| "no number".into());
        }
        if let Some(bytes) = as_bytes(value) {
            return Ok(then(bytes));
        }
        let mut small = [0u8; STACK];
        match postcard::to_slice(value, &mut small) {
            Ok(bytes) => Ok(then(bytes)),
            Err(postcard::Error::SerializeBufferFull) => {
                let bytes = postcard::to_allocvec(value).map_err(|e| e.to_string())?;
                Ok(then(&bytes))
            }
            Err(e) => Err(e.to_string()),
        }
    }

    #[inline]
    fn read(bytes: &[u8]) -> Result<T, String> {
        match number_from(bytes) {
            Some(Ok(number)) => Ok(number),
            Some(Err(size)) => Err(format!("{} bytes, {size} expected", bytes.len())),
            None => from_bytes(|| bytes.to_vec()).unwrap_or_else(|| whole(bytes)),
        }
    }

    #[inline]
    fn append(value: &T, to: &mut Vec<u8>) -> Result<(), String> {
        if let Some(()) = with_number(value, |bytes| to.extend_from_slice(bytes)) {
            return Ok(());
        }
        if let Some(bytes) = as_bytes(value) {
            to.extend_from_slice(bytes);
            return Ok(());
        }
        postcard::serialize_with_flavor(value, Append(to)).map_err(|e| e.to_string())
    }

    #[inline]
    fn decode(payload: Payload<'_>) -> Result<T, String> {
        let all = || {
            let mut bytes = Vec::new();
            payload.append_to(&mut bytes);
            bytes
        };
        if let Some(value) = from_bytes(all) {
            value
        } else if payload.len() <= STACK {
            let mut small = [0u8; STACK];
            payload.copy_to(&mut small);
            Self::read(&small[..payload.len()])
        } else {
            Self::read(&all())
        }
    }
}

fn whole<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes are left over", rest.len())),
        Err(e) => Err(e.to_string()),
    }
}

/// Plain data, copied as it lies in memory: no encoding at all. For types without padding, pointers and forbidden values.
#[derive(Clone, Copy, Debug)]
pub struct Pod;

impl<T: NoUninit + AnyBitPattern> Codec<T> for Pod {
    const INLINE: usize = size_of::<T>();
    const FIXED: usize = size_of::<T>();

    #[inline]
    fn encode<R>(value: &T, then: impl FnOnce(&[u8]) -> R) -> Result<R, String> {
        Ok(then(bytemuck::bytes_of(value)))
    }

    #[inline]
    fn decode(payload: Payload<'_>) -> Result<T, String> {
        if payload.len() != size_of::<T>() {
            return Err(format!("{} bytes, {} expected", payload.len(), size_of::<T>()));
        }
        let mut value: T = bytemuck::Zeroable::zeroed();
        payload.copy_to(bytemuck::bytes_of_mut(&mut value));
        Ok(value)
    }

    #[inline]
    fn decode_all(bytes: &[u8], items: &mut Vec<T>) -> Result<(), String> {
        let size = size_of::<T>().max(1);
        if !bytes.len().is_multiple_of(size) {
            return Err(format!("{} bytes are no whole number of items of {size}", bytes.len()));
        }
        let before = items.len();
        items.resize(before + bytes.len() / size, bytemuck::Zeroable::zeroed());
        bytemuck::cast_slice_mut(&mut items[before..]).copy_from_slice(bytes);
        Ok(())
    }
}

/// A hash of codec and type by name (FNV-1a, 64 bits), the same in every run of one program: who opens a channel with other types is refused.
pub fn type_hash<T, C>() -> u64 {
    [std::any::type_name::<C>(), "/", std::any::type_name::<T>()]
        .iter()
        .flat_map(|s| s.bytes())
        .fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_bytes_go_as_they_are() {
        for length in [0, 1, STACK, STACK + 1, 100_000] {
            let text = "x".repeat(length);
            let bytes = text.clone().into_bytes();
            // No copy is made on the way.
            let place = Postcard::encode(&bytes, |out| (out.as_ptr(), out.len()));
            assert_eq!(place, Ok((bytes.as_ptr(), length)));
            let place = Postcard::encode(&text, |out| (out.as_ptr(), out.len()));
            assert_eq!(place, Ok((text.as_ptr(), length)));
            let mut all = vec![7];
            Postcard::append(&text, &mut all).unwrap();
            Postcard::append(&bytes, &mut all).unwrap();
            assert_eq!((all.len(), all[0]), (1 + 2 * length, 7));
            assert_eq!(Postcard::decode(Payload::of(&bytes)), Ok(bytes.clone()));
            assert_eq!(Postcard::decode(Payload::of(&bytes)), Ok(text));
            assert_eq!(Postcard::read(&bytes), Ok(bytes.clone()));
        }
        // Within other values they are postcard's.
        let pair = (vec![1u8, 2], "a".to_owned());
        assert_eq!(Postcard::encode(&pair, <[u8]>::to_vec), Ok(vec![2, 1, 2, 1, b'a']));
    }

    #[test]
    fn a_string_is_utf_8_or_an_error() {
        let wrong = <Postcard as Codec<String>>::decode(Payload::of(b"ab\xff"));
        assert_eq!(wrong, Err("invalid utf-8 sequence of 1 bytes from index 2".into()));
        assert_eq!(<Postcard as Codec<Vec<u8>>>::read(b"ab\xff"), Ok(b"ab\xff".to_vec()));
    }
}
