//! The list of all experiments. Another one is a file with its `impl Experiment`, and a line here.

mod batch;
mod crime;
mod death;
mod fairness;
mod hold;
mod ladder;
mod locks;
mod lost;
mod nothing;
mod pipe;
mod scale;
mod sharing;
mod threads;
mod waking;

use super::experiment::Experiment;
use crate::Task;
use crate::bench::contender::Result;

/// All, in the order in which they are best seen.
pub fn all() -> &'static [&'static dyn Experiment] {
    &[
        &lost::Lost,
        &hold::Hold,
        &locks::Locks,
        &batch::Batch,
        &sharing::Sharing,
        &nothing::Nothing,
        &threads::Threads,
        &pipe::Pipe,
        &waking::Waking,
        &fairness::Fairness,
        &scale::Scale,
        &death::Death,
        &ladder::Ladder,
        &crime::Crime,
    ]
}

/// What processes must know that are this program, executed again.
pub fn registry() -> Vec<Task> {
    ladder::registry()
}

/// The one of that name.
///
/// # Errors
/// If there is none: with the names that are near, and all of them.
pub fn named(name: &str) -> Result<&'static dyn Experiment> {
    if let Some(experiment) = all().iter().find(|experiment| experiment.about().name == name) {
        return Ok(*experiment);
    }
    let names: Vec<&str> = all().iter().map(|experiment| experiment.about().name).collect();
    let near = names
        .iter()
        .map(|known| (strsim::jaro_winkler(known, &name.to_lowercase()), *known))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let meant = near.filter(|near| near.0 > 0.75).map_or(String::new(), |near| format!("; did you mean '{}'?", near.1));
    Err(format!("there is no experiment '{name}'{meant}; there are {}", names.join(", ")).into())
}
