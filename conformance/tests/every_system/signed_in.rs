//! The auth service is dead: who is signed in still orders and reads, unless orders ask auth each time.

use scenario::Latency;
use serde_json::json;

use crate::shop::answer;
use crate::stand::Stand;

pub(crate) async fn stay(system: &str) -> anyhow::Result<()> {
    let mut stand = Stand::start(system).await?;
    stand.provider(Latency::Constant { ms: 5.0 }, 0.0).await?;
    let shop = stand.shop()?;
    let token = shop.customer("ann@example.com", "correct horse battery").await?;
    let orders = stand.running.spec.players("orders");
    let asks = orders.iter().any(|index| {
        stand.running.spec.processes[*index].command.iter().any(|word| word == "--auth")
    });
    for index in stand.running.spec.players("auth") {
        if !orders.contains(&index) {
            stand.running.kill(index).await?;
        }
    }
    let items = json!([{"sku": "tea", "quantity": 1, "price_cents": 500}]);
    let order = json!({"items": items, "card": "4242424242424242"});
    if asks {
        answer(shop.place(&token, "without-auth", &order)).await?.refused(503)?;
        shop.get(&token, "/orders").await?.refused(503)?;
    } else {
        shop.buy(&token, "without-auth", &order).await?;
        shop.get(&token, "/orders").await?.good(200)?;
    }
    stand.stop().await;
    Ok(())
}
