//! Who may come in: who knows the token, and is this page itself.
//!
//! The token keeps out other users of the machine, and other sites, which do not know it. The name that a request is for keeps out sites whose
//! name was made to mean this machine; where it comes from, sites that have got hold of the address.

use super::http::{Request, Response};

/// A door.
pub struct Door {
    token: String,
    host: String,
}

impl Door {
    /// At this port, with a new token.
    pub fn new(port: u16) -> Door {
        Door { token: format!("{:032x}", rand::random::<u128>()), host: format!("127.0.0.1:{port}") }
    }

    /// What to open in a browser.
    pub fn address(&self) -> String {
        format!("http://{}/{}/", self.host, self.token)
    }

    /// What follows the token in the request's path.
    ///
    /// # Errors
    /// What to answer to who is not let in.
    pub fn path<'a>(&self, request: &'a Request) -> Result<&'a str, Response> {
        let refused = || Response::says(403, "this is for whoever has started the lab: open the address that it has printed");
        if request.host.as_deref() != Some(&self.host) {
            return Err(refused());
        }
        let origin = format!("http://{}", self.host);
        match request.origin.as_deref() {
            Some(from) if from == origin => {}
            // What only looks is asked for without it.
            None if request.method == "GET" => {}
            _ => return Err(refused()),
        }
        let (token, path) = request.target.strip_prefix('/').and_then(|rest| rest.split_once('/')).ok_or_else(refused)?;
        if same(token.as_bytes(), self.token.as_bytes()) { Ok(path) } else { Err(refused()) }
    }
}

/// Compares in a time that does not tell how much of it was right.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, target: String, host: &str, origin: Option<&str>) -> Request {
        let (host, origin) = (Some(host.to_owned()), origin.map(str::to_owned));
        Request { method: method.to_owned(), target, host, origin, body: vec![] }
    }

    #[test]
    fn only_who_knows_the_token_and_is_this_page_is_let_in() {
        let door = Door::new(4000);
        let token = &door.token.clone();
        let (host, origin) = ("127.0.0.1:4000", Some("http://127.0.0.1:4000"));
        let path = |method: &str, target: &str, host: &str, origin: Option<&str>| {
            door.path(&request(method, target.to_owned(), host, origin)).map(str::to_owned).map_err(|refused| refused.status)
        };
        let target = format!("/{token}/run?a=1");
        assert_eq!(path("GET", &target, host, None), Ok("run?a=1".into()));
        assert_eq!(path("POST", &target, host, origin), Ok("run?a=1".into()));
        assert_eq!(path("GET", &format!("/{token}/"), host, origin), Ok(String::new()));
        for (method, target, host, origin) in [
            ("GET", "/".to_owned(), host, None),
            ("GET", format!("/{token}"), host, None),
            ("GET", format!("/{}/", "0".repeat(32)), host, None),
            ("GET", format!("/{}/", &token[..31]), host, None),
            ("GET", target.clone(), "localhost:4000", None),
            ("GET", target.clone(), "evil.example:4000", None),
            ("GET", target.clone(), host, Some("http://evil.example")),
            ("GET", target.clone(), host, Some("null")),
            ("POST", target.clone(), host, None),
            ("POST", target.clone(), host, Some("http://127.0.0.1:4001")),
        ] {
            assert_eq!(path(method, &target, host, origin), Err(403), "{method} {target} {host} {origin:?}");
        }
    }

    #[test]
    fn each_door_has_its_own_token() {
        assert_ne!(Door::new(1).token, Door::new(1).token);
    }
}
