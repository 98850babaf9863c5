//! Listings from a server of a few lines.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Answers each request with what `answer` makes of its first line; an empty body is a 503.
async fn server(answer: impl Fn(usize, &str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/dead/charges", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for n in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let read = stream.read(&mut request).await.unwrap();
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            let body = answer(n, text.lines().next().unwrap_or_default());
            let head = format!(
                "HTTP/1.1 {} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                if body.is_empty() { 503 } else { 200 },
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes()).await;
        }
    });
    url
}

/// Answers one request per body, then nobody listens any more; an empty body is a 503.
pub(crate) async fn served(
    bodies: &'static [&'static str],
) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/dead/charges", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let mut asked = Vec::new();
        for body in bodies {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let read = stream.read(&mut request).await.unwrap();
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            asked.push(text.lines().next().unwrap_or_default().to_owned());
            let answer = format!(
                "HTTP/1.1 {} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                if body.is_empty() { 503 } else { 200 },
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    });
    (url, task)
}

fn order(id: &str, status: &str) -> String {
    format!(
        r#"{{"id":"{id}","key":"k-{id}","status":"{status}","total_cents":5,"created_at":1,"settled_at":null,"charge_id":null}}"#
    )
}

fn page(orders: &[String], next: &str) -> String {
    format!(r#"{{"orders":[{}],"next":{next}}}"#, orders.join(","))
}

#[tokio::test]
async fn a_page_that_fails_is_asked_for_again_until_nobody_listens() {
    let (url, task) =
        served(&["", "no page", r#"{"orders":[],"next":null}"#, r#"{"orders":[],"next":null}"#])
            .await;
    let reader = OrdersReader::new(&url, "token").unwrap();
    assert!(reader.drain(Duration::from_secs(60), Duration::ZERO).await.unwrap());
    assert_eq!(task.await.unwrap().len(), 4);
    let begun = Instant::now();
    assert!(reader.drain(Duration::from_secs(60), Duration::ZERO).await.is_err());
    assert!(begun.elapsed() < ASK_AGAIN, "nobody listens");
}

/// An order with an older id appears, open, behind the newest that is final; it settles a little later.
#[tokio::test]
async fn an_order_that_was_listed_late_is_waited_for() {
    let url = server(|n, line| {
        let late = if n < 6 { "pending" } else { "paid" };
        match (n, line.contains("after=2")) {
            // The first look does not show it yet, and what follows is asked for after the newest.
            (0, _) => page(&[order("2", "paid")], "null"),
            (_, true) => page(&[], "null"),
            _ => page(&[order("1", late), order("2", "paid")], "null"),
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.csv.zst");
    let reader = OrdersReader::new(&url, "token").unwrap();
    let patience = || Patience::of(Duration::from_secs(20));
    let quiet = Duration::from_millis(300);
    let listing = reader.settle(&patience(), quiet, patience, &path).await.unwrap();
    assert_eq!((listing.rows, listing.open), (2, 0));
    let rows: Vec<OrderRow> = record::read_table(&path).unwrap().map(Result::unwrap).collect();
    assert!(rows.len() == 2 && rows.iter().all(OrderRow::is_final), "{rows:?}");
}

#[tokio::test]
async fn an_order_that_stays_open_ends_the_waiting_and_is_in_the_table() {
    let url = server(|_, _| page(&[order("1", "lent"), order("2", "paid")], "null")).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.csv.zst");
    let reader = OrdersReader::new(&url, "token").unwrap();
    let patience = Patience::of(Duration::from_millis(300));
    let reading = || Patience::of(Duration::from_secs(20));
    let listing = reader.settle(&patience, Duration::ZERO, reading, &path).await.unwrap();
    assert_eq!((listing.rows, listing.open), (2, 1), "a state that nobody knows is not final");
    assert!(!reader.drain(Duration::from_millis(300), Duration::ZERO).await.unwrap());
}

/// A listing that goes on and on, with ever another next page.
async fn endless() -> OrdersReader {
    let url = server(|n, _| page(&[order(&n.to_string(), "paid")], &format!("\"{n}\""))).await;
    OrdersReader::new(&url, "token").unwrap()
}

#[tokio::test]
async fn a_listing_that_does_not_end_is_refused_by_number() {
    let error = endless().await.at_most(10).all(None).await.unwrap_err().to_string();
    assert!(error.contains("goes on after 11 orders"), "{error}");
    let url = server(|n, _| page(&[], &format!("\"{n}\""))).await;
    let reader = OrdersReader::new(&url, "token").unwrap().at_most(10);
    let error = reader.all(None).await.unwrap_err().to_string();
    assert!(error.contains("0 orders on 12 pages"), "{error}");
    let same = r#"{"orders":[],"next":"x"}"#;
    let (url, _task) = served(Box::leak(Box::new([same, same]))).await;
    let error = OrdersReader::new(&url, "t").unwrap().all(None).await.unwrap_err().to_string();
    assert!(error.contains("names itself as the next"), "{error}");
}

#[tokio::test]
async fn a_listing_that_does_not_end_is_left_in_time_and_leaves_no_table() {
    let reader = endless().await;
    let begun = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.csv.zst");
    let short = || Patience::of(Duration::from_millis(300));
    let error =
        reader.settle(&short(), Duration::ZERO, short, &path).await.unwrap_err().to_string();
    assert!(error.contains("reading all orders: not done within"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(!path.exists());
}

#[tokio::test]
async fn pages_and_texts_without_bound_are_refused() {
    let many: Vec<String> = (0..=PAGE).map(|n| order(&n.to_string(), "paid")).collect();
    let many = page(&many, "null");
    let url = server(move |_, _| many.clone()).await;
    let error = OrdersReader::new(&url, "t").unwrap().ask(None).await.err().unwrap().to_string();
    assert!(error.contains("expected 1000 orders at most, found 1001"), "{error}");
    let long = order("1", "paid").replace("k-1", &"k".repeat(TEXT_BYTES_MAX + 1));
    let url = server(move |_, _| page(std::slice::from_ref(&long), "null")).await;
    let error = OrdersReader::new(&url, "t").unwrap().all(None).await.unwrap_err().to_string();
    assert!(error.contains("an order's key has 257 bytes"), "{error}");
}
