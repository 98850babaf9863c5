//! Each fault over real sockets: its effect is seen, and undone on live connections.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, duplex, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::connection::reset;
use super::control;
use super::link_fault::{Direction, LinkFault, State, Who};
use super::probe::{Answered, Probe};
use super::proxy::Link;
use super::pump::{End, Shared, relay};
use super::tally::{Counts, Tally};
use scenario::config::Span;

/// Far above what anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough that an echo over loopback would have come.
const SILENCE: Duration = Duration::from_millis(200);
const BOTH: Direction = Direction::Both;

/// An echo behind a link. `seen` counts what the server has read.
struct Stand {
    link: Link,
    seen: Arc<AtomicU64>,
}

impl Stand {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(AtomicU64::new(0));
        tokio::spawn(echo(listener, Arc::clone(&seen)));
        Self { link: Link::open(&upstream, 5).await.unwrap(), seen }
    }

    async fn client(&self) -> TcpStream {
        let client = TcpStream::connect(self.link.address).await.unwrap();
        client.set_nodelay(true).unwrap();
        client
    }

    /// A connection that has been used: its upstream is there.
    async fn live(&self) -> TcpStream {
        let mut client = self.client().await;
        assert!(says(&mut client, "hello").await.is_ok());
        client
    }

    fn suffer(&self, fault: LinkFault) -> Counts {
        self.link.suffer(Some((fault, 1.0)))
    }

    fn heal(&self) {
        self.link.suffer(None);
    }

    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}: {:?}",
                self.link.counts()
            );
            sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn echo(listener: TcpListener, seen: Arc<AtomicU64>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            let mut buffer = vec![0; 32 * 1024];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                seen.fetch_add(count as u64, Ordering::Relaxed);
                if stream.write_all(&buffer[..count]).await.is_err() {
                    break;
                }
            }
        });
    }
}

/// Says a word and hears it back; how long that took.
async fn says(client: &mut TcpStream, word: &str) -> Result<Duration, ErrorKind> {
    let began = Instant::now();
    let exchange = async {
        client.write_all(word.as_bytes()).await?;
        let mut heard = vec![0; word.len()];
        client.read_exact(&mut heard).await?;
        assert_eq!(heard, word.as_bytes());
        Ok(began.elapsed())
    };
    timeout(PATIENCE, exchange)
        .await
        .expect("neither answer nor end")
        .map_err(|e: std::io::Error| e.kind())
}

async fn is_silent(client: &mut TcpStream) -> bool {
    timeout(SILENCE, client.read(&mut [0; 64])).await.is_err()
}

async fn is_reset(client: &mut TcpStream) -> bool {
    let read = timeout(PATIENCE, client.read(&mut [0; 64])).await;
    matches!(read, Ok(Err(e)) if e.kind() == ErrorKind::ConnectionReset)
}

fn ms(count: u64) -> Span {
    Span(Duration::from_millis(count))
}

#[tokio::test]
async fn latency_is_felt_each_way_and_undone_on_a_live_connection() {
    let stand = Stand::new().await;
    let mut live = stand.live().await;
    stand.suffer(LinkFault::Latency { delay: ms(60), jitter: ms(10), direction: BOTH });
    assert!(says(&mut live, "slow").await.unwrap() >= Duration::from_millis(100));
    assert!(says(&mut stand.client().await, "slow").await.unwrap() >= Duration::from_millis(100));
    stand.suffer(LinkFault::Latency {
        delay: ms(60_000),
        jitter: ms(0),
        direction: Direction::ToClient,
    });
    live.write_all(b"held").await.unwrap();
    stand.until("the reply to be held", |s| s.link.counts().held >= 5).await;
    stand.heal();
    let mut heard = [0; 4];
    timeout(PATIENCE, live.read_exact(&mut heard)).await.unwrap().unwrap();
    assert_eq!(&heard, b"held");
}

#[tokio::test]
async fn a_delay_does_not_limit_the_throughput() {
    let stand = Stand::new().await;
    let mut live = stand.live().await;
    stand.suffer(LinkFault::Latency {
        delay: ms(300),
        jitter: ms(0),
        direction: Direction::ToUpstream,
    });
    let began = Instant::now();
    let word = "x".repeat(3_000_000);
    says(&mut live, &word).await.unwrap();
    let took = began.elapsed();
    // Read by read it would be 183 delays, 55 s.
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test]
async fn bandwidth_is_limited_and_zero_holds_until_the_heal() {
    let stand = Stand::new().await;
    let mut live = stand.live().await;
    let direction = Direction::ToUpstream;
    stand.suffer(LinkFault::Bandwidth { bytes_per_s: 100_000, direction });
    let took = says(&mut live, &"x".repeat(30_000)).await.unwrap();
    assert!(took >= Duration::from_millis(250), "{took:?}");
    stand.suffer(LinkFault::Bandwidth { bytes_per_s: 0, direction });
    live.write_all(b"held").await.unwrap();
    assert!(is_silent(&mut live).await);
    stand.heal();
    let mut heard = [0; 4];
    timeout(PATIENCE, live.read_exact(&mut heard)).await.unwrap().unwrap();
    assert_eq!(&heard, b"held");
}

#[tokio::test]
async fn a_black_hole_swallows_and_a_stream_with_a_hole_never_goes_on() {
    let stand = Stand::new().await;
    let (mut used, mut idle) = (stand.live().await, stand.live().await);
    stand.suffer(LinkFault::BlackHole { direction: BOTH });
    let (mut new, mut quiet) = (stand.client().await, stand.client().await);
    for client in [&mut used, &mut new] {
        client.write_all(b"gone").await.unwrap();
        assert!(is_silent(client).await);
    }
    stand.until("the bytes to be swallowed", |s| s.link.counts().swallowed_bytes == 8).await;
    assert_eq!(stand.seen.load(Ordering::Relaxed), 10, "the server has seen the two hellos alone");
    stand.heal();
    assert!(is_reset(&mut used).await && is_reset(&mut new).await);
    assert!(says(&mut idle, "here").await.is_ok() && says(&mut quiet, "here").await.is_ok());
    assert!(says(&mut stand.client().await, "here").await.is_ok());
}

#[tokio::test]
async fn a_one_way_black_hole_lets_requests_through() {
    let stand = Stand::new().await;
    let mut live = stand.live().await;
    stand.suffer(LinkFault::BlackHole { direction: Direction::ToClient });
    live.write_all(b"asked").await.unwrap();
    stand.until("the request to arrive", |s| s.seen.load(Ordering::Relaxed) == 10).await;
    assert!(is_silent(&mut live).await);
    stand.heal();
    assert!(is_reset(&mut live).await);
}

#[tokio::test]
async fn a_reset_meets_every_connection_and_then_none() {
    let stand = Stand::new().await;
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(stand.live().await);
    }
    assert_eq!(stand.suffer(LinkFault::Reset).live, 100);
    for client in &mut clients {
        assert!(is_reset(client).await);
    }
    assert!(is_reset(&mut stand.client().await).await);
    assert_eq!(stand.link.counts().reset, 101);
    stand.heal();
    assert!(says(&mut stand.client().await, "back").await.is_ok());
    stand.until("the ends", |s| s.link.counts().live <= 1).await;
}

#[tokio::test]
async fn a_lost_reply_is_lost_after_the_server_has_the_request() {
    let stand = Stand::new().await;
    let (mut live, mut idle) = (stand.live().await, stand.live().await);
    stand.suffer(LinkFault::ReplyLost);
    assert_eq!(says(&mut live, "pay").await, Err(ErrorKind::ConnectionReset));
    assert_eq!(stand.seen.load(Ordering::Relaxed), 13);
    assert_eq!(says(&mut stand.client().await, "pay").await, Err(ErrorKind::ConnectionReset));
    assert_eq!(stand.link.counts().replies_lost, 2);
    stand.heal();
    assert!(says(&mut idle, "fine").await.is_ok());
}

#[tokio::test]
async fn a_share_of_replies_is_lost() {
    let stand = Stand::new().await;
    stand.link.suffer(Some((LinkFault::ReplyLost, 0.3)));
    let (mut lost, mut client) = (0, stand.client().await);
    for _ in 0..300 {
        if says(&mut client, "pay").await.is_err() {
            lost += 1;
            client = stand.client().await;
        }
    }
    assert!((50..130).contains(&lost), "{lost} of 300");
    assert_eq!(stand.link.counts().replies_lost, lost);
}

#[tokio::test]
async fn a_half_open_connection_is_closed_behind_the_clients_back() {
    let stand = Stand::new().await;
    let mut live = stand.live().await;
    stand.suffer(LinkFault::HalfOpen);
    stand.until("the upstream's side to close", |s| s.link.counts().half_opened == 1).await;
    live.write_all(b"anyone?").await.unwrap();
    assert!(is_silent(&mut live).await);
    let mut new = stand.live().await;
    stand.heal();
    assert!(is_reset(&mut live).await);
    assert!(says(&mut new, "on").await.is_ok());
}

#[tokio::test]
async fn a_slow_close_delays_the_end_alone() {
    let stand = Stand::new().await;
    let mut live = stand.live().await;
    stand.suffer(LinkFault::SlowClose { delay: ms(60_000), direction: Direction::ToClient });
    assert!(says(&mut live, "still").await.unwrap() < Duration::from_secs(10));
    live.shutdown().await.unwrap();
    assert!(is_silent(&mut live).await);
    stand.heal();
    assert_eq!(timeout(PATIENCE, live.read(&mut [0; 8])).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn slices_come_one_by_one() {
    let stand = Stand::new().await;
    let mut live = stand.live().await;
    let direction = Direction::ToClient;
    stand.suffer(LinkFault::Slice { size_bytes: 4, delay: ms(10), direction });
    let took = says(&mut live, &"x".repeat(40)).await.unwrap();
    assert!(took >= Duration::from_millis(90), "{took:?}");
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_reset() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let link = Link::open(&nobody.to_string(), 1).await.unwrap();
    let mut client = TcpStream::connect(link.address).await.unwrap();
    assert!(is_reset(&mut client).await);
    assert_eq!(link.counts().refused, 1);
}

#[tokio::test]
async fn an_upstreams_reset_reaches_the_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let link = Link::open(&listener.local_addr().unwrap().to_string(), 1).await.unwrap();
    let mut client = TcpStream::connect(link.address).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    reset(&server);
    drop(server);
    assert!(is_reset(&mut client).await);
}

#[tokio::test]
async fn probes_tell_what_they_met() {
    let stand = Stand::new().await;
    let address = stand.link.address.to_string();
    let probe = || async { Probe::connect(&address).await.unwrap() };
    assert!(matches!(probe().await.hang_up(PATIENCE).await, Answered::Well(_)));
    assert_eq!(probe().await.get("x", "/", SILENCE).await, Answered::Not, "an echo never ends");
    stand.suffer(LinkFault::BlackHole { direction: BOTH });
    assert_eq!(probe().await.hang_up(SILENCE).await, Answered::Not);
    stand.suffer(LinkFault::Reset);
    assert_eq!(probe().await.hang_up(PATIENCE).await, Answered::Cut);
    stand.heal();
    assert!(matches!(probe().await.hang_up(PATIENCE).await, Answered::Well(_)));
}

/// Orders are answered while connections are full, held and swallowed.
#[tokio::test]
async fn control_never_waits_for_the_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let (ours, theirs) = duplex(4_096);
    let (input, output) = split(theirs);
    tokio::spawn(control::serve(BufReader::new(input), output));
    let (answers, mut orders) = split(ours);
    let mut answers = BufReader::new(answers).lines();
    let mut tell = async |order: &str| {
        orders.write_all(format!("{order}\n").as_bytes()).await.unwrap();
        timeout(PATIENCE, answers.next_line()).await.unwrap().unwrap().unwrap()
    };
    let opened = tell(&format!(r#"{{"open":{{"seed":1,"links":{{"a":"{upstream}"}}}}}}"#)).await;
    let opened: serde_json::Value = serde_json::from_str(&opened).unwrap();
    let address: SocketAddr = opened["opened"]["a"].as_str().unwrap().parse().unwrap();
    let mut clients = Vec::new();
    for _ in 0..20 {
        let client = TcpStream::connect(address).await.unwrap();
        // Nobody reads at the other end: the link fills up.
        while timeout(SILENCE, client.writable()).await.is_ok() {
            let _ = client.try_write(&[0; 65_536]);
        }
        clients.push(client);
    }
    for kind in ["bandwidth", "blackhole"] {
        let rest = if kind == "bandwidth" { r#","bytes_per_s":0"# } else { "" };
        let order = format!(
            r#"{{"suffer":{{"link":"a","fault":{{"kind":"{kind}","direction":"both"{rest}}},"share":1}}}}"#
        );
        assert!(tell(&order).await.contains(r#""live":20"#));
        let healed = tell(r#"{"suffer":{"link":"a","fault":null,"share":1}}"#).await;
        assert!(healed.contains("counts"), "{healed}");
    }
    let wrong = tell(r#"{"count":{"link":"b"}}"#).await;
    assert!(wrong.contains("there is no link") && tell("{").await.contains("not an order"));
}

/// Megabytes both ways at once through a real link, in odd chunks, with a half-close at the end.
#[tokio::test]
async fn a_link_without_a_fault_alters_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let link = Link::open(&listener.local_addr().unwrap().to_string(), 1).await.unwrap();
    let client = TcpStream::connect(link.address).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let up: Vec<u8> =
        (0..8_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let down: Vec<u8> = up.iter().map(|byte| !byte).collect();
    let ends = tokio::join!(talk(client, &up, 7_919), talk(server, &down, 131_071));
    assert!(ends.0 == down && ends.1 == up);
}

async fn talk(stream: TcpStream, words: &[u8], chunk: usize) -> Vec<u8> {
    let (mut reader, mut writer) = stream.into_split();
    let speak = async {
        for part in words.chunks(chunk) {
            writer.write_all(part).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    };
    let mut heard = Vec::new();
    let hear = async { timeout(PATIENCE, reader.read_to_end(&mut heard)).await.unwrap().unwrap() };
    tokio::join!(speak, hear);
    heard
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Streams in memory with buffers of any size; faults that lose nothing come and go meanwhile.
    #[test]
    fn nothing_is_altered_lost_or_reordered(
        up in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..9_000), 1..60),
        down in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..9_000), 1..60),
        buffer in 1_usize..20_000,
        faults in prop::collection::vec(0_u8..5, 0..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (up, down) = (up.concat(), down.concat());
        let (at_server, at_client, end) = runtime.block_on(pass(&up, &down, buffer, &faults));
        prop_assert!(end == End::Closed && at_server == up && at_client == down);
    }
}

async fn pass(up: &[u8], down: &[u8], buffer: usize, faults: &[u8]) -> (Vec<u8>, Vec<u8>, End) {
    let (client, client_side) = duplex(buffer);
    let (server, server_side) = duplex(buffer);
    let (change, link) = watch::channel(State::default());
    let tally = Tally::default();
    let who = Who { seed: 1, connection: 1 };
    let shared = Shared { who, tally: &tally, asked: AtomicBool::new(false) };
    let relayed = relay(&shared, &link, split(client_side), split(server_side));
    let changes = async {
        for (generation, kind) in (1..).zip(faults) {
            sleep(Duration::from_millis(2)).await;
            let fault = mild(*kind).map(|fault| (fault, 1.0));
            change.send_replace(State { generation, fault });
        }
        sleep(Duration::from_millis(2)).await;
        change.send_replace(State { generation: 99, fault: None });
    };
    let (end, (), at_client, at_server) =
        tokio::join!(relayed, changes, exchange(client, up), exchange(server, down));
    (at_server, at_client, end)
}

fn mild(kind: u8) -> Option<LinkFault> {
    match kind {
        0 => Some(LinkFault::Latency { delay: ms(2), jitter: ms(1), direction: BOTH }),
        1 => Some(LinkFault::Bandwidth { bytes_per_s: 1_000_000, direction: BOTH }),
        2 => Some(LinkFault::Slice { size_bytes: 100, delay: Span::default(), direction: BOTH }),
        3 => Some(LinkFault::SlowClose { delay: ms(1), direction: BOTH }),
        _ => None,
    }
}

async fn exchange(stream: tokio::io::DuplexStream, words: &[u8]) -> Vec<u8> {
    let (mut reader, mut writer) = split(stream);
    let mut heard = Vec::new();
    let speak = async {
        writer.write_all(words).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let hear = async { timeout(PATIENCE, reader.read_to_end(&mut heard)).await.unwrap().unwrap() };
    tokio::join!(speak, hear);
    heard
}
