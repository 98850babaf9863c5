//! The operations that requests are counted by.

use serde::{Deserialize, Serialize};

/// A kind of request, as it is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// POST /signup.
    Signup,
    /// POST /login.
    Login,
    /// POST /orders.
    Place,
    /// GET /orders/{id}.
    Get,
    /// Any request to a server that is not ours (`loadgen attack`).
    #[default]
    Request,
    /// POST /orders/{id}/cancel.
    Cancel,
}

impl Operation {
    /// All, in the order in which a mix draws them: a new one stands last, so that seeds keep their requests.
    pub const ALL: [Self; 6] =
        [Self::Place, Self::Get, Self::Login, Self::Signup, Self::Request, Self::Cancel];

    /// The word in tables and tags.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signup => "signup",
            Self::Login => "login",
            Self::Place => "place",
            Self::Get => "get",
            Self::Request => "request",
            Self::Cancel => "cancel",
        }
    }

    /// Those of customers: what a scenario may name.
    pub fn of_customers() -> impl Iterator<Item = Self> + Clone {
        Self::ALL.into_iter().filter(|operation| *operation != Self::Request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The one that is declared behind it. The compiler asks for a new one here.
    fn next(operation: Operation) -> Option<Operation> {
        match operation {
            Operation::Signup => Some(Operation::Login),
            Operation::Login => Some(Operation::Place),
            Operation::Place => Some(Operation::Get),
            Operation::Get => Some(Operation::Request),
            Operation::Request => Some(Operation::Cancel),
            Operation::Cancel => None,
        }
    }

    #[test]
    fn all_are_all_of_them() {
        let declared = std::iter::successors(Some(Operation::Signup), |one| next(*one));
        assert!(declared.clone().all(|one| Operation::ALL.contains(&one)));
        assert_eq!(declared.count(), Operation::ALL.len());
    }
}
