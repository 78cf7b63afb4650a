//! The page's server, for this machine and the one who started it alone: on 127.0.0.1, behind a token in the address.
//!
//! One thread takes connections, each has a thread that reads a request and writes the answer, and the main thread decides. It alone starts runs,
//! each a process of its own: workers are forked, which a process with threads must not do, and they end with the thread that started them.

mod door;
mod http;
mod places;
mod run;
mod stages;

use super::ending::Ending;
use super::experiments;
use super::page::files::FILES;
use super::page::told::Lab;
use door::Door;
use http::{Asked, Request, Response};
use run::{Run, Story};
use stages::{Alone, Order};
use std::io::Write;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// Between two looks at what a run says, and whether to stop.
const LOOK: Duration = Duration::from_millis(30);

/// A page that does not ask for so long was closed.
const PATIENCE: Duration = Duration::from_secs(3);

/// Serves until it is interrupted.
///
/// # Errors
/// How it ended: interrupted, or why it could not go on.
pub fn serve(interrupted: &dyn Fn() -> bool) -> Result<(), Ending> {
    let told = match Lab::new(experiments::all()).and_then(|lab| Ok(serde_json::to_string(&lab)?)) {
        Ok(told) => told,
        Err(why) => return Err(Ending::Engine(why.to_string())),
    };
    let (port, requests) = match http::listen() {
        Ok(listening) => listening,
        Err(why) => return Err(Ending::Engine(format!("cannot serve the page: {why}"))),
    };
    let mut host = Host { door: Door::new(port), told, run: None, story: None, alone: Alone::default(), runs: 0 };
    // Whoever does not read it has no use for it.
    let _ = writeln!(
        std::io::stdout(),
        "{}\nOpen this address in a browser on this machine. Ctrl-C ends the lab.",
        host.door.address()
    );
    let _ = std::io::stdout().flush();
    while !interrupted() {
        match requests.recv_timeout(LOOK) {
            Ok(Asked { request, answer }) => {
                // Who has gone needs no answer.
                let _ = answer.send(host.answer(&request));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Ending::Engine("no more connections can be taken".into())),
        }
        host.look();
    }
    if let Some(run) = host.run.take() {
        run.end();
    }
    Err(Ending::Interrupted)
}

/// What the main thread has.
struct Host {
    door: Door,
    told: String,
    /// The one that is under way.
    run: Option<Run>,
    /// What the last one has told, for who still asks.
    story: Option<Story>,
    alone: Alone,
    /// How many there were.
    runs: u64,
}

impl Host {
    fn answer(&mut self, request: &Request) -> Response {
        let path = match self.door.path(request) {
            Ok(path) => path,
            Err(refused) => return refused,
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        match (request.method.as_str(), path) {
            ("GET", "lab") => Response::json(self.told.clone()),
            ("GET", "events") => self.events(query),
            ("POST", "run") => self.start(&request.body).unwrap_or_else(|refused| refused),
            ("POST", "stop") => {
                if let Some(run) = &mut self.run {
                    run.stop();
                }
                Response::json("{}".into())
            }
            ("GET", path) => match FILES.iter().find(|file| file.name == path) {
                Some(file) => Response { status: 200, kind: file.kind, body: file.text.into() },
                None => Response::says(404, "there is no such page"),
            },
            _ => Response::says(405, "this is not done here"),
        }
    }

    fn start(&mut self, body: &[u8]) -> Result<Response, Response> {
        if self.run.is_some() {
            return Err(Response::says(409, "another experiment is running"));
        }
        let wrong = |why: String| Response::says(400, &why);
        let order = Order::read(body).map_err(|why| wrong(why.to_string()))?;
        self.runs += 1;
        let run =
            Run::start(self.runs, order).map_err(|why| Response::says(500, &format!("it could not be started: {why}")))?;
        self.run = Some(run);
        self.story = None;
        Ok(Response::json(format!("{{\"run\":{}}}", self.runs)))
    }

    /// What has happened since the n-th event of a run.
    fn events(&mut self, query: &str) -> Response {
        let number =
            |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse::<u64>().ok());
        let (Some(id), Some(since)) = (number("run"), number("since")) else {
            return Response::says(400, "events of which run, since which?");
        };
        let story = match (&mut self.run, &self.story) {
            (Some(run), _) if run.id() == id => run.asked(),
            (_, Some(story)) if story.id == id => story,
            _ => return Response::says(404, "there is no such run"),
        };
        Response::json(story.since(since))
    }

    fn look(&mut self) {
        let Some(run) = &mut self.run else { return };
        if run.unasked_for() > PATIENCE {
            run.stop();
        }
        if run.look(&mut self.alone)
            && let Some(run) = self.run.take()
        {
            self.story = Some(run.end());
        }
    }
}
