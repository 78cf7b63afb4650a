//! Questions for a class, in Markdown, and the key to them, of what this machine has measured.

use super::experiment::{Experiment, Question, Step};
use super::findings::{Findings, Verdict};
use super::record::Record;
use std::fmt::Write;

/// The questions.
pub fn sheet(experiments: &[&dyn Experiment]) -> String {
    let mut out = "# What a lock costs: worksheet\n\nName: ______________________  Machine, CPUs: ______________________\n\n\
                   Predict first, in ink. Then run it, and explain what you saw.\n"
        .to_owned();
    for (n, experiment) in experiments.iter().enumerate() {
        out += &questions(n + 1, *experiment);
    }
    out
}

fn questions(number: usize, experiment: &dyn Experiment) -> String {
    let about = experiment.about();
    let mut out =
        format!("\n## {number}. {}\n\nTo be tried: {}\n\nMeasured: {}.\n", about.title, about.hypothesis, about.metric);
    if about.cores > 1 {
        let _ = writeln!(out, "\nIt needs at least {} CPUs.", about.cores);
    }
    let _ = writeln!(out, "\n**a) Predict.** {}", says(&experiment.question()));
    out += &code(experiment.read_first());
    match experiment.question() {
        Question::Draw { axes, at, .. } => out += &table(axes, at, |_| " ".to_owned()),
        Question::Choose { of, .. } => {
            out.push('\n');
            of.iter().for_each(|choice| out += &format!("- [ ] {choice}\n"));
        }
    }
    let _ = write!(out, "\n**b) Run it.** `gristmill lab run {}`. What did you find?\n\n{LINE}", about.name);
    let _ = write!(out, "\n**c) Explain.** Why? Where were you wrong, and what had you not thought of?\n\n{LINE}{LINE}");
    if experiment.read_first().is_empty() {
        let _ = write!(out, "\n**d) The code.** Which lines make the difference?\n");
        out += &code(experiment.steps());
    } else {
        // The rest is the repair, which the class is to find.
        let _ = write!(out, "\n**d) The code.** Which line of each is at fault, and how would you repair it?\n\n{LINE}{LINE}");
    }
    out
}

fn code(steps: &[Step]) -> String {
    steps.iter().map(|step| format!("\n{}:\n\n```rust\n{}\n```\n", step.says, step.code)).collect()
}

const LINE: &str = "______________________________________________________________________\n\n";

/// The head of the key.
pub fn answers(cores: usize) -> String {
    format!(
        "# What a lock costs: answers\n\nMeasured on this machine, with {cores} CPUs. Other machines give other numbers; the shapes should be the same.\n"
    )
}

/// The key to one experiment's questions.
pub fn answer(number: usize, experiment: &dyn Experiment, record: &Record) -> String {
    let (about, found) = (experiment.about(), &record.findings);
    let mut out = format!("\n## {number}. {}\n", about.title);
    for why in &record.noise {
        let _ = writeln!(out, "\nNoisy machine: {why}.");
    }
    let _ = writeln!(out, "\n**a)** {}", says(&experiment.question()));
    out += &right(&experiment.question(), found);
    let _ = writeln!(out, "\n**b)** With {}:\n", record.knobs.join(" "));
    for number in &found.numbers {
        let _ = writeln!(out, "- {}: {}", number.name, format!("{:.3} {}", number.value, number.unit).trim_end());
    }
    let doubt = found.doubt().map_or(String::new(), |doubt| doubt + "\n\n");
    let _ = writeln!(out, "\n**c)** {doubt}{}\n\nExpected: {}. Source: {}.\n", found.saw, about.shape, about.source);
    for check in &found.checks {
        let verdict = match check.verdict {
            Verdict::Holds => "as expected".to_owned(),
            Verdict::Fails | Verdict::Wrong => format!("NOT as expected here, perhaps because {}", check.cause),
            Verdict::NotHere => format!("not to be seen here: {}", check.cause),
        };
        let _ = writeln!(out, "- {}: {} ({verdict})", check.says, check.found);
    }
    let read = experiment.read_first();
    if read.is_empty() {
        let steps: Vec<&str> = experiment.steps().iter().map(|step| step.says).collect();
        let _ = writeln!(out, "\n**d)** From step to step: {}.", steps.join("; "));
    } else {
        let repaired = experiment.steps().iter().copied().filter(|step| read.iter().all(|other| other.code != step.code));
        let _ = write!(out, "\n**d)** Repaired:\n{}", code(&repaired.collect::<Vec<_>>()));
    }
    out
}

fn right(question: &Question, found: &Findings) -> String {
    match question {
        Question::Draw { series, axes, at, .. } => {
            let line = found.charts.first().and_then(|chart| chart.series.iter().find(|one| one.name == *series));
            table(*axes, at, |x| line.and_then(|line| line.at(x)).map_or("not measured".to_owned(), |y| format!("{y:.2}")))
        }
        Question::Choose { of, .. } => match found.answer.and_then(|right| of.get(right)) {
            Some(right) if found.doubt().is_some() => format!("\nBy this run, with doubt: {right}\n"),
            Some(right) => format!("\nRight: {right}\n"),
            None => "\nRight: none of them, on this machine.\n".to_owned(),
        },
    }
}

fn says(question: &Question) -> &'static str {
    match question {
        Question::Draw { says, .. } | Question::Choose { says, .. } => says,
    }
}

/// A column for each place, after one that says what is in the lines.
fn table(axes: [&str; 2], at: &[f64], value: impl Fn(f64) -> String) -> String {
    let line = |head: &str, cell: &dyn Fn(f64) -> String| {
        at.iter().fold(format!("| {head} |"), |line, &x| line + &format!(" {} |", cell(x))) + "\n"
    };
    let [along, up] = axes;
    format!("\n{}{}{}", line(along, &|x| x.to_string()), line("---", &|_| "---".to_owned()), line(up, &value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::experiments;
    use crate::lab::findings::{Axis, Chart, Check, Number, Series};
    use crate::lab::record::SCHEMA;

    fn record(findings: Findings) -> Record {
        let (experiment, knobs) = ("x".into(), vec!["workers=2".into()]);
        Record { schema: SCHEMA, experiment, knobs, seconds: 3, seed: 1, cores: 2, noise: vec!["a dog barks".into()], findings }
    }

    #[test]
    fn the_sheet_asks_of_each_experiment_and_gives_no_answer_away() {
        let all = experiments::all();
        let sheet = sheet(all);
        for (n, experiment) in all.iter().enumerate() {
            let about = experiment.about();
            assert!(sheet.contains(&format!("\n## {}. {}\n", n + 1, about.title)), "{}", about.name);
            assert!(
                sheet.contains(says(&experiment.question())) && sheet.contains(&format!("`gristmill lab run {}`", about.name))
            );
            assert!(!sheet.contains(about.shape), "the shape of {} is the answer", about.name);
        }
        assert!(
            sheet.contains("\n| per cent of a job with the lock held | 0 | 20 | 40 | 60 | 80 | 100 |\n| --- | --- |"),
            "what is to be drawn has a cell for each place"
        );
    }

    #[test]
    fn the_key_has_what_was_measured_at_each_place_and_says_what_was_not_as_expected() {
        let hold = experiments::named("hold").unwrap();
        let series = vec![Series::measured("measured", [(0.0, vec![1.97]), (20.0, vec![1.9])])];
        let chart = Chart { title: "t".into(), x: Axis::linear("x"), y: Axis::linear("y"), series, names: vec![] };
        let checks = vec![Check::new("slower", false, "1.1 times".into(), "a busy machine")];
        let numbers = vec![Number::new("speed-up", 1.5, "×")];
        let key = answer(
            2,
            hold,
            &record(Findings { charts: vec![chart], checks, numbers, saw: "Seen.".into(), ..Findings::default() }),
        );
        for part in [
            "\n| times as fast as one worker | 1.97 | 1.90 | not measured |",
            "With workers=2:\n\n- speed-up: 1.500 ×\n",
            "Seen.",
            "- slower: 1.1 times (NOT as expected here, perhaps because a busy machine)",
            "Noisy machine: a dog barks.",
        ] {
            assert!(key.contains(part), "{part}: {key}");
        }
    }

    #[test]
    fn code_to_be_read_first_is_in_the_sheet_and_its_repair_in_the_key_alone() {
        let crime = experiments::named("crime").unwrap();
        let (sheet, key) = (sheet(&[crime]), answer(1, crime, &record(Findings::default())));
        for step in crime.steps() {
            let first = crime.read_first().iter().any(|other| other.code == step.code);
            let block = format!("```rust\n{}\n```", step.code);
            assert_eq!((sheet.contains(&block), key.contains(&block)), (first, !first), "{}", step.says);
        }
        let at = |part| sheet.find(part).unwrap_or_else(|| panic!("no {part}: {sheet}"));
        assert!(at("**a)") < at("```rust") && at("```rust") < at("- [ ] a\n") && at("- [ ] a\n") < at("**b)"));
        let hold = experiments::named("hold").unwrap();
        let sheet = super::sheet(&[hold]);
        assert!(hold.steps().iter().all(|step| sheet.contains(step.code)));
    }

    #[test]
    fn the_key_names_the_right_choice_or_that_there_is_none() {
        let death = experiments::named("death").unwrap();
        let checks = vec![Check::new("x", false, String::new(), "y")];
        let doubtful = super::answer(1, death, &record(Findings { answer: Some(0), checks, ..Findings::default() }));
        assert!(doubtful.contains("\nBy this run, with doubt: with all") && !doubtful.contains("Right:"), "{doubtful}");
        let key = |answer| super::answer(1, death, &record(Findings { answer, ..Findings::default() }));
        assert!(key(Some(1)).contains("\nRight: with the robust mutex alone\n"));
        assert!(key(None).contains("\nRight: none of them, on this machine.\n"));
    }
}
