//! Who may use the doors that are not for customers: whoever shows the token, from this machine; or, of
//! those between services, whoever shows it and is no page in a browser.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, StatusCode};

use crate::problem;

const CONTROL_TOKEN: &str = "TRIPTYCH_CONTROL_TOKEN";

/// Guards what an experiment or another service may do and a customer may not. Without a token nobody
/// passes.
pub struct Guard {
    token: Option<String>,
}

impl Guard {
    /// A guard who knows this token.
    #[must_use]
    pub fn new(token: Option<String>) -> Self {
        Self { token }
    }

    /// A guard who knows the token in TRIPTYCH_CONTROL_TOKEN, if it has one.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::new(std::env::var(CONTROL_TOKEN).ok().filter(|token| !token.is_empty()))
    }

    /// Why this request may not even look: it comes from a page in a browser, which can be made to
    /// send requests here by a name that it rebinds. Its Host or its Origin gives it away.
    #[must_use]
    pub fn stranger(&self, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        let of_host = header(request, HOST).is_some_and(is_loopback);
        let of_origin = match request.headers().contains_key(ORIGIN) {
            true => header(request, ORIGIN)
                .and_then(|origin| origin.split_once("://"))
                .is_some_and(|(_, host)| is_loopback(host)),
            false => true,
        };
        let text = "the Host, and the Origin if there is one, must be a loopback address";
        let refused = || problem(StatusCode::FORBIDDEN, "not-loopback", text);
        (!of_host || !of_origin).then(refused)
    }

    /// Whether this request shows the token.
    #[must_use]
    pub fn knows(&self, request: &Request<Bytes>) -> bool {
        let shown = header(request, AUTHORIZATION).and_then(|v| v.strip_prefix("Bearer "));
        self.token.as_deref().zip(shown).is_some_and(|(token, shown)| same(shown, token))
    }

    /// Why this request may not pass.
    #[must_use]
    pub fn refusal(&self, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        if self.token.is_none() {
            let text = "control is off; start this process with TRIPTYCH_CONTROL_TOKEN set";
            return Some(problem(StatusCode::FORBIDDEN, "control-off", text));
        }
        self.stranger(request).or_else(|| self.unknown(request)).or_else(|| not_json(request))
    }

    /// Why this request is not another service's: it shows no token, or it comes from a page in a browser,
    /// which sends an Origin with every request that it makes elsewhere.
    #[must_use]
    pub fn no_service(&self, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        let text = "this is for services; a page in a browser, which sends an Origin, may not ask";
        let page = || problem(StatusCode::FORBIDDEN, "not-a-service", text);
        let page = request.headers().contains_key(ORIGIN).then(page);
        page.or_else(|| self.unknown(request)).or_else(|| not_json(request))
    }

    fn unknown(&self, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        if self.knows(request) {
            return None;
        }
        let mut refused =
            problem(StatusCode::UNAUTHORIZED, "unauthenticated", "a bearer token is needed");
        refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        Some(refused)
    }
}

/// What a form in a page can send without asking first is not taken.
fn not_json(request: &Request<Bytes>) -> Option<Response<Bytes>> {
    let content_type = header(request, CONTENT_TYPE).and_then(|v| v.split(';').next());
    if request.method() == Method::GET || content_type == Some("application/json") {
        return None;
    }
    let text = "the content type must be application/json";
    Some(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", text))
}

fn header(request: &Request<Bytes>, name: HeaderName) -> Option<&str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
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

    fn request(change: (&'static str, &str)) -> Request<Bytes> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::PATCH;
        for (name, value) in HEADERS.into_iter().chain([change]) {
            request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
        request
    }

    #[track_caller]
    fn check(token: Option<&str>, change: (&'static str, &str), status: Option<u16>) {
        let refusal = Guard::new(token.map(ToOwned::to_owned)).refusal(&request(change));
        assert_eq!(refusal.map(|r| r.status().as_u16()), status, "{change:?}");
    }

    #[track_caller]
    fn check_service(token: Option<&str>, change: (&'static str, &str), status: Option<u16>) {
        let refusal = Guard::new(token.map(ToOwned::to_owned)).no_service(&request(change));
        assert_eq!(refusal.map(|r| r.status().as_u16()), status, "{change:?}");
    }

    #[test]
    fn services_show_the_token_from_anywhere_and_pages_never_pass() {
        check_service(Some("t"), ("x", "y"), None);
        check_service(Some("t"), ("host", "payments.internal:80"), None);
        check_service(None, ("x", "y"), Some(401));
        check_service(Some("t"), ("authorization", "Bearer u"), Some(401));
        for origin in ["http://evil.example", "http://localhost", "null", ""] {
            check_service(Some("t"), ("origin", origin), Some(403));
        }
        check_service(Some("t"), ("content-type", "text/plain"), Some(415));
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
        for origin in ["http://localhost:3000", "http://[::1]"] {
            check(Some("t"), ("origin", origin), None);
        }
        for origin in ["http://evil.example", "null", "", "http://127.0.0.1.evil.example"] {
            check(Some("t"), ("origin", origin), Some(403));
        }
        for wrong in ["Bearer u", "Bearer tt", "Bearer ", "Basic t"] {
            check(Some("t"), ("authorization", wrong), Some(401));
        }
        check(Some("t"), ("content-type", "application/json; charset=utf-8"), None);
        check(Some("t"), ("content-type", "text/plain"), Some(415));
    }
}
