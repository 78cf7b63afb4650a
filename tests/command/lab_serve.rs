//! `gristmill lab serve`: who is let in, what is refused, and that no worker outlives its page or its server.

use super::deaths::gone;
use super::run::{Ended, Folder, Run, gristmill, run, signal, start, workers};
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::time::Duration;

/// A server under way.
struct Served {
    run: Run,
    port: u16,
    token: String,
    _folder: Folder,
}

/// An answer: its status, its head and its body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }
}

fn serve(name: &str) -> Served {
    let folder = Folder::new(name);
    let out = folder.0.join("out");
    let mut command = gristmill(&["lab", "serve"]);
    command.process_group(0);
    let run = start(command, Some(File::create(&out).unwrap().into()));
    let address = run.wait_for("address", |_| {
        let text = std::fs::read_to_string(&out).unwrap();
        text.contains("Ctrl-C").then(|| text.lines().next().unwrap().to_owned())
    });
    let (port, token) = address.strip_prefix("http://127.0.0.1:").unwrap().split_once('/').unwrap();
    Served { run, port: port.parse().unwrap(), token: token.trim_end_matches('/').to_owned(), _folder: folder }
}

impl Served {
    fn ask(&self, head: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        // Who is refused early may be cut off while it still sends.
        let _ = stream.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
        let mut bytes = vec![];
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn host(&self) -> String {
        format!("Host: 127.0.0.1:{}\r\n", self.port)
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET /{}/{path} HTTP/1.1\r\n{}", self.token, self.host()), "")
    }

    fn post(&self, path: &str, body: &str) -> Answer {
        let origin = format!("Origin: http://127.0.0.1:{}\r\n", self.port);
        self.ask(&format!("POST /{}/{path} HTTP/1.1\r\n{}{origin}", self.token, self.host()), body)
    }

    /// Starts a run that would take a minute: its number, and all processes that it takes.
    fn long(&self) -> (u64, Vec<u32>) {
        let order = r#"{"experiment":"hold","knobs":["workers=3"],"seconds":60,"mode":"watch","prediction":null}"#;
        let id = self.post("run", order).json()["run"].as_u64().unwrap();
        let pids = self.run.wait_for("worker", |run| {
            // The page asks meanwhile.
            self.events(id, 0);
            let main = workers(run.pid());
            let crew: Vec<u32> = main.iter().flat_map(|pid| workers(*pid)).collect();
            (crew.len() == 3).then(|| [main, crew].concat())
        });
        (id, pids)
    }

    fn events(&self, id: u64, since: u64) -> Value {
        self.get(&format!("events?run={id}&since={since}")).json()
    }

    /// Asks as the page does, until it has ended: all events.
    fn follow(&self, id: u64) -> Vec<Value> {
        loop {
            let events = self.events(id, 0)["events"].as_array().unwrap().clone();
            if events.iter().any(|event| event.get("end").is_some()) {
                return events;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn interrupt(self) -> Ended {
        assert!(signal(-(self.run.pid() as i32), libc::SIGINT));
        self.run.end()
    }
}

#[test]
fn only_the_page_itself_with_its_token_is_let_in() {
    let served = serve("lab-door");
    let (token, port) = (&served.token, served.port);
    assert_eq!(token.len(), 32);
    let page = served.get("");
    assert_eq!(page.status, 200);
    assert!(
        page.head.contains("Content-Security-Policy: default-src 'none'; script-src 'self'") && page.body.contains("page.js")
    );
    for name in ["style.css", "page.js", "make.js", "knobs.js", "predict.js", "code.js", "lanes.js", "result.js"] {
        assert_eq!(served.get(name).status, 200, "{name}");
    }
    assert_eq!((served.get("none.js").status, served.get("events?run=1&since=0").status), (404, 404));
    assert_eq!(served.get("../lab").status, 404);
    let asked = |head: String| served.ask(&head, "").status;
    let host = served.host();
    for head in [
        format!("GET / HTTP/1.1\r\n{host}"),
        format!("GET /lab HTTP/1.1\r\n{host}"),
        format!("GET /{}/lab HTTP/1.1\r\n{host}", "0".repeat(32)),
        format!("GET /{token}/lab HTTP/1.1\r\nHost: evil.example:{port}\r\n"),
        format!("GET /{token}/lab HTTP/1.1\r\n"),
        format!("GET /{token}/lab HTTP/1.1\r\n{host}Origin: http://evil.example\r\n"),
        format!("POST /{token}/run HTTP/1.1\r\n{host}Origin: http://evil.example\r\n"),
        format!("POST /{token}/run HTTP/1.1\r\n{host}"),
    ] {
        assert_eq!(asked(head.clone()), 403, "{head}");
    }
    assert_eq!(asked(format!("POST /{token}/lab HTTP/1.1\r\n{host}Origin: http://127.0.0.1:{port}\r\n")), 405);
    assert_eq!(asked(format!("GET /{} HTTP/1.1\r\n{host}", "a".repeat(40_000))), 413);
    assert_eq!(asked("hello\r\n".to_owned()), 400);
    assert!(workers(served.run.pid()).is_empty(), "something was started");
    let ended = served.interrupt();
    assert_eq!((ended.code, ended.err.as_str()), (130, ""));
}

/// Whoever knows the port alone can connect, and keep silent.
#[test]
fn who_connects_and_asks_for_nothing_keeps_nobody_out() {
    let served = serve("lab-places");
    let mut silent: Vec<TcpStream> = (0..80).map(|_| TcpStream::connect(("127.0.0.1", served.port)).unwrap()).collect();
    for stream in &mut silent {
        // Half of a request is none. Who was shut for others may not be able to send it.
        let _ = stream.write_all(b"GET /");
        assert_eq!(served.get("").status, 200);
    }
    // It was shut for others, without an answer.
    assert!(!silent[0].read(&mut [0]).is_ok_and(|n| n > 0));
    // One that came last has its time, but no more than that.
    let mut text = String::new();
    silent[79].read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    served.interrupt();
}

#[test]
fn absurd_knobs_are_refused_and_nothing_is_started() {
    let served = serve("lab-absurd");
    let order = |experiment: &str, knob: &str, seconds: &str| {
        format!(r#"{{"experiment":"{experiment}","knobs":["{knob}"],"seconds":{seconds},"mode":"watch","prediction":null}}"#)
    };
    for (body, says) in [
        (order("hold", "workers=1000000", "10"), "workers is a number from 2 to 64, not '1000000'"),
        (order("hold", "workers=-1", "10"), "from 2 to 64"),
        (order("hold", "speed=1", "10"), "there is no knob 'speed'"),
        (order("hold", "--json=/tmp/x", "10"), "there is no knob '--json'"),
        (order("--json", "a=1", "10"), "there is no experiment"),
        (order("hold", "workers=2", "0"), "0 is not in 1..=600"),
        (order("hold", "workers=2", "1000000"), "1000000 is not in 1..=600"),
        (order("hold", "workers=2", "1e99"), "invalid"),
        ("{}".to_owned(), "missing field"),
        ("[".repeat(10_000), "invalid type"),
    ] {
        let refused = served.post("run", &body);
        assert!(refused.status == 400 && refused.body.contains(says), "{}: {}", refused.status, refused.body);
        assert_eq!(refused.body.trim_end().lines().count(), 1, "{}", refused.body);
    }
    assert_eq!(served.post("run", &" ".repeat(20_000)).status, 413);
    assert!(workers(served.run.pid()).is_empty(), "something was started");
    served.interrupt();
}

#[test]
fn a_run_is_measured_then_watched_and_told_with_its_charts_and_score() {
    let served = serve("lab-run");
    let order = r#"{"experiment":"hold","knobs":["workers=2","job=20"],"seconds":2,"mode":"measure","prediction":{"curve":[2,2,2,2,2,2]}}"#;
    let id = served.post("run", order).json()["run"].as_u64().unwrap();
    assert_eq!(served.post("run", order).status, 409, "one at a time");
    let events = served.follow(id);
    let at = |what: &str| {
        events.iter().position(|event| event.get(what).is_some()).unwrap_or_else(|| panic!("no {what}: {events:?}"))
    };
    // The figures were there before anybody watched.
    assert!(at("progress") < at("found") && at("found") < at("lanes") && at("lanes") < at("disturbance"), "{events:?}");
    assert!(events.last().unwrap()["end"].is_null(), "{events:?}");
    let found = &events[at("found")]["found"];
    assert_eq!(found["record"]["knobs"], serde_json::json!(["workers=2", "job=20", "lock=spin"]));
    let svg = found["charts"][0].as_str().unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("your prediction"), "{svg}");
    assert!(found["score"]["points"].as_u64().unwrap() <= 100);
    assert!(events[at("disturbance")]["disturbance"].as_str().unwrap().contains(" % "), "{events:?}");
    let lanes = events[at("lanes")]["lanes"]["lanes"].as_array().unwrap();
    let sum: f64 = ["working", "holding", "waiting", "asleep"].iter().map(|lane| lanes[0][lane].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-6, "{lanes:?}");
    served.interrupt();
}

#[test]
fn a_closed_tab_stops_its_workers() {
    let served = serve("lab-tab");
    let (id, pids) = served.long();
    // It does not ask any more.
    gone(&pids);
    assert_eq!(served.follow(id).last().unwrap()["end"], "stopped");
    // And another one can be run.
    let (id, pids) = served.long();
    assert_eq!(served.post("stop", "").status, 200);
    assert_eq!(served.follow(id).last().unwrap()["end"], "stopped");
    gone(&pids);
    served.interrupt();
}

/// The terminal sends Ctrl-C to the whole group; `kill` sends a signal to the server alone.
#[test]
fn a_signal_leaves_nothing_behind() {
    for (number, to_group, code) in [(libc::SIGINT, true, 130), (libc::SIGTERM, false, 143), (libc::SIGKILL, false, 137)] {
        let served = serve("lab-signal");
        let (_, pids) = served.long();
        let pid = served.run.pid() as i32;
        assert!(signal(if to_group { -pid } else { pid }, number));
        let ended = served.run.end();
        assert_eq!((ended.code, ended.err.as_str()), (code, ""), "{number}");
        gone(&pids);
    }
}

#[test]
fn a_report_is_one_page_that_loads_nothing() {
    let folder = Folder::new("lab-report");
    let file = folder.0.join("lab.html");
    let mut command = gristmill(&["lab", "report"]);
    command.arg(&file).args(["hold", "sharing", "--seconds", "1"]);
    let ended = run(command);
    assert_eq!((ended.code, ended.err.lines().filter(|line| line.starts_with("gristmill: ")).count()), (0, 0), "{}", ended.err);
    let page = std::fs::read_to_string(&file).unwrap();
    assert_eq!(page.matches("<section ").count(), 2, "{page}");
    assert!(page.contains("<svg ") && page.contains("What you saw, and why") && !page.contains("<script"), "{page}");
    assert!(!page.contains("src=") && !page.contains("http://") && !page.contains("https://"), "{page}");
    let missing = folder.0.join("missing/lab.html");
    let mut command = gristmill(&["lab", "report"]);
    command.arg(&missing).arg("hold");
    assert_eq!(run(command).code, 4);
}
