//! The card network's settings, through its control endpoint.

use std::time::Duration;

use anyhow::bail;
use reqwest::RequestBuilder;
use serde_json::Value;

use super::proof::Proof;
use super::stage::{PROVIDER, Scene, Stage};
use scenario::Provider;
use supervise::asking;

const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
const BYTES_MAX: usize = 64 * 1024;

/// The card network as a fault meets it.
pub(super) struct CardNetwork<'a> {
    pub(super) base: &'a str,
    pub(super) token: &'a str,
    /// Its settings when it is not harmed.
    pub(super) usual: &'a Provider,
}

impl<'a> CardNetwork<'a> {
    pub(super) fn of(stage: &'a Stage<'_>) -> Self {
        let base = &stage.running.spec.entry.provider;
        Self { base, token: stage.control_token, usual: stage.provider }
    }

    /// Other settings. Proof: they are read back.
    pub(super) async fn set(&self, settings: &Provider) -> anyhow::Result<String> {
        set_provider(self.base, self.token, settings).await
    }

    /// The scenario's settings again.
    pub(super) async fn restore(&self) -> anyhow::Result<String> {
        self.set(self.usual).await
    }
}

impl Scene<'_, '_> {
    /// A provider that was started again has forgotten its settings: they were in its memory.
    pub(super) async fn with_settings(&self, healed: String) -> Proof {
        if !self.target.is_role(PROVIDER) {
            return Ok(healed);
        }
        Ok(format!("{healed}; {}", CardNetwork::of(self.stage).restore().await?))
    }
}

/// Gives the provider its settings and reads them back.
///
/// # Errors
/// If it does not take them.
pub async fn set_provider(base: &str, token: &str, settings: &Provider) -> anyhow::Result<String> {
    let http = supervise::http::client(ANSWERS_WITHIN)?;
    let url = format!("{base}/control");
    let (patch, get) = (http.patch(&url).json(settings), http.get(&url));
    let what = |method: &str| format!("{method} {url}");
    let read = async |request: RequestBuilder, method| {
        asking::ask_json::<Value>(request.bearer_auth(token), BYTES_MAX, &what(method)).await
    };
    read(patch, "PATCH").await?;
    let read = read(get, "GET").await?;
    let wanted = serde_json::to_value(settings)?;
    for (key, value) in wanted.as_object().into_iter().flatten() {
        if read.get(key) != Some(value) {
            bail!("the provider's {key} is {:?} after it was set to {value}", read.get(key));
        }
    }
    Ok(format!("read back: {wanted}"))
}
