//! The service that the server calls: the workflow of an order, its steps in the server's journal.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::server::conn::http2::Builder;
use hyper_util::rt::{TokioExecutor, TokioIo};
use restate_sdk::hyper::HyperEndpoint;
use restate_sdk::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shop::{Error, Steps, order_workflow};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Restate;
use crate::held::Held;

/// A workflow whose step fails is begun again after a pause, which doubles: as an executor of ours has it.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Calls at once on one connection: the server has a thousand under way, and 128 on each.
const CALLS_MAX: u32 = 1_000;

/// Serves for ever what the server calls for workflows that `restate` has begun. `tell` is given each error of a step.
pub fn serve(
    listener: TcpListener,
    restate: &Restate,
    payments: Arc<dyn shop::Payments>,
    orders: Arc<dyn shop::Orders>,
    tell: fn(&Error),
) -> impl Future<Output = ()> + Send + 'static {
    let orders = Orders { held: restate.held.clone(), payments, orders, tell };
    let options = ServiceOptions::new()
        .retry_policy_initial_interval(PAUSE_MIN)
        .retry_policy_exponentiation_factor(2.0)
        .retry_policy_max_interval(PAUSE_MAX);
    let service = orders.into_service_definition().options(options);
    let endpoint = Endpoint::builder().bind(service).build();
    accept(listener, HyperEndpoint::new(endpoint))
}

/// Whoever connects is served; when this is dropped, nobody is any more.
async fn accept(listener: TcpListener, endpoint: HyperEndpoint) {
    let mut lines = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = lines.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((line, _)) => {
                    let _ = line.set_nodelay(true);
                    let mut server = Builder::new(TokioExecutor::new());
                    server.max_concurrent_streams(CALLS_MAX);
                    lines.spawn(server.serve_connection(TokioIo::new(line), endpoint.clone()));
                }
                // Of connections or descriptors there are too many: soon there are fewer.
                Err(_) => sleep(PAUSE_MIN).await,
            },
        }
    }
}

struct Orders {
    held: Held,
    payments: Arc<dyn shop::Payments>,
    orders: Arc<dyn shop::Orders>,
    tell: fn(&Error),
}

#[service]
impl Orders {
    /// The workflow of this key.
    #[handler]
    async fn finish(&self, context: Context<'_>, key: String) -> HandlerResult<()> {
        // After a crash the server is early; it comes again.
        let charge = self.held.get(&key).ok_or("nobody has taken up this order yet")?;
        let (payments, orders) = (Arc::clone(&self.payments), Arc::clone(&self.orders));
        let steps = InRestate { context, tell: self.tell };
        Ok(order_workflow(&steps, payments, orders, charge).await?)
    }
}

struct InRestate<'a> {
    context: Context<'a>,
    tell: fn(&Error),
}

#[async_trait]
impl Steps for InRestate<'_> {
    async fn step<T: Serialize + DeserializeOwned + Send + 'static>(
        &self,
        step: &'static str,
        work: impl Future<Output = shop::Result<T>> + Send + 'static,
    ) -> shop::Result<T> {
        let tell = self.tell;
        let run = self.context.run(move || async move {
            let done = work.await.inspect_err(tell)?;
            crash_point::reach(crash_point::STEP_DONE);
            Ok(Json(done))
        });
        let known = run.name(step).await;
        // The server gives up no step by itself; people can make it.
        let Json(result) = known.map_err(|why| Error::Internal(format!("step {step}: {why}")))?;
        crash_point::reach(crash_point::STEP_RECORDED);
        Ok(result)
    }
}
