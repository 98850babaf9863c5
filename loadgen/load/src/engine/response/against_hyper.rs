//! The same bytes, in the same pieces, for our parser and for hyper's client: status, body, and whether
//! the connection may be used again must be equal, and so must be what is refused.
//!
//! Where we differ on purpose: bounds (a head of 256 KiB, a body of 256 MiB; hyper's are 400 KiB and none);
//! and a bare line feed in trailers, which we refuse and hyper reads as part of a trailer, so that it
//! may take the next response for more of them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::rt::{Read, ReadBufCursor, Write};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::Parser;
use hostile_input::mutation;

/// Turns after which nothing moves any more.
const TURNS: usize = 30;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Complete { status: u16, body: Vec<u8>, again: bool },
    Refused,
}

fn ours(pieces: &[Vec<u8>]) -> Seen {
    let mut parser = Parser::default();
    for piece in pieces {
        match parser.feed(piece) {
            Ok(true) => return complete(&parser, parser.keep_alive()),
            Ok(false) => {}
            Err(_) => return Seen::Refused,
        }
    }
    if parser.close() { complete(&parser, false) } else { Seen::Refused }
}

fn complete(parser: &Parser, again: bool) -> Seen {
    let response = parser.response().unwrap();
    Seen::Complete { status: response.status, body: response.body.to_vec(), again }
}

/// What the server has written, and whether it has closed.
#[derive(Default)]
struct Wire {
    pieces: VecDeque<Vec<u8>>,
    closed: bool,
}

struct Socket(Rc<RefCell<Wire>>);

impl Read for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut wire = self.0.borrow_mut();
        let Some(mut piece) = wire.pieces.pop_front() else {
            return if wire.closed { Poll::Ready(Ok(())) } else { Poll::Pending };
        };
        let rest = piece.split_off(piece.len().min(buffer.remaining()));
        buffer.put_slice(&piece);
        if !rest.is_empty() {
            wire.pieces.push_front(rest);
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn theirs(pieces: &[Vec<u8>]) -> Seen {
    let mut context = Context::from_waker(Waker::noop());
    let wire = Rc::new(RefCell::new(Wire::default()));
    let shake = pin!(http1::handshake::<_, Empty<Bytes>>(Socket(Rc::clone(&wire))));
    let Poll::Ready(Ok((mut sender, connection))) = shake.poll(&mut context) else {
        panic!("no handshake")
    };
    let mut connection = pin!(connection);
    let request = Request::get("/").header("host", "shop").body(Empty::new()).unwrap();
    let answer = sender.send_request(request);
    let mut answer = pin!(async move {
        let response = answer.await?;
        let status = response.status().as_u16();
        Ok::<_, hyper::Error>((status, response.into_body().collect().await?.to_bytes()))
    });
    let mut ended = false;
    let mut turn = || {
        let mut found = None;
        for _ in 0..TURNS {
            ended = ended || connection.as_mut().poll(&mut context).is_ready();
            if found.is_none()
                && let Poll::Ready(result) = answer.as_mut().poll(&mut context)
            {
                found = Some(result);
            }
        }
        (found, ended)
    };
    turn();
    for piece in pieces {
        wire.borrow_mut().pieces.push_back(piece.clone());
        if let (Some(found), ended) = turn() {
            return match found {
                Ok((status, body)) => Seen::Complete { status, body: body.to_vec(), again: !ended },
                Err(_) => Seen::Refused,
            };
        }
    }
    wire.borrow_mut().closed = true;
    match turn().0 {
        Some(Ok((status, body))) => Seen::Complete { status, body: body.to_vec(), again: false },
        _ => Seen::Refused,
    }
}

fn cut(bytes: &[u8], at: &[Index]) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> = at.iter().map(|i| i.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.dedup();
    places.windows(2).map(|w| bytes[w[0]..w[1]].to_vec()).collect()
}

fn head() -> impl Strategy<Value = String> {
    let version =
        select(&["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "http/1.1"][..]);
    let status = select(&["200", "201", "204", "304", "404", "503", "101", "099", "999", "20"][..]);
    let reason = select(&["", " ", " OK", " Not so good", " \u{e9}", "  two"][..]);
    let name = select(
        &[
            "Content-Length",
            "content-length",
            "CONTENT-LENGTH",
            "Transfer-Encoding",
            "transfer-encoding",
            "Connection",
            "connection",
            "X-Effect",
            "Date",
            "Set-Cookie",
            "Keep-Alive",
            "TE ",
            "",
        ][..],
    );
    let value = select(
        &[
            "0",
            "3",
            "5",
            "+5",
            "05",
            "5, 5",
            "5, 6",
            "",
            "-1",
            "18446744073709551616",
            "chunked",
            "Chunked",
            "gzip",
            "gzip, chunked",
            "chunked, gzip",
            "identity",
            "close",
            "Close",
            "keep-alive",
            "Keep-Alive, close",
            "upgrade",
            "none",
            "\u{e9}",
            "a\tb",
        ][..],
    );
    let space = select(&["", " ", "   ", "\t"][..]);
    let line =
        (name, space.clone(), value, space).prop_map(|(n, a, v, b)| format!("{n}:{a}{v}{b}\r\n"));
    let framing = select(
        &[
            "",
            "Content-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Connection: close\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        ][..],
    );
    (version, status, reason, framing, vec(line, 0..4)).prop_map(|(v, s, r, framing, lines)| {
        format!("{v} {s}{r}\r\n{framing}{}\r\n", lines.concat())
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let chunk = (
        vec(any::<u8>(), 1..12),
        select(&["", ";a=b", ";q=\"x;y\"", " ", " ;x", "\t"][..]),
        any::<bool>(),
    );
    let chunks = vec(chunk, 0..5);
    let trailers = select(&["", "T: 1\r\n", "T: 1\r\nU: 2\r\n", "bad\r\n", "T: 1\n"][..]);
    let ended = select(&["0\r\n", "0;last\r\n", "00\r\n", "", "0"][..]);
    let chunked =
        (chunks, ended, trailers, any::<bool>()).prop_map(|(chunks, last, trailers, whole)| {
            let mut out = Vec::new();
            for (data, extension, upper) in chunks {
                let size =
                    if upper { format!("{:X}", data.len()) } else { format!("0{:x}", data.len()) };
                out.extend_from_slice(format!("{size}{extension}\r\n").as_bytes());
                out.extend_from_slice(&data);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(format!("{last}{trailers}").as_bytes());
            out.extend_from_slice(if whole { b"\r\n" } else { b"" });
            out
        });
    let plain = prop_oneof![Just(b"hello".to_vec()), vec(any::<u8>(), 0..9)];
    prop_oneof![3 => plain, 5 => chunked]
}

fn response() -> impl Strategy<Value = Vec<u8>> {
    let interim =
        select(&["", "", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 E\r\nLink: x\r\n\r\n"][..]);
    let surplus = select(&["", "", "", "x", "HTTP/1.1 200 OK\r\n\r\n"][..]);
    (interim, head(), body(), surplus)
        .prop_map(|(i, h, b, s)| [i.as_bytes(), h.as_bytes(), &b, s.as_bytes()].concat())
}

#[track_caller]
fn agree(bytes: &[u8], at: &[Index]) -> Result<(), TestCaseError> {
    let pieces = cut(bytes, at);
    let (we, they) = (ours(&pieces), theirs(&pieces));
    if we == Seen::Refused && super::has_bare_line_end(bytes) {
        return Ok(());
    }
    prop_assert_eq!(we, they, "ours, hyper's; {:?}", String::from_utf8_lossy(bytes));
    Ok(())
}

proptest! {
    #[test]
    fn responses(bytes in response(), at in vec(any::<Index>(), 0..6)) {
        agree(&bytes, &at)?;
    }

    #[test]
    fn damaged_responses(
        bytes in response().prop_flat_map(mutation::small),
        at in vec(any::<Index>(), 0..4),
    ) {
        agree(&bytes, &at)?;
    }
}
