//! From what a scenario file says to a fault of a kind: the keys of a kind are the fields of its struct.

use std::cell::Cell;

use serde::de::value::{Error, MapAccessDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use super::kind::Kind;
use scenario::config::explain;
use scenario::{Parameter, RawFault};

/// What is wrong with a fault, and where.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mistake {
    /// The place in the file, if it is known.
    pub place: Option<usize>,
    /// What was found, what is expected.
    pub text: String,
    /// Whether it is understood and breaks a rule of its kind.
    pub of_kind: bool,
}

impl Mistake {
    pub(super) fn unreadable(place: Option<usize>, text: String) -> Self {
        Self { place, text, of_kind: false }
    }

    pub(super) fn rule(place: Option<usize>, text: String) -> Self {
        Self { place, text, of_kind: true }
    }

    /// A broken rule names the fault.
    pub(super) fn about(self, name: &str) -> Self {
        if self.of_kind { Self { text: format!("{name}: {}", self.text), ..self } } else { self }
    }
}

/// Reads the parameters of a kind.
pub(super) fn typed<K: Kind>(raw: &RawFault) -> Result<K, Mistake> {
    let (kind, valid) = (&raw.kind, keys::<K>());
    let (own, foreign): (Vec<_>, Vec<_>) =
        raw.parameters.iter().partition(|p| valid.contains(&p.key.as_str()));
    let now = Cell::new(None);
    let given = Given { rest: own.iter().copied(), now: &now };
    let read = K::deserialize(MapAccessDeserializer::new(given)).map_err(|error| {
        let text = error.message();
        match text.strip_prefix("missing field ") {
            Some(key) => Mistake::rule(raw.place, format!("kind = {kind:?} needs the key {key}")),
            None => {
                let place = now.get().map(|parameter| parameter.value_at);
                Mistake::unreadable(place.or(raw.place), explain(text))
            }
        }
    })?;
    if let Some(Parameter { key, key_at, .. }) = foreign.first() {
        let valid = if valid.is_empty() { "none".to_owned() } else { valid.join(", ") };
        let text =
            format!("the key `{key}` does not belong to kind = {kind:?}; its parameters: {valid}");
        return Err(Mistake::rule(Some(*key_at), text));
    }
    Ok(read)
}

/// Parameters on their way to a kind; `now` is the one whose value is being read.
struct Given<'a, I> {
    rest: I,
    now: &'a Cell<Option<&'a Parameter>>,
}

impl<'de, 'a, I: Iterator<Item = &'a Parameter>> MapAccess<'de> for Given<'a, I> {
    type Error = toml::de::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Self::Error> {
        self.now.set(self.rest.next());
        let key = self.now.get().map(|parameter| toml::Value::String(parameter.key.clone()));
        key.map(|key| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, Self::Error> {
        let parameter = self.now.get().ok_or_else(|| Self::Error::custom("no value"))?;
        seed.deserialize(parameter.value.clone())
    }
}

/// The keys of a struct: what serde tells whoever is asked for one.
pub(super) fn keys<T: DeserializeOwned>() -> &'static [&'static str] {
    let found = Cell::new([].as_slice());
    let _ = T::deserialize(Fields(&found));
    found.get()
}

struct Fields<'a>(&'a Cell<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.set(fields);
        Err(Error::custom("the fields were asked for"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("no struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
