//! HTTP/1.1 messages as far as who passes them on must read them: heads, and where a body ends. It knows no socket.

use http::Method;

/// Headers of one message.
const HEADERS_MAX: usize = 100;

/// Headers that concern a connection and not what is carried over it (RFC 9110, 7.6.1).
const OF_CONNECTION: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "te", "upgrade", "expect"];

/// Why a message cannot be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// It is no HTTP/1.x head.
    #[error("the head is no HTTP/1.1 head")]
    Head,
    /// Two readers could see its end at two places.
    #[error("where the body ends is not clear")]
    Length,
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// So many bytes.
    Sized(u64),
    Chunked,
    /// Until the connection is closed.
    Rest,
}

/// The head of a request or an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// As it is passed on, without what concerns a connection.
    pub(crate) bytes: Vec<u8>,
    pub(crate) body: Body,
    /// Whether its sender keeps the connection open behind the message.
    pub(crate) keeps_open: bool,
    /// Whether its sender waits for a word before it sends the body.
    pub(crate) expects: bool,
    /// Of an answer.
    pub(crate) status: u16,
    /// Of a request: what is asked to be alike for the same replica.
    pub(crate) key: Option<u64>,
}

/// What is needed to read a request's head, or an answer's.
#[derive(Clone, Copy)]
pub(crate) enum Of<'a> {
    /// The header whose value decides who gets it, if one does.
    Request { key: Option<&'a str> },
    /// To a request with this method.
    Answer { to: &'a Method },
}

/// Reads a head from the beginning of these bytes: it and where it ends; none if it is not all there.
pub(crate) fn head(bytes: &[u8], of: Of<'_>) -> Result<Option<(Head, Method, usize)>, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    match of {
        Of::Request { key } => {
            let mut request = httparse::Request::new(&mut headers);
            let parsed = request.parse(bytes).map_err(|_| Malformed::Head)?;
            let httparse::Status::Complete(end) = parsed else { return Ok(None) };
            let (Some(method), Some(version)) = (request.method, request.version) else {
                return Err(Malformed::Head);
            };
            let method = Method::from_bytes(method.as_bytes()).map_err(|_| Malformed::Head)?;
            let mut head = read(bytes, request.headers, version)?;
            head.body = head.body_of_request()?;
            let keyed = |header: &httparse::Header<'_>| {
                key.is_some_and(|key| header.name.eq_ignore_ascii_case(key))
            };
            let found = request.headers.iter().find(|header| keyed(header));
            head.key = found.map(|header| crate::policy::hash(header.value));
            Ok(Some((head, method, end)))
        }
        Of::Answer { to } => {
            let mut answer = httparse::Response::new(&mut headers);
            let parsed = answer.parse(bytes).map_err(|_| Malformed::Head)?;
            let httparse::Status::Complete(end) = parsed else { return Ok(None) };
            let (Some(status), Some(version)) = (answer.code, answer.version) else {
                return Err(Malformed::Head);
            };
            let mut head = read(bytes, answer.headers, version)?;
            head.status = status;
            let is_bare = *to == Method::HEAD || matches!(status, 100..=199 | 204 | 304);
            if is_bare {
                head.body = Body::Sized(0);
            }
            head.keeps_open &= head.body != Body::Rest;
            Ok(Some((head, to.clone(), end)))
        }
    }
}

impl Head {
    /// A request without a word on its body has none.
    fn body_of_request(&self) -> Result<Body, Malformed> {
        Ok(match self.body {
            Body::Rest => Body::Sized(0),
            body @ (Body::Sized(_) | Body::Chunked) => body,
        })
    }
}

fn read(bytes: &[u8], headers: &[httparse::Header<'_>], version: u8) -> Result<Head, Malformed> {
    let line = bytes.iter().position(|byte| *byte == b'\n').ok_or(Malformed::Head)?;
    let mut kept = Vec::with_capacity(bytes.len() + 2);
    kept.extend_from_slice(&bytes[..=line]);
    let (mut length, mut chunked) = (None, false);
    let (mut closes, mut keeps, mut expects) = (false, false, false);
    for header in headers {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let value =
                str::from_utf8(header.value).ok().filter(|v| v.bytes().all(|b| b.is_ascii_digit()));
            let value: u64 = value.and_then(|v| v.parse().ok()).ok_or(Malformed::Length)?;
            if length.replace(value).is_some() {
                return Err(Malformed::Length);
            }
        } else if is("transfer-encoding") {
            if chunked || !header.value.eq_ignore_ascii_case(b"chunked") {
                return Err(Malformed::Length);
            }
            chunked = true;
        } else if is("connection") {
            let mut words = header.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            closes |= words.clone().any(|word| word.eq_ignore_ascii_case(b"close"));
            keeps |= words.any(|word| word.eq_ignore_ascii_case(b"keep-alive"));
        } else if is("expect") {
            expects = header.value.eq_ignore_ascii_case(b"100-continue");
        }
        if !OF_CONNECTION.iter().any(|name| is(name)) {
            kept.extend_from_slice(header.name.as_bytes());
            kept.extend_from_slice(b": ");
            kept.extend_from_slice(header.value);
            kept.extend_from_slice(b"\r\n");
        }
    }
    let body = match (length, chunked) {
        // Both: whom to believe decides where the next message begins.
        (Some(_), true) => return Err(Malformed::Length),
        (Some(length), false) => Body::Sized(length),
        (None, true) => Body::Chunked,
        (None, false) => Body::Rest,
    };
    let keeps_open = if version == 0 { keeps && !closes } else { !closes };
    Ok(Head { bytes: kept, body, keeps_open, expects, status: 0, key: None })
}

/// Follows a body to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Progress {
    /// So many bytes are left.
    Sized(u64),
    Chunked(Chunks),
    Rest,
}

impl Progress {
    pub(crate) fn of(body: Body) -> Self {
        match body {
            Body::Sized(length) => Self::Sized(length),
            Body::Chunked => Self::Chunked(Chunks::Size { digits: 0, size: 0 }),
            Body::Rest => Self::Rest,
        }
    }

    /// How many of these bytes are the body's.
    ///
    /// # Errors
    /// If they are no chunks.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        match self {
            Self::Sized(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                Ok(taken)
            }
            Self::Chunked(chunks) => chunks.take(bytes),
            Self::Rest => Ok(bytes.len()),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Sized(0) | Self::Chunked(Chunks::Over))
    }
}

/// Where in a chunked body one is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Chunks {
    /// In a chunk's size.
    Size {
        digits: u8,
        size: u64,
    },
    /// Behind it, on its line.
    Line {
        size: u64,
    },
    /// In a chunk, of which so much is left with the line end behind it.
    Data {
        left: u64,
    },
    /// Behind the last chunk, in a line of which so many bytes were read.
    Trailer {
        read: u8,
    },
    Over,
}

impl Chunks {
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut at = 0;
        while at < bytes.len() && !matches!(self, Self::Over) {
            if let Self::Data { left } = self {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += here;
                *left -= here as u64;
                if *left == 0 {
                    *self = Self::Size { digits: 0, size: 0 };
                }
                continue;
            }
            *self = self.next(bytes[at])?;
            at += 1;
        }
        Ok(at)
    }

    fn next(self, byte: u8) -> Result<Self, Malformed> {
        Ok(match (self, byte) {
            (Self::Size { digits, size }, byte) => match (byte as char).to_digit(16) {
                // More would not fit, and nobody sends chunks of 2^60 bytes.
                Some(digit) if digits < 15 => {
                    Self::Size { digits: digits + 1, size: size * 16 + u64::from(digit) }
                }
                None if digits > 0 && matches!(byte, b'\r' | b';' | b' ' | b'\t') => {
                    Self::Line { size }
                }
                Some(_) | None => return Err(Malformed::Length),
            },
            (Self::Line { size: 0 }, b'\n') => Self::Trailer { read: 0 },
            (Self::Line { size }, b'\n') => Self::Data { left: size + 2 },
            (line @ Self::Line { .. }, _) => line,
            (Self::Trailer { read: 0 }, b'\n') => Self::Over,
            (Self::Trailer { .. }, b'\n') => Self::Trailer { read: 0 },
            (Self::Trailer { read }, b'\r') => Self::Trailer { read },
            (Self::Trailer { .. }, _) => Self::Trailer { read: 1 },
            (data @ (Self::Data { .. } | Self::Over), _) => data,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(text: &str) -> Result<Option<(Head, Method, usize)>, Malformed> {
        head(text.as_bytes(), Of::Request { key: Some("authorization") })
    }

    fn answer(text: &str, to: &Method) -> Head {
        head(text.as_bytes(), Of::Answer { to }).unwrap().unwrap().0
    }

    #[test]
    fn a_request_is_read_and_passed_on_without_what_concerns_its_connection() {
        let text = "POST /orders HTTP/1.1\r\nhost: shop\r\nConnection: keep-alive, upgrade\r\nUpgrade: x\r\nAuthorization: Bearer a\r\ncontent-length: 3\r\n\r\nabcGET";
        let (head, method, end) = request(text).unwrap().unwrap();
        assert_eq!((method, &text[end..]), (Method::POST, "abcGET"));
        let expected = "POST /orders HTTP/1.1\r\nhost: shop\r\nAuthorization: Bearer a\r\ncontent-length: 3\r\n";
        assert_eq!(String::from_utf8(head.bytes).unwrap(), expected);
        assert_eq!((head.body, head.keeps_open, head.expects), (Body::Sized(3), true, false));
        assert_eq!(head.key, Some(crate::policy::hash(b"Bearer a")));
        for part in [0, 10, end - 1] {
            assert_eq!(request(&text[..part]), Ok(None), "{part}");
        }
    }

    #[test]
    fn where_a_body_ends_is_one_thing_or_the_message_is_refused() {
        let of = |headers: &str| {
            let found = request(&format!("POST / HTTP/1.1\r\n{headers}\r\n"));
            found.map(|found| found.unwrap().0.body)
        };
        assert_eq!(of(""), Ok(Body::Sized(0)));
        assert_eq!(of("Transfer-Encoding: Chunked\r\n"), Ok(Body::Chunked));
        for bad in [
            "content-length: 1\r\ncontent-length: 1\r\n",
            "content-length: 1\r\ntransfer-encoding: chunked\r\n",
            "content-length: +1\r\n",
            "content-length: 1, 1\r\n",
            "content-length: 99999999999999999999\r\n",
            "transfer-encoding: gzip, chunked\r\n",
        ] {
            assert_eq!(of(bad), Err(Malformed::Length), "{bad}");
        }
        assert_eq!(request("GET\r\n\r\n"), Err(Malformed::Head));
    }

    #[test]
    fn an_answer_ends_where_its_status_and_the_request_say() {
        let ok = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
        assert_eq!(answer(ok, &Method::GET).body, Body::Sized(5));
        assert_eq!(answer(ok, &Method::HEAD).body, Body::Sized(0));
        assert_eq!(answer("HTTP/1.1 204 No\r\n\r\n", &Method::GET).body, Body::Sized(0));
        let rest = answer("HTTP/1.1 200 OK\r\n\r\n", &Method::GET);
        assert_eq!((rest.body, rest.keeps_open, rest.status), (Body::Rest, false, 200));
        let keeps = |text: &str| answer(text, &Method::GET).keeps_open;
        assert!(
            keeps(ok)
                && !keeps("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        );
        assert!(!keeps("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"));
        assert!(keeps("HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 0\r\n\r\n"));
    }

    #[test]
    fn chunks_are_followed_to_their_end() {
        for body in
            ["0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "A;x=y\r\n0123456789\r\n0\r\nname: v\r\n\r\n"]
        {
            let text = format!("{body}GET /");
            let mut progress = Progress::of(Body::Chunked);
            assert_eq!(progress.take(text.as_bytes()), Ok(body.len()));
            assert!(progress.is_over());
        }
        for bad in ["x\r\n", "\r\n", "FFFFFFFFFFFFFFFF\r\n"] {
            assert!(Progress::of(Body::Chunked).take(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn it_matters_not_in_which_pieces_a_body_comes(
            sizes in prop::collection::vec(1..300_usize, 0..5),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut body = String::new();
            for size in &sizes {
                body += &format!("{size:x}\r\n{}\r\n", "\n".repeat(*size));
            }
            body += "0\r\n\r\n";
            let all = format!("{body}next");
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(all.len())).collect();
            at.extend([0, all.len()]);
            at.sort_unstable();
            let (mut progress, mut taken) = (Progress::of(Body::Chunked), 0);
            for pair in at.windows(2) {
                taken += progress.take(&all.as_bytes()[pair[0]..pair[1]]).unwrap();
            }
            prop_assert_eq!(taken, body.len());
            prop_assert!(progress.is_over());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = head(&bytes, Of::Request { key: None });
            let _ = head(&bytes, Of::Answer { to: &Method::GET });
            let _ = Progress::of(Body::Chunked).take(&bytes);
        }
    }
}
