//! A case: a model in some size, and what must come of it.

use crate::explore::{Model, Report, explore};

pub struct Case {
    pub name: String,
    pub large: bool,
    /// The verdict, or how it begins; `None`: it holds.
    pub expected: Option<&'static str>,
    pub run: Box<dyn Fn() -> Report>,
}

fn case(name: String, large: bool, expected: Option<&'static str>, model: impl Model + 'static) -> Case {
    Case { name, large, expected, run: Box::new(move || explore(&model)) }
}

pub fn holds(name: &str, model: impl Model + 'static) -> Case {
    case(name.into(), false, None, model)
}

/// One that holds and takes long.
pub fn large(name: &str, model: impl Model + 'static) -> Case {
    case(name.into(), true, None, model)
}

/// A bug that must be found as what it is.
pub fn planted(of: &str, bug: impl std::fmt::Display, model: impl Model + 'static, expected: &'static str) -> Case {
    case(format!("{of}!{bug}"), false, Some(expected), model)
}
