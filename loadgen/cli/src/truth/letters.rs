//! Reads the messages that a broker has given up.

use std::time::Duration;

use anyhow::{bail, ensure};
use serde::Deserialize;

use super::listing::TEXT_BYTES_MAX;
use record::ledger::DeadRow;
use record::redact;
use supervise::asking;

/// Letters that are asked for at once.
const PAGE: &str = "1000";
const PAGE_BYTES_MAX: usize = 32 * 1024 * 1024;
const PAGE_WITHIN: Duration = Duration::from_secs(10);
/// Of an error so much is kept.
const ERROR_CHARS: usize = 1_000;

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

/// Hands over all dead letters that are listed at `url`: GET ?after=N&limit=M, letters with numbers above
/// N. There cannot be more than `most`.
///
/// # Errors
/// If they cannot be read, or do not end.
pub async fn dead_letters(
    url: &str,
    most: u64,
    mut take: impl FnMut(DeadRow) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let http = supervise::http::client(PAGE_WITHIN)?;
    let (mut after, mut count) = (0_i64, 0);
    loop {
        let what = format!("GET {url} (dead letters)");
        let page = asking::url(url, &[("after", &after.to_string()), ("limit", PAGE)])?;
        let page: Letters = asking::ask_json(http.get(page), PAGE_BYTES_MAX, &what).await?;
        let Some(last) = page.dead.last().map(|letter| letter.id) else { return Ok(()) };
        if last <= after {
            bail!("{what}: after number {after} the last letter has the number {last}");
        }
        after = last;
        count += page.dead.len() as u64;
        ensure!(
            count <= most,
            "{what}: they go on after {count}; there cannot be more than {most}"
        );
        for letter in page.dead {
            let bytes = letter.key.len();
            ensure!(bytes <= TEXT_BYTES_MAX, "{what}: a key has {bytes} bytes");
            take(row(url, letter))?;
        }
    }
}

fn row(url: &str, letter: Letter) -> DeadRow {
    let error = letter.errors.last().map(ToString::to_string).unwrap_or_default();
    DeadRow {
        source: redact::text(url),
        key: letter.key,
        attempts: letter.attempts,
        died_us: letter.died_us,
        error: error.chars().take(ERROR_CHARS).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::listing::tests::served;

    async fn read(url: &str, most: u64) -> anyhow::Result<Vec<DeadRow>> {
        let mut rows = Vec::new();
        dead_letters(url, most, |row| {
            rows.push(row);
            Ok(())
        })
        .await?;
        Ok(rows)
    }

    #[tokio::test]
    async fn dead_letters_are_read_page_by_page() {
        let (url, task) = served(&[
            r#"{"dead":[{"id":3,"key":"a","attempts":8,"errors":["x","y"],"died_us":9},{"id":7,"key":"b"}]}"#,
            r#"{"dead":[]}"#,
        ])
        .await;
        let rows = read(&url, 9).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((rows[0].attempts, rows[0].died_us, rows[0].error.as_str()), (8, 9, "\"y\""));
        let asked = task.await.unwrap();
        assert!(
            asked[0].contains("?after=0&limit=1000") && asked[1].contains("?after=7&"),
            "{asked:?}"
        );
    }

    #[tokio::test]
    async fn letters_that_do_not_end_are_refused() {
        let same = r#"{"dead":[{"id":3,"key":"a"}]}"#;
        let (url, _task) = served(Box::leak(Box::new([same, same]))).await;
        let error = read(&url, 9).await.unwrap_err().to_string();
        assert!(error.contains("after number 3 the last letter has the number 3"), "{error}");
        let two = r#"{"dead":[{"id":3,"key":"a"},{"id":4,"key":"b"}]}"#;
        let (url, _task) = served(Box::leak(Box::new([two]))).await;
        let error = read(&url, 1).await.unwrap_err().to_string();
        assert!(error.contains("they go on after 2; there cannot be more than 1"), "{error}");
    }
}
