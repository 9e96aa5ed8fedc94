//! Reading a config from JSON as Go does, with bounds on what it may grow to.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::legacy::{LegacyConfig, LegacyItem};
use super::{CacheConfig, CacheInput, CacheLayer, CacheRecord, CacheResult, ChainedResult, LayerAnnotations};
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
struct Budget {
    layers: Left,
    records: Left,
    links: Left,
    exceeded: Cell<Option<(&'static str, usize)>>,
}

struct Left {
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

/// A key of any object in a config. Mirrors: Go's `encoding/json`, which compares keys without regard to case.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    Annotations,
    Blob,
    Blobsum,
    CacheKey,
    Chains,
    ContentKey,
    CreatedAt,
    DiffId,
    Digest,
    Inputs,
    Items,
    Layer,
    Layers,
    Link,
    MediaType,
    Parent,
    Records,
    Selector,
    Size,
    Unknown,
}

const KEYS: [(&str, Member); 19] = [
    ("annotations", Member::Annotations),
    ("blob", Member::Blob),
    ("blobsum", Member::Blobsum),
    ("cachekey", Member::CacheKey),
    ("chains", Member::Chains),
    ("contentkey", Member::ContentKey),
    ("createdat", Member::CreatedAt),
    ("diffid", Member::DiffId),
    ("digest", Member::Digest),
    ("inputs", Member::Inputs),
    ("items", Member::Items),
    ("layer", Member::Layer),
    ("layers", Member::Layers),
    ("link", Member::Link),
    ("mediatype", Member::MediaType),
    ("parent", Member::Parent),
    ("records", Member::Records),
    ("selector", Member::Selector),
    ("size", Member::Size),
];

struct KeyVisitor;

impl<'de> DeserializeSeed<'de> for KeyVisitor {
    type Value = Member;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Member, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for KeyVisitor {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, text: &str) -> Result<Member, E> {
        let found = KEYS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        Ok(found.map_or(Member::Unknown, |(_, key)| *key))
    }
}

/// What an object of a config is read into, field by field.
trait Fields: Default {
    const NAME: &'static str;

    /// Reads the value of `key`, if this object has such a field.
    fn field<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A, budget: &Budget) -> Result<Field, A::Error>;
}

#[derive(PartialEq, Eq)]
enum Field {
    Known,
    Unknown,
}

struct Object<'b, T> {
    budget: &'b Budget,
    kind: PhantomData<T>,
}

impl<'b, T> Object<'b, T> {
    fn new(budget: &'b Budget) -> Self {
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
        while let Some(key) = map.next_key_seed(KeyVisitor)? {
            if object.field(key, &mut map, self.budget)? == Field::Unknown {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(object)
    }
}

/// A list of what `element` reads, each of which costs one of `left`.
struct List<'b, F> {
    budget: &'b Budget,
    left: &'b Left,
    element: F,
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

fn objects<'b, T: Fields>(budget: &'b Budget, left: &'b Left) -> List<'b, impl Fn() -> Object<'b, T>> {
    List { budget, left, element: move || Object::new(budget) }
}

fn scalar<'de, T: DeserializeOwned, A: MapAccess<'de>>(map: &mut A, into: &mut T) -> Result<Field, A::Error> {
    // Go leaves a field alone that is null.
    if let Some(value) = map.next_value::<Option<T>>()? {
        *into = value;
    }
    Ok(Field::Known)
}

#[derive(Default)]
struct Whole {
    config: CacheConfig,
    items: Vec<LegacyItem>,
}

impl Fields for Whole {
    const NAME: &'static str = "a cache config";

    fn field<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A, budget: &Budget) -> Result<Field, A::Error> {
        match key {
            Member::Layers => self.config.layers = map.next_value_seed(objects(budget, &budget.layers))?,
            Member::Records => self.config.records = map.next_value_seed(objects(budget, &budget.records))?,
            Member::Items => self.items = map.next_value_seed(objects(budget, &budget.records))?,
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    }
}

impl Fields for CacheLayer {
    const NAME: &'static str = "a layer";

    fn field<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A, budget: &Budget) -> Result<Field, A::Error> {
        match key {
            Member::Blob => scalar(map, &mut self.blob),
            Member::Parent => scalar(map, &mut self.parent),
            Member::Annotations => {
                self.annotations = map.next_value_seed(Present(Object::new(budget)))?.map(Box::new);
                Ok(Field::Known)
            }
            _ => Ok(Field::Unknown),
        }
    }
}

/// An object that may be `null`.
struct Present<'b, T>(Object<'b, T>);

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

impl Fields for LayerAnnotations {
    const NAME: &'static str = "the annotations of a layer";

    fn field<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A, _: &Budget) -> Result<Field, A::Error> {
        match key {
            Member::MediaType => scalar(map, &mut self.media_type),
            Member::DiffId => scalar(map, &mut self.diff_id),
            Member::Size => scalar(map, &mut self.size),
            Member::CreatedAt => scalar(map, &mut self.created_at),
            _ => Ok(Field::Unknown),
        }
    }
}

impl Fields for CacheRecord {
    const NAME: &'static str = "a record";

    fn field<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A, budget: &Budget) -> Result<Field, A::Error> {
        let links = &budget.links;
        match key {
            Member::Layers => self.results = map.next_value_seed(objects(budget, links))?,
            Member::Chains => self.chains = map.next_value_seed(objects(budget, links))?,
            Member::Digest => return scalar(map, &mut self.digest),
            Member::Inputs => {
                let slot = || objects(budget, links);
                self.inputs = map.next_value_seed(List { budget, left: links, element: slot })?;
            }
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    }
}

impl Fields for CacheResult {
    const NAME: &'static str = "a result";

    fn field<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A, _: &Budget) -> Result<Field, A::Error> {
        match key {
            Member::Layer => scalar(map, &mut self.layer),
            Member::CreatedAt => scalar(map, &mut self.created_at),
            _ => Ok(Field::Unknown),
        }
    }
}

impl Fields for ChainedResult {
    const NAME: &'static str = "a result by its layers";

    fn field<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A, budget: &Budget) -> Result<Field, A::Error> {
        match key {
            Member::Layers => {
                let element = || PhantomData::<i64>;
                self.layers = map.next_value_seed(List { budget, left: &budget.links, element })?;
                Ok(Field::Known)
            }
            Member::CreatedAt => scalar(map, &mut self.created_at),
            _ => Ok(Field::Unknown),
        }
    }
}

impl Fields for CacheInput {
    const NAME: &'static str = "a link";

    fn field<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A, _: &Budget) -> Result<Field, A::Error> {
        match key {
            Member::Selector => scalar(map, &mut self.selector),
            Member::Link => scalar(map, &mut self.link),
            _ => Ok(Field::Unknown),
        }
    }
}

impl Fields for LegacyItem {
    const NAME: &'static str = "an item";

    fn field<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A, _: &Budget) -> Result<Field, A::Error> {
        match key {
            Member::Blobsum => scalar(map, &mut self.blob),
            Member::CacheKey => scalar(map, &mut self.cache_key),
            Member::ContentKey => scalar(map, &mut self.content_key),
            Member::Parent => scalar(map, &mut self.parent),
            Member::DiffId => scalar(map, &mut self.diff_id),
            _ => Ok(Field::Unknown),
        }
    }
}
