//! Filters over listed refs.

use std::fmt;
use std::str::FromStr;

use crate::cache::usage::{Mutability, RefUsage};
use crate::error::{Error, ErrorKind, Result};

/// What a listed ref must be like: selectors joined by commas, all of which must hold. A selector is a field alone (it is
/// set), `field==value` or `field!=value`; a value with commas or spaces stands in double quotes, with `\"` and `\\` in it.
///
/// Fields: `id`, `kind` (`base-layer`, `layer`, …), `type` (BuildKit's record type), `parents` (joined by `;`),
/// `description`, and the flags `inuse`, `mutable`, `immutable`, `shared` and `private`, whose value is `true` when they
/// are set. Mirrors: containerd `pkg/filters` and BuildKit `cache/manager.go`, `adaptUsageInfo`.
///
/// ```
/// use cache_core::cache::Filter;
///
/// let filter: Filter = r#"type==exec.cachemount,description=="npm cache",shared"#.parse()?;
/// assert!("kind=layer".parse::<Filter>().is_err());
/// # Ok::<(), cache_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    text: String,
    selectors: Vec<Selector>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Selector {
    field: Field,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Present,
    Equal(String),
    NotEqual(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Id,
    Kind,
    Type,
    Parents,
    Description,
    InUse,
    Mutable,
    Immutable,
    Shared,
    Private,
}

const FIELDS: [(&str, Field); 10] = [
    ("id", Field::Id),
    ("kind", Field::Kind),
    ("type", Field::Type),
    ("parents", Field::Parents),
    ("description", Field::Description),
    ("inuse", Field::InUse),
    ("mutable", Field::Mutable),
    ("immutable", Field::Immutable),
    ("shared", Field::Shared),
    ("private", Field::Private),
];

impl Filter {
    /// Whether `usage` is like that. The empty filter accepts everything.
    pub fn accepts(&self, usage: &RefUsage) -> bool {
        self.selectors.iter().all(|selector| selector.accepts(usage))
    }

    /// Whether one of `filters` accepts `usage`, or there are none.
    pub fn any(filters: &[Self], usage: &RefUsage) -> bool {
        filters.is_empty() || filters.iter().any(|filter| filter.accepts(usage))
    }
}

impl Selector {
    fn accepts(&self, usage: &RefUsage) -> bool {
        let value = self.field.of(usage);
        match &self.test {
            Test::Present => !value.is_empty(),
            Test::Equal(wanted) => !value.is_empty() && value == *wanted,
            Test::NotEqual(unwanted) => value != *unwanted,
        }
    }
}

impl Field {
    fn of(self, usage: &RefUsage) -> String {
        let flag = |set: bool| if set { "true".to_owned() } else { String::new() };
        match self {
            Self::Id => usage.id.clone(),
            Self::Kind => usage.kind.name().to_owned(),
            Self::Type => usage.record_type.name().to_owned(),
            Self::Parents => usage.parents.join(";"),
            Self::Description => usage.description.clone(),
            Self::InUse => flag(usage.in_use),
            Self::Mutable => flag(usage.mutability == Mutability::Mutable),
            Self::Immutable => flag(usage.mutability == Mutability::Immutable),
            Self::Shared => flag(usage.shared),
            Self::Private => flag(!usage.shared),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut selectors = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (selector, after) = parse_selector(rest).ok_or_else(|| refuse(text))?;
            selectors.push(selector);
            rest = match after.strip_prefix(',') {
                Some("") => return Err(refuse(text)),
                Some(after) => after,
                None if after.is_empty() => after,
                None => return Err(refuse(text)),
            };
        }
        Ok(Self { text: text.to_owned(), selectors })
    }
}

fn refuse(text: &str) -> Error {
    let fields: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
    let hint = format!("selectors are field, field==value or field!=value, of the fields {}", fields.join(", "));
    Error::new(ErrorKind::Invalid, "parse filter", text.escape_debug()).with_source(hint)
}

fn parse_selector(text: &str) -> Option<(Selector, &str)> {
    let end = text.find(|next: char| !next.is_ascii_alphanumeric()).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let (_, field) = FIELDS.into_iter().find(|(field, _)| *field == name)?;
    if let Some(rest) = rest.strip_prefix("==") {
        let (value, rest) = parse_value(rest)?;
        return Some((Selector { field, test: Test::Equal(value) }, rest));
    }
    if let Some(rest) = rest.strip_prefix("!=") {
        let (value, rest) = parse_value(rest)?;
        return Some((Selector { field, test: Test::NotEqual(value) }, rest));
    }
    Some((Selector { field, test: Test::Present }, rest))
}

fn parse_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '"']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (!value.is_empty()).then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(letters.next().map(|(_, letter)| letter).filter(|letter| ['"', '\\'].contains(letter))?),
            _ => value.push(letter),
        }
    }
    None
}
