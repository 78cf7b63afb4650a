//! Places for connections. There are so many, and who takes one and asks for nothing does not keep it from those who do.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All of them.
#[derive(Default)]
pub struct Places(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    /// From the oldest to the newest.
    by: Vec<By>,
    /// How many there were.
    count: u64,
}

struct By {
    number: u64,
    stream: Arc<TcpStream>,
    /// Its request has come, all of it.
    asked: bool,
}

/// One of them. Dropped, it is free.
pub struct Place {
    all: Arc<Places>,
    number: u64,
}

impl Places {
    /// One for a connection. If so many are taken, the oldest connection that has asked for nothing yet is shut for it; `None` if all have asked.
    pub fn take(self: &Arc<Self>, stream: &Arc<TcpStream>, most: usize) -> Option<Place> {
        let mut taken = self.taken();
        if taken.by.len() >= most {
            let oldest = taken.by.iter().position(|by| !by.asked)?;
            // Its thread reads the end of the request, and ends. It may have ended by itself.
            let _ = taken.by.remove(oldest).stream.shutdown(Shutdown::Both);
        }
        taken.count += 1;
        let number = taken.count;
        taken.by.push(By { number, stream: Arc::clone(stream), asked: false });
        Some(Place { all: Arc::clone(self), number })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The request has come: it is kept until it is answered.
    pub fn has_asked(&self) {
        if let Some(by) = self.all.taken().by.iter_mut().find(|by| by.number == self.number) {
            by.asked = true;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.taken().by.retain(|by| by.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpListener};

    #[test]
    fn the_oldest_who_has_not_asked_makes_room_and_who_has_asked_stays() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || (TcpStream::connect(address).unwrap(), Arc::new(listener.accept().unwrap().0));
        let places = Arc::new(Places::default());
        let ((_a, one), (mut b, two), (_c, three), (_d, four)) = (connect(), connect(), connect(), connect());
        let first = places.take(&one, 2).unwrap();
        first.has_asked();
        let second = places.take(&two, 2).unwrap();
        let third = places.take(&three, 2).unwrap();
        assert_eq!(b.read(&mut [0]).unwrap(), 0, "it was shut");
        drop(second);
        third.has_asked();
        assert!(places.take(&four, 2).is_none(), "all have asked");
        drop(first);
        assert!(places.take(&four, 2).is_some());
    }
}
