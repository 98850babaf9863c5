//! Tokens: one algorithm, one secret, every claim; and nobody sees another's order.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use loadgen::scenario::Latency;
use serde_json::{Value, json};

use crate::shop::Shop;
use crate::stand::Stand;

/// `{"alg":"none","typ":"JWT"}`
const UNSIGNED: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
/// Beyond any leeway.
const LONG_S: i64 = 3_600;

pub(crate) async fn judge(system: &str) -> anyhow::Result<()> {
    let stand = Stand::start(system).await?;
    stand.provider(Latency::Constant { ms: 5.0 }, 0.0).await?;
    let shop = stand.shop()?;
    let ann = shop.customer("ann@example.com", "correct horse battery").await?;
    let bob = shop.customer("bob@example.com", "staple for bob, long").await?;
    let secret = stand.word("token");
    let claims = claims_of(&ann)?;
    // Made the same way as the forgeries: so a refusal is due to what was changed.
    shop.get(&signed(Algorithm::HS256, &secret, &claims)?, "/orders").await?.good(200)?;
    for (what, token) in forgeries(&secret, &claims, &ann)? {
        let answer = shop.get(&token, "/orders").await?;
        ensure!(answer.refused(401).is_ok(), "{what}: {answer:?}");
    }
    others_orders(&shop, &ann, &bob).await?;
    stand.stop().await;
    Ok(())
}

/// An order of somebody else is answered as one that does not exist.
async fn others_orders(shop: &Shop, ann: &str, bob: &str) -> anyhow::Result<()> {
    let items = json!([{"sku": "tea", "quantity": 1, "price_cents": 500}]);
    let order = shop.buy(bob, "bobs", &json!({"items": items, "card": "4242424242424242"})).await?;
    let path = format!("/orders/{}", order["id"].as_str().unwrap_or_default());
    shop.get(bob, &path).await?.good(200)?;
    let bobs = shop.get(ann, &path).await?;
    bobs.refused(404)?;
    let nobodys = shop.get(ann, "/orders/01900000-0000-7000-8000-000000000000").await?;
    ensure!(bobs.body == nobodys.body, "{bobs:?} tells it from {nobodys:?}");
    let page = shop.get(ann, "/orders").await?.good(200)?;
    ensure!(page["orders"] == json!([]), "{page}");
    Ok(())
}

fn forgeries(secret: &str, claims: &Value, good: &str) -> anyhow::Result<Vec<(String, String)>> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let payload = good.split('.').nth(1).unwrap_or_default();
    let mut forged = vec![("alg none".to_owned(), format!("{UNSIGNED}.{payload}."))];
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        forged.push((format!("{algorithm:?}"), signed(algorithm, secret, claims)?));
    }
    let other_secret = "another secret, which is as long as it must be";
    forged.push(("secret".to_owned(), signed(Algorithm::HS256, other_secret, claims)?));
    let changes = [
        ("exp", json!(now - LONG_S)),
        ("exp", json!("tomorrow")),
        ("iat", json!(now + LONG_S)),
        ("iss", json!("somebody else")),
        ("aud", json!("another shop")),
        ("sub", json!("nobody")),
    ];
    for (claim, value) in changes {
        let mut changed = claims.clone();
        changed[claim] = value.clone();
        forged.push((format!("{claim} {value}"), signed(Algorithm::HS256, secret, &changed)?));
    }
    for claim in ["exp", "iat", "sub", "iss", "aud"] {
        let mut less = claims.clone();
        less.as_object_mut().and_then(|claims| claims.remove(claim));
        forged.push((format!("without {claim}"), signed(Algorithm::HS256, secret, &less)?));
    }
    Ok(forged)
}

fn signed(algorithm: Algorithm, secret: &str, claims: &Value) -> anyhow::Result<String> {
    let key = EncodingKey::from_secret(secret.as_bytes());
    Ok(encode(&Header::new(algorithm), claims, &key)?)
}

/// The claims of a token, whoever signed it.
fn claims_of(token: &str) -> anyhow::Result<Value> {
    Ok(jsonwebtoken::dangerous::insecure_decode::<Value>(token)?.claims)
}
