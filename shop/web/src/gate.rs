//! What stands before all routes of a process that its operators do not come by: whoever asks goes on when it lets him.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_server::Handler;

/// Lets requests pass, or answers them.
#[async_trait]
pub(crate) trait Gate: Send + Sync + 'static {
    /// The answer to a request of this template that is for `inner`.
    async fn pass(
        &self,
        inner: &Arc<dyn Handler>,
        template: &'static str,
        request: Request<Bytes>,
    ) -> Response<Bytes>;
}

/// Routes behind a gate.
pub(crate) struct Gated<G> {
    pub(crate) inner: Arc<dyn Handler>,
    pub(crate) gate: G,
}

/// Whether a route is for those who run the process.
fn is_for_operators(template: &str) -> bool {
    let is_theirs = |part: &&str| template.starts_with(*part);
    template == "other" || ["/dead/", "/stock/", "/shards"].iter().any(is_theirs)
}

#[async_trait]
impl<G: Gate> Handler for Gated<G> {
    async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let template = self.inner.route(request.method(), request.uri().path());
        if is_for_operators(template) {
            return self.inner.handle(request).await;
        }
        self.gate.pass(&self.inner, template, request).await
    }

    fn route(&self, method: &Method, path: &str) -> &'static str {
        self.inner.route(method, path)
    }

    fn connections(&self, open: usize) {
        self.inner.connections(open);
    }
}
