//! An HTTP/1.1 response, read as it arrives, within bounds: a head of 256 KiB, a body of 256 MiB on
//! the wire, of which the first 64 KiB are kept and the rest is discarded. It knows no request.

mod retry_after;

#[cfg(test)]
mod against_hyper;

use std::mem::MaybeUninit;
use std::time::Duration;

use record::Trouble;

/// Headers that are parsed without further ado; of more there is room for all that the head can hold.
const HEADERS_USUAL: usize = 64;
const HEAD_BYTES_MAX: usize = 256 * 1024;
/// Of a body; an order's answer has less than 2 KiB.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// Of a body as it is sent, with the sizes, extensions and trailers of its chunks.
const BODY_BYTES_MAX: u64 = 256 << 20;
/// The line of a chunk's size, or its trailers.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// A complete response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Response<'a> {
    /// Its status.
    pub status: u16,
    /// Whether it says that nothing was done (`x-effect: none`).
    pub effect_none: bool,
    /// How long to wait before asking again (`retry-after`; only with 3xx and above).
    pub wait: Option<Duration>,
    /// Its body, or its beginning.
    pub body: &'a [u8],
    /// Whether the body was longer than what is kept.
    pub is_cut: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Length(u64),
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
    wait: Option<Duration>,
}

/// What comes next of a chunked body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Chunk {
    #[default]
    Size,
    /// So many bytes of data.
    Data(u64),
    /// The line's end after the data.
    End,
    Trailers,
}

/// The state of one response that is arriving.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// The head, and after it the kept part of the body; of a chunked one what is not decoded yet.
    bytes: Vec<u8>,
    head: Option<Head>,
    /// How long the head was when it was last found incomplete, and how far it has no empty line.
    tried: usize,
    scanned: usize,
    /// What has arrived after the head, kept or not.
    received: u64,
    /// Chunked: the kept part of the body, how much of it there was, and how far `bytes` is decoded.
    decoded: Vec<u8>,
    decoded_bytes: u64,
    at: usize,
    chunk: Chunk,
    complete: bool,
    /// More came than the response has: it is whole, but what follows belongs to no request.
    surplus: bool,
    /// No body follows the head, whatever it announces.
    is_bodyless: bool,
}

impl Parser {
    /// Forgets the response, keeps the memory; whether the next one has no body, whatever it announces.
    pub(super) fn reset(&mut self, is_bodyless: bool) {
        let (mut bytes, mut decoded) =
            (std::mem::take(&mut self.bytes), std::mem::take(&mut self.decoded));
        bytes.clear();
        decoded.clear();
        *self = Self { bytes, decoded, is_bodyless, ..Self::default() };
    }

    /// Takes more bytes; true when the response is complete.
    pub(super) fn feed(&mut self, more: &[u8]) -> Result<bool, Trouble> {
        let (head, arrived) = match self.head {
            Some(head) => {
                self.keep(head, more);
                (head, more.len())
            }
            None => {
                self.bytes.extend_from_slice(more);
                let Some(head) = self.find_head()? else { return Ok(false) };
                (head, self.bytes.len() - head.bytes)
            }
        };
        self.received += arrived as u64;
        self.complete = match head.body {
            Body::Length(length) => {
                self.surplus = self.received > length;
                self.received >= length
            }
            Body::Chunked if self.decode_chunks()? => true,
            Body::Chunked | Body::UntilClose if self.received > BODY_BYTES_MAX => {
                return Err(Trouble::BodyTooLong);
            }
            Body::Chunked | Body::UntilClose => false,
        };
        Ok(self.complete)
    }

    /// Keeps what arrives after the head, as far as it is kept.
    fn keep(&mut self, head: Head, more: &[u8]) {
        let kept = self.bytes.len() - head.bytes;
        let room = match head.body {
            Body::Chunked => more.len(),
            Body::Length(_) | Body::UntilClose => KEPT_BYTES_MAX.saturating_sub(kept),
        };
        self.bytes.extend_from_slice(&more[..room.min(more.len())]);
    }

    /// Looks for a complete head; what it is tried on doubles unless an empty line has come, so that a
    /// head that trickles in costs no more than its length.
    fn find_head(&mut self) -> Result<Option<Head>, Trouble> {
        loop {
            let new = &self.bytes[self.scanned.saturating_sub(2)..];
            let may_be_whole =
                self.tried == 0 || self.bytes.len() >= 2 * self.tried || has_empty_line(new);
            self.scanned = self.bytes.len();
            let found = if may_be_whole { read_head(&self.bytes)? } else { None };
            match found {
                None if self.bytes.len() > HEAD_BYTES_MAX => return Err(Trouble::HeadTooLong),
                None => {
                    self.tried = if may_be_whole { self.bytes.len() } else { self.tried };
                    return Ok(None);
                }
                // 1xx: the real answer follows; 101 would be the last of this protocol
                Some(head) if head.status < 200 && head.status != 101 => {
                    drop(self.bytes.drain(..head.bytes));
                    (self.tried, self.scanned) = (0, 0);
                }
                Some(mut head) => {
                    if self.is_bodyless {
                        head.body = Body::Length(0);
                    }
                    self.at = head.bytes;
                    self.head = Some(head);
                    return Ok(Some(head));
                }
            }
        }
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
        let after_head = &self.bytes[head.bytes..];
        let (body, all) = match head.body {
            Body::Chunked => (&self.decoded[..], self.decoded_bytes),
            Body::Length(length) => (after_head, length),
            Body::UntilClose => (after_head, self.received),
        };
        let kept = usize::try_from(all).unwrap_or(usize::MAX).min(KEPT_BYTES_MAX).min(body.len());
        Some(Response {
            status: head.status,
            effect_none: head.effect_none,
            wait: head.wait,
            body: &body[..kept],
            is_cut: all > kept as u64,
        })
    }

    fn decode_chunks(&mut self) -> Result<bool, Trouble> {
        loop {
            let rest = &self.bytes[self.at..];
            match self.chunk {
                Chunk::Size => {
                    let Some((line, size)) = chunk_size(rest)? else { break };
                    self.at += line;
                    self.chunk = if size == 0 { Chunk::Trailers } else { Chunk::Data(size) };
                }
                Chunk::Data(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    let room = KEPT_BYTES_MAX.saturating_sub(self.decoded.len());
                    self.decoded.extend_from_slice(&rest[..here.min(room)]);
                    self.decoded_bytes += here as u64;
                    self.at += here;
                    self.chunk = match left - here as u64 {
                        0 => Chunk::End,
                        left => Chunk::Data(left),
                    };
                    if self.chunk != Chunk::End {
                        break;
                    }
                }
                Chunk::End => {
                    let Some(ending) = rest.get(..2) else { break };
                    if ending != b"\r\n" {
                        return Err(Trouble::Garbled);
                    }
                    self.at += 2;
                    self.chunk = Chunk::Size;
                }
                Chunk::Trailers => {
                    let Some(surplus) = trailers_end(rest)? else { break };
                    self.surplus = surplus;
                    return Ok(true);
                }
            }
        }
        self.forget_decoded();
        Ok(false)
    }

    /// What is decoded is not needed any more; a little of it may stay, so that little is moved.
    fn forget_decoded(&mut self) {
        let head_bytes = self.head.map_or(0, |head| head.bytes);
        if self.at - head_bytes > KEPT_BYTES_MAX {
            self.bytes.drain(head_bytes..self.at);
            self.at = head_bytes;
        }
    }
}

/// The length of a chunk's first line and the size that it tells; `None` while it is incomplete.
fn chunk_size(rest: &[u8]) -> Result<Option<(usize, u64)>, Trouble> {
    // httparse takes a line without a digit for a last chunk.
    if rest.first().is_some_and(|first| !first.is_ascii_hexdigit()) {
        return Err(Trouble::Garbled);
    }
    match httparse::parse_chunk_size(rest) {
        Ok(httparse::Status::Complete((_, size))) if size > BODY_BYTES_MAX => {
            Err(Trouble::BodyTooLong)
        }
        Ok(httparse::Status::Complete(found)) => Ok(Some(found)),
        Ok(httparse::Status::Partial) if rest.len() > LINE_BYTES_MAX => Err(Trouble::BodyTooLong),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(Trouble::Garbled),
    }
}

/// Whether more follows the trailers after the last chunk; `None` while they are incomplete.
fn trailers_end(rest: &[u8]) -> Result<Option<bool>, Trouble> {
    let mut trailers = [httparse::EMPTY_HEADER; HEADERS_USUAL];
    let mut parsed = httparse::parse_headers(rest, &mut trailers);
    let mut all;
    if matches!(parsed, Err(httparse::Error::TooManyHeaders)) {
        all = vec![httparse::EMPTY_HEADER; lines(rest)];
        parsed = httparse::parse_headers(rest, &mut all);
    }
    match parsed {
        Ok(httparse::Status::Complete((end, _))) if has_bare_line_end(&rest[..end]) => {
            Err(Trouble::Garbled)
        }
        Ok(httparse::Status::Complete((end, _))) => Ok(Some(end < rest.len())),
        Ok(httparse::Status::Partial) if rest.len() > LINE_BYTES_MAX => Err(Trouble::BodyTooLong),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(Trouble::Garbled),
    }
}

fn has_bare_line_end(bytes: &[u8]) -> bool {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.map(|(at, _)| at).any(|at| at == 0 || bytes[at - 1] != b'\r')
}

fn has_empty_line(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(3).any(|w| w == b"\n\r\n")
}

fn lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

fn read_head(bytes: &[u8]) -> Result<Option<Head>, Trouble> {
    let mut usual = [const { MaybeUninit::uninit() }; HEADERS_USUAL];
    match head_with(bytes, &mut usual) {
        Err(httparse::Error::TooManyHeaders) => {
            let mut all = vec![MaybeUninit::uninit(); lines(bytes)];
            head_with(bytes, &mut all).unwrap_or(Err(Trouble::Garbled))
        }
        found => found.unwrap_or(Err(Trouble::Garbled)),
    }
}

/// Reads a head with room for so many headers.
fn head_with<'b>(
    bytes: &'b [u8],
    room: &mut [MaybeUninit<httparse::Header<'b>>],
) -> Result<Result<Option<Head>, Trouble>, httparse::Error> {
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut parsed, bytes, room)? {
        httparse::Status::Complete(bytes) if bytes > HEAD_BYTES_MAX => {
            Ok(Err(Trouble::HeadTooLong))
        }
        httparse::Status::Complete(bytes) => Ok(head(&parsed, bytes).map(Some)),
        httparse::Status::Partial => Ok(Ok(None)),
    }
}

/// What a head of so many bytes says.
fn head(parsed: &httparse::Response<'_, '_>, bytes: usize) -> Result<Head, Trouble> {
    let status = parsed.code.filter(|status| *status >= 100).ok_or(Trouble::Garbled)?;
    let recent = parsed.version == Some(1);
    let values = |name: &'static str| {
        let named = parsed.headers.iter().filter(move |h| h.name.eq_ignore_ascii_case(name));
        named.map(|h| h.value.trim_ascii())
    };
    let says = |token: &str| values("connection").any(|value| tokens(value).any(|t| t == token));
    let wait = || values("retry-after").next().and_then(retry_after::parse);
    Ok(Head {
        status,
        bytes,
        body: match status {
            100..=199 | 204 | 304 => Body::Length(0),
            _ => body(values("transfer-encoding").next_back(), values("content-length"), recent)?,
        },
        keep_alive: !says("close") && (recent || says("keep-alive")),
        effect_none: values("x-effect").any(|value| value == b"none"),
        wait: if status >= 300 { wait() } else { None },
    })
}

/// RFC 9112, section 6.3: a transfer coding goes before a length, and lengths must agree.
fn body<'a>(
    coding: Option<&[u8]>,
    lengths: impl Iterator<Item = &'a [u8]>,
    recent: bool,
) -> Result<Body, Trouble> {
    if let Some(coding) = coding {
        let chunked = tokens(coding).next_back().is_some_and(|last| last == "chunked");
        return match (recent, chunked) {
            (false, _) => Err(Trouble::Garbled),
            (true, true) => Ok(Body::Chunked),
            (true, false) => Ok(Body::UntilClose),
        };
    }
    let mut found = None;
    for text in lengths.flat_map(|value| value.split(|byte| *byte == b',')) {
        let length = digits(text.trim_ascii())?;
        if found.is_some_and(|other| other != length) {
            return Err(Trouble::Garbled);
        }
        found = Some(length);
    }
    Ok(found.map_or(Body::UntilClose, Body::Length))
}

/// A length within the bound; `parse` alone would take a sign.
fn digits(text: &[u8]) -> Result<u64, Trouble> {
    let plain = std::str::from_utf8(text).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
    let plain = plain.filter(|text| !text.is_empty()).ok_or(Trouble::Garbled)?;
    let length = plain.parse().ok().filter(|length| *length <= BODY_BYTES_MAX);
    length.ok_or(Trouble::BodyTooLong)
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
    fn check(bytes: &[u8], expected: Result<(u16, &str, bool), Trouble>) {
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
    fn a_head_that_was_asked_for_alone_announces_a_body_that_does_not_come() {
        for head in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
        ] {
            let mut parser = Parser::default();
            parser.reset(true);
            assert_eq!(parser.feed(head), Ok(true));
            let response = parser.response().unwrap();
            assert_eq!((response.status, response.body), (200, &b""[..]));
            assert!(parser.keep_alive(), "the next answer may follow");
            // Whoever sends a body all the same: what follows belongs to no request.
            parser.reset(true);
            assert_eq!(parser.feed(&[head, b"hello"].concat()), Ok(true));
            assert!(!parser.keep_alive());
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
        check(b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx", Err(Trouble::Garbled));
        check(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            Err(Trouble::Garbled),
        );
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
        check(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\n\r\n",
            Err(Trouble::Garbled),
        );
        check(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nT: 1\n\r\n",
            Err(Trouble::Garbled),
        );
        check(b"HTTP/1.1 101 Other\r\n\r\n", Ok((101, "", false)));
        check(b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n", Err(Trouble::Garbled));
        check(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            Err(Trouble::Garbled),
        );
        check(b"SSH-2.0-OpenSSH\r\n", Err(Trouble::Garbled));
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

    /// Feeds a beginning and then the same without end; what that leads to, and how much was kept.
    fn endless(first: &[u8], rest: &[u8]) -> (Result<bool, Trouble>, usize) {
        let mut parser = Parser::default();
        let mut fed = parser.feed(first);
        let (rest, mut sent) = (rest.repeat(1_000), 0);
        while fed == Ok(false) && sent < 2 * BODY_BYTES_MAX {
            fed = parser.feed(&rest);
            sent += rest.len() as u64;
        }
        (fed, parser.bytes.capacity() + parser.decoded.capacity())
    }

    #[test]
    fn what_grows_without_end_is_refused_and_not_kept() {
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let trailers = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n";
        let (head, body) = (Trouble::HeadTooLong, Trouble::BodyTooLong);
        for (first, rest, why) in [
            (&b"HTTP/1.1 200 OK\r\n"[..], &b"a: b\r\n"[..], head),
            (b"HTTP/1.1 200 OK\r\na: ", b"b", head),
            (chunked, b"1;xxxxxxxxxxxxxxxxxxxxx", body),
            (chunked, b"1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\ny\r\n", body),
            (trailers, b"a: b\r\n", body),
            (b"HTTP/1.1 200 OK\r\n\r\n", b"a body that goes on and on and on", body),
        ] {
            let (fed, kept) = endless(first, rest);
            assert_eq!(fed, Err(why), "{}", String::from_utf8_lossy(first));
            assert!(kept < 4 * HEAD_BYTES_MAX, "{kept} bytes are kept");
        }
        for head in ["content-length: 9999999999", "content-length: 99999999999999999999999"] {
            let mut parser = Parser::default();
            let head = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n");
            assert_eq!(parser.feed(head.as_bytes()), Err(Trouble::BodyTooLong));
        }
    }

    #[test]
    fn a_large_body_is_read_to_its_end_and_its_beginning_is_kept() {
        let large = 5 << 20;
        let lengthy = format!("HTTP/1.1 200 OK\r\ncontent-length: {large}\r\n\r\n");
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(1 << 16));
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
        let plain = (lengthy, "x".repeat(large));
        for (head, body) in [plain, (chunked, chunk.repeat(large >> 16) + "0\r\n\r\n")] {
            let all = head + &body;
            for size in [1_000, 32 * 1024, all.len()] {
                let mut parser = Parser::default();
                let mut pieces = all.as_bytes().chunks(size).map(|piece| parser.feed(piece));
                assert!(
                    pieces.by_ref().take(all.len().div_ceil(size) - 1).all(|fed| fed == Ok(false))
                );
                assert_eq!(pieces.next(), Some(Ok(true)));
                drop(pieces);
                let response = parser.response().unwrap();
                assert_eq!((response.body.len(), response.is_cut), (KEPT_BYTES_MAX, true));
                assert!(parser.keep_alive() && response.body.iter().all(|byte| *byte == b'x'));
            }
        }
    }

    #[test]
    fn odd_heads_are_read() {
        let cookie = format!("set-cookie: {}\r\n", "c".repeat(20_000));
        let many: String = (0..5_000).map(|n| format!("x-{n}: {n}\r\n")).collect();
        for odd in [cookie, many] {
            let text =
                format!("HTTP/1.1 503 Busy\r\n{odd}retry-after: 7\r\ncontent-length: 2\r\n\r\nok");
            for size in [1, 4_096, text.len()] {
                let mut parser = Parser::default();
                let fed = text.as_bytes().chunks(size).map(|piece| parser.feed(piece));
                assert_eq!(fed.last(), Some(Ok(true)));
                let response = parser.response().unwrap();
                assert_eq!((response.status, response.body), (503, &b"ok"[..]));
                assert_eq!(response.wait, Some(Duration::from_secs(7)));
            }
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
