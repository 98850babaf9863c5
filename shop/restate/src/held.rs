//! Charges of workflows that have begun and not ended, as far as this process has taken them up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shop::Charge;

/// Charges by their keys.
#[derive(Clone, Default)]
pub(crate) struct Held(Arc<Mutex<HashMap<String, Charge>>>);

/// One of them, as long as this lives.
pub(crate) struct Hold {
    held: Held,
    key: String,
}

impl Held {
    /// Holds a charge: a workflow is taken up once at a time.
    pub(crate) fn hold(&self, charge: Charge) -> Hold {
        let key = charge.key.clone();
        self.all().insert(key.clone(), charge);
        Hold { held: self.clone(), key }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Charge> {
        self.all().get(key).cloned()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Charge>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.all().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_is_there_while_it_is_held() {
        let held = Held::default();
        let charge = Charge { key: "a".to_owned(), amount_cents: 900, card: "card".to_owned() };
        let hold = held.hold(charge.clone());
        assert_eq!(held.get("a"), Some(charge));
        assert_eq!(held.get("b"), None);
        drop(hold);
        assert_eq!(held.get("a"), None);
    }
}
