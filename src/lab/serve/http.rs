//! Requests and answers. Whoever connects is not trusted: a request has a length, a time, and one connection; there are so many at a time.

use super::places::{Place, Places};
use crate::sys::limits;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

/// Most bytes before the body, of a body, and most headers.
const HEAD: usize = 16 * 1024;
const BODY: usize = 16 * 1024;
const HEADERS: usize = 64;

/// Most connections at a time. The page has one or two; others that ask for nothing must not take its place.
const CONNECTIONS: usize = 32;

/// A request that is not there by then never will be.
const TIME: Duration = Duration::from_secs(5);

/// Nothing is loaded from elsewhere, and no script is run that stands in the page, whatever is in it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// A request.
#[derive(Debug, Default)]
pub struct Request {
    /// GET or POST.
    pub method: String,
    /// The path and what follows it.
    pub target: String,
    /// To whom it says it is.
    pub host: Option<String>,
    /// The site that it comes from, if a browser says so.
    pub origin: Option<String>,
    /// What comes with it.
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Debug, PartialEq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// What it is.
    pub kind: &'static str,
    /// The body.
    pub body: String,
}

/// A request that waits for its answer.
pub struct Asked {
    /// It.
    pub request: Request,
    /// Where the answer goes.
    pub answer: SyncSender<Response>,
}

impl Response {
    /// Some JSON.
    pub fn json(body: String) -> Response {
        Response { status: 200, kind: "application/json", body }
    }

    /// Words.
    pub fn says(status: u16, why: &str) -> Response {
        Response { status, kind: "text/plain; charset=utf-8", body: format!("{why}\n") }
    }

    fn write(&self, mut to: &TcpStream) -> io::Result<()> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            409 => "Conflict",
            413 => "Content Too Large",
            _ => "Internal Server Error",
        };
        let head = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\nCache-Control: no-store\r\n\
             Content-Security-Policy: {POLICY}\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
             Cross-Origin-Resource-Policy: same-origin\r\nCross-Origin-Opener-Policy: same-origin\r\n\r\n",
            self.status,
            self.kind,
            self.body.len()
        );
        to.write_all(head.as_bytes())?;
        to.write_all(self.body.as_bytes())
    }
}

/// Listens at a free port of this machine alone: the port, and the requests.
///
/// # Errors
/// If the system refuses.
pub fn listen() -> io::Result<(u16, Receiver<Asked>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let (send, requests) = channel();
    std::thread::Builder::new().name("connections".into()).spawn(move || take(&listener, &send))?;
    Ok((port, requests))
}

fn take(listener: &TcpListener, to: &Sender<Asked>) {
    // Where a run's host is too, if workers leave it a CPU: all threads that answer start here. Where they cannot be kept they run anyway.
    if limits::cpus() > 2
        && let Some(last) = limits::cpu_numbers().last()
    {
        let _ = limits::pin(*last);
    }
    let places = Arc::new(Places::default());
    for stream in listener.incoming() {
        let Ok(stream) = stream.map(Arc::new) else {
            // No descriptor is left: one of the others will be.
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        let Some(place) = places.take(&stream, CONNECTIONS) else { continue };
        let to = to.clone();
        // If there is no thread for it, it is closed.
        let _ = std::thread::Builder::new().spawn(move || serve(&stream, &place, &to));
    }
}

fn serve(stream: &TcpStream, place: &Place, to: &Sender<Asked>) {
    let read = read(stream);
    let whole = read.is_ok();
    let response = match read {
        Ok(request) => {
            place.has_asked();
            let (answer, answered) = sync_channel(1);
            match to.send(Asked { request, answer }).map(|()| answered.recv()) {
                Ok(Ok(response)) => response,
                // The lab ends.
                _ => return,
            }
        }
        Err(refused) => refused,
    };
    let _ = stream.set_write_timeout(Some(TIME));
    // Who has gone needs no answer.
    let _ = response.write(stream);
    if !whole {
        // What is closed while there is more to read is cut off, with the answer.
        drain(stream);
    }
}

/// Reads on for a while.
fn drain(mut stream: &TcpStream) {
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
    let mut some = [0; 4096];
    let mut left = 64;
    while left > 0 && stream.read(&mut some).is_ok_and(|n| n > 0) {
        left -= 1;
    }
}

/// Reads one request, whoever it is from.
///
/// # Errors
/// What to answer to what is none.
fn read(mut stream: &TcpStream) -> Result<Request, Response> {
    let end = Instant::now() + TIME;
    let mut bytes = vec![];
    let mut more = |bytes: &mut Vec<u8>| {
        let late = || Response::says(408, "the request did not come");
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return Err(late());
        }
        let mut some = [0; 4096];
        match stream.read(&mut some) {
            Ok(0) | Err(_) => Err(late()),
            Ok(n) => {
                bytes.extend_from_slice(&some[..n]);
                Ok(())
            }
        }
    };
    loop {
        if let Some((mut request, head, length)) = parse(&bytes)? {
            while bytes.len() < head + length {
                more(&mut bytes)?;
            }
            request.body = bytes[head..head + length].to_vec();
            return Ok(request);
        }
        if bytes.len() > HEAD {
            return Err(Response::says(413, "the request is too long"));
        }
        more(&mut bytes)?;
    }
}

/// A request without its body, how long it was, and how long the body is; `None` if there is more of it to come.
///
/// # Errors
/// What to answer to what is none.
fn parse(bytes: &[u8]) -> Result<Option<(Request, usize, usize)>, Response> {
    let wrong = || Response::says(400, "this is no request");
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let head = match parsed.parse(bytes).map_err(|_| wrong())? {
        httparse::Status::Complete(head) if head <= HEAD => head,
        httparse::Status::Complete(_) => return Err(Response::says(413, "the request is too long")),
        httparse::Status::Partial => return Ok(None),
    };
    let (method, target) = (parsed.method.unwrap_or_default().to_owned(), parsed.path.unwrap_or_default().to_owned());
    let (mut request, mut length) = (Request { method, target, ..Request::default() }, 0);
    for header in parsed.headers.iter() {
        let value = std::str::from_utf8(header.value).map_err(|_| wrong())?.trim();
        match header.name.to_ascii_lowercase().as_str() {
            "host" if request.host.is_none() => request.host = Some(value.to_owned()),
            "origin" if request.origin.is_none() => request.origin = Some(value.to_owned()),
            // Which of two is meant?
            "host" | "origin" => return Err(wrong()),
            "content-length" => length = value.parse().map_err(|_| wrong())?,
            "transfer-encoding" => return Err(wrong()),
            _ => {}
        }
    }
    if length > BODY {
        return Err(Response::says(413, "the request is too long"));
    }
    Ok(Some((request, head, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_who_it_says_it_is_from() {
        let text = b"POST /a/b?c=1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\norigin: http://x\r\nContent-Length: 3\r\n\r\nabc";
        let (request, head, length) = parse(text).unwrap().unwrap();
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/a/b?c=1"));
        assert_eq!((request.host.as_deref(), request.origin.as_deref()), (Some("127.0.0.1:1"), Some("http://x")));
        assert_eq!((&text[head..], length), (&b"abc"[..], 3));
        assert!(parse(&text[..30]).unwrap().is_none());
    }

    #[test]
    fn what_is_no_request_or_too_long_is_refused_before_it_is_read() {
        let status = |text: &str| parse(text.as_bytes()).unwrap_err().status;
        assert_eq!(status("hello\0\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
        assert_eq!(status("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), 400);
        for length in ["16385", "9999999999999999"] {
            assert_eq!(status(&format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n")), 413);
        }
        assert_eq!(status(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(HEAD))), 413);
    }
}
