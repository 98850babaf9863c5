//! The shopping script: what may be asked, what must be answered, and the ledger at the end.

use record::ledger::Ledger;
use reqwest::{Method, RequestBuilder};
use scenario::Latency;
use serde_json::{Value, json};

use crate::shop::{Shop, answer};
use crate::stand::Stand;

const QUICK: Latency = Latency::Constant { ms: 5.0 };
const CARD: &str = "4242424242424242";
const PASSWORDS: [&str; 2] = ["correct horse battery", "staple for bob, long"];
/// What every system must end with: key, state, cents.
const ORDERS: [(&str, &str, i64); 4] = [
    ("bob-1", "paid", 500),
    ("first", "paid", 2_598),
    ("refused", "declined", 999),
    ("second", "paid", 1_001),
];
/// What the card network must have written, and nothing else: event, key, cents.
const CHARGES: [(&str, &str, i64); 4] = [
    ("captured", "bob-1", 500),
    ("captured", "first", 2_598),
    ("captured", "second", 1_001),
    ("declined", "refused", 999),
];
/// `{"alg":"none","typ":"JWT"}`
const UNSIGNED: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";

/// The customers of the script, signed in.
struct Cast<'a> {
    stand: &'a Stand,
    shop: Shop,
    ann: String,
    bob: String,
}

pub(crate) async fn follow(system: &str) -> anyhow::Result<()> {
    let stand = Stand::start(system).await?;
    stand.provider(QUICK, 0.0).await?;
    let shop = stand.shop()?;
    let ann = shop.customer("ann@example.com", PASSWORDS[0]).await?;
    let bob = shop.customer("bob@example.com", PASSWORDS[1]).await?;
    let cast = Cast { stand: &stand, shop, ann, bob };
    cast.accounts().await?;
    cast.purchases().await?;
    cast.repetitions().await?;
    cast.strangers().await?;
    cast.malformed().await?;
    cast.listings().await?;
    ledger(&stand.ledger().await?);
    cast.silence()?;
    stand.stop().await;
    Ok(())
}

fn basket(sku: &str, quantity: u32, price_cents: i64) -> Value {
    json!({"items": [{"sku": sku, "quantity": quantity, "price_cents": price_cents}], "card": CARD})
}

async fn refused(request: RequestBuilder, status: u16) -> anyhow::Result<()> {
    answer(request).await?.refused(status)
}

impl Cast<'_> {
    async fn accounts(&self) -> anyhow::Result<()> {
        let shop = &self.shop;
        let account = |email: &str, password: &str| json!({"email": email, "password": password});
        let taken = account(" ANN@example.com", "another password");
        refused(shop.accounts("/signup", &taken), 409).await?;
        let wrong = account("ann@example.com", PASSWORDS[1]);
        refused(shop.accounts("/login", &wrong), 401).await?;
        let unknown = account("nobody@example.com", PASSWORDS[0]);
        refused(shop.accounts("/login", &unknown), 401).await?;
        refused(shop.accounts("/signup", &account("no address", PASSWORDS[0])), 422).await?;
        refused(shop.accounts("/signup", &account("carl@example.com", "short")), 422).await?;
        refused(shop.accounts("/nowhere", &json!({})), 404).await
    }

    async fn purchases(&self) -> anyhow::Result<()> {
        let first = self.shop.buy(&self.ann, "first", &basket("tea", 2, 1_299)).await?;
        assert_eq!((&first["status"], &first["total_cents"]), (&json!("paid"), &json!(2_598)));
        assert!(first["charge_id"].is_string() && first.get("card").is_none(), "{first}");
        let path = format!("/orders/{}", first["id"].as_str().unwrap());
        let again = self.shop.get(&self.ann, &path).await?.good(200)?;
        assert_eq!(again, first, "GET tells the same as POST");

        self.stand.provider(QUICK, 1.0).await?;
        let declined = self.shop.buy(&self.ann, "refused", &basket("car", 1, 999)).await?;
        assert_eq!(declined["status"], "declined");
        assert_eq!(declined["charge_id"], Value::Null);
        self.stand.provider(QUICK, 0.0).await?;
        let second = self.shop.buy(&self.ann, "second", &basket("tea", 1, 1_001)).await?;
        assert_eq!(second["status"], "paid", "the card network is well again");
        let bobs = self.shop.buy(&self.bob, "bob-1", &basket("tea", 1, 500)).await?;
        assert_eq!(bobs["status"], "paid");
        Ok(())
    }

    /// The key belongs to one order of one customer.
    async fn repetitions(&self) -> anyhow::Result<()> {
        let (shop, same) = (&self.shop, basket("tea", 2, 1_299));
        let orders = self.stand.operator.all(None).await?;
        let first = orders.iter().find(|order| order.key == "first").unwrap();
        let repeated = shop.buy(&self.ann, "first", &same).await?;
        assert_eq!(repeated["id"], first.id.as_str());
        let declined = shop.buy(&self.ann, "refused", &basket("car", 1, 999)).await?;
        assert_eq!(declined["status"], "declined", "a decline is final");
        refused(shop.place(&self.ann, "first", &basket("tea", 3, 1_299)), 409).await?;
        refused(shop.place(&self.bob, "first", &same), 409).await
    }

    async fn strangers(&self) -> anyhow::Result<()> {
        let (shop, order) = (&self.shop, basket("tea", 1, 100));
        let payload = self.ann.split('.').nth(1).unwrap();
        let (start, end) = self.ann.split_at(self.ann.len() - 10);
        let other = if end.starts_with('A') { "B" } else { "A" };
        let forged = [
            String::new(),
            "nonsense".to_owned(),
            format!("{UNSIGNED}.{payload}."),
            format!("{start}{other}{}", &end[1..]),
        ];
        for token in &forged {
            refused(shop.place(token, "forged", &order), 401).await?;
            shop.get(token, "/orders").await?.refused(401)?;
        }
        let bare = shop.orders(Method::POST, "/orders").header("idempotency-key", "bare");
        refused(bare.json(&order), 401).await?;

        let all = self.stand.operator.all(None).await?;
        let bobs = all.iter().find(|order| order.key == "bob-1").unwrap();
        shop.get(&self.ann, &format!("/orders/{}", bobs.id)).await?.refused(404)?;
        let nobodys = "/orders/00000000-0000-7000-8000-000000000000";
        shop.get(&self.ann, nobodys).await?.refused(404)?;
        shop.get(&self.ann, "/orders/not-an-id").await?.refused(404)
    }

    async fn malformed(&self) -> anyhow::Result<()> {
        let (shop, ann) = (&self.shop, self.ann.as_str());
        let good = basket("tea", 1, 100);
        let broken = shop.orders(Method::POST, "/orders").bearer_auth(ann);
        let broken = broken.header("idempotency-key", "broken");
        refused(broken.try_clone().unwrap().body("{\"items\": ["), 400).await?;
        refused(broken.body(" ".repeat(20 * 1024)), 413).await?;
        let keyless = shop.orders(Method::POST, "/orders").bearer_auth(ann).json(&good);
        refused(keyless, 422).await?;
        let rules = [
            basket("tea", 0, 100),
            basket("tea", 1, -5),
            json!({"items": [], "card": CARD}),
            json!({"items": good["items"]}),
        ];
        for wanted in &rules {
            refused(shop.place(ann, "rule", wanted), 422).await?;
        }
        refused(shop.orders(Method::GET, "/nowhere").bearer_auth(ann), 404).await?;
        refused(shop.orders(Method::DELETE, "/orders").bearer_auth(ann), 405).await
    }

    /// Customers list their own orders, oldest first, page by page; the operator lists all.
    async fn listings(&self) -> anyhow::Result<()> {
        let keys = |page: &Value| -> Vec<String> {
            let orders = page["orders"].as_array().unwrap().iter();
            orders.map(|order| order["key"].as_str().unwrap().to_owned()).collect()
        };
        let anns = self.shop.get(&self.ann, "/orders").await?.good(200)?;
        assert_eq!(keys(&anns), ["first", "refused", "second"]);
        assert_eq!(anns["next"], Value::Null);
        let bobs = self.shop.get(&self.bob, "/orders").await?.good(200)?;
        assert_eq!(keys(&bobs), ["bob-1"]);

        let page = self.shop.get(&self.ann, "/orders?limit=2").await?.good(200)?;
        assert_eq!(keys(&page), ["first", "refused"]);
        let path = format!("/orders?limit=2&after={}", page["next"].as_str().unwrap());
        let rest = self.shop.get(&self.ann, &path).await?.good(200)?;
        assert_eq!(keys(&rest), ["second"]);
        let nobodys = "/orders?after=00000000-0000-7000-8000-000000000000";
        self.shop.get(&self.ann, nobodys).await?.refused(404)?;

        let all = self.shop.get(self.stand.operator_token(), "/orders").await?.good(200)?;
        assert_eq!(keys(&all), ["first", "refused", "second", "bob-1"]);
        let placed = self.shop.place(self.stand.operator_token(), "op", &basket("tea", 1, 100));
        refused(placed, 401).await
    }

    /// No log and no journal holds what only its owner may know.
    fn silence(&self) -> anyhow::Result<()> {
        let mut secrets = self.stand.secrets();
        secrets.extend([CARD, PASSWORDS[0], PASSWORDS[1], &self.ann, &self.bob].map(String::from));
        let logs = self.stand.logs()?;
        assert!(logs.contains("listening on"), "these are not the logs: {logs}");
        let written = logs + &std::fs::read_to_string(&self.stand.running.spec.audit.journal)?;
        let found = secrets.iter().filter(|secret| written.contains(secret.as_str())).count();
        assert_eq!(found, 0, "{found} of {} secrets are written down", secrets.len());
        Ok(())
    }
}

fn ledger(ledger: &Ledger) {
    let orders = ledger.orders.iter();
    let mut orders: Vec<_> =
        orders.map(|o| (o.key.as_str(), o.status.as_str(), o.total_cents)).collect();
    orders.sort_unstable();
    assert_eq!(orders, ORDERS);
    let charges = ledger.charges.iter();
    let mut charges: Vec<_> =
        charges.map(|c| (c.event.as_str(), c.key.as_str(), c.amount_cents)).collect();
    charges.sort_unstable();
    assert_eq!(charges, CHARGES);
}
