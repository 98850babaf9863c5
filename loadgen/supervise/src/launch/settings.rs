//! What the processes of a system say of their own settings, at `/settings` beside where they say that they
//! are ready. Who says nothing is a contestant all the same.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::{Running, Secrets};
use crate::asking::{self, Patience};
use record::redact;

const PATH: &str = "/settings";
const WITHIN: Duration = Duration::from_secs(2);
const BYTES_MAX: usize = 64 * 1024;
/// Of one process; a name or a value longer than this is cut.
const SETTINGS_MAX: usize = 100;
const CHARS_MAX: usize = 200;

/// Settings by name, by process.
pub type Settings = BTreeMap<String, BTreeMap<String, String>>;

impl Running {
    /// Asks every process for its settings.
    pub async fn settings(&self) -> Settings {
        let mut all = Settings::new();
        for process in &self.spec.processes {
            if let Some(told) = ask(&self.http, &process.ready, &self.secrets).await {
                all.insert(process.name.clone(), told);
            }
        }
        all
    }
}

/// What a process says; `None` of one that has no such document.
async fn ask(
    http: &reqwest::Client,
    ready: &str,
    secrets: &Secrets,
) -> Option<BTreeMap<String, String>> {
    let mut url = reqwest::Url::parse(ready).ok().filter(|url| url.scheme() == "http")?;
    url.set_path(PATH);
    url.set_query(None);
    let asked = asking::ask(http.get(url), BYTES_MAX);
    let (status, body) = Patience::of(WITHIN).bear(asked).await?.ok()?;
    let document: BTreeMap<String, Value> = serde_json::from_slice(&body).ok()?;
    let told =
        |(name, value): (String, Value)| Some((shown(&name, secrets), value_of(&value, secrets)?));
    status.is_success().then(|| document.into_iter().filter_map(told).take(SETTINGS_MAX).collect())
}

/// Texts, numbers, true and false; what holds further things is no setting.
fn value_of(value: &Value, secrets: &Secrets) -> Option<String> {
    match value {
        Value::String(text) => Some(shown(text, secrets)),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A stranger's text, for a record that holds no secret.
fn shown(text: &str, secrets: &Secrets) -> String {
    let known = redact::text(&secrets.without(text));
    known.chars().take(CHARS_MAX).collect()
}

/// One line per setting: a value, or several with those who have each.
#[must_use]
pub fn by_name<'s>(
    settings: impl Iterator<Item = (&'s String, &'s BTreeMap<String, String>)>,
) -> BTreeMap<String, String> {
    let mut values: BTreeMap<&str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for (process, told) in settings {
        for (name, value) in told {
            values.entry(name).or_default().entry(value).or_default().push(process);
        }
    }
    let line = |of: BTreeMap<&str, Vec<&str>>| {
        let told = |(value, who): (&&str, &Vec<&str>)| format!("{value} ({})", who.join(", "));
        match of.first_key_value() {
            Some((value, _)) if of.len() == 1 => (*value).to_owned(),
            _ => of.iter().map(told).collect::<Vec<_>>().join("; "),
        }
    };
    values.into_iter().map(|(name, of)| (name.to_owned(), line(of))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// What is understood of a process that answers with this.
    async fn asked(
        status: &str,
        body: String,
        secrets: &Secrets,
    ) -> Option<BTreeMap<String, String>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ready = format!("http://{}/readyz?x=1", listener.local_addr().unwrap());
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1_024];
            let length = stream.read(&mut request).await.unwrap();
            let _ = stream.write_all(answer.as_bytes()).await;
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let told = ask(&crate::http::client(WITHIN).unwrap(), &ready, secrets).await;
        assert!(serving.await.unwrap().starts_with("GET /settings HTTP/1.1"));
        told
    }

    #[tokio::test]
    async fn settings_are_texts_numbers_and_switches_and_never_secrets() {
        let secrets = Secrets::new();
        let word = secrets.word("token");
        let long = "x".repeat(1_000);
        let body = format!(
            r#"{{"a": "1 s", "b": 2, "c": true, "d": null, "e": [1], "f": "{word}", "g": "postgres://me:pw@h/d", "h": "{long}"}}"#
        );
        let told = asked("200 OK", body, &secrets).await.unwrap();
        assert_eq!(told.keys().collect::<Vec<_>>(), ["a", "b", "c", "f", "g", "h"]);
        assert_eq!(
            (told["a"].as_str(), told["b"].as_str(), told["c"].as_str()),
            ("1 s", "2", "true")
        );
        assert_eq!(told["f"], redact::MARK);
        assert!(!told["g"].contains("pw"), "{}", told["g"]);
        assert_eq!(told["h"].len(), CHARS_MAX);
    }

    #[tokio::test]
    async fn who_has_no_settings_says_nothing() {
        let secrets = Secrets::new();
        assert_eq!(asked("404 Not Found", "{}".to_owned(), &secrets).await, None);
        assert_eq!(asked("200 OK", "<html>".to_owned(), &secrets).await, None);
        assert_eq!(asked("200 OK", "[1]".to_owned(), &secrets).await, None);
        let flood = format!("{{\"a\": \"{}\"}}", "x".repeat(BYTES_MAX));
        assert_eq!(asked("200 OK", flood, &secrets).await, None);
        let http = crate::http::client(WITHIN).unwrap();
        assert_eq!(ask(&http, "tcp://127.0.0.1:1", &secrets).await, None);
        assert_eq!(ask(&http, "http://127.0.0.1:1/", &secrets).await, None);
    }

    #[test]
    fn a_setting_on_which_all_agree_is_one_value() {
        let told = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let settings = Settings::from([
            ("auth".to_owned(), told(&[("store", "FULL"), ("hash", "x")])),
            ("orders".to_owned(), told(&[("store", "FULL"), ("wait", "2 s")])),
            ("payments".to_owned(), told(&[("store", "OFF"), ("wait", "2 s")])),
        ]);
        let lines = by_name(settings.iter());
        assert_eq!(lines["store"], "FULL (auth, orders); OFF (payments)");
        assert_eq!((lines["wait"].as_str(), lines["hash"].as_str()), ("2 s", "x"));
    }
}
