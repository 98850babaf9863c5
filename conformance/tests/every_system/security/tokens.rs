//! Tokens: one algorithm, one secret, every claim; and nobody sees another's order.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use scenario::Latency;
use serde_json::{Value, json};
use sha2::{Sha256, Sha384, Sha512};

use crate::shop::Shop;
use crate::stand::Stand;

/// `{"alg":"none","typ":"JWT"}`
const UNSIGNED: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
/// Beyond any leeway.
const LONG_S: i64 = 3_600;

pub(crate) async fn judge(stand: &Stand) -> anyhow::Result<()> {
    stand.provider(Latency::Constant { ms: 5.0 }, 0.0).await?;
    let shop = stand.shop()?;
    let ann = shop.customer("amy@example.com", "correct horse battery").await?;
    let bob = shop.customer("bob@example.com", "staple for bob, long").await?;
    let secret = stand.word("token");
    let claims = claims_of(&ann)?;
    // Made the same way as the forgeries: so a refusal is due to what was changed.
    shop.get(&signed::<Hmac<Sha256>>("HS256", &secret, &claims)?, "/orders").await?.good(200)?;
    for (what, token) in forgeries(&secret, &claims, &ann)? {
        let answer = shop.get(&token, "/orders").await?;
        ensure!(answer.refused(401).is_ok(), "{what}: {answer:?}");
    }
    others_orders(&shop, &ann, &bob).await?;
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
    forged.push(("HS384".to_owned(), signed::<Hmac<Sha384>>("HS384", secret, claims)?));
    forged.push(("HS512".to_owned(), signed::<Hmac<Sha512>>("HS512", secret, claims)?));
    let other_secret = "another secret, which is as long as it must be";
    forged.push(("secret".to_owned(), signed::<Hmac<Sha256>>("HS256", other_secret, claims)?));
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
        forged
            .push((format!("{claim} {value}"), signed::<Hmac<Sha256>>("HS256", secret, &changed)?));
    }
    for claim in ["exp", "iat", "sub", "iss", "aud"] {
        let mut less = claims.clone();
        less.as_object_mut().and_then(|claims| claims.remove(claim));
        forged.push((format!("without {claim}"), signed::<Hmac<Sha256>>("HS256", secret, &less)?));
    }
    Ok(forged)
}

fn signed<M: Mac + KeyInit>(
    algorithm: &str,
    secret: &str,
    claims: &Value,
) -> anyhow::Result<String> {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"alg": algorithm, "typ": "JWT"});
    let message = format!("{}.{}", part(&header), part(claims));
    let mac = <M as KeyInit>::new_from_slice(secret.as_bytes())?.chain_update(&message).finalize();
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.into_bytes())))
}

/// The claims of a token, whoever signed it.
fn claims_of(token: &str) -> anyhow::Result<Value> {
    let payload = token.split('.').nth(1).context("a token of three parts")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?)
}
