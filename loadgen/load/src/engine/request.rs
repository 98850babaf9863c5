//! One HTTP/1.1 request as a user asks for it: his headers replace ours, and those of framing and
//! connection are obeyed. What would make another request of it than the one that is meant is refused.

use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::Url;

/// A header that a user gives, `Name: value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    name: String,
    value: String,
}

/// A method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method(String);

/// The bytes of a request, and what becomes of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub(super) bytes: Vec<u8>,
    /// No other request follows on the same connection.
    pub(super) closes: bool,
    /// It asks for heads alone: answers announce bodies that do not come (RFC 9110, 9.3.2).
    pub(super) asks_for_heads: bool,
}

impl Header {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            |why: &str| format!("{why}; expected `Name: value`, as in `Accept: text/plain`");
        let (name, value) = text.split_once(':').ok_or_else(|| wrong("there is no colon"))?;
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(wrong(&format!("{name:?} is no name of a header")));
        }
        // RFC 9110, 5.5: a line's end here would begin another header, or another request.
        if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(wrong("the value holds a line's end or another control character"));
        }
        Ok(Self { name: name.to_owned(), value: value.trim_matches([' ', '\t']).to_owned() })
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let method = text.to_ascii_uppercase();
        match method.as_str() {
            "CONNECT" => Err("CONNECT is not supported: it asks for a tunnel".to_owned()),
            _ if method.is_empty() || !method.bytes().all(is_token) => Err(format!(
                "{text:?} is no method; expected one word, such as GET, POST or DELETE"
            )),
            _ => Ok(Self(method)),
        }
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// RFC 9110, 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl Request {
    /// A plain GET of this path.
    #[must_use]
    pub fn get(host: &str, path: &str) -> Self {
        let bytes = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
        Self { bytes, closes: false, asks_for_heads: false }
    }

    /// The request of these parts.
    ///
    /// # Errors
    /// What in the headers contradicts the body, or another of them.
    pub fn new(
        method: &Method,
        url: &Url,
        headers: &[Header],
        body: &[u8],
    ) -> Result<Self, String> {
        let framing = Framing::of(headers, body)?;
        let mut head = format!("{method} {} HTTP/1.1\r\n", path(url));
        let mut add = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        match only(headers, "host")? {
            Some(_) => {}
            None => add("Host", &host(url)),
        }
        let given = headers.iter().any(|header| header.is("authorization"));
        if let Some(credentials) = credentials(url).filter(|_| !given) {
            add("Authorization", &credentials);
        }
        headers.iter().for_each(|header| add(&header.name, &header.value));
        let has_body = !body.is_empty() || !matches!(&*method.0, "GET" | "HEAD");
        if framing == Framing::Ours && has_body {
            add("Content-Length", &body.len().to_string());
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        match framing {
            Framing::Chunked if body.is_empty() => bytes.extend_from_slice(b"0\r\n\r\n"),
            Framing::Chunked => {
                bytes.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
                bytes.extend_from_slice(body);
                bytes.extend_from_slice(b"\r\n0\r\n\r\n");
            }
            Framing::Ours | Framing::Length => bytes.extend_from_slice(body),
        }
        let words = headers.iter().filter(|header| header.is("connection"));
        let mut words = words.flat_map(|header| header.value.split(','));
        let closes = words.any(|word| word.trim().eq_ignore_ascii_case("close"));
        Ok(Self { bytes, closes, asks_for_heads: method.0 == "HEAD" })
    }
}

/// Who says where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Nobody yet.
    Ours,
    /// The user, by its length.
    Length,
    /// The user: in chunks.
    Chunked,
}

impl Framing {
    fn of(headers: &[Header], body: &[u8]) -> Result<Self, String> {
        match (only(headers, "content-length")?, only(headers, "transfer-encoding")?) {
            (None, None) => Ok(Self::Ours),
            (Some(_), Some(_)) => {
                Err("both Content-Length and Transfer-Encoding are given; leave one out".to_owned())
            }
            (Some(length), None) if length.value == body.len().to_string() => Ok(Self::Length),
            (Some(length), None) => Err(format!(
                "Content-Length is {:?} and the body has {} bytes; leave the header out, or give \
                 the body that it announces",
                length.value,
                body.len()
            )),
            (None, Some(coding)) if coding.value.eq_ignore_ascii_case("chunked") => {
                Ok(Self::Chunked)
            }
            (None, Some(coding)) => {
                Err(format!("Transfer-Encoding is {:?}; expected chunked", coding.value))
            }
        }
    }
}

/// The only header of this name, if there is one.
fn only<'h>(headers: &'h [Header], name: &str) -> Result<Option<&'h Header>, String> {
    let mut named = headers.iter().filter(|header| header.is(name));
    match (named.next(), named.next()) {
        (Some(header), Some(_)) => Err(format!("{} is given twice; leave one out", header.name)),
        (header, _) => Ok(header),
    }
}

fn path(url: &Url) -> String {
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{query}", url.path())
}

/// The host, and the port if it is not that of the scheme (RFC 9110, 7.2).
fn host(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
}

/// The URL's user and password, as Basic authentication has them (RFC 7617).
fn credentials(url: &Url) -> Option<String> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    Some(format!("Basic {}", BASE64_STANDARD.encode(pair)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compose(method: &str, url: &str, headers: &[&str], body: &str) -> Result<String, String> {
        let headers: Vec<Header> = headers.iter().map(|h| h.parse().unwrap()).collect();
        let url = Url::parse(url).unwrap();
        let request = Request::new(&method.parse()?, &url, &headers, body.as_bytes())?;
        Ok(String::from_utf8(request.bytes).unwrap().replace("\r\n", "|"))
    }

    #[track_caller]
    fn check(parts: (&str, &str, &[&str], &str), expected: &str) {
        let (method, url, headers, body) = parts;
        assert_eq!(compose(method, url, headers, body).unwrap(), expected);
    }

    #[test]
    fn a_request_is_what_its_user_says() {
        const URL: &str = "http://h:8080/a?b=c#d";
        check(("get", URL, &[], ""), "GET /a?b=c HTTP/1.1|Host: h:8080||");
        check(("GET", "http://h:80", &[], ""), "GET / HTTP/1.1|Host: h||");
        check(("GET", "http://[::1]:8080/", &[], ""), "GET / HTTP/1.1|Host: [::1]:8080||");
        check(("head", URL, &[], ""), "HEAD /a?b=c HTTP/1.1|Host: h:8080||");
        check(("POST", URL, &[], ""), "POST /a?b=c HTTP/1.1|Host: h:8080|Content-Length: 0||");
        check(("GET", URL, &["host:  shop "], ""), "GET /a?b=c HTTP/1.1|host: shop||");
        check(
            ("PUT", URL, &["Content-length: 2"], "ok"),
            "PUT /a?b=c HTTP/1.1|Host: h:8080|Content-length: 2||ok",
        );
        let chunked = ["Transfer-Encoding: Chunked"];
        check(
            ("PUT", URL, &chunked, "hello world, hello"),
            "PUT /a?b=c HTTP/1.1|Host: h:8080|Transfer-Encoding: Chunked||12|hello world, hello|0||",
        );
        check(
            ("PUT", URL, &chunked, ""),
            "PUT /a?b=c HTTP/1.1|Host: h:8080|Transfer-Encoding: Chunked||0||",
        );
        check(
            ("GET", URL, &["X-Empty:", "A: b: c"], ""),
            "GET /a?b=c HTTP/1.1|Host: h:8080|X-Empty: |A: b: c||",
        );
    }

    #[test]
    fn a_user_in_the_url_is_one_in_a_header_unless_there_is_one() {
        // RFC 7617, 2: Aladdin and open sesame.
        const URL: &str = "http://Aladdin:open%20sesame@h/";
        let basic = "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        check(("GET", URL, &[], ""), &format!("GET / HTTP/1.1|Host: h|{basic}||"));
        check(
            ("GET", URL, &["authorization: Bearer t"], ""),
            "GET / HTTP/1.1|Host: h|authorization: Bearer t||",
        );
        check(
            ("GET", "http://me@h/", &[], ""),
            "GET / HTTP/1.1|Host: h|Authorization: Basic bWU6||",
        );
    }

    #[test]
    fn who_asks_for_a_close_gets_one() {
        let closes = |header: &str| {
            let headers = [header.parse().unwrap()];
            let url = Url::parse("http://h/").unwrap();
            Request::new(&"GET".parse().unwrap(), &url, &headers, b"").unwrap().closes
        };
        assert!(closes("Connection: close") && closes("connection: upgrade, CLOSE"));
        assert!(!closes("Connection: keep-alive") && !closes("X: close"));
    }

    #[track_caller]
    fn refused(headers: &[&str], body: &str, part: &str) {
        let error = compose("POST", "http://h/", headers, body).unwrap_err();
        assert!(error.contains(part), "{error}");
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        refused(&["Host: a", "host: b"], "", "Host is given twice");
        refused(&["Content-Length: 3"], "ok", "Content-Length is \"3\" and the body has 2 bytes");
        refused(&["Content-Length: +2"], "ok", "Content-Length is \"+2\"");
        refused(&["Content-Length: 2", "Transfer-Encoding: chunked"], "ok", "leave one out");
        refused(&["Transfer-Encoding: gzip, chunked"], "ok", "expected chunked");
    }

    #[test]
    fn what_is_no_header_or_no_method_is_refused() {
        for (text, part) in [
            ("", "there is no colon"),
            ("Accept", "there is no colon"),
            (": x", "\"\" is no name"),
            ("a b: x", "\"a b\" is no name"),
            ("a: x\r\nb: y", "a line's end"),
            ("a: x\ny", "a line's end"),
            ("a: \0", "control character"),
            ("GET /x HTTP/1.1\r\na: x", "is no name"),
        ] {
            let error = text.parse::<Header>().unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
        for text in ["", "GET /x", "GET\r\n", "G:", "connect"] {
            assert!(text.parse::<Method>().is_err(), "{text:?}");
        }
        assert_eq!("pro-pfind".parse::<Method>().unwrap().to_string(), "PRO-PFIND");
    }
}
