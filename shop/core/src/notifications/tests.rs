//! What is posted, what is tried again, and what is given up.

use std::sync::Mutex;

use uuid::Uuid;

use super::*;

/// Answers as it is told; remembers what was posted, and what was given up.
struct World {
    answer: Result<()>,
    posted: Mutex<Vec<(String, String, String)>>,
    given_up: Mutex<Vec<GivenUp>>,
}

#[async_trait]
impl Callbacks for World {
    async fn post(&self, url: &str, body: String, signature: &str) -> Result<()> {
        self.posted.lock().unwrap().push((url.to_owned(), body, signature.to_owned()));
        self.answer.clone()
    }
}

#[async_trait]
impl GivenUpStore for World {
    async fn give_up(&self, given_up: GivenUp) -> Result<()> {
        self.given_up.lock().unwrap().push(given_up);
        Ok(())
    }

    async fn given_up(&self, _: Number, _: u32) -> Result<Vec<(Number, GivenUp)>> {
        Ok(Vec::new())
    }
}

fn settled(settled_at: Micros) -> Settled {
    Settled {
        id: OrderId(Uuid::nil()),
        key: "k".to_owned(),
        status: OrderStatus::Paid,
        total_cents: 900,
        charge_id: Some("ch-1".to_owned()),
        settled_at,
        callback_url: Some("http://c/hook".to_owned()),
    }
}

async fn told(answer: Result<()>, settled: &Settled) -> (Result<()>, Arc<World>) {
    let (posted, given_up) = (Mutex::default(), Mutex::default());
    let world = Arc::new(World { answer, posted, given_up });
    let signer = Signer::new(b"secret").unwrap();
    let service =
        NotificationService::new(Arc::clone(&world) as _, Arc::clone(&world) as _, signer);
    (service.tell(settled).await, world)
}

#[tokio::test]
async fn a_final_order_is_posted_with_a_signature_and_without_the_url() {
    let (outcome, world) = told(Ok(()), &settled(5)).await;
    assert_eq!(outcome, Ok(()));
    let posted = world.posted.lock().unwrap();
    let [(url, body, signature)] = &posted[..] else { panic!("{posted:?}") };
    assert_eq!(url, "http://c/hook");
    let expected = r#"{"id":"00000000-0000-0000-0000-000000000000","key":"k","status":"paid","total_cents":900,"charge_id":"ch-1","settled_at":5}"#;
    assert_eq!(body, expected);
    assert!(signature.starts_with("t=") && signature.contains(",v1="), "{signature}");
}

#[tokio::test]
async fn who_wants_no_notification_gets_none() {
    let event = Settled { callback_url: None, ..settled(5) };
    let (outcome, world) = told(Err(Error::Invalid("no".to_owned())), &event).await;
    assert_eq!(outcome, Ok(()));
    assert!(world.posted.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_may_be_taken_another_time_is_told_and_what_never_will_is_given_up() {
    let fresh = || settled(now_us());
    let old = || settled(now_us() - DELIVERED_WITHIN - 1);
    let down = || Error::Unavailable("503".to_owned());
    let gone = || Error::Invalid("410".to_owned());
    for (error, event, is_given_up) in
        [(down(), fresh(), false), (gone(), fresh(), true), (down(), old(), true)]
    {
        let (outcome, world) = told(Err(error.clone()), &event).await;
        let expected = if is_given_up { Ok(()) } else { Err(error.clone()) };
        assert_eq!(outcome, expected, "{event:?}");
        let given_up = world.given_up.lock().unwrap();
        let found: Vec<_> = given_up.iter().map(|g| (g.key.as_str(), g.error.clone())).collect();
        let wanted = is_given_up.then(|| ("k", error.to_string()));
        assert_eq!(found, wanted.into_iter().collect::<Vec<_>>(), "{event:?}");
    }
}
