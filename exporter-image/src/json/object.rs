//! The members of a JSON object, their values kept as they are spelled.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::JsonLimits;
use super::scan::Scanner;
use crate::error::JsonError;

/// A JSON object of compacted values under sorted keys. Mirrors: Go's `map[string]json.RawMessage`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Object(BTreeMap<String, Vec<u8>>);

impl Object {
    /// Reads the object that is all of `text`.
    pub(crate) fn parse(text: &[u8], limits: JsonLimits) -> Result<Self, JsonError> {
        let mut scanner = Scanner::new(text, limits.with_depth(limits.depth.saturating_sub(1)))?;
        if !scanner.accept(b'{') {
            return Err(JsonError::NotAnObject);
        }
        let mut members = BTreeMap::new();
        if !scanner.accept(b'}') {
            loop {
                let key: String = serde_json::from_slice(scanner.raw_string()?)
                    .map_err(|source| JsonError::Shape(Arc::new(source)))?;
                if !scanner.accept(b':') {
                    return Err(scanner.syntax());
                }
                let mut value = Vec::new();
                scanner.value(&mut value)?;
                if members.contains_key(&key) {
                    return Err(JsonError::DuplicateKey { key });
                }
                members.insert(key, value);
                if scanner.accept(b'}') {
                    break;
                }
                if !scanner.accept(b',') {
                    return Err(scanner.syntax());
                }
            }
        }
        scanner.end()?;
        Ok(Self(members))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).map(Vec::as_slice)
    }

    /// Sets `key` to `value`, spelled as Go does.
    pub(crate) fn set<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> cache_core::Result<()> {
        self.0.insert(key.to_owned(), cache_core::json::to_vec(value)?);
        Ok(())
    }

    /// The object without white space, keys in bytewise order.
    pub(crate) fn to_bytes(&self) -> cache_core::Result<Vec<u8>> {
        let mut out = vec![b'{'];
        for (key, value) in &self.0 {
            if out.len() > 1 {
                out.push(b',');
            }
            out.extend_from_slice(&cache_core::json::to_vec(key)?);
            out.push(b':');
            out.extend_from_slice(value);
        }
        out.push(b'}');
        Ok(out)
    }
}
