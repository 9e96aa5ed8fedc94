//! Instants with the zone in which they were written.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::{Error, ErrorKind};

/// An instant with nanoseconds. It keeps the zone offset of the text it was parsed from, so that a cache config can be
/// written back byte for byte; comparison looks at the instant alone.
///
/// Its text form is RFC 3339 as Go's `time.Time` writes it: up to nine fractional digits, trailing zeros cut, `Z` for UTC.
#[derive(Clone, Copy)]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(OffsetDateTime::UNIX_EPOCH);

    /// Go's zero time, `0001-01-01T00:00:00Z`, by which BuildKit writes "no time".
    pub fn zero() -> Self {
        Self::from_unix(-62_135_596_800, 0).expect("the year 1 is in range")
    }

    /// The instant `seconds` and `nanoseconds` after the Unix epoch; `None` outside of the years -9999 to 9999 or when
    /// `nanoseconds` is a second or more.
    pub fn from_unix(seconds: i64, nanoseconds: u32) -> Option<Self> {
        let whole = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        whole.replace_nanosecond(nanoseconds).ok().map(Self)
    }

    /// The system's wall clock. Code that must be testable asks a [`Clock`](crate::ports::Clock).
    pub fn now() -> Self {
        Self(SystemTime::now().into())
    }

    /// Whole seconds since the Unix epoch, rounded towards the past.
    pub fn unix_seconds(&self) -> i64 {
        self.0.unix_timestamp()
    }

    /// Nanoseconds past [`unix_seconds`](Self::unix_seconds).
    pub fn nanosecond(&self) -> u32 {
        self.0.nanosecond()
    }

    /// Nanoseconds since the Unix epoch.
    pub fn unix_nanoseconds(&self) -> i128 {
        self.0.unix_timestamp_nanos()
    }

    /// The instant from [`unix_nanoseconds`](Self::unix_nanoseconds), in UTC.
    pub fn from_unix_nanoseconds(nanoseconds: i128) -> Option<Self> {
        OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok().map(Self)
    }

    /// This instant, `duration` later; `None` past the year 9999.
    pub fn checked_add(&self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration.try_into().ok()?).map(Self)
    }

    /// How long after `earlier` this instant is; zero if it is not after it.
    pub fn duration_since(&self, earlier: &Self) -> Duration {
        (self.0 - earlier.0).try_into().unwrap_or_default()
    }

    /// The same instant written in UTC.
    #[must_use]
    pub fn to_utc(self) -> Self {
        Self(self.0.to_offset(time::UtcOffset::UTC))
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl Hash for Timestamp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.unix_nanoseconds().hash(state);
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        OffsetDateTime::parse(text, &Rfc3339)
            .map(Self)
            .map_err(|source| Error::new(ErrorKind::Invalid, "parse time", text.escape_debug()).with_source(source))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.format(&Rfc3339).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        OffsetDateTime::parse(&text, &Rfc3339).map(Self).map_err(serde::de::Error::custom)
    }
}
