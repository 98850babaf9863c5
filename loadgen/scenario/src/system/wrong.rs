//! What is wrong with a system file, and which part of it says so.

/// What breaks a rule of system files, and which part of the file says it.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) at: At,
    pub(super) text: String,
}

/// A part of a system file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum At {
    /// None in particular.
    File,
    /// The process of this name.
    Process(String),
    /// The link of this name.
    Link(String),
}

impl From<String> for Wrong {
    fn from(text: String) -> Self {
        Self { at: At::File, text }
    }
}
