//! `type=…,key=value` lists, as docker buildx users write them.

use std::collections::BTreeMap;
use std::str::FromStr;

use cache_core::MediaTypeFamily;

use crate::failure::Failure;

/// A parsed specification: a type and its attributes. Keys are lower-cased, values are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    text: String,
    kind: String,
    attributes: BTreeMap<String, String>,
}

impl Spec {
    /// The specification as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What stands after `type=`.
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    /// The value of `key`, if it is there.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).map(String::as_str)
    }

    /// The value of `key`.
    pub(crate) fn require(&self, key: &str) -> Result<&str, Failure> {
        self.get(key)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Failure::usage(format!("type={} needs {key}=… in {:?}", self.kind, self.text)))
    }

    /// A Go-style boolean; an attribute without a value is true.
    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool, Failure> {
        match self.get(key) {
            None => Ok(default),
            Some("" | "1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some(other) => Err(Failure::usage(format!("{key}={other:?} is no boolean in {:?}", self.text))),
        }
    }

    /// Whether both ask for the same, however it is written.
    pub(crate) fn means(&self, other: &Self) -> bool {
        self.kind == other.kind && self.attributes == other.attributes
    }

    /// The media types that `oci-mediatypes` chooses.
    pub(crate) fn family(&self) -> Result<MediaTypeFamily, Failure> {
        Ok(match self.flag("oci-mediatypes", true)? {
            true => MediaTypeFamily::Oci,
            false => MediaTypeFamily::Docker,
        })
    }

    /// Refuses attributes that this type does not have.
    pub(crate) fn accept(&self, keys: &[&str]) -> Result<(), Failure> {
        match self.attributes.keys().find(|key| !keys.contains(&key.as_str())) {
            None => Ok(()),
            Some(unknown) => {
                Err(Failure::usage(format!("type={} has no key {unknown:?}; it has {}", self.kind, keys.join(", "))))
            }
        }
    }

    /// The failure of a type that is none of `known` or is not built yet.
    pub(crate) fn unknown_kind(&self, built: &[&str], planned: &[&str]) -> Failure {
        if planned.contains(&self.kind.as_str()) {
            Failure::usage(format!("type={} is not built yet; built are {}", self.kind, built.join(", ")))
        } else {
            Failure::usage(format!("unknown type={:?}; known are {}", self.kind, built.join(", ")))
        }
    }
}

impl FromStr for Spec {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let mut attributes = BTreeMap::new();
        for field in fields(text)? {
            let (key, value) = field.split_once('=').unwrap_or((&field, ""));
            let key = key.trim().to_lowercase();
            if attributes.insert(key.clone(), value.to_owned()).is_some() {
                return Err(Failure::usage(format!("{key:?} stands twice in {text:?}")));
            }
        }
        let kind = attributes
            .remove("type")
            .filter(|kind| !kind.is_empty())
            .ok_or_else(|| Failure::usage(format!("no type=… in {text:?}")))?;
        Ok(Self { text: text.to_owned(), kind, attributes })
    }
}

/// The fields of one CSV record: a field that holds a comma is quoted, a quote in it doubled.
fn fields(text: &str) -> Result<Vec<String>, Failure> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let field = fields.last_mut().expect("there is always a last field");
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    if quoted { Err(Failure::usage(format!("a quote is not closed in {text:?}"))) } else { Ok(fields) }
}

#[cfg(test)]
mod tests {
    use super::Spec;

    #[test]
    fn a_specification_is_a_csv_record_of_attributes() {
        let spec: Spec =
            r#"type=local,"dest=/a,b",Mode=max,force-compression,note="#.parse().expect("it is well formed");
        assert_eq!((spec.kind(), spec.get("dest"), spec.get("mode")), ("local", Some("/a,b"), Some("max")));
        assert!(spec.flag("force-compression", false).expect("an empty value is true"));
        assert_eq!(spec.get("note"), Some(""));
        assert!(spec.accept(&["dest", "mode"]).is_err());
    }

    #[test]
    fn a_specification_without_type_or_with_a_key_twice_is_refused() {
        for text in ["", "dest=x", "type=", "type=local,a=1,A=2", r#"type=local,"dest=x"#] {
            assert!(text.parse::<Spec>().is_err(), "{text:?}");
        }
    }
}
