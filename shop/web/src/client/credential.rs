//! What a service shows to another to be let in.

use http::HeaderValue;

/// A bearer token, which `Debug` does not show.
#[derive(Clone, Debug)]
pub struct Credential(Option<HeaderValue>);

impl Credential {
    /// The credential with this secret; one that cannot be sent is none.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        let mut header = HeaderValue::try_from(format!("Bearer {secret}")).ok();
        if let Some(header) = &mut header {
            header.set_sensitive(true);
        }
        Self(header)
    }

    /// What stands in the header `authorization`.
    #[must_use]
    pub fn header(&self) -> Option<HeaderValue> {
        self.0.clone()
    }
}
