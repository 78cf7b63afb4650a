//! Queues between processes, after Python's `multiprocessing`: [`Queue`] and [`JoinableQueue`].
//!
//! Used by [`process`](crate::process), which makes them, and by programs. Uses ring.
//!
//! | Python | here | differs |
//! |---|---|---|
//! | `put(x)`, `put(x, timeout=t)`, `put_nowait(x)` | `put`, `put_timeout`, `try_put` | the error gives `x` back |
//! | `get()`, `get(timeout=t)`, `get_nowait()` | `get`, `get_timeout`, `try_get` | a `JoinableQueue` gives a [`Job`], which knows its slot |
//! | – | `put_many`, `get_many` | one lock for up to 64 items |
//! | `task_done()`, `join()` | [`Job::task_done`], `join` | `join_timeout` says what is unfinished and who has it; a `Job` dropped without `task_done` is put back |
//! | `qsize`, `empty`, `full` | the same | `qsize` looks at every slot |
//! | `close` | `close` | takers get what is left, then `Closed` |

mod attached;
pub mod codec;
mod core;
mod error;
mod joinable;
mod plain;
mod spill;

pub(crate) use attached::{Attached, Handle, arrive, pass};
pub use error::{GetError, Holding, JoinError, PutError, PutManyError, Unfinished};
pub use joinable::{Job, Jobs, JoinableQueue, PodJoinableQueue};
pub use plain::{PodQueue, Queue};
