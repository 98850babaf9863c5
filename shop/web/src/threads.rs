//! A thread for each request, as most servers have it: so many requests are in work at once, and others wait for one of
//! them to end. It knows which requests operators make, and nothing of what is done.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_server::{Handler, Settings, carried};
use shop::Error;
use tokio::sync::{Semaphore, oneshot};

use crate::gate::{Gate, Gated};
use crate::problem;

/// How many threads a process has for requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads(pub u32);

impl Threads {
    /// What a process says of them.
    #[must_use]
    pub fn settings(self) -> Settings {
        Settings::default().with("requests in work at once", format!("{}; others wait", self.0))
    }

    /// The same routes, each request of which has a thread or waits for one, for as long as requests may take and as many
    /// as there are connections. What is for operators alone has none.
    #[must_use]
    pub fn before(self, inner: Arc<dyn Handler>) -> Arc<dyn Handler> {
        let gate = Pool(Arc::new(Semaphore::new(self.0 as usize)));
        Arc::new(Gated { inner, gate })
    }
}

struct Pool(Arc<Semaphore>);

#[async_trait]
impl Gate for Pool {
    async fn pass(
        &self,
        inner: &Arc<dyn Handler>,
        _: &'static str,
        request: Request<Bytes>,
    ) -> Response<Bytes> {
        let failed = |text: &str| problem::refusal(&Error::Internal(text.to_owned()));
        let Ok(thread) = Arc::clone(&self.0).acquire_owned().await else {
            return failed("there are no threads any more");
        };
        let (inner, (tell, told)) = (Arc::clone(inner), oneshot::channel());
        // A thread does not learn that its client has left.
        tokio::spawn(carried(Box::pin(async move {
            let _thread = thread;
            let _ = tell.send(inner.handle(request).await);
        })));
        told.await.unwrap_or_else(|_| failed("the work panicked"))
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use tokio::task::{JoinHandle, yield_now};

    use super::*;

    /// Orders are not answered before they may be; all else is at once.
    struct Shop(Semaphore);

    #[async_trait]
    impl Handler for Shop {
        async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
            if request.uri().path() == "/orders" {
                self.0.acquire().await.unwrap().forget();
            }
            Response::new(Bytes::new())
        }

        fn route(&self, _: &Method, path: &str) -> &'static str {
            let known = ["/orders", "/login", "/dead/notices"];
            known.into_iter().find(|known| *known == path).unwrap_or("other")
        }
    }

    struct Rig {
        shop: Arc<Shop>,
        threaded: Arc<dyn Handler>,
    }

    impl Rig {
        fn of(threads: u32) -> Self {
            let shop = Arc::new(Shop(Semaphore::new(0)));
            let threaded = Threads(threads).before(Arc::clone(&shop) as _);
            Self { shop, threaded }
        }

        async fn ask(&self, path: &'static str) -> JoinHandle<StatusCode> {
            let threaded = Arc::clone(&self.threaded);
            let asked = tokio::spawn(async move {
                let request = Request::builder().uri(path).body(Bytes::new()).unwrap();
                threaded.handle(request).await.status()
            });
            settled().await;
            asked
        }
    }

    /// Whatever can go on has gone on: there is one thread here.
    async fn settled() {
        for _ in 0..20 {
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_comes_when_all_threads_are_taken_waits_for_one_but_operators_do_not() {
        let rig = Rig::of(2);
        let orders = [rig.ask("/orders").await, rig.ask("/orders").await];
        let login = rig.ask("/login").await;
        let operators = [rig.ask("/dead/notices").await, rig.ask("/nowhere").await];
        assert!(!login.is_finished() && operators.iter().all(JoinHandle::is_finished));
        rig.shop.0.add_permits(1);
        assert_eq!(login.await.unwrap(), StatusCode::OK);
        settled().await;
        assert_eq!(orders.iter().filter(|order| order.is_finished()).count(), 1);
    }

    #[tokio::test]
    async fn a_thread_is_kept_when_its_client_leaves() {
        let rig = Rig::of(1);
        rig.ask("/orders").await.abort();
        settled().await;
        let login = rig.ask("/login").await;
        assert!(!login.is_finished());
        rig.shop.0.add_permits(1);
        assert_eq!(login.await.unwrap(), StatusCode::OK);
    }
}
