//! What is fuzzed stands with the tests, which run it with the inputs that were kept.
#![allow(dead_code)] // Of the shared files, the tests use more.

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/attach/left.rs"]
mod left;
#[path = "../../tests/corpus/targets/mod.rs"]
pub mod targets;
#[path = "../../tests/attach/uses.rs"]
mod uses;
