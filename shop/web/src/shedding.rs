//! Refusal before anything is done: a process takes no more requests at once than it has lately answered in time. How many
//! that is it finds out: one more after a round that was good, a tenth less after one that was late (additive increase,
//! multiplicative decrease: Chiu and Jain 1989; Netflix's concurrency-limits has the same as `AIMDLimit`). It knows which
//! requests are orders, and nothing of what is done.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_server::{Handler, Settings};
use shop::Error;
use tokio::time::Instant;

use crate::gate::{Gate, Gated};
use crate::problem;

/// When a process refuses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shedding {
    /// Who takes longer was late: as long as the hardened rung lets one try take.
    pub late_after: Duration,
    /// Requests at once, at first.
    pub first: f64,
    /// No fewer, however late they are,
    pub least: f64,
    /// and no more.
    pub most: f64,
    /// Of these, the part that orders and charges alone may have.
    pub kept: f64,
}

impl Default for Shedding {
    /// Netflix's least and decrease; a fifth for orders. The rest is ours.
    fn default() -> Self {
        Self {
            late_after: Duration::from_secs(1),
            first: 100.0,
            least: 20.0,
            most: 1_000.0,
            kept: 0.2,
        }
    }
}

/// What is left of the limit when somebody was late.
const DECREASE: f64 = 0.9;

impl Shedding {
    /// What a process says of it.
    #[must_use]
    pub fn settings(self) -> Settings {
        let Self { late_after, least, most, kept, .. } = self;
        let text = format!(
            "{least} to {most}, as many as are answered within {} s; {} % of them for orders and charges alone; one more is refused",
            late_after.as_secs_f64(),
            kept * 100.0
        );
        Settings::default().with("requests in work at once", text)
    }

    /// The same routes, behind a refusal of what would be too much. What is for operators alone is never refused.
    #[must_use]
    pub fn before(self, inner: Arc<dyn Handler>) -> Arc<dyn Handler> {
        let limit = Limit { most: self.first, in_work: 0, cut: None };
        let gate = Shed { rule: self, limit: Arc::new(Mutex::new(limit)) };
        Arc::new(Gated { inner, gate })
    }
}

struct Limit {
    /// Requests at once, as far as is known.
    most: f64,
    in_work: u32,
    /// When it was lowered last: who began before has told the same already.
    cut: Option<Instant>,
}

impl Limit {
    fn has_room(&self, is_kept: bool, rule: Shedding) -> bool {
        let most = if is_kept { self.most } else { self.most * (1.0 - rule.kept) };
        f64::from(self.in_work + 1) <= most
    }

    /// Learns from one that has ended.
    fn learn(&mut self, is_late: bool, began: Instant, now: Instant, rule: Shedding) {
        if is_late {
            if self.cut.is_none_or(|cut| began >= cut) {
                self.most = (self.most * DECREASE).max(rule.least);
                self.cut = Some(now);
            }
        } else if f64::from(self.in_work) * 2.0 >= self.most {
            // A whole one more when as many as it lets were good. Who is idle learns nothing.
            self.most = (self.most + 1.0 / self.most).min(rule.most);
        }
    }
}

struct Shed {
    rule: Shedding,
    limit: Arc<Mutex<Limit>>,
}

/// One request in work.
struct Place {
    limit: Arc<Mutex<Limit>>,
    rule: Shedding,
    began: Instant,
    answered: bool,
}

impl Drop for Place {
    /// Also of one that was cut off by its client or its time: it was late if it had half of the time, for who asks waits
    /// no longer than that; else nothing is known of it.
    fn drop(&mut self) {
        let mut limit = lock(&self.limit);
        let now = Instant::now();
        let took = now.duration_since(self.began);
        if self.answered || took * 2 >= self.rule.late_after {
            limit.learn(!self.answered || took > self.rule.late_after, self.began, now, self.rule);
        }
        limit.in_work -= 1;
    }
}

fn lock(limit: &Mutex<Limit>) -> MutexGuard<'_, Limit> {
    limit.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shed {
    fn place(&self, is_kept: bool) -> Option<Place> {
        let mut limit = lock(&self.limit);
        if !limit.has_room(is_kept, self.rule) {
            return None;
        }
        limit.in_work += 1;
        let (limit, began) = (Arc::clone(&self.limit), Instant::now());
        Some(Place { limit, rule: self.rule, began, answered: false })
    }
}

/// Whether a request is one for which room is kept.
fn is_kept(method: &Method, template: &str) -> bool {
    *method == Method::POST && matches!(template, "/orders" | "/charges")
}

#[async_trait]
impl Gate for Shed {
    async fn pass(
        &self,
        inner: &Arc<dyn Handler>,
        template: &'static str,
        request: Request<Bytes>,
    ) -> Response<Bytes> {
        let Some(mut place) = self.place(is_kept(request.method(), template)) else {
            let text = "as much is in work as was answered in time lately";
            return problem::refusal(&Error::Busy(text.to_owned()));
        };
        let answer = inner.handle(request).await;
        place.answered = true;
        answer
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use tokio::task::JoinHandle;
    use tokio::time::sleep;

    use super::*;

    const RULE: Shedding = Shedding {
        late_after: Duration::from_secs(1),
        first: 10.0,
        least: 4.0,
        most: 12.0,
        kept: 0.2,
    };

    fn limit(most: f64, in_work: u32) -> Limit {
        Limit { most, in_work, cut: None }
    }

    #[test]
    fn a_fifth_is_kept_for_orders() {
        assert!(limit(10.0, 7).has_room(false, RULE));
        assert!(!limit(10.0, 8).has_room(false, RULE));
        assert!(limit(10.0, 9).has_room(true, RULE));
        assert!(!limit(10.0, 10).has_room(true, RULE));
    }

    #[test]
    fn a_good_round_adds_one_and_a_late_one_takes_a_tenth_once() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut found = limit(10.0, 10);
        for _ in 0..10 {
            found.learn(false, at(0), at(900), RULE);
        }
        assert!((10.9..11.0).contains(&found.most), "{}", found.most);
        found.most = 10.0;
        for (began, ended) in [(0, 1_100), (50, 1_200), (1_000, 2_050)] {
            found.learn(true, at(began), at(ended), RULE);
        }
        assert!((found.most - 9.0).abs() < 1e-9, "all began before it was lowered: {}", found.most);
        found.learn(true, at(1_100), at(2_200), RULE);
        assert!((found.most - 8.1).abs() < 1e-9, "{}", found.most);
    }

    #[test]
    fn it_has_bounds_and_who_is_idle_learns_nothing() {
        let begun = Instant::now();
        let at = |s| begun + Duration::from_secs(s);
        let mut found = limit(10.0, 2);
        found.learn(false, at(0), at(0), RULE);
        assert!((found.most - 10.0).abs() < 1e-9);
        found.in_work = 12;
        for _ in 0..100 {
            found.learn(false, at(0), at(0), RULE);
        }
        assert!((found.most - 12.0).abs() < 1e-9);
        for round in 0..100 {
            found.learn(true, at(round * 10), at(round * 10 + 5), RULE);
        }
        assert!((found.most - 4.0).abs() < 1e-9);
    }

    /// Each request takes as many milliseconds as its path says.
    struct Slow;

    #[async_trait]
    impl Handler for Slow {
        async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
            let ms = request.uri().query().and_then(|ms| ms.parse().ok()).unwrap_or(0);
            sleep(Duration::from_millis(ms)).await;
            Response::new(Bytes::new())
        }

        fn route(&self, _: &Method, path: &str) -> &'static str {
            ["/orders", "/dead/notices"]
                .into_iter()
                .find(|known| *known == path)
                .unwrap_or("/login")
        }
    }

    fn ask(shed: &Arc<dyn Handler>, method: Method, uri: &'static str) -> JoinHandle<StatusCode> {
        let shed = Arc::clone(shed);
        let request = Request::builder().method(method).uri(uri).body(Bytes::new()).unwrap();
        tokio::spawn(async move { shed.handle(request).await.status() })
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_much_is_refused_before_anything_is_done() {
        let shed = RULE.before(Arc::new(Slow));
        let logins: Vec<_> = (0..9).map(|_| ask(&shed, Method::POST, "/login?500")).collect();
        settled().await;
        let orders: Vec<_> = (0..3).map(|_| ask(&shed, Method::POST, "/orders?500")).collect();
        let reads = ask(&shed, Method::GET, "/orders?500");
        let operator = ask(&shed, Method::GET, "/dead/notices");
        settled().await;
        assert_eq!(refused(logins).await, 1);
        assert_eq!(refused(orders).await, 1);
        assert_eq!(refused(vec![reads]).await, 1);
        assert_eq!(refused(vec![operator]).await, 0);
        assert_eq!(refused(vec![ask(&shed, Method::GET, "/orders")]).await, 0, "all have ended");
    }

    /// How many orders are taken after ten were cut off after so long.
    async fn taken_after_cutting_off(after_ms: u64) -> usize {
        let shed = RULE.before(Arc::new(Slow));
        let orders: Vec<_> = (0..10).map(|_| ask(&shed, Method::POST, "/orders?60000")).collect();
        sleep(Duration::from_millis(after_ms)).await;
        for order in orders {
            order.abort();
            assert!(order.await.is_err());
        }
        let next: Vec<_> = (0..20).map(|_| ask(&shed, Method::POST, "/orders?1")).collect();
        20 - refused(next).await
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_left_by_those_who_wait_was_late_and_by_those_who_do_not_is_not_judged() {
        assert_eq!(taken_after_cutting_off(100).await, 10);
        assert_eq!(taken_after_cutting_off(600).await, 9);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_cut_off_gives_its_place_back() {
        let shed = RULE.before(Arc::new(Slow));
        let orders: Vec<_> = (0..10).map(|_| ask(&shed, Method::POST, "/orders?60000")).collect();
        settled().await;
        assert_eq!(refused(vec![ask(&shed, Method::POST, "/orders")]).await, 1);
        orders.iter().for_each(JoinHandle::abort);
        for order in orders {
            assert!(order.await.is_err());
        }
        assert_eq!(refused(vec![ask(&shed, Method::POST, "/orders")]).await, 0);
    }

    /// Whatever can go on has gone on: there is one thread here.
    async fn settled() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    async fn refused(asked: Vec<JoinHandle<StatusCode>>) -> usize {
        let mut refused = 0;
        for one in asked {
            refused += usize::from(one.await.unwrap() == StatusCode::SERVICE_UNAVAILABLE);
        }
        refused
    }
}
