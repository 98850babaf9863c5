//! An HTTP/1.1 response, read as it arrives. Bounded: a head of 16 KiB, a body of 4 MiB.

#[cfg(test)]
mod against_hyper;

const HEADERS_MAX: usize = 100;
const HEAD_BYTES_MAX: usize = 16 * 1024;
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A body with the sizes, extensions and trailers of its chunks.
const WIRE_BYTES_MAX: usize = 2 * BODY_BYTES_MAX;

/// A complete response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// Its status.
    pub status: u16,
    /// Whether it says that nothing was done (`x-effect: none`).
    pub effect_none: bool,
    /// Its body.
    pub body: &'a [u8],
}

/// Not HTTP, or beyond a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbled;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Length(usize),
    Chunked,
    UntilClose,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    status: u16,
    bytes: usize,
    body: Body,
    keep_alive: bool,
    effect_none: bool,
}

/// The state of one response that is arriving.
#[derive(Debug, Default)]
pub(super) struct Parser {
    bytes: Vec<u8>,
    head: Option<Head>,
    /// Chunked: the decoded body, and how far `bytes` is decoded.
    decoded: Vec<u8>,
    at: usize,
    complete: bool,
    /// More came than the response has: it is whole, but what follows belongs to no request.
    surplus: bool,
}

impl Parser {
    /// Forgets the response, keeps the memory.
    pub(super) fn reset(&mut self) {
        self.bytes.clear();
        self.decoded.clear();
        self.head = None;
        self.at = 0;
        self.complete = false;
        self.surplus = false;
    }

    /// Takes more bytes; true when the response is complete.
    pub(super) fn feed(&mut self, more: &[u8]) -> Result<bool, Garbled> {
        self.bytes.extend_from_slice(more);
        while self.head.is_none() {
            match read_head(&self.bytes)? {
                None if self.bytes.len() > HEAD_BYTES_MAX => return Err(Garbled),
                None => return Ok(false),
                // 1xx: the real answer follows; 101 would be the last of this protocol
                Some(head) if head.status < 200 && head.status != 101 => {
                    drop(self.bytes.drain(..head.bytes));
                }
                Some(head) => {
                    self.at = head.bytes;
                    self.head = Some(head);
                }
            }
        }
        let Some(head) = self.head else { return Ok(false) };
        let body_bytes = self.bytes.len() - head.bytes;
        self.complete = match head.body {
            Body::Length(length) => {
                self.surplus = body_bytes > length;
                body_bytes >= length
            }
            Body::Chunked if body_bytes > WIRE_BYTES_MAX => return Err(Garbled),
            Body::Chunked => self.decode_chunks()?,
            Body::UntilClose if body_bytes > BODY_BYTES_MAX => return Err(Garbled),
            Body::UntilClose => false,
        };
        Ok(self.complete)
    }

    /// The peer closed: true if that completes the response.
    pub(super) fn close(&mut self) -> bool {
        self.complete |= matches!(self.head, Some(Head { body: Body::UntilClose, .. }));
        self.complete
    }

    /// Whether the connection may carry another request.
    pub(super) fn keep_alive(&self) -> bool {
        let again = |h: Head| h.keep_alive && h.body != Body::UntilClose && h.status != 101;
        !self.surplus && self.head.is_some_and(again)
    }

    /// The response, once complete.
    pub(super) fn response(&self) -> Option<Response<'_>> {
        let head = self.head.filter(|_| self.complete)?;
        let body = match head.body {
            Body::Chunked => &self.decoded[..],
            Body::Length(length) => &self.bytes[head.bytes..head.bytes + length],
            Body::UntilClose => &self.bytes[head.bytes..],
        };
        Some(Response { status: head.status, effect_none: head.effect_none, body })
    }

    fn decode_chunks(&mut self) -> Result<bool, Garbled> {
        loop {
            let rest = &self.bytes[self.at..];
            // httparse takes a line without a digit for a last chunk.
            if rest.first().is_some_and(|first| !first.is_ascii_hexdigit()) {
                return Err(Garbled);
            }
            let (start, size) = match httparse::parse_chunk_size(rest) {
                Ok(httparse::Status::Complete(found)) => found,
                Ok(httparse::Status::Partial) if rest.len() > HEAD_BYTES_MAX => {
                    return Err(Garbled);
                }
                Ok(httparse::Status::Partial) => return Ok(false),
                Err(_) => return Err(Garbled),
            };
            let size =
                usize::try_from(size).ok().filter(|s| *s <= BODY_BYTES_MAX).ok_or(Garbled)?;
            if size == 0 {
                let Some(surplus) = trailers_end(&rest[start..])? else { return Ok(false) };
                self.surplus = surplus;
                return Ok(true);
            }
            let end = start + size;
            let Some(ending) = rest.get(end..end + 2) else { return Ok(false) };
            if ending != b"\r\n" || self.decoded.len() + size > BODY_BYTES_MAX {
                return Err(Garbled);
            }
            self.decoded.extend_from_slice(&rest[start..end]);
            self.at += end + 2;
        }
    }
}

/// Whether more follows the trailers after the last chunk; `None` while they are incomplete.
fn trailers_end(rest: &[u8]) -> Result<Option<bool>, Garbled> {
    let mut trailers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    match httparse::parse_headers(rest, &mut trailers) {
        Ok(httparse::Status::Complete((end, _))) if has_bare_line_end(&rest[..end]) => Err(Garbled),
        Ok(httparse::Status::Complete((end, _))) => Ok(Some(end < rest.len())),
        Ok(httparse::Status::Partial) if rest.len() > HEAD_BYTES_MAX => Err(Garbled),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(Garbled),
    }
}

fn has_bare_line_end(bytes: &[u8]) -> bool {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.map(|(at, _)| at).any(|at| at == 0 || bytes[at - 1] != b'\r')
}

fn read_head(bytes: &[u8]) -> Result<Option<Head>, Garbled> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut headers);
    let bytes = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(bytes)) if bytes <= HEAD_BYTES_MAX => bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Ok(httparse::Status::Complete(_)) | Err(_) => return Err(Garbled),
    };
    let status = parsed.code.filter(|status| *status >= 100).ok_or(Garbled)?;
    let recent = parsed.version == Some(1);
    let values = |name: &'static str| {
        let named = parsed.headers.iter().filter(move |h| h.name.eq_ignore_ascii_case(name));
        named.map(|h| h.value.trim_ascii())
    };
    let says = |token: &str| values("connection").any(|value| tokens(value).any(|t| t == token));
    Ok(Some(Head {
        status,
        bytes,
        body: match status {
            100..=199 | 204 | 304 => Body::Length(0),
            _ => body(values("transfer-encoding").next_back(), values("content-length"), recent)?,
        },
        keep_alive: !says("close") && (recent || says("keep-alive")),
        effect_none: values("x-effect").any(|value| value == b"none"),
    }))
}

/// RFC 9112, section 6.3: a transfer coding goes before a length, and lengths must agree.
fn body<'a>(
    coding: Option<&[u8]>,
    lengths: impl Iterator<Item = &'a [u8]>,
    recent: bool,
) -> Result<Body, Garbled> {
    if let Some(coding) = coding {
        let chunked = tokens(coding).next_back().is_some_and(|last| last == "chunked");
        return match (recent, chunked) {
            (false, _) => Err(Garbled),
            (true, true) => Ok(Body::Chunked),
            (true, false) => Ok(Body::UntilClose),
        };
    }
    let mut found = None;
    for text in lengths.flat_map(|value| value.split(|byte| *byte == b',')) {
        let length = digits(text.trim_ascii())?;
        if found.is_some_and(|other| other != length) {
            return Err(Garbled);
        }
        found = Some(length);
    }
    Ok(found.map_or(Body::UntilClose, Body::Length))
}

/// A length within the bound; `parse` alone would take a sign.
fn digits(text: &[u8]) -> Result<usize, Garbled> {
    let plain = std::str::from_utf8(text).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
    plain.and_then(|t| t.parse().ok()).filter(|l| *l <= BODY_BYTES_MAX).ok_or(Garbled)
}

/// The words of a list, in lower case; none if it is not printable.
fn tokens(value: &[u8]) -> impl DoubleEndedIterator<Item = String> {
    let printable = value.iter().all(|byte| *byte == b'\t' || (b' '..=b'~').contains(byte));
    let text = if printable { value } else { &[] };
    let words = text.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    words.map(|word| String::from_utf8_lossy(word).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<(u16, &str, bool), Garbled>) {
        // whatever the pieces in which it arrives
        for size in [1, 2, 7, bytes.len()] {
            let mut parser = Parser::default();
            let mut result = Ok(false);
            for piece in bytes.chunks(size) {
                result = parser.feed(piece);
                if result.is_err() {
                    break;
                }
            }
            if result == Ok(false) {
                parser.close();
            }
            let found = result.map(|_| {
                let response = parser.response().expect("complete");
                (response.status, std::str::from_utf8(response.body).unwrap(), parser.keep_alive())
            });
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn bodies() {
        check(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Ok((200, "hello", true)));
        check(b"HTTP/1.1 204 No Content\r\n\r\n", Ok((204, "", true)));
        check(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 C\r\ncontent-length: 1\r\n\r\nx",
            Ok((201, "x", true)),
        );
        check(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            Ok((200, "abcde", true)),
        );
        check(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nT: 1\r\n\r\n",
            Ok((200, "a", true)),
        );
        check(
            b"HTTP/1.1 500 E\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            Ok((500, "", false)),
        );
        check(b"HTTP/1.0 200 OK\r\n\r\nto the end", Ok((200, "to the end", false)));
        check(
            b"HTTP/1.1 200 OK\r\nConnection: Upgrade, CLOSE\r\nContent-Length: 1, 1\r\n\r\nx",
            Ok((200, "x", false)),
        );
        check(b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx", Err(Garbled));
        check(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", Err(Garbled));
        check(b"HTTP/1.1 204 N\r\ntransfer-encoding: chunked\r\n\r\n", Ok((204, "", true)));
        check(
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
            Ok((200, "", true)),
        );
        check(
            b"HTTP/1.0 200 OK\r\nConnection: other\r\nContent-Length: 0\r\n\r\n",
            Ok((200, "", false)),
        );
        check(b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nabc", Ok((200, "abc", false)));
        check(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\n\r\n", Err(Garbled));
        check(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nT: 1\n\r\n",
            Err(Garbled),
        );
        check(b"HTTP/1.1 101 Other\r\n\r\n", Ok((101, "", false)));
        check(b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n", Err(Garbled));
        check(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", Err(Garbled));
        check(b"SSH-2.0-OpenSSH\r\n", Err(Garbled));
    }

    #[test]
    fn what_follows_a_response_ends_the_connection_and_not_the_response() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\ny",
        ] {
            let mut parser = Parser::default();
            assert_eq!(parser.feed(bytes), Ok(true));
            assert_eq!((parser.response().unwrap().body, parser.keep_alive()), (&b"x"[..], false));
        }
    }

    #[test]
    fn what_grows_without_end_is_refused() {
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        for (first, rest) in [
            (&b"HTTP/1.1 200 OK\r\n"[..], &b"a: b\r\n"[..]),
            (chunked, b"1;xxxxxxxxxxxxxxxxxxxxx"),
            (chunked, b"1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\ny\r\n"),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
            (b"HTTP/1.1 200 OK\r\n\r\n", b"a body that goes on and on and on"),
        ] {
            let mut parser = Parser::default();
            let mut fed = parser.feed(first);
            let rest = rest.repeat(1_000);
            while fed == Ok(false) && parser.bytes.len() < 3 * BODY_BYTES_MAX {
                fed = parser.feed(&rest);
            }
            assert_eq!(fed, Err(Garbled), "{}", String::from_utf8_lossy(first));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..300) {
            let mut parser = Parser::default();
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            if parser.feed(first).is_ok() {
                let _ = parser.feed(second);
            }
            parser.close();
            let _ = parser.response();
        }

        #[test]
        fn no_tail_makes_it_panic(tail in "[ -~\r\n]{0,80}") {
            for head in ["HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"] {
                let mut parser = Parser::default();
                let _ = parser.feed(format!("{head}{tail}").as_bytes());
            }
        }
    }
}
