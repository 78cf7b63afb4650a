//! A case: a model in some size, and what must come of it.

use std::sync::Arc;
use std::time::Duration;

use crate::explore::{Model, Report, explore};
use crate::walk::walk;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// CI runs it.
    Small,
    Large,
    /// Too large to be explored: for walks alone.
    Walk,
}

pub struct Case {
    pub name: String,
    pub size: Size,
    /// The verdict, or how it begins; `None`: it holds.
    pub expected: Option<&'static str>,
    pub run: Box<dyn Fn() -> Report + Send + Sync>,
    /// Walks at random from a seed, for so long.
    pub walk: Box<dyn Fn(u64, Duration) -> Report + Send + Sync>,
}

fn case(name: String, size: Size, expected: Option<&'static str>, model: impl Model + Send + Sync + 'static) -> Case {
    let model = Arc::new(model);
    let same = model.clone();
    let (run, walk) = (Box::new(move || explore(&*model)), Box::new(move |seed, time| walk(&*same, seed, time)));
    Case { name, size, expected, run, walk }
}

pub fn holds(name: &str, model: impl Model + Send + Sync + 'static) -> Case {
    case(name.into(), Size::Small, None, model)
}

/// One that holds and takes long.
pub fn large(name: &str, model: impl Model + Send + Sync + 'static) -> Case {
    case(name.into(), Size::Large, None, model)
}

/// One that is too large.
pub fn walks(name: &str, model: impl Model + Send + Sync + 'static) -> Case {
    case(name.into(), Size::Walk, None, model)
}

/// A bug that must be found as what it is.
pub fn planted(
    of: &str,
    bug: impl std::fmt::Display,
    model: impl Model + Send + Sync + 'static,
    expected: &'static str,
) -> Case {
    case(format!("{of}!{bug}"), Size::Small, Some(expected), model)
}
