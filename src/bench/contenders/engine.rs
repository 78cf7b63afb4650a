//! This crate's own queues and pool, each wait policy a contender of its own.

use crate::bench::contender::{
    Contender, Family, Info, Opened, Pattern, Payloads, Receiver, Result, Sender, Shape, Started, Waits,
};
use crate::bench::control::{Address, Control};
use crate::bench::participant;
use crate::bench::participants::{failed, work};
use crate::{Daemons, Mill, PodQueue, Queue, Task, WaitPolicy, tasks};
use serde::{Deserialize, Serialize};

/// The contenders.
pub fn all() -> Vec<Box<dyn Contender>> {
    let waits = [(Waits::Adaptive, WaitPolicy::Adaptive), (Waits::Block, WaitPolicy::Block), (Waits::Spin, WaitPolicy::Spin)];
    waits.into_iter().map(|(waits, policy)| Box::new(Engine { waits, policy }) as Box<dyn Contender>).collect()
}

/// What processes must know that are this program, executed again.
pub fn registry() -> Vec<Task> {
    tasks![
        produce::<8>,
        produce::<64>,
        produce::<512>,
        produce::<4096>,
        produce_bytes,
        consume::<8>,
        consume::<64>,
        consume::<512>,
        consume::<4096>,
        consume_bytes,
        work_on::<8>,
        work_on::<64>,
        work_on::<512>,
        work_on::<4096>,
        work_on_bytes,
    ]
}

struct Engine {
    waits: Waits,
    policy: WaitPolicy,
}

impl Contender for Engine {
    fn info(&self) -> Info {
        let (name, says) = match self.waits {
            Waits::Adaptive => ("gristmill", "gristmill's queue, as it is by default"),
            Waits::Block => ("gristmill-block", "gristmill's queue; who finds nothing looks for a microsecond, then sleeps"),
            Waits::Spin => ("gristmill-spin", "gristmill's queue; who finds nothing looks again"),
        };
        Info::new(name, says, Family::Engine, self.waits).batching()
    }

    fn refuses(&self, _: &Shape) -> Option<String> {
        None
    }

    fn open(&self, shape: &Shape, control: &Control) -> Result<Opened> {
        let seat = |index| Seat { control: control.address(), shape: *shape, index };
        let large = if shape.payload > 4096 { shape.capacity * (shape.payload + 64) } else { 0 };
        // An arena for what goes to workers, and one as large for what comes back.
        let region = (8 << 20) + shape.capacity * (shape.payload.min(4096) + 256) * 2 + 2 * large;
        let processes = shape.producers + shape.consumers + 2;
        let builder = Mill::builder().region_size(region).wait_policy(self.policy).max_processes(processes.max(8));
        let mill = if large > 0 { builder.arena_size(large) } else { builder }.build()?;
        Ok(Opened::Started(Box::new(match shape.payload {
            8 => start::<8>(mill, shape, seat)?,
            64 => start::<64>(mill, shape, seat)?,
            512 => start::<512>(mill, shape, seat)?,
            4096 => start::<4096>(mill, shape, seat)?,
            _ => start_bytes(mill, shape, seat)?,
        })))
    }
}

/// What a process needs to take part.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Seat {
    control: Address,
    shape: Shape,
    index: usize,
}

/// Held for as long as the turn lasts: the region lives as long as its Mill.
struct Running {
    daemons: Vec<Daemons>,
    room: usize,
    _mill: Mill,
}

impl Started for Running {
    fn pids(&self) -> Vec<u32> {
        self.daemons.iter().flat_map(Daemons::pids).collect()
    }

    fn room(&self, _: usize) -> Option<usize> {
        Some(self.room)
    }
}

fn start<const N: usize>(mill: Mill, shape: &Shape, seat: impl Fn(usize) -> Seat) -> Result<Running> {
    let jobs = mill.pod_queue::<[u8; N]>(shape.capacity)?;
    let mut daemons = vec![];
    for index in 0..shape.producers {
        daemons.push(mill.spawn_daemons(1, produce::<N>, (&jobs, &seat(index)))?);
    }
    match shape.pattern {
        Pattern::OneWay => {
            for index in 0..shape.consumers {
                daemons.push(mill.spawn_daemons(1, consume::<N>, (&jobs, &seat(index)))?);
            }
        }
        Pattern::Calls => {
            let results = mill.pod_queue::<[u8; 8]>(shape.capacity)?;
            for index in 0..shape.consumers {
                daemons.push(mill.spawn_daemons(1, work_on::<N>, (&jobs, &results, &seat(index)))?);
            }
            daemons.push(mill.spawn_daemons(1, consume::<8>, (&results, &collector(seat(0))))?);
        }
        Pattern::Commands => return Err("a queue is no command".into()),
    }
    Ok(Running { daemons, room: jobs.capacity(), _mill: mill })
}

fn start_bytes(mill: Mill, shape: &Shape, seat: impl Fn(usize) -> Seat) -> Result<Running> {
    let jobs = mill.queue::<Vec<u8>>(shape.capacity)?;
    let mut daemons = vec![];
    for index in 0..shape.producers {
        daemons.push(mill.spawn_daemons(1, produce_bytes, (&jobs, &seat(index)))?);
    }
    match shape.pattern {
        Pattern::OneWay => {
            for index in 0..shape.consumers {
                daemons.push(mill.spawn_daemons(1, consume_bytes, (&jobs, &seat(index)))?);
            }
        }
        Pattern::Calls => {
            let results = mill.pod_queue::<[u8; 8]>(shape.capacity)?;
            for index in 0..shape.consumers {
                daemons.push(mill.spawn_daemons(1, work_on_bytes, (&jobs, &results, &seat(index)))?);
            }
            daemons.push(mill.spawn_daemons(1, consume::<8>, (&results, &collector(seat(0))))?);
        }
        Pattern::Commands => return Err("a queue is no command".into()),
    }
    Ok(Running { daemons, room: jobs.capacity(), _mill: mill })
}

/// Who collects results of 8 bytes.
fn collector(seat: Seat) -> Seat {
    Seat { shape: Shape { payload: 8, work: 0, ..seat.shape }, ..seat }
}

fn produce<const N: usize>(queue: &PodQueue<[u8; N]>, seat: &Seat) {
    take_part(seat, |control| participant::produce(control, seat.index, &seat.shape, &mut End(queue)));
}

fn consume<const N: usize>(queue: &PodQueue<[u8; N]>, seat: &Seat) {
    take_part(seat, |control| participant::consume(control, seat.index, &seat.shape, &mut End(queue)));
}

fn work_on<const N: usize>(jobs: &PodQueue<[u8; N]>, results: &PodQueue<[u8; 8]>, seat: &Seat) {
    take_part(seat, |control| work(control, seat.index, &seat.shape, &mut End(jobs), &mut End(results)));
}

fn produce_bytes(queue: &Queue<Vec<u8>>, seat: &Seat) {
    take_part(seat, |control| participant::produce(control, seat.index, &seat.shape, &mut End(queue)));
}

fn consume_bytes(queue: &Queue<Vec<u8>>, seat: &Seat) {
    take_part(seat, |control| participant::consume(control, seat.index, &seat.shape, &mut End(queue)));
}

fn work_on_bytes(jobs: &Queue<Vec<u8>>, results: &PodQueue<[u8; 8]>, seat: &Seat) {
    take_part(seat, |control| work(control, seat.index, &seat.shape, &mut End(jobs), &mut End(results)));
}

fn take_part(seat: &Seat, live: impl FnOnce(&Control) -> Result<std::convert::Infallible>) {
    // When the turn is over the region goes with its host: that is not worth a word.
    if let Ok(control) = Control::open(&seat.control) {
        failed(live(&control));
    }
}

struct End<'a, Q>(&'a Q);

impl<const N: usize> Sender for End<'_, PodQueue<[u8; N]>> {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        let mut items = payloads.iter().map(|one| <[u8; N]>::try_from(one).expect("the shape's size"));
        match payloads.count() {
            1 => items.try_for_each(|item| self.0.put(item)).map_err(|e| e.to_string())?,
            _ => drop(self.0.put_many(items).map_err(|e| e.to_string())?),
        }
        Ok(())
    }
}

impl<const N: usize> Receiver for End<'_, PodQueue<[u8; N]>> {
    fn receive(&mut self, most: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        match most {
            1 => each(&self.0.get()?),
            _ => self.0.get_many(most)?.iter().for_each(|item| each(item)),
        }
        Ok(())
    }
}

impl Sender for End<'_, Queue<Vec<u8>>> {
    fn send(&mut self, payloads: Payloads<'_>) -> Result<()> {
        let mut items = payloads.iter().map(<[u8]>::to_vec);
        match payloads.count() {
            1 => items.try_for_each(|item| self.0.put(item)).map_err(|e| e.to_string())?,
            _ => drop(self.0.put_many(items).map_err(|e| e.to_string())?),
        }
        Ok(())
    }
}

impl Receiver for End<'_, Queue<Vec<u8>>> {
    fn receive(&mut self, most: usize, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        match most {
            1 => each(&self.0.get()?),
            _ => self.0.get_many(most)?.iter().for_each(|item| each(item)),
        }
        Ok(())
    }
}
