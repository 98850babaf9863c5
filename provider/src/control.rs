//! Who may look at the settings and change them: whoever shows the token, from this machine.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_server::problem;

/// Guards the settings. Without a token nobody passes.
pub(crate) struct Control {
    token: Option<String>,
}

impl Control {
    pub(crate) fn new(token: Option<String>) -> Self {
        Self { token }
    }

    /// Why this request may not pass.
    pub(crate) fn refusal(&self, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        let Some(token) = &self.token else {
            let text = "control is off; start the provider with TRIPTYCH_CONTROL_TOKEN set";
            return Some(problem(StatusCode::FORBIDDEN, "control-off", text));
        };
        let header = |name| request.headers().get(name).and_then(|v| v.to_str().ok());
        // A page in a browser can be made to send requests here; its Host gives it away.
        if !header(HOST).is_some_and(is_loopback) {
            let text = "the Host must be a loopback address";
            return Some(problem(StatusCode::FORBIDDEN, "not-loopback", text));
        }
        let shown = header(AUTHORIZATION).and_then(|v| v.strip_prefix("Bearer "));
        if !shown.is_some_and(|shown| same(shown, token)) {
            let mut refused =
                problem(StatusCode::UNAUTHORIZED, "unauthenticated", "a bearer token is needed");
            refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return Some(refused);
        }
        let content_type = header(CONTENT_TYPE).and_then(|v| v.split(';').next());
        if request.method() != Method::GET && content_type != Some("application/json") {
            let text = "the content type must be application/json";
            return Some(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", text));
        }
        None
    }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Compares in time that does not depend on where the two differ.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |d, (x, y)| d | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: [(&str, &str); 3] = [
        ("host", "127.0.0.1:9"),
        ("authorization", "Bearer t"),
        ("content-type", "application/json"),
    ];

    #[track_caller]
    fn check(token: Option<&str>, change: (&'static str, &str), status: Option<u16>) {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::PATCH;
        for (name, value) in HEADERS.into_iter().chain([change]) {
            request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
        let refusal = Control::new(token.map(ToOwned::to_owned)).refusal(&request);
        assert_eq!(refusal.map(|r| r.status().as_u16()), status, "{change:?}");
    }

    #[test]
    fn only_with_the_token_from_this_machine_as_json() {
        check(Some("t"), ("x", "y"), None);
        check(None, ("x", "y"), Some(403));
        for host in ["localhost:1", "[::1]:1", "127.9.9.9", "localhost"] {
            check(Some("t"), ("host", host), None);
        }
        for host in ["evil.example", "10.0.0.1:9", "localhost.evil.example", "[::2]:1", ""] {
            check(Some("t"), ("host", host), Some(403));
        }
        for wrong in ["Bearer u", "Bearer tt", "Bearer ", "Basic t"] {
            check(Some("t"), ("authorization", wrong), Some(401));
        }
        check(Some("t"), ("content-type", "application/json; charset=utf-8"), None);
        check(Some("t"), ("content-type", "text/plain"), Some(415));
    }
}
