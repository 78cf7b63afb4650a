//! A run: turns in random order, round by round, and what they say together.

use super::allowed::Allowed;
use super::attempt::{Limits, attempt};
use super::contender::{Contender, Info, Pattern, Result, Shape};
use super::crossover::crossovers;
use super::environment::{self, Environment};
use super::isolate::{self, Ended, isolated};
use super::kill::{self, Fate};
use super::measure;
use super::noise::{Moment, noise};
use super::plan::{Case, Plan, takes};
use super::report::numbers::count;
use super::report::words;
use super::results::{Axis, Entry, Kill, Pace, Results, SCHEMA, Skipped, Summary};
use super::self_tests;
use super::turn::{Aim, Lengths, Played, play};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// A turn that takes this much longer than it should hangs somewhere where its host does not see it.
const GRACE: Duration = Duration::from_secs(60);

/// Who is told how far the run is.
pub trait Progress {
    /// So many of so many turns are over; what is next.
    fn at(&self, done: usize, of: usize, next: &str);
}

/// A run under way.
pub struct Session<'a> {
    contenders: &'a [Box<dyn Contender>],
    plan: &'a Plan,
    /// Processes that a shape must not exceed.
    allowed: Option<Allowed>,
    interrupted: &'a dyn Fn() -> bool,
    progress: &'a dyn Progress,
    rng: SmallRng,
    clock: f64,
    /// That are over or under way, and all.
    turns: (usize, usize),
    partial: bool,
    skipped: Vec<Skipped>,
    entries: Vec<Entry>,
    kills: Vec<Kill>,
}

/// Runs everything, as far as nobody interrupts it.
///
/// # Errors
/// If the system refuses what the run itself needs.
pub fn run(
    contenders: &[Box<dyn Contender>],
    plan: &Plan,
    allowed: Option<Allowed>,
    seed: u64,
    command: String,
    interrupted: &dyn Fn() -> bool,
    progress: &dyn Progress,
) -> Result<Results> {
    isolate::adopt_orphans()?;
    let mut environment = Environment::now();
    let before = Moment::now();
    let clock = measure::clock_cost();
    let mut session = Session {
        contenders,
        plan,
        allowed,
        interrupted,
        progress,
        rng: SmallRng::seed_from_u64(seed),
        clock,
        turns: (0, plan.turns(contenders)),
        partial: false,
        skipped: vec![],
        entries: vec![],
        kills: vec![],
    };
    session.throughput();
    session.latency();
    session.kill_all();
    progress.at(session.turns.0, session.turns.1, "");
    environment.load_after = environment::load();
    let self_tests = self_tests::all(&session.entries, &session.skipped, clock);
    let noise = noise(&environment, &before, &Moment::now(), &session.entries);
    let infos: Vec<Info> = contenders.iter().map(|c| c.info()).collect();
    Ok(Results {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").into(),
        command,
        seed,
        partial: session.partial,
        environment,
        self_tests,
        noise,
        clock,
        skipped: session.skipped,
        crossovers: crossovers(&session.entries, &infos),
        contenders: infos,
        entries: session.entries,
        kills: session.kills,
    })
}

/// One who is to play: which contender, in which shape, at which pace.
#[derive(Clone, Copy)]
struct Player {
    contender: usize,
    aim: Aim,
    pace: Option<Pace>,
    /// The same contender once more, to see what chance alone does.
    again: bool,
    /// Whether CPU without anything to do is measured as well.
    idle: bool,
}

impl Session<'_> {
    fn info(&self, contender: usize) -> Info {
        self.contenders[contender].info()
    }

    fn skip(&mut self, contender: usize, shape: Option<Shape>, why: String) {
        let skipped = Skipped { contender: self.info(contender).name, shape, why };
        if !self.skipped.contains(&skipped) {
            self.skipped.push(skipped);
        }
    }

    fn throughput(&mut self) {
        for case in self.plan.cases.clone() {
            let about = (0..self.contenders.len()).filter(|&at| self.contenders[at].is_about(case.shape.pattern));
            let throughput = |contender: usize| {
                // A command has no processes but while it runs.
                let idle = case.shape.pattern != Pattern::Commands
                    && self.plan.first(&*self.contenders[contender]) == Some(case.shape);
                Player { contender, aim: Aim::Throughput, pace: None, again: false, idle }
            };
            let mut players: Vec<Player> = about.map(throughput).collect();
            if case.axis == Axis::Base {
                // A/A: the first one that takes part, twice.
                let twice =
                    players.iter().find(|player| self.contenders[player.contender].refuses(&case.shape).is_none()).copied();
                players.extend(twice.map(|player| Player { again: true, ..player }));
            }
            self.play_case(case, players);
        }
    }

    /// At a rate that is the same for all, and at shares of the median rate that each had in the base shape.
    fn latency(&mut self) {
        let shape = self.plan.base();
        if !self.plan.is_late() {
            return;
        }
        let all = self.contenders.iter().filter(|contender| takes(&***contender, &shape)).count();
        let rates: Vec<Option<f64>> = (0..self.contenders.len())
            .map(|contender| {
                let name = self.info(contender).name;
                let entry = self.entries.iter().find(|e| e.axis == Axis::Base && e.contender == name)?;
                Some(entry.summary.as_ref()?.rate.median)
            })
            .collect();
        let paces =
            [Pace::Common(self.plan.common)].into_iter().chain(self.plan.shares.iter().map(|&share| Pace::Share(share)));
        for pace in paces {
            let mut players = vec![];
            for (contender, most) in rates.iter().enumerate().filter_map(|(contender, rate)| Some((contender, (*rate)?))) {
                let rate = match pace {
                    // Who cannot keep up has no latency at that rate, only a queue that grows.
                    Pace::Common(common) if common >= 0.9 * most => {
                        let why = format!("how late payloads are {}: it hands over {} at most", words::pace(pace), count(most));
                        self.skip(contender, Some(shape), why);
                        continue;
                    }
                    Pace::Common(common) => common,
                    Pace::Share(share) => share * most,
                };
                players.push(Player { contender, aim: Aim::Latency { rate }, pace: Some(pace), again: false, idle: false });
            }
            self.leave_out((all - players.len()) * self.plan.rounds);
            self.play_case(Case { axis: Axis::Latency, shape }, players);
        }
    }

    /// All players in all rounds: each round in an order of its own, and the next one in the reverse of that.
    fn play_case(&mut self, case: Case, mut players: Vec<Player>) {
        let too_many = self.allowed.as_ref().and_then(|allowed| allowed.refuses(&case.shape));
        if too_many.is_some() {
            let taking = players.iter().filter(|player| takes(&*self.contenders[player.contender], &case.shape)).count();
            self.leave_out(taking * self.plan.rounds);
        }
        players.retain(|player| match self.contenders[player.contender].refuses(&case.shape).or_else(|| too_many.clone()) {
            Some(why) => {
                self.skip(player.contender, Some(case.shape), why);
                false
            }
            None => true,
        });
        let mut rounds: Vec<Vec<Played>> = vec![vec![]; players.len()];
        let mut failures: Vec<Vec<String>> = vec![vec![]; players.len()];
        let mut order: Vec<usize> = (0..players.len()).collect();
        for round in 0..self.plan.rounds {
            if round % 2 == 0 {
                order.shuffle(&mut self.rng);
            } else {
                order.reverse();
            }
            for &at in &order {
                // Who has failed twice fails again, and may take a minute each time.
                if self.partial || failures[at].len() > 1 {
                    self.leave_out(1);
                    continue;
                }
                match self.turn(players[at], &case.shape) {
                    Ended::Value(played) => rounds[at].push(played),
                    Ended::Failed(why) | Ended::Died(why) => failures[at].push(why),
                    Ended::Hung => failures[at].push("hangs".into()),
                    Ended::Interrupted => self.partial = true,
                }
            }
        }
        for ((player, rounds), failures) in players.into_iter().zip(rounds).zip(failures) {
            if rounds.is_empty() {
                if let Some(why) = failures.first() {
                    self.skip(player.contender, Some(case.shape), why.clone());
                }
                continue;
            }
            let name = self.info(player.contender).name;
            let contender = if player.again { format!("{name} again") } else { name };
            let summary = Summary::of(&rounds, self.clock);
            let (axis, shape) = (case.axis, case.shape);
            self.entries.push(Entry { contender, axis, shape, aim: player.aim, pace: player.pace, rounds, failures, summary });
        }
    }

    fn turn(&mut self, player: Player, shape: &Shape) -> Ended<Played> {
        let contender = &*self.contenders[player.contender];
        self.tell(&contender.info().name, shape);
        // It hardly depends on the shape: once for each contender is enough.
        let idle = if player.idle { self.plan.lengths.idle } else { Duration::ZERO };
        let lengths = Lengths { idle, ..self.plan.lengths };
        let limit = lengths.warm_up * 4 + lengths.measured.max(lengths.paced) * 4 + lengths.idle + GRACE;
        isolated(limit, self.interrupted, || play(contender, shape, &lengths, player.aim))
            .unwrap_or_else(|why| Ended::Failed(why.to_string()))
    }

    fn tell(&mut self, name: &str, shape: &Shape) {
        self.progress.at(self.turns.0, self.turns.1, &format!("{name}, {shape}"));
        self.turns.0 += 1;
    }

    fn leave_out(&mut self, turns: usize) {
        self.turns.1 -= turns;
    }

    fn kill_all(&mut self) {
        for at in 0..self.contenders.len() {
            let contender = &*self.contenders[at];
            let name = contender.info().name;
            // The base shape, or for who has no part in that the first one in which it has; somebody must be left to go on.
            let shapes = self.plan.cases.iter().map(|case| Shape { consumers: case.shape.consumers.max(2), ..case.shape });
            let Some(shape) = { shapes }.find(|shape| takes(contender, shape)) else {
                self.leave_out(self.plan.kills);
                continue;
            };
            // Who could not run at all has been told of.
            let ran = self.entries.iter().any(|entry| entry.contender == name && entry.shape.pattern == shape.pattern);
            // One is to look, several are to quote.
            let (patience, call) =
                if self.plan.kills > 1 { (kill::PATIENT, kill::CALL) } else { (kill::SHORT, kill::SHORT_CALL) };
            let limits = Limits { ready: GRACE, over: if shape.pattern == Pattern::OneWay { GRACE } else { call } };
            let mut fates = vec![];
            for tried in 0..self.plan.kills {
                if self.partial || !ran || fates.first() == Some(&Fate::NoProcess) || kill::hangs_for_good(&fates) {
                    self.leave_out(self.plan.kills - tried);
                    break;
                }
                let after = Duration::from_micros(self.rng.random_range(2_000..30_000));
                self.tell(&name, &shape);
                match attempt(contender, &shape, after, patience, limits, self.interrupted) {
                    Ok(Some(fate)) => fates.push(fate),
                    Ok(None) => self.partial = true,
                    Err(why) => fates.push(Fate::Skipped { why: why.to_string() }),
                }
            }
            if !fates.is_empty() {
                self.kills.push(Kill { contender: name, fates });
            }
        }
    }
}

/// The parts of a run that tests leave out.
impl Lengths {
    /// As short as anything can be that still shows that a contender works.
    pub fn shortest() -> Lengths {
        let millis = Duration::from_millis;
        Lengths { warm_up: millis(1), measured: millis(5), paced: millis(5), idle: millis(0) }
    }
}
