//! How values become bytes: any `serde` type by `postcard`, plain data as it is.

use crate::ring::Payload;
use bytemuck::{AnyBitPattern, NoUninit};
use serde::{Serialize, de::DeserializeOwned};

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

/// Every type that `serde` knows, in `postcard`'s format.
#[derive(Clone, Copy, Debug)]
pub struct Postcard;

/// Bytes on the stack that spare most values an allocation.
const STACK: usize = 128;

impl<T: Serialize + DeserializeOwned> Codec<T> for Postcard {
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
    fn decode(payload: Payload<'_>) -> Result<T, String> {
        if payload.len() <= STACK {
            let mut small = [0u8; STACK];
            payload.copy_to(&mut small);
            whole(&small[..payload.len()])
        } else {
            let mut bytes = Vec::new();
            payload.append_to(&mut bytes);
            whole(&bytes)
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
