//! How an effect, or its end, is seen: in words, within a time. Whoever cannot show it has not had it.

use std::time::Duration;

/// How an effect, or its end, was seen; or why it was not.
pub(super) type Proof = anyhow::Result<String>;

/// What is not seen after this is not there.
pub(super) const PROOF_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked for.
pub(super) const PROOF_POLL: Duration = Duration::from_millis(2);
