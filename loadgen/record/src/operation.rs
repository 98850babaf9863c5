//! The operations that requests are counted by.

use serde::{Deserialize, Serialize};

/// A kind of request, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    #[serde(skip_deserializing)]
    Request,
}

impl Operation {
    /// All, in the order of tables.
    pub const ALL: [Self; 5] = [Self::Place, Self::Get, Self::Login, Self::Signup, Self::Request];

    /// The word in tables and tags.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signup => "signup",
            Self::Login => "login",
            Self::Place => "place",
            Self::Get => "get",
            Self::Request => "request",
        }
    }

    /// The operation of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|o| o.as_str() == word)
    }
}
