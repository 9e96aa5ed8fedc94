//! Names of locks.

use crate::conformance::Outcome;
use crate::conformance::lock::{LockSubject, had, refused};
use crate::conformance::require::require_kind;
use crate::error::ErrorKind;
use crate::ports::LockMode;

/// Any text but the empty one names a lock, and different texts name different locks.
pub async fn every_name_is_a_lock_of_its_own(subject: LockSubject) -> Outcome {
    let long = "k".repeat(2000);
    let names = [
        ".",
        "..",
        "../x",
        "/x",
        "a/b",
        "a%2Fb",
        "A",
        "a",
        "a\0b",
        "a ",
        "ключ",
        "a\u{301}",
        "\u{e1}",
        "a.lock",
        long.as_str(),
    ];
    let mut held = Vec::new();
    for name in names {
        held.push(had(&*subject.first, name, LockMode::Exclusive).await?);
    }
    for name in names {
        refused(&*subject.second, name, LockMode::Shared).await?;
    }
    held.clear();
    for name in names {
        held.push(had(&*subject.second, name, LockMode::Exclusive).await?);
    }
    Ok(())
}

/// The empty name is `Invalid`, by every way of asking.
pub async fn the_empty_name_is_invalid(subject: LockSubject) -> Outcome {
    for mode in [LockMode::Shared, LockMode::Exclusive] {
        require_kind(subject.first.acquire("", mode).await, ErrorKind::Invalid, "the empty name is refused")?;
        require_kind(subject.first.try_acquire("", mode).await, ErrorKind::Invalid, "the empty name is refused")?;
    }
    require_kind(subject.first.holder("").await, ErrorKind::Invalid, "the empty name is refused")?;
    Ok(())
}
