//! The truth after the load: all orders as the system tells them, all charges as the provider's
//! journal tells them; read once and kept in the record.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::history::{read_table, write_table};
use crate::number;
use crate::redact;

const ORDERS: &str = "orders.csv.zst";
const CHARGES: &str = "charges.csv.zst";
const DEAD: &str = "dead.csv.zst";
/// The event of a line of the journal that cannot be read; it keeps the line's place.
pub const UNREADABLE: &str = "unreadable";
/// The event of a line that does not bear the network's seal.
pub const FORGED: &str = "forged";
const PAGE: u32 = 1_000;
/// How long a page is asked for: three times as long as a contestant may take for one request.
const ASK_AGAIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(200);

/// An order as the system tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OrderRow {
    /// The client's idempotency key.
    pub key: String,
    /// Its identity.
    pub id: String,
    /// pending, paid, declined.
    pub status: String,
    /// Its sum, cents.
    #[serde(deserialize_with = "number::whole")]
    pub total_cents: i64,
    /// When it was accepted, µs since the epoch.
    #[serde(deserialize_with = "number::whole")]
    pub created_at: i64,
    /// When it reached its final state.
    #[serde(default, deserialize_with = "number::whole_or_none")]
    pub settled_at: Option<i64>,
    /// The provider's reference.
    pub charge_id: Option<String>,
}

/// A line of the provider's journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeRow {
    /// When, µs since the epoch.
    pub at_us: i64,
    /// captured, declined, repeated, error.
    pub event: String,
    /// The client's idempotency key.
    pub key: String,
    /// The sum, cents.
    #[serde(default)]
    pub amount_cents: i64,
    /// The provider's reference.
    #[serde(default)]
    pub charge_id: Option<String>,
    /// The line's number, from 1; `None` in older records.
    #[serde(default)]
    pub n: Option<u64>,
}

/// A message that the broker has given up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadRow {
    /// Where it is listed.
    pub source: String,
    /// The client's idempotency key.
    pub key: String,
    /// How often it was delivered.
    pub attempts: u32,
    /// When it was given up, µs since the epoch.
    pub died_us: i64,
    /// The last failure.
    pub error: String,
}

/// All of it, as the audit reads it from a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// All orders.
    pub orders: Vec<OrderRow>,
    /// The whole journal.
    pub charges: Vec<ChargeRow>,
    /// All orders as the other replicas tell them.
    pub replicas: Vec<Vec<OrderRow>>,
    /// Dead letters.
    pub dead: Vec<DeadRow>,
}

/// Rows of a table, one at a time.
pub type Rows<T> = Box<dyn Iterator<Item = anyhow::Result<T>>>;

/// The orders of a record, as the system (replica 1) or another replica tells them.
///
/// # Errors
/// If the table is missing or broken.
pub fn orders(folder: &Path, replica: usize) -> anyhow::Result<Rows<OrderRow>> {
    Ok(Box::new(read_table(&folder.join(replica_file(replica)))?))
}

/// The journal of a record.
///
/// # Errors
/// If the table is missing or broken.
pub fn charges(folder: &Path) -> anyhow::Result<Rows<ChargeRow>> {
    Ok(Box::new(read_table(&folder.join(CHARGES))?))
}

/// The dead letters of a record; none if it has no such table.
///
/// # Errors
/// If the table is broken.
pub fn dead(folder: &Path) -> anyhow::Result<Rows<DeadRow>> {
    let path = folder.join(DEAD);
    if path.exists() { Ok(Box::new(read_table(&path)?)) } else { Ok(Box::new(std::iter::empty())) }
}

/// The numbers of the replicas that a record has beside the first.
pub fn replicas(folder: &Path) -> impl Iterator<Item = usize> + use<'_> {
    (2..).take_while(|replica| folder.join(replica_file(*replica)).exists())
}

fn replica_file(replica: usize) -> String {
    if replica == 1 { ORDERS.to_owned() } else { format!("orders-{replica}.csv.zst") }
}

impl Ledger {
    /// Reads the ledger of a record.
    ///
    /// # Errors
    /// If a table is missing or broken.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let listing = |replica| orders(folder, replica)?.collect::<anyhow::Result<Vec<_>>>();
        Ok(Self {
            orders: listing(1)?,
            charges: charges(folder)?.collect::<anyhow::Result<_>>()?,
            replicas: replicas(folder).map(listing).collect::<anyhow::Result<_>>()?,
            dead: dead(folder)?.collect::<anyhow::Result<_>>()?,
        })
    }

    /// Writes the ledger into a record.
    ///
    /// # Errors
    /// If a table cannot be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        write_table(&folder.join(ORDERS), &self.orders)?;
        for (replica, orders) in (2..).zip(&self.replicas) {
            write_table(&folder.join(replica_file(replica)), orders)?;
        }
        if !self.dead.is_empty() {
            write_table(&folder.join(DEAD), &self.dead)?;
        }
        write_table(&folder.join(CHARGES), &self.charges)
    }
}

#[derive(Deserialize)]
struct Page {
    orders: Vec<OrderRow>,
    next: Option<String>,
}

/// Reads orders from a system, as its operator.
pub struct OrdersReader {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl OrdersReader {
    /// A reader of the listing at `url`.
    ///
    /// # Errors
    /// If the HTTP client cannot be made.
    pub fn new(url: &str, token: &str) -> anyhow::Result<Self> {
        let http = crate::http::client(Duration::from_secs(10))?;
        Ok(Self { http, url: url.to_owned(), token: token.to_owned() })
    }

    /// All orders after `after`, in the system's order.
    ///
    /// # Errors
    /// If a page cannot be read.
    pub async fn all(&self, after: Option<&str>) -> anyhow::Result<Vec<OrderRow>> {
        let mut after = after.map(ToOwned::to_owned);
        let mut orders = Vec::new();
        loop {
            let page = self.page(after.as_deref()).await?;
            orders.extend(page.orders);
            match page.next {
                Some(next) if after.as_ref() != Some(&next) => after = Some(next),
                Some(next) => bail!("{}: the page after {next} names itself as the next", self.url),
                None => return Ok(orders),
            }
        }
    }

    /// A page; what is answered with an error or not in time is asked again for a while, for a system
    /// that works off a backlog may be too busy to list it. Where nobody listens nobody will.
    async fn page(&self, after: Option<&str>) -> anyhow::Result<Page> {
        let give_up = Instant::now() + ASK_AGAIN;
        loop {
            let error = match self.ask(after).await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            let refused = error.downcast_ref::<reqwest::Error>().is_some_and(|e| e.is_connect());
            if refused || Instant::now() >= give_up {
                return Err(error);
            }
            sleep(POLL).await;
        }
    }

    async fn ask(&self, after: Option<&str>) -> anyhow::Result<Page> {
        let cursor = after.map(|a| format!("&after={a}")).unwrap_or_default();
        let url = format!("{}?limit={PAGE}{cursor}", self.url);
        let answer = self.http.get(&url).bearer_auth(&self.token).send().await?;
        let status = answer.status();
        if !status.is_success() {
            bail!("GET {url} answered {status}: {}", answer.text().await.unwrap_or_default());
        }
        answer.json().await.with_context(|| format!("GET {url} is not a page of orders"))
    }

    /// Waits until no order has been pending for `quiet`, or the deadline; returns whether.
    /// Asks only for orders from the oldest pending one on, so that it disturbs little.
    ///
    /// # Errors
    /// If the orders cannot be read.
    pub async fn drain(&self, within: Duration, quiet: Duration) -> anyhow::Result<bool> {
        let deadline = Instant::now() + within;
        let mut settled_up_to: Option<String> = None;
        let mut quiet_since = None;
        loop {
            let orders = self.all(settled_up_to.as_deref()).await?;
            let pending = orders.iter().position(|o| o.status == "pending");
            let settled = pending.unwrap_or(orders.len());
            if let Some(last) = settled.checked_sub(1).and_then(|i| orders.get(i)) {
                settled_up_to = Some(last.id.clone());
            }
            let now = Instant::now();
            match (pending, quiet_since) {
                (None, Some(since)) if now - since >= quiet => return Ok(true),
                (None, None) if quiet.is_zero() => return Ok(true),
                (None, None) => quiet_since = Some(now),
                (None, Some(_)) => {}
                (Some(_), _) => quiet_since = None,
            }
            if now > deadline {
                return Ok(pending.is_none());
            }
            sleep(POLL).await;
        }
    }
}

/// Reads the provider's journal; a torn last line (a kill in mid-write) is left out, any other line
/// that does not parse is kept as [`UNREADABLE`].
///
/// # Errors
/// If the file cannot be read.
pub fn read_journal(path: &Path) -> anyhow::Result<Vec<ChargeRow>> {
    let text = std::fs::read(path)
        .with_context(|| format!("cannot read the provider's journal {}", path.display()))?;
    let mut rows = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(row) => rows.push(row),
            Err(_) if !line.ends_with(b"\n") => {}
            Err(_) => {
                rows.push(ChargeRow { event: UNREADABLE.to_owned(), ..ChargeRow::default() });
            }
        }
    }
    Ok(rows)
}

#[derive(Deserialize)]
struct Letters {
    dead: Vec<Letter>,
}

#[derive(Deserialize)]
struct Letter {
    id: i64,
    key: String,
    #[serde(default)]
    attempts: u32,
    #[serde(default)]
    died_us: i64,
    #[serde(default)]
    errors: Vec<serde_json::Value>,
}

/// All dead letters that are listed at `url`: GET ?after=N&limit=M, letters with numbers above N.
///
/// # Errors
/// If they cannot be read.
pub async fn dead_letters(url: &str) -> anyhow::Result<Vec<DeadRow>> {
    let http = crate::http::client(Duration::from_secs(10))?;
    let (mut after, mut rows) = (0, Vec::new());
    loop {
        let page = format!("{url}?after={after}&limit={PAGE}");
        let answer = http.get(&page).send().await?.error_for_status()?;
        let letters: Letters =
            answer.json().await.with_context(|| format!("GET {page} is not a page of letters"))?;
        let Some(last) = letters.dead.last().map(|letter| letter.id) else { return Ok(rows) };
        if last <= after {
            bail!("{page}: the last letter has the number {last}");
        }
        after = last;
        rows.extend(letters.dead.into_iter().map(|letter| DeadRow {
            source: redact::text(url),
            key: letter.key,
            attempts: letter.attempts,
            died_us: letter.died_us,
            error: letter.errors.last().map(ToString::to_string).unwrap_or_default(),
        }));
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_torn_end_is_left_out_and_any_other_bad_line_is_kept_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let line = r#"{"at_us":1,"event":"captured","key":"k","amount_cents":5,"charge_id":"c"}"#;
        std::fs::write(&path, format!("{line}\nnonsense\n\u{fffd}\n{line}\n{{\"at_us\"")).unwrap();
        let events = |path: &Path| -> Vec<String> {
            read_journal(path).unwrap().into_iter().map(|row| row.event).collect()
        };
        assert_eq!(events(&path), ["captured", UNREADABLE, UNREADABLE, "captured"]);
        std::fs::write(&path, "").unwrap();
        assert!(events(&path).is_empty());
        assert!(read_journal(&folder.path().join("none")).is_err());
    }

    /// Answers one request per body; an empty body is a 503.
    async fn served(
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

    #[tokio::test]
    async fn dead_letters_are_read_page_by_page() {
        let (url, task) = served(&[
            r#"{"dead":[{"id":3,"key":"a","attempts":8,"errors":["x","y"],"died_us":9},{"id":7,"key":"b"}]}"#,
            r#"{"dead":[]}"#,
        ])
        .await;
        let rows = dead_letters(&url).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((rows[0].attempts, rows[0].died_us, rows[0].error.as_str()), (8, 9, "\"y\""));
        let asked = task.await.unwrap();
        assert!(
            asked[0].contains("?after=0&limit=1000") && asked[1].contains("?after=7&"),
            "{asked:?}"
        );
    }

    #[tokio::test]
    async fn a_page_that_fails_is_asked_for_again_until_nobody_listens() {
        let (url, task) = served(&["", "no page", r#"{"orders":[],"next":null}"#]).await;
        let reader = OrdersReader::new(&url, "token").unwrap();
        assert!(reader.drain(Duration::from_secs(60), Duration::ZERO).await.unwrap());
        assert_eq!(task.await.unwrap().len(), 3);
        let begun = Instant::now();
        assert!(reader.drain(Duration::from_secs(60), Duration::ZERO).await.is_err());
        assert!(begun.elapsed() < ASK_AGAIN, "nobody listens");
    }

    #[tokio::test]
    async fn a_list_that_does_not_advance_is_refused() {
        let same = r#"{"dead":[{"id":3,"key":"a"}]}"#;
        let (url, task) = served(Box::leak(Box::new([same, same]))).await;
        assert!(dead_letters(&url).await.unwrap_err().to_string().contains("has the number 3"));
        task.await.unwrap();
    }
}
