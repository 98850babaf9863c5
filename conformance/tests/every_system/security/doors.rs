//! The doors that are not for customers: the card network's settings, the broker's dead letters, all
//! orders.

use anyhow::ensure;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::shop::{answer, client};
use crate::stand::{SECRETS, Stand};

pub(crate) async fn knock(stand: &Stand) -> anyhow::Result<()> {
    let servers = stand.servers();
    let address = |role: &str| {
        let players = stand.running.spec.players(role);
        players.first().map(|index| format!("http://{}", servers[*index].1))
    };
    let provider = address("provider").unwrap_or_default();
    let mut doors = vec![
        (Method::GET, format!("{provider}/control"), 200),
        (Method::PATCH, format!("{provider}/control"), 200),
    ];
    if let Some(dead) = stand.dead_charges() {
        doors.push((Method::POST, format!("{dead}/replay"), 200));
    }
    for (method, url, good) in &doors {
        let door = Door { stand, method: method.clone(), url };
        door.holds(*good).await?;
    }
    let payments = stand.running.spec.players("payments")[0];
    // Payments that another process asks have an address of their own.
    let asked = stand.running.spec.processes[payments].env.contains_key("TRIPTYCH_PAYMENTS_TOKEN");
    let mut services = vec![(provider, "merchant")];
    services.extend(address("payments").filter(|_| asked).map(|payments| (payments, "payments")));
    for (base, word) in &services {
        let taken_back = if *word == "merchant" { "voids" } else { "cancellations" };
        for path in ["charges", taken_back] {
            between_services(stand, &format!("{base}/{path}"), word).await?;
        }
    }
    for (role, token, path) in [
        ("notifications", "TRIPTYCH_NOTIFICATIONS_TOKEN", "settlements"),
        ("inventory", "TRIPTYCH_INVENTORY_TOKEN", "settlements"),
        ("inventory", "TRIPTYCH_INVENTORY_TOKEN", "reservations"),
    ] {
        let asked = |index: &&usize| stand.running.spec.processes[**index].env.contains_key(token);
        if let Some(index) = stand.running.spec.players(role).iter().find(asked) {
            let url = format!("http://{}/{path}", servers[*index].1);
            between_services(stand, &url, role).await?;
        }
    }
    let everybodys = format!("{}/orders", stand.running.spec.entry.orders.first());
    for token in ["", "wrong", stand.control_token()] {
        answer(client()?.get(&everybodys).bearer_auth(token)).await?.refused(401)?;
    }
    Ok(())
}

/// Lets in who shows this word and is no page in a browser.
async fn between_services(stand: &Stand, url: &str, word: &str) -> anyhow::Result<()> {
    let http = client()?;
    let ask = |token: &str| http.post(url).bearer_auth(token).json(&json!({}));
    answer(ask(&stand.word(word))).await?.refused(422)?;
    answer(http.post(url).json(&json!({}))).await?.refused(401)?;
    for other in SECRETS.iter().filter(|other| **other != word) {
        answer(ask(&stand.word(other))).await?.refused(401)?;
    }
    for origin in ["http://evil.example", "http://localhost", "null"] {
        answer(ask(&stand.word(word)).header("origin", origin)).await?.refused(403)?;
    }
    let form = http.post(url).bearer_auth(stand.word(word)).body("{}");
    answer(form.header("content-type", "text/plain")).await?.refused(415)
}

struct Door<'a> {
    stand: &'a Stand,
    method: Method,
    url: &'a str,
}

impl Door<'_> {
    fn request(&self, token: &str) -> anyhow::Result<RequestBuilder> {
        let request = client()?.request(self.method.clone(), self.url);
        Ok(request.bearer_auth(token).json(&json!({})))
    }

    async fn holds(&self, good: u16) -> anyhow::Result<()> {
        let token = self.stand.control_token();
        let opened = answer(self.request(token)?).await?;
        ensure!(opened.status == good, "{} {}: {opened:?}", self.method, self.url);
        let bare = client()?.request(self.method.clone(), self.url).json(&json!({}));
        answer(bare).await?.refused(401)?;
        for wrong in ["", "wrong", &token[1..], self.stand.operator_token()] {
            answer(self.request(wrong)?).await?.refused(401)?;
        }
        // What a page in a browser sends whose name was rebound to this machine.
        for (header, value) in [
            ("host", "evil.example"),
            ("host", "127.0.0.1.evil.example"),
            ("origin", "http://evil.example"),
            ("origin", "null"),
        ] {
            let answered = answer(self.request(token)?.header(header, value)).await?;
            ensure!(answered.refused(403).is_ok(), "{header}: {value}: {answered:?}");
        }
        Ok(())
    }
}
