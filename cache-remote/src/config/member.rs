//! The keys of objects in a config, in any case.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Visitor};

/// A key of any object in a config. Mirrors: Go's `encoding/json`, which compares keys without regard to case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
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

/// Reads a key.
pub(super) struct MemberSeed;

impl<'de> DeserializeSeed<'de> for MemberSeed {
    type Value = Member;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Member, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for MemberSeed {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, text: &str) -> Result<Member, E> {
        let found = KEYS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        Ok(found.map_or(Member::Unknown, |(_, key)| *key))
    }
}
