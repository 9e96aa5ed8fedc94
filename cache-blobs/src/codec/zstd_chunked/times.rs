//! Times as zstd:chunked has them: RFC 3339 with the fraction that the archive has.

use cache_core::Timestamp;

use crate::tar::{self, Header, parse_time};

/// `time`; `None` if RFC 3339 cannot say it.
pub(super) fn time_of(time: tar::Timestamp) -> Option<String> {
    let time = Timestamp::from_unix(time.seconds, time.nanos)?.to_string();
    (!time.starts_with('-')).then_some(time)
}

/// The time in the record `name` of `header`, empty if it has none; `None` if RFC 3339 cannot say it.
pub(super) fn record_of(header: &Header, name: &[u8]) -> Option<String> {
    match header.records.get(name) {
        None => Some(String::new()),
        Some(text) => time_of(parse_time(text)?),
    }
}
