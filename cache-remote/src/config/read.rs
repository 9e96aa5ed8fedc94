//! Reading a config from JSON as Go does, with bounds on what it may grow to.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fields::Whole;
use super::legacy::LegacyConfig;
use super::member::{Member, MemberSeed};
use super::{ConfigDocument, ConfigLimits};
use crate::error::{CacheError, Document};

pub(super) fn document(bytes: &[u8], limits: &ConfigLimits) -> Result<ConfigDocument, CacheError> {
    if bytes.len() as u64 > limits.max_bytes {
        return Err(CacheError::Limit { limit: "max_bytes", most: limits.max_bytes });
    }
    let budget = Budget::new(limits);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = Object::<Whole>::new(&budget).deserialize(&mut deserializer);
    let read = read.and_then(|whole| deserializer.end().map(|()| whole));
    if let Some((limit, most)) = budget.exceeded.get() {
        return Err(CacheError::Limit { limit, most: most as u64 });
    }
    let whole = read.map_err(|error| CacheError::Malformed { document: Document::Config, source: Arc::new(error) })?;
    if whole.config.records.is_empty() && whole.config.layers.is_empty() && !whole.items.is_empty() {
        return Ok(ConfigDocument::Legacy(LegacyConfig { items: whole.items }));
    }
    Ok(ConfigDocument::Current(whole.config))
}

/// Counts what was read. A number in the input never makes room for anything.
pub(super) struct Budget {
    pub(super) layers: Left,
    pub(super) records: Left,
    pub(super) links: Left,
    exceeded: Cell<Option<(&'static str, usize)>>,
}

pub(super) struct Left {
    limit: &'static str,
    most: usize,
    left: Cell<usize>,
}

impl Left {
    fn new(limit: &'static str, most: usize) -> Self {
        Self { limit, most, left: Cell::new(most) }
    }
}

impl Budget {
    fn new(limits: &ConfigLimits) -> Self {
        Self {
            layers: Left::new("max_layers", limits.max_layers),
            records: Left::new("max_records", limits.max_records),
            links: Left::new("max_links", limits.max_links),
            exceeded: Cell::new(None),
        }
    }

    fn take<E: serde::de::Error>(&self, left: &Left) -> Result<(), E> {
        match left.left.get().checked_sub(1) {
            Some(rest) => {
                left.left.set(rest);
                Ok(())
            }
            None => {
                self.exceeded.set(Some((left.limit, left.most)));
                Err(E::custom("too many entries"))
            }
        }
    }
}

/// What an object of a config is read into, field by field.
pub(super) trait Fields: Default {
    const NAME: &'static str;

    /// Reads the value of `key`, if this object has such a field.
    fn field<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A, budget: &Budget) -> Result<Field, A::Error>;
}

#[derive(PartialEq, Eq)]
pub(super) enum Field {
    Known,
    Unknown,
}

pub(super) struct Object<'b, T> {
    budget: &'b Budget,
    kind: PhantomData<T>,
}

impl<'b, T> Object<'b, T> {
    pub(super) fn new(budget: &'b Budget) -> Self {
        Self { budget, kind: PhantomData }
    }
}

impl<'de, T: Fields> DeserializeSeed<'de> for Object<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Fields> Visitor<'de> for Object<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", T::NAME)
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut object = T::default();
        while let Some(key) = map.next_key_seed(MemberSeed)? {
            if object.field(key, &mut map, self.budget)? == Field::Unknown {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(object)
    }
}

/// A list of what `element` reads, each of which costs one of `left`.
pub(super) struct List<'b, F> {
    pub(super) budget: &'b Budget,
    pub(super) left: &'b Left,
    pub(super) element: F,
}

impl<'de, S: DeserializeSeed<'de>, F: Fn() -> S> DeserializeSeed<'de> for List<'_, F> {
    type Value = Vec<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, S: DeserializeSeed<'de>, F: Fn() -> S> Visitor<'de> for List<'_, F> {
    type Value = Vec<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element_seed((self.element)())? {
            self.budget.take(self.left).map_err(|error: serde::de::value::Error| A::Error::custom(error))?;
            elements.push(element);
        }
        Ok(elements)
    }
}

pub(super) fn objects<'b, T: Fields>(budget: &'b Budget, left: &'b Left) -> List<'b, impl Fn() -> Object<'b, T>> {
    List { budget, left, element: move || Object::new(budget) }
}

/// An object that may be `null`.
pub(super) struct Present<'b, T>(pub(super) Object<'b, T>);

impl<'de, T: Fields> DeserializeSeed<'de> for Present<'_, T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, T: Fields> Visitor<'de> for Present<'_, T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_none<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}
