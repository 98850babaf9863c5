//! As much of HTTP/1.1 as a local page needs: one request per connection, GET and HEAD. It knows no page.

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// A browser's head has 2 KiB; a longer one is refused.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
/// Our own pages load what is ours, and nothing else.
const OWN: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                   form-action 'none'; frame-ancestors 'none'";
/// A report is one file with all that it needs, and asks nobody for more.
const REPORT: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data: \
                      blob:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) is_head: bool,
    /// Decoded, without the query.
    pub(super) path: String,
    pub(super) host: Option<String>,
    pub(super) origin: Option<String>,
}

/// Reads a request; `None` if it is none of ours.
pub(super) async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Asked>> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4 * 1024]);
    while !ends(&bytes) {
        let count = stream.read(&mut buffer).await?;
        bytes.extend_from_slice(&buffer[..count]);
        if count == 0 || bytes.len() > HEAD_BYTES_MAX {
            return Ok(None);
        }
    }
    Ok(parse(&bytes))
}

fn ends(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|end| end == b"\r\n\r\n")
}

fn parse(bytes: &[u8]) -> Option<Asked> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    if !request.parse(bytes).ok()?.is_complete() {
        return None;
    }
    let only = |name: &str| {
        let mut named = request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name));
        let first = named.next().map(|header| String::from_utf8_lossy(header.value).into_owned());
        named.next().is_none().then_some(first)
    };
    let (host, origin) = (only("host")?, only("origin")?);
    let path = request.path?.split('?').next()?;
    let path = percent_encoding::percent_decode_str(path).decode_utf8().ok()?.into_owned();
    let is_head = match request.method? {
        "GET" => false,
        "HEAD" => true,
        _ => return None,
    };
    Some(Asked { is_head, path, host, origin })
}

/// An answer.
pub(super) struct Answer {
    status: u16,
    kind: &'static str,
    policy: &'static str,
    body: Vec<u8>,
}

impl Answer {
    /// A page of ours.
    pub(super) fn page(html: String) -> Self {
        Self { status: 200, kind: "text/html; charset=utf-8", policy: OWN, body: html.into_bytes() }
    }

    /// What our pages load.
    pub(super) fn text(kind: &'static str, text: &str) -> Self {
        Self { status: 200, kind, policy: OWN, body: text.as_bytes().to_vec() }
    }

    /// A file of a record or report.
    pub(super) fn file(kind: &'static str, body: Vec<u8>) -> Self {
        Self { status: 200, kind, policy: REPORT, body }
    }

    /// What is not to be had.
    pub(super) fn refused(status: u16) -> Self {
        let body = format!("{status} {}\n", reason(status)).into_bytes();
        Self { status, kind: "text/plain; charset=utf-8", policy: OWN, body }
    }

    pub(super) fn bytes(&self, with_body: bool) -> Vec<u8> {
        let head = head(self.status, self.kind, self.policy);
        let mut bytes = format!("{head}Content-Length: {}\r\n\r\n", self.body.len()).into_bytes();
        if with_body {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// The head of a stream of events, which ends with its connection.
pub(super) fn events() -> String {
    head(200, "text/event-stream", OWN) + "\r\n"
}

fn head(status: u16, kind: &str, policy: &str) -> String {
    format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {kind}\r\nContent-Security-Policy: {policy}\r\n\
         X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\nCache-Control: no-store\r\nConnection: close\r\n",
        reason(status)
    )
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        _ => "Refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_read_and_what_is_odd_is_not() {
        let asked = |text: &str| parse(text.replace('|', "\r\n").as_bytes());
        let found = asked("GET /a%20b/?x=1 HTTP/1.1|host: h:1||").unwrap();
        assert_eq!(
            (&*found.path, found.host.as_deref(), found.origin),
            ("/a b/", Some("h:1"), None)
        );
        assert!(asked("HEAD / HTTP/1.1|Host: h||").unwrap().is_head);
        for odd in [
            "POST / HTTP/1.1|Host: h||",
            "GET / HTTP/1.1|Host: h|Host: i||",
            "GET /%ff HTTP/1.1|Host: h||",
            "GET / HTTP/1.1|Host: h|",
            "nonsense||",
        ] {
            assert_eq!(asked(odd), None, "{odd}");
        }
    }
}
