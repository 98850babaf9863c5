//! Customers read after the drain: each the beginning of his own list, and a sample of the orders that were
//! acknowledged to him. It judges nothing.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use tokio::time::sleep;

use record::files;
use record::ledger::OrderRow;
use record::reads::{How, ReadRow};
use record::{Operation, Outcome, PackedTable, history};
use supervise::asking::{self, Patience};

/// Orders that are read by their id, per customer.
const SAMPLE: usize = 4;
/// Orders on a page of a customer's list, and pages that are read of it.
const PAGE: usize = 100;
const PAGES: usize = 3;
/// A hundred orders of the largest body that the contract allows, and as much again.
const BYTES_MAX: usize = 4 * 1024 * 1024;
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// A read that is answered with an error, or not at all, is tried again so often.
const TRIES: usize = 3;
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// An acknowledged order: its key and its id.
type Placed = (String, String);

/// Lets every customer read, and writes what they read into the record in `folder`.
///
/// # Errors
/// If it is not done in time, the history cannot be read, or the table not be written.
pub(crate) async fn read_back(
    folder: &Path,
    base: &str,
    tokens: &[String],
    patience: &Patience,
) -> anyhow::Result<()> {
    let samples = samples(folder)?;
    let mut table = PackedTable::begin(&folder.join(files::READS))?;
    let http = supervise::http::client(ANSWERS_WITHIN)?;
    let url = format!("{base}/orders");
    let work = async {
        for (customer, token) in (0..).zip(tokens) {
            let reader = Reader { http: &http, url: &url, token, customer };
            reader.list(&mut table).await?;
            for (key, id) in samples.get(&customer).into_iter().flatten() {
                table.put(&reader.get(key, id).await)?;
            }
        }
        Ok(())
    };
    patience.hold("letting customers read", work).await?;
    table.end()?;
    Ok(())
}

/// Of each customer the orders whose keys have the least hashes: any, and the same ones each time.
fn samples(folder: &Path) -> anyhow::Result<BTreeMap<u32, Vec<Placed>>> {
    let mut samples: BTreeMap<u32, BTreeMap<u64, Placed>> = BTreeMap::new();
    for attempt in history::read(folder)? {
        let a = attempt?;
        let is_acknowledged = a.operation == Operation::Place && a.outcome == Outcome::Ok;
        if is_acknowledged && !a.order.is_empty() {
            let sample = samples.entry(a.customer).or_default();
            sample.insert(hash(&a.key), (a.key, a.order));
            while sample.len() > SAMPLE {
                sample.pop_last();
            }
        }
    }
    let chosen = |(customer, sample): (u32, BTreeMap<u64, Placed>)| {
        (customer, sample.into_values().collect())
    };
    Ok(samples.into_iter().map(chosen).collect())
}

fn hash(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// One customer.
struct Reader<'a> {
    http: &'a reqwest::Client,
    url: &'a str,
    token: &'a str,
    customer: u32,
}

#[derive(Deserialize)]
struct Page {
    orders: Vec<OrderRow>,
    next: Option<String>,
}

impl Reader<'_> {
    /// The beginning of his list; ends with a row that says so if that is all of it.
    async fn list(&self, table: &mut PackedTable<ReadRow>) -> anyhow::Result<()> {
        let row = |how, status, order| ReadRow::new(self.customer, how, status, "", order);
        let mut after: Option<String> = None;
        for _ in 0..PAGES {
            let limit = PAGE.to_string();
            let mut parameters = vec![("limit", limit.as_str())];
            parameters.extend(after.as_deref().map(|after| ("after", after)));
            let url = asking::url(self.url, &parameters)?;
            let page: Page = match self.ask(self.http.get(url)).await {
                Ok(page) => page,
                Err(status) => return table.put(&row(How::List, status, None)),
            };
            if page.orders.len() > PAGE {
                bail!("{}: a page of more than {PAGE} orders", self.url);
            }
            for order in page.orders {
                table.put(&row(How::List, 200, Some(order)))?;
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return table.put(&row(How::End, 200, None)),
            }
        }
        Ok(())
    }

    async fn get(&self, key: &str, id: &str) -> ReadRow {
        let shown = match self.order_url(id) {
            Ok(url) => self.ask::<OrderRow>(self.http.get(url)).await,
            Err(_) => Err(0),
        };
        let (status, order) = match shown {
            Ok(order) => (200, Some(order)),
            Err(status) => (status, None),
        };
        ReadRow::new(self.customer, How::Get, status, key, order)
    }

    /// An id is the contestant's text: it cannot leave its segment of the path.
    fn order_url(&self, id: &str) -> anyhow::Result<reqwest::Url> {
        let mut url = reqwest::Url::parse(self.url)?;
        let mut path = url.path_segments_mut().ok().context("a URL without a path")?;
        path.push(id);
        drop(path);
        Ok(url)
    }

    /// What is answered with 200 as it should be; else the status, 0 for none that is understood.
    async fn ask<T: serde::de::DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, u16> {
        let request = request.bearer_auth(self.token);
        let mut last = 0;
        for again in 0..TRIES {
            if again > 0 {
                sleep(AGAIN_AFTER).await;
            }
            let Some(request) = request.try_clone() else { return Err(0) };
            let Ok((status, body)) = asking::ask(request, BYTES_MAX).await else { continue };
            if status == StatusCode::OK {
                return serde_json::from_slice(&body).map_err(|_| 0);
            }
            last = status.as_u16();
            // A refusal will be the same again.
            if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
                break;
            }
        }
        Err(last)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use record::{Attempt, reads, write_table};

    fn placed(customer: u32, n: u32) -> Attempt {
        Attempt {
            key: format!("k{customer}-{n}"),
            order: format!("o{customer}-{n}"),
            operation: Operation::Place,
            outcome: Outcome::Ok,
            customer,
            ..Attempt::default()
        }
    }

    fn order(id: &str) -> String {
        format!(
            r#"{{"id":"{id}","key":"{}","status":"paid","total_cents":5,"created_at":1,"settled_at":2,"charge_id":"c"}}"#,
            id.replace('o', "k")
        )
    }

    /// A shop of two customers: the first has two pages, the second may not see his list, and of his
    /// orders one is gone and one fails.
    fn shop(line: &str, token: &str) -> (u16, String) {
        let page = |ids: [&str; 2], next: &str| {
            format!("{{\"orders\":[{},{}],\"next\":{next}}}", order(ids[0]), order(ids[1]))
        };
        match (token, line) {
            ("t0", "GET /orders?limit=100") => (200, page(["o0-0", "o0-1"], "\"o0-1\"")),
            ("t0", "GET /orders?limit=100&after=o0-1") => (200, page(["o0-2", "o0-3"], "null")),
            ("t1", "GET /orders/o1-0") => (404, String::new()),
            ("t1", "GET /orders/o1-1") => (503, String::new()),
            ("t1", "GET /orders/o1-2") => (200, "no order".to_owned()),
            ("t1", list) if list.starts_with("GET /orders?") => (403, String::new()),
            (_, get) => (200, order(get.rsplit('/').next().unwrap())),
        }
    }

    async fn server() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4_096];
                let read = stream.read(&mut request).await.unwrap();
                let text = String::from_utf8_lossy(&request[..read]).into_owned();
                let line = text.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
                let token = text.split("Bearer ").nth(1).unwrap().lines().next().unwrap();
                let (status, body) = shop(&line, token);
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
                );
                stream.write_all((head + &body).as_bytes()).await.unwrap();
            }
        });
        url
    }

    #[tokio::test]
    async fn each_customer_reads_his_list_and_a_sample_of_his_orders() {
        let folder = tempfile::tempdir().unwrap();
        let attempts: Vec<Attempt> =
            (0..2).flat_map(|c| (0..4).map(move |n| placed(c, n))).collect();
        write_table(&folder.path().join(files::HISTORY), &attempts).unwrap();
        let tokens = ["t0".to_owned(), "t1".to_owned()];
        let patience = Patience::of(Duration::from_secs(20));
        read_back(folder.path(), &server().await, &tokens, &patience).await.unwrap();
        let rows = reads::read(folder.path()).unwrap().unwrap();
        let rows: Vec<ReadRow> = rows.map(Result::unwrap).collect();
        let mut told: Vec<String> = rows
            .iter()
            .map(|r| format!("{} {:?} {} {} {}", r.customer, r.how, r.status, r.about, r.id))
            .collect();
        told.sort();
        let list = ["0 End 200  ", "0 Get 200 k0-0 o0-0", "0 Get 200 k0-1 o0-1"];
        assert_eq!(told[..3], list);
        assert_eq!(
            told[5..9],
            ["0 List 200  o0-0", "0 List 200  o0-1", "0 List 200  o0-2", "0 List 200  o0-3"]
        );
        let second = [
            "1 Get 0 k1-2 ",
            "1 Get 200 k1-3 o1-3",
            "1 Get 404 k1-0 ",
            "1 Get 503 k1-1 ",
            "1 List 403  ",
        ];
        assert_eq!(told[9..], second);
        assert_eq!((rows[0].state.as_str(), rows[0].charge_id.as_deref()), ("paid", Some("c")));
    }

    #[test]
    fn a_sample_is_small_and_the_same_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let mut attempts: Vec<Attempt> = (0..50).map(|n| placed(7, n)).collect();
        attempts.push(Attempt { outcome: Outcome::Unknown, ..placed(8, 0) });
        write_table(&folder.path().join(files::HISTORY), &attempts).unwrap();
        let chosen = samples(folder.path()).unwrap();
        assert_eq!(chosen.keys().copied().collect::<Vec<_>>(), [7]);
        assert_eq!(chosen[&7].len(), SAMPLE);
        attempts.reverse();
        write_table(&folder.path().join(files::HISTORY), &attempts).unwrap();
        assert_eq!(samples(folder.path()).unwrap(), chosen);
    }
}
