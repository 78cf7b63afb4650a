//! Threads of the engine and of the command, made by `pthread_create` itself: what the standard library sets up at the start of a thread (a
//! stack for its message about an overflow) ends the whole program if there is no memory for it. Here that is an error of whoever starts the
//! thread, or nothing.

use std::ffi::{CStr, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// What these threads need is little: they call the system, and what is large is on the heap.
const STACK: usize = 256 << 10;

type Body = Box<dyn FnOnce() + Send>;

/// A thread, which goes on by itself if this is dropped.
#[derive(Debug)]
pub struct Thread {
    id: libc::pthread_t,
    finished: Arc<AtomicBool>,
    joined: bool,
}

struct Start {
    name: &'static CStr,
    body: Body,
    finished: Arc<AtomicBool>,
}

impl Thread {
    /// Starts a thread that runs `body`. A panic in it ends the thread, and nobody is told but standard error.
    ///
    /// # Errors
    /// The system's.
    pub fn start(name: &'static CStr, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
        let finished = Arc::new(AtomicBool::new(false));
        let start = Box::into_raw(Box::new(Start { name, body: Box::new(body), finished: finished.clone() }));
        let created = create(STACK, start).or_else(|error| {
            // A program with large thread-local variables: they lie on the stack.
            if error == libc::EINVAL { create(0, start) } else { Err(error) }
        });
        match created {
            Ok(id) => Ok(Thread { id, finished, joined: false }),
            Err(error) => {
                // SAFETY: it comes from `into_raw`, and no thread was made that would take it.
                drop(unsafe { Box::from_raw(start) });
                Err(io::Error::from_raw_os_error(error))
            }
        }
    }

    /// Waits for its end. Not to be called by itself.
    pub fn join(mut self) {
        self.joined = true;
        // SAFETY: the thread was neither joined nor detached: only this and `drop` do it, once.
        unsafe { libc::pthread_join(self.id, ptr::null_mut()) };
    }

    /// Whether it has run all of its body.
    pub fn is_finished(&self) -> bool {
        self.finished.load(Acquire)
    }

    /// Whether it is the one that asks.
    pub fn is_current(&self) -> bool {
        // SAFETY: neither call touches memory, and the number is this thread's until it is joined or detached.
        unsafe { libc::pthread_equal(self.id, libc::pthread_self()) != 0 }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if !self.joined {
            // SAFETY: as in `join`.
            unsafe { libc::pthread_detach(self.id) };
        }
    }
}

/// With a stack of so many bytes; 0: as the system likes.
fn create(stack: usize, start: *mut Start) -> Result<libc::pthread_t, i32> {
    let checked = |error| if error == 0 { Ok(()) } else { Err(error) };
    let (mut attributes, mut id) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY:
    // - the attributes are initialized by the first call, used after it, and destroyed once;
    // - `main` has the type that is wanted, and takes what `start` points to only if the call succeeds.
    unsafe {
        checked(libc::pthread_attr_init(attributes.as_mut_ptr()))?;
        let sized = if stack == 0 { 0 } else { libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), stack) };
        let created = checked(sized)
            .and_then(|()| checked(libc::pthread_create(id.as_mut_ptr(), attributes.as_ptr(), main, start.cast())));
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        created?;
        Ok(id.assume_init())
    }
}

extern "C" fn main(start: *mut c_void) -> *mut c_void {
    // SAFETY: it is what `create` was given, a pointer from `into_raw`, and this thread is the only one that takes it.
    let Start { name, body, finished } = *unsafe { Box::from_raw(start.cast::<Start>()) };
    // SAFETY: the name ends with NUL; the kernel copies the first 15 bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(body)) {
        // Its drop might panic once more, and no panic may leave this function.
        std::mem::forget(payload);
    }
    finished.store(true, Release);
    ptr::null_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_thread_runs_under_its_name_and_can_be_waited_for() {
        let (say, said) = channel();
        let thread = Thread::start(c"millstone", move || {
            say.send(std::fs::read_to_string("/proc/thread-self/comm").unwrap()).unwrap();
        });
        let thread = thread.unwrap();
        assert!(!thread.is_current());
        assert_eq!(said.recv().unwrap(), "millstone\n");
        thread.join();
    }

    #[test]
    fn a_panic_ends_the_thread_only() {
        let thread = Thread::start(c"panics", || panic!("as it should")).unwrap();
        while !thread.is_finished() {
            std::thread::yield_now();
        }
        thread.join();
    }
}
