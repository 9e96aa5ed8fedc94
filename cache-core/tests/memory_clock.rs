//! The manual clock: time that moves only when it is told to.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::time::Duration;

use cache_core::memory::ManualClock;
use cache_core::ports::Clock;
use futures::FutureExt;

#[test]
fn time_stands_still_until_it_is_advanced() {
    let clock = ManualClock::default();
    let before = clock.now();
    assert_eq!(clock.now(), before);
    clock.advance(Duration::from_nanos(1));
    assert_eq!(clock.now().duration_since(&before), Duration::from_nanos(1));
}

#[test]
fn a_sleeper_wakes_when_its_time_is_reached_and_not_before() {
    let clock = ManualClock::default();
    let mut sleeper = clock.sleep(Duration::from_secs(10));
    clock.advance(Duration::from_secs(9));
    assert!((&mut sleeper).now_or_never().is_none());
    clock.advance(Duration::from_secs(1));
    assert!(sleeper.now_or_never().is_some());
}

#[test]
fn a_sleep_of_no_time_is_over_at_once() {
    assert!(ManualClock::default().sleep(Duration::ZERO).now_or_never().is_some());
}

#[test]
fn time_ends_in_the_year_9999() {
    let clock = ManualClock::default();
    let before = clock.now();
    clock.advance(Duration::MAX);
    assert_eq!(clock.now(), before);
    assert!(clock.sleep(Duration::MAX).now_or_never().is_none());
}
