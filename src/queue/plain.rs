//! A queue without counting: items go in, items come out, each to one taker.

use super::codec::{Codec, Pod, Postcard, type_hash};
use super::core::{Core, Patience};
use super::error::{GetError, PutError, PutManyError};
use crate::ring::channel::MAX_BATCH;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A bounded queue between processes, first in, first out; each item goes to one taker.
///
/// An item whose taker dies while it copies it goes to another. When the parent waits, in any queue of the same `Mill`, for a slot, an item or
/// the end of jobs, it moves items of Queues that run full into its own memory, so that "put everything, join, then read the results" does
/// not block; it does so only for Queues from which no worker takes. A clone is the same queue.
pub struct Queue<T, C = Postcard> {
    pub(super) core: Arc<Core>,
    types: PhantomData<fn(T) -> (T, C)>,
}

/// A [`Queue`] of plain data, copied without encoding.
pub type PodQueue<T> = Queue<T, Pod>;

impl<T, C> Clone for Queue<T, C> {
    fn clone(&self) -> Self {
        Queue { core: self.core.clone(), types: PhantomData }
    }
}

impl<T, C: Codec<T>> Queue<T, C> {
    /// Puts an item, waiting for a slot as long as it takes.
    ///
    /// # Errors
    /// [`PutError`], with the item.
    #[inline]
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        self.core.put::<T, C>(item, Patience::FOREVER)
    }

    /// Puts an item, waiting for a slot until the timeout.
    ///
    /// # Errors
    /// [`PutError`], with the item.
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), PutError<T>> {
        self.core.put::<T, C>(item, Patience::for_(timeout))
    }

    /// Puts an item if there is a free slot.
    ///
    /// # Errors
    /// [`PutError`], with the item.
    pub fn try_put(&self, item: T) -> Result<(), PutError<T>> {
        self.core.put::<T, C>(item, Patience::Now)
    }

    /// Puts all items, up to 64 to a slot and several slots in one section; returns how many. Waits for slots as long as it takes. One process
    /// takes all of a slot.
    ///
    /// # Errors
    /// [`PutManyError`], with the item at which it stopped; pass the iterator by reference to keep those after it.
    pub fn put_many(&self, items: impl IntoIterator<Item = T>) -> Result<usize, PutManyError<T>> {
        self.core.put_many::<T, C>(items)
    }

    fn get_within(&self, patience: Patience) -> Result<T, GetError> {
        Ok(self.core.get::<T, C>(patience)?.0)
    }

    /// Takes an item, waiting as long as it takes.
    ///
    /// # Errors
    /// [`GetError`].
    #[inline]
    pub fn get(&self) -> Result<T, GetError> {
        self.get_within(Patience::FOREVER)
    }

    /// Takes an item, waiting until the timeout.
    ///
    /// # Errors
    /// [`GetError`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        self.get_within(Patience::for_(timeout))
    }

    /// Takes an item if there is one.
    ///
    /// # Errors
    /// [`GetError`].
    pub fn try_get(&self) -> Result<T, GetError> {
        self.get_within(Patience::Now)
    }

    /// Takes up to `most` items, waiting for the first as long as it takes.
    ///
    /// # Errors
    /// [`GetError`]. Items taken before one that cannot be decoded are lost with it.
    pub fn get_many(&self, most: usize) -> Result<Vec<T>, GetError> {
        let mut items = Vec::with_capacity(most.min(MAX_BATCH as usize));
        self.core.get_many::<T, C>(most, Patience::FOREVER, &mut items, |_| ())?;
        Ok(items)
    }

    /// Takes all items that are there, without waiting.
    ///
    /// # Errors
    /// [`GetError`], but not [`GetError::Empty`] or [`GetError::Closed`].
    pub fn drain(&self) -> Result<Vec<T>, GetError> {
        let mut items = vec![];
        match self.core.get_many::<T, C>(usize::MAX, Patience::Now, &mut items, |_| ()) {
            Ok(()) | Err(GetError::Empty | GetError::Closed) => Ok(items),
            Err(e) => Err(e),
        }
    }

    /// Ends puts: they fail from now on, and so do gets when nothing is left.
    pub fn close(&self) {
        self.core.close();
    }

    /// How many items nobody has taken. Looks at every slot; true for a moment only.
    pub fn qsize(&self) -> usize {
        self.core.len()
    }

    /// Whether nobody could take anything now.
    pub fn empty(&self) -> bool {
        self.qsize() == 0
    }

    /// Whether a put would wait now.
    pub fn full(&self) -> bool {
        self.core.full()
    }

    /// How many items there is room for in the region.
    pub fn capacity(&self) -> usize {
        self.core.channel.capacity() as usize
    }
}

impl<T, C: Codec<T>> super::attached::Handle for Queue<T, C> {
    const KIND: crate::ring::Kind = crate::ring::Kind::Queue;
    const INLINE: usize = C::INLINE;

    fn hash() -> u64 {
        type_hash::<T, C>()
    }

    fn core(&self) -> &Arc<Core> {
        &self.core
    }

    fn over(core: Arc<Core>) -> Self {
        Queue { core, types: PhantomData }
    }
}

impl<T, C: Codec<T>> serde::Serialize for Queue<T, C> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        super::attached::serialize(self, to)
    }
}

impl<'de, T, C: Codec<T>> serde::Deserialize<'de> for Queue<T, C> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        super::attached::deserialize(from)
    }
}
