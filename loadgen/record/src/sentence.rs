//! Sentences with places for names and figures: spoken, made general, and taken apart again. It knows none of them.

/// What takes the place of a `{}`.
pub(crate) enum Part {
    /// Who or what it is about: it belongs to the kind.
    Name(String),
    /// A figure, or a text with figures in it.
    Detail(String),
}

/// A sentence, and what takes its places in turn.
pub(crate) type Sentence = (&'static str, Vec<Part>);

/// The whole sentence.
pub(crate) fn spoken(sentence: Sentence) -> String {
    filled(sentence, |part| match part {
        Part::Name(text) | Part::Detail(text) => text,
    })
}

/// The sentence without its figures: the same for all of a kind that speak of the same thing.
pub(crate) fn general(sentence: Sentence) -> String {
    filled(sentence, |part| match part {
        Part::Name(name) => name,
        Part::Detail(_) => "…".to_owned(),
    })
}

fn filled((template, parts): Sentence, text: impl Fn(Part) -> String) -> String {
    let mut parts = parts.into_iter();
    let mut pieces = template.split("{}");
    let mut sentence = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        sentence += &parts.next().map(&text).unwrap_or_default();
        sentence += piece;
    }
    sentence
}

/// What stands in the place of each `{}`, each as short as can be.
pub(crate) fn captured<'a>(template: &str, sentence: &'a str) -> Option<Vec<&'a str>> {
    let mut pieces = template.split("{}");
    let mut rest = sentence.strip_prefix(pieces.next()?)?;
    let mut found = Vec::new();
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        let (part, after) = match pieces.peek() {
            None => (rest.strip_suffix(piece)?, ""),
            Some(_) => rest.split_once(piece)?,
        };
        found.push(part);
        rest = after;
    }
    rest.is_empty().then_some(found)
}

pub(crate) fn number(number: &impl ToString) -> Part {
    Part::Detail(number.to_string())
}

pub(crate) fn percent(share: f64, digits: usize) -> Part {
    Part::Detail(format!("{:.digits$}", share * 100.0))
}
