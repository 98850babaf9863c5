//! An HTTP/1.1 response, read as it arrives. Bounded: a head of 16 KiB, a body of 4 MiB.

const HEADERS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 16 * 1024;
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

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
}

impl Parser {
    /// Forgets the response, keeps the memory.
    pub(super) fn reset(&mut self) {
        self.bytes.clear();
        self.decoded.clear();
        self.head = None;
        self.at = 0;
        self.complete = false;
    }

    /// Takes more bytes; true when the response is complete.
    pub(super) fn feed(&mut self, more: &[u8]) -> Result<bool, Garbled> {
        self.bytes.extend_from_slice(more);
        while self.head.is_none() {
            match read_head(&self.bytes)? {
                None if self.bytes.len() > HEAD_BYTES_MAX => return Err(Garbled),
                None => return Ok(false),
                // 1xx: the real answer follows
                Some(head) if head.status < 200 => drop(self.bytes.drain(..head.bytes)),
                Some(head) => {
                    self.at = head.bytes;
                    self.head = Some(head);
                }
            }
        }
        let Some(head) = self.head else { return Ok(false) };
        self.complete = match head.body {
            Body::Length(length) => {
                let have = self.bytes.len() - head.bytes;
                if have > length {
                    return Err(Garbled);
                }
                have == length
            }
            Body::Chunked => self.decode_chunks()?,
            Body::UntilClose if self.bytes.len() - head.bytes > BODY_BYTES_MAX => {
                return Err(Garbled);
            }
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
        self.head.is_some_and(|h| h.keep_alive && h.body != Body::UntilClose)
    }

    /// The response, once complete.
    pub(super) fn response(&self) -> Option<Response<'_>> {
        let head = self.head.filter(|_| self.complete)?;
        let body = match head.body {
            Body::Chunked => &self.decoded[..],
            Body::Length(_) | Body::UntilClose => &self.bytes[head.bytes..],
        };
        Some(Response { status: head.status, effect_none: head.effect_none, body })
    }

    fn decode_chunks(&mut self) -> Result<bool, Garbled> {
        loop {
            let rest = &self.bytes[self.at..];
            let (start, size) = match httparse::parse_chunk_size(rest) {
                Ok(httparse::Status::Complete(found)) => found,
                Ok(httparse::Status::Partial) => return Ok(false),
                Err(_) => return Err(Garbled),
            };
            let size =
                usize::try_from(size).ok().filter(|s| *s <= BODY_BYTES_MAX).ok_or(Garbled)?;
            if size == 0 {
                return trailers_end(&rest[start..]);
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

/// Whether the trailers after the last chunk are complete, and nothing follows them.
fn trailers_end(rest: &[u8]) -> Result<bool, Garbled> {
    let end = if rest.starts_with(b"\r\n") {
        Some(2)
    } else {
        rest.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
    };
    match end {
        Some(end) if end == rest.len() => Ok(true),
        Some(_) => Err(Garbled),
        None if rest.len() > HEAD_BYTES_MAX => Err(Garbled),
        None => Ok(false),
    }
}

fn read_head(bytes: &[u8]) -> Result<Option<Head>, Garbled> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut headers);
    let bytes = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Garbled),
    };
    let status = parsed.code.ok_or(Garbled)?;
    let mut head = Head {
        status,
        bytes,
        body: if matches!(status, 204 | 304) { Body::Length(0) } else { Body::UntilClose },
        keep_alive: parsed.version == Some(1),
        effect_none: false,
    };
    for header in parsed.headers.iter() {
        read_header(&mut head, header.name, header.value)?;
    }
    Ok(Some(head))
}

fn read_header(head: &mut Head, name: &str, value: &[u8]) -> Result<(), Garbled> {
    let value = value.trim_ascii();
    if name.eq_ignore_ascii_case("content-length") {
        let text = std::str::from_utf8(value).map_err(|_| Garbled)?;
        let length = text.parse().ok().filter(|l| *l <= BODY_BYTES_MAX).ok_or(Garbled)?;
        if head.body == Body::UntilClose {
            head.body = Body::Length(length);
        }
    } else if name.eq_ignore_ascii_case("transfer-encoding") {
        head.body = Body::Chunked;
    } else if name.eq_ignore_ascii_case("connection") {
        head.keep_alive = !value.eq_ignore_ascii_case(b"close");
    } else if name.eq_ignore_ascii_case("x-effect") {
        head.effect_none = value == b"none";
    }
    Ok(())
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
        check(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy", Err(Garbled));
        check(b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n", Err(Garbled));
        check(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", Err(Garbled));
        check(b"SSH-2.0-OpenSSH\r\n", Err(Garbled));
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
