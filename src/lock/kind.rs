//! The list of all lock kinds. Another kind is one file with its `impl RawLock`, and one line here.
//!
//! Tests make a module for each kind from the list; a program that compares them can choose one by its name.

use super::*;

/// Calls the macro `$then` with a line for each kind: variant, identifier, type.
///
/// For this package's own tests and benches: the features that choose the kinds are looked up where the macro is used.
#[doc(hidden)]
#[macro_export]
macro_rules! lock_kinds {
    ($then:ident) => {
        $then! {
            Futex futex FutexLock,
            Spin spin SpinLock,
            Ticket ticket TicketLock,
            Pthread pthread PthreadLock,
            PthreadRobust pthread_robust PthreadRobustLock,
            #[cfg(feature = "raw_sync")]
            RawSync raw_sync RawSyncLock,
        }
    };
}

/// Something to be done with a lock kind that is chosen while the program runs.
pub trait Visitor {
    /// What comes of it.
    type Out;
    /// Does it with the kind `L`.
    fn visit<L: RawLock>(self) -> Self::Out;
}

macro_rules! enumerate {
    ($($(#[$on:meta])? $variant:ident $name:ident $lock:ident,)*) => {
        /// A lock kind, by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $($(#[$on])? #[doc = concat!("[`", stringify!($lock), "`]")] $variant,)*
        }

        impl Kind {
            /// Every kind that this build has, the engine's first.
            pub const ALL: &[Kind] = &[$($(#[$on])? Kind::$variant,)*];

            /// The kind's name.
            pub fn name(self) -> &'static str {
                match self { $($(#[$on])? Kind::$variant => <$lock as RawLock>::NAME,)* }
            }

            /// Does what `visitor` does, with this kind's type.
            pub fn visit<V: Visitor>(self, visitor: V) -> V::Out {
                match self { $($(#[$on])? Kind::$variant => visitor.visit::<$lock>(),)* }
            }
        }
    };
}
lock_kinds!(enumerate);

impl Kind {
    /// The kind of that name, if this build has it.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_found_by_its_own_name_and_leads_to_its_own_type() {
        struct NameOf;
        impl Visitor for NameOf {
            type Out = &'static str;
            fn visit<L: RawLock>(self) -> &'static str {
                L::NAME
            }
        }
        for &kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind), "two kinds are called {}", kind.name());
            assert_eq!(kind.visit(NameOf), kind.name());
        }
        assert_eq!(Kind::from_name("no such lock"), None);
    }
}
