//! Harm to the card network: other settings for a while, through its control endpoint.

use std::time::Duration;

use anyhow::bail;
use reqwest::RequestBuilder;
use serde_json::Value;

use super::Stage;
use crate::asking;
use crate::scenario::{FaultSpec, Provider};

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

    /// The fault's settings where it has any.
    pub(super) async fn disturb(&self, fault: &FaultSpec) -> anyhow::Result<String> {
        let settings = Provider {
            latency: fault.latency.unwrap_or(self.usual.latency),
            decline_rate: fault.decline_rate.unwrap_or(self.usual.decline_rate),
            error_rate: fault.error_rate.unwrap_or(self.usual.error_rate),
            rate_limit: fault.rate_limit.or(self.usual.rate_limit),
            lost_answers: fault.lost_answers.unwrap_or(self.usual.lost_answers),
            mode: self.usual.mode,
        };
        set_provider(self.base, self.token, &settings).await
    }

    /// The scenario's settings again.
    pub(super) async fn restore(&self) -> anyhow::Result<String> {
        set_provider(self.base, self.token, self.usual).await
    }
}

/// Gives the provider its settings and reads them back.
///
/// # Errors
/// If it does not take them.
pub async fn set_provider(base: &str, token: &str, settings: &Provider) -> anyhow::Result<String> {
    let http = crate::http::client(ANSWERS_WITHIN)?;
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
