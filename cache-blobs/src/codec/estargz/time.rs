//! Times as eStargz has them.

use cache_core::Timestamp;

use crate::tar;

/// A time as eStargz has it: whole seconds, rounded half up; nothing for the first second of 1970, and for times that RFC
/// 3339 cannot say. Mirrors: stargz-snapshotter `estargz/build.go`, `formatModtime`.
pub(super) fn time_of(time: tar::Timestamp) -> Option<String> {
    if time.seconds == 0 {
        return None;
    }
    let rounded = time.seconds.checked_add(i64::from(time.nanos >= 500_000_000))?;
    Timestamp::from_unix(rounded, 0).map(|time| time.to_string())
}
