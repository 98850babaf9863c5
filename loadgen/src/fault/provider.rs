//! Harm to the card network: other settings for a while, through its control endpoint.

use std::time::Duration;

use anyhow::bail;

use super::Stage;
use crate::scenario::{FaultSpec, Provider};

const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

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
    let answer = http.patch(&url).bearer_auth(token).json(settings).send().await?;
    let status = answer.status();
    if !status.is_success() {
        bail!("PATCH {url} answered {status}: {}", answer.text().await.unwrap_or_default());
    }
    let read: serde_json::Value =
        http.get(&url).bearer_auth(token).send().await?.error_for_status()?.json().await?;
    let wanted = serde_json::to_value(settings)?;
    for (key, value) in wanted.as_object().into_iter().flatten() {
        if read.get(key) != Some(value) {
            bail!("the provider's {key} is {:?} after it was set to {value}", read.get(key));
        }
    }
    Ok(format!("read back: {wanted}"))
}
