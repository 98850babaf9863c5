//! At its edges the contract's schema accepts what the shop accepts, and nothing else.

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::shop::{Shop, answer};
use crate::stand::Stand;
use crate::stranger::{beside, contract, python};

const PASSWORD: &str = "correct horse battery";

/// A body at an edge of its schema.
struct Edge {
    schema: &'static str,
    body: Value,
    good: bool,
}

pub(crate) async fn agree(stand: &Stand) -> anyhow::Result<()> {
    let Some(mut python) = python().map(Command::new) else { return Ok(()) };
    let edges: Vec<Edge> = accounts().into_iter().chain(orders()).collect();
    let pairs: Vec<_> = edges.iter().map(|edge| (edge.schema, &edge.body)).collect();
    python.arg(beside("tests/schemathesis/schema.py")).arg(contract());
    let told = python.arg(serde_json::to_string(&pairs)?).output().await?;
    ensure!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let accepted: Vec<bool> = serde_json::from_slice(&told.stdout)?;
    let shop = stand.shop()?;
    let token = shop.customer("customer@example.com", PASSWORD).await?;
    for (index, (edge, accepted)) in edges.iter().zip(accepted).enumerate() {
        let Edge { schema, body, good } = edge;
        ensure!(accepted == *good, "the contract's {schema} says {accepted} to {body}");
        let status = asked(&shop, &token, index, edge).await?;
        ensure!((200..300).contains(&status) == *good, "{schema} is answered {status}: {body}");
    }
    Ok(())
}

async fn asked(shop: &Shop, token: &str, index: usize, edge: &Edge) -> anyhow::Result<u16> {
    let request = match edge.schema {
        "NewOrder" => shop.place(token, &format!("edge-{index}"), &edge.body),
        _ => shop.accounts("/signup", &edge.body),
    };
    let answer = answer(request).await?;
    if !edge.good {
        answer.refused(422)?;
    }
    Ok(answer.status)
}

fn accounts() -> Vec<Edge> {
    let of = |good, email: &str, password: &str| {
        let body = json!({"email": email, "password": password});
        Edge { schema: "Credentials", body, good }
    };
    let long = |length: usize| format!("a@{}", "b".repeat(length - 2));
    let mut edges = vec![
        of(true, "a@b", PASSWORD),
        of(true, "  Ann@Example.com ", PASSWORD),
        of(true, &long(256), PASSWORD),
        of(true, "umlauts@example.com", &"ü".repeat(256)),
        of(false, &long(257), PASSWORD),
        of(false, "long@example.com", &"ü".repeat(257)),
        of(false, "short@example.com", "1234567"),
    ];
    let wrong = ["", "@", "ab", "a@", "@b", "a@ ", "a b@c", "a@b c", "ä@b", "a@b\n", "\ta@b"];
    edges.extend(wrong.map(|email| of(false, email, PASSWORD)));
    edges
}

fn orders() -> Vec<Edge> {
    let of = |good, items: Value, card: &str| {
        let body = json!({"items": items, "card": card});
        Edge { schema: "NewOrder", body, good }
    };
    let item = |quantity: Value, price: Value| json!({"sku": "tea", "quantity": quantity, "price_cents": price});
    let priced = |price: i64| item(json!(1), json!(price));
    vec![
        of(true, json!([priced(1)]), "4242"),
        of(true, json!([priced(0), priced(1)]), "4242"),
        of(true, json!(vec![priced(1); 100]), "4242"),
        of(true, json!([item(json!(2.0), json!(5.0))]), "4242"),
        of(true, json!([item(json!(1_000), json!(1))]), "4242"),
        of(true, json!([priced(100_000_000)]), &"é".repeat(256)),
        of(false, json!([priced(0)]), "4242"),
        of(false, json!([priced(0), priced(0)]), "4242"),
        of(false, json!([]), "4242"),
        of(false, json!(vec![priced(1); 101]), "4242"),
        of(false, json!([priced(-1)]), "4242"),
        of(false, json!([priced(100_000_001)]), "4242"),
        of(false, json!([item(json!(2.5), json!(5))]), "4242"),
        of(false, json!([item(json!(0), json!(5))]), "4242"),
        of(false, json!([item(json!(1_001), json!(1))]), "4242"),
        of(false, json!([priced(1)]), ""),
        of(false, json!([priced(1)]), &"é".repeat(257)),
    ]
}
