//! iceoryx2: two processes that poll shared memory without a pause, one number at a time.

use super::{Contender, one_by_one, square};
use crate::{Result, watchdog};
use gristmill_rivals::node;
use iceoryx2::port::{client::Client, publisher::Publisher, subscriber::Subscriber};
use iceoryx2::prelude::*;
use std::hint;
use std::ops::Range;
use std::process::{Child, Command};

/// Tells a worker its parent and the pattern.
const VARIABLE: &str = "GRISTMILL_RIVALS_ICEORYX2";

/// Ends the worker: no job has this number.
const END: u64 = u64::MAX;

/// How the number goes there and back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    RequestResponse,
    /// Two services with a publisher and a subscriber each.
    PublishSubscribe,
}

impl Pattern {
    fn name(self) -> &'static str {
        match self {
            Pattern::RequestResponse => "request-response",
            Pattern::PublishSubscribe => "publish-subscribe",
        }
    }
}

type PublishSubscribe = (Publisher<ipc::Service, u64, ()>, Subscriber<ipc::Service, u64, ()>);

enum Ports {
    RequestResponse(Client<ipc::Service, u64, (), u64, ()>),
    PublishSubscribe(PublishSubscribe),
}

pub struct Iceoryx {
    // Before the node, whose services they use.
    ports: Ports,
    worker: Child,
    _node: Node<ipc::Service>,
}

impl Iceoryx {
    pub fn start(pattern: Pattern) -> Result<Self> {
        let parent = std::process::id();
        let node = node(parent).map_err(|why| why.to_string())?;
        let ports = match pattern {
            Pattern::RequestResponse => {
                let service = node.service_builder(&"squares".try_into()?).request_response::<u64, u64>().open_or_create()?;
                Ports::RequestResponse(service.client_builder().create()?)
            }
            Pattern::PublishSubscribe => Ports::PublishSubscribe(ends(&node, "jobs", "results")?),
        };
        let variable = format!("{parent} {}", pattern.name());
        let worker = Command::new(std::env::current_exe()?).env(VARIABLE, variable).spawn()?;
        let mut started = Iceoryx { ports, worker, _node: node };
        started.wait_for_worker()?;
        Ok(started)
    }

    /// What is sent before the worker is there is lost, so the first job is sent until it is answered.
    fn wait_for_worker(&mut self) -> Result<()> {
        loop {
            if let Some(status) = self.worker.try_wait()? {
                return Err(format!("the worker ended with {status}").into());
            }
            let there = match &self.ports {
                Ports::RequestResponse(client) => client.send_copy(1)?.number_of_server_connections() > 0,
                Ports::PublishSubscribe((jobs, _)) => jobs.send_copy(1)? > 0,
            };
            if there {
                break;
            }
            std::thread::yield_now();
        }
        if let Ports::PublishSubscribe((_, results)) = &self.ports {
            while results.receive()?.is_none() {
                hint::spin_loop();
            }
        }
        Ok(())
    }
}

impl Contender for Iceoryx {
    fn run(&mut self, jobs: Range<u64>) -> Result<u64> {
        match &self.ports {
            Ports::RequestResponse(client) => one_by_one(jobs, |job| {
                let pending = client.send_copy(job)?;
                loop {
                    if let Some(response) = pending.receive()? {
                        return Ok(*response);
                    }
                    hint::spin_loop();
                }
            }),
            Ports::PublishSubscribe((publisher, subscriber)) => one_by_one(jobs, |job| {
                publisher.send_copy(job)?;
                loop {
                    if let Some(result) = subscriber.receive()? {
                        return Ok(*result);
                    }
                    hint::spin_loop();
                }
            }),
        }
    }
}

impl Drop for Iceoryx {
    fn drop(&mut self) {
        let told = match &self.ports {
            Ports::RequestResponse(client) => client.send_copy(END).map(drop).is_ok(),
            Ports::PublishSubscribe((jobs, _)) => jobs.send_copy(END).is_ok(),
        };
        if !told {
            eprintln!("gristmill-rivals: iceoryx2's worker cannot be told to end: it is killed");
            let _ = self.worker.kill();
        }
        if let Err(e) = self.worker.wait() {
            eprintln!("gristmill-rivals: cannot wait for iceoryx2's worker: {e}");
        }
    }
}

/// Publishes to one service and subscribes to another.
fn ends(node: &Node<ipc::Service>, to: &str, from: &str) -> Result<PublishSubscribe> {
    let to = node.service_builder(&to.try_into()?).publish_subscribe::<u64>().open_or_create()?;
    let from = node.service_builder(&from.try_into()?).publish_subscribe::<u64>().open_or_create()?;
    Ok((to.publisher_builder().create()?, from.subscriber_builder().create()?))
}

/// The whole life of a worker; returns at once in any other process.
pub fn worker() {
    let Ok(variable) = std::env::var(VARIABLE) else { return };
    let ended = work(&variable);
    if let Err(why) = &ended {
        eprintln!("gristmill-rivals: iceoryx2's worker: {why}");
    }
    std::process::exit(i32::from(ended.is_err()))
}

fn work(variable: &str) -> Result<()> {
    let (parent, pattern) = variable.split_once(' ').ok_or("its variable has no pattern")?;
    let parent = parent.parse()?;
    watchdog::end_with(parent);
    let node = node(parent).map_err(|why| why.to_string())?;
    if pattern == Pattern::RequestResponse.name() {
        let service = node.service_builder(&"squares".try_into()?).request_response::<u64, u64>().open_or_create()?;
        let server = service.server_builder().create()?;
        loop {
            match server.receive()? {
                Some(request) if *request == END => return Ok(()),
                Some(request) => request.send_copy(square(*request))?,
                None => hint::spin_loop(),
            }
        }
    }
    let (results, jobs) = ends(&node, "results", "jobs")?;
    loop {
        match jobs.receive()? {
            Some(job) if *job == END => return Ok(()),
            Some(job) => results.send_copy(square(*job)).map(drop)?,
            None => hint::spin_loop(),
        }
    }
}
