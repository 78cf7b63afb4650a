//! All locks that are compared, by the names that they have here.

use super::textbook::{SleepsAtOnce, TestAndSet};
use crate::lock::{Kind, RawLock, Visitor};

/// The engine's lock looks for a while before it sleeps.
pub const ADAPTIVE: &str = "adaptive";

/// How a kind is called here.
fn shown(kind: Kind) -> &'static str {
    if kind == Kind::Futex { ADAPTIVE } else { kind.name() }
}

/// All names, the textbook's first.
pub fn names() -> Vec<&'static str> {
    [TestAndSet::NAME, SleepsAtOnce::NAME].into_iter().chain(Kind::ALL.iter().copied().map(shown)).collect()
}

/// Does something with the lock of that name.
pub fn with_lock<V: Visitor>(name: &str, visitor: V) -> V::Out {
    match Kind::ALL.iter().find(|kind| shown(**kind) == name) {
        Some(kind) => kind.visit(visitor),
        None if name == SleepsAtOnce::NAME => visitor.visit::<SleepsAtOnce>(),
        None => visitor.visit::<TestAndSet>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NameOf;
    impl Visitor for NameOf {
        type Out = &'static str;
        fn visit<L: RawLock>(self) -> &'static str {
            L::NAME
        }
    }

    #[test]
    fn each_name_is_the_lock_that_it_names() {
        let said = |name| with_lock(name, NameOf);
        assert_eq!(said(ADAPTIVE), Kind::Futex.name());
        assert!(names().into_iter().filter(|name| *name != ADAPTIVE).all(|name| said(name) == name));
        assert!(names().contains(&ADAPTIVE) && names().contains(&SleepsAtOnce::NAME));
    }
}
