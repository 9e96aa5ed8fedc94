//! Foreign JSON is compacted without being changed, and hostile JSON is refused.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use cache_core::ErrorKind;
use exporter_image::config::{ConfigPatch, patch_config};
use exporter_image::{Index, JsonError, JsonLimits, Manifest, compact};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::{collection, prop_assert_eq};
use serde_json::Value;

fn compacted(text: &str) -> String {
    String::from_utf8(compact(text.as_bytes(), JsonLimits::CONFIG).unwrap()).unwrap()
}

fn problem(text: &[u8]) -> JsonError {
    compact(text, JsonLimits::CONFIG).unwrap_err()
}

#[test]
fn untouched_values_keep_their_spelling() {
    for (text, expected) in [
        (" { \"b\" : 1 ,\n\"a\": [ 2.50 , 1e3 , -0 , 1E+400 ] } ", r#"{"b":1,"a":[2.50,1e3,-0,1E+400]}"#),
        (r#"["\u0041","\/","\ud800","é","\n"]"#, r#"["\u0041","\/","\ud800","é","\n"]"#),
        (r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2}"#),
        ("[ ]", "[]"),
        ("{ }", "{}"),
        (" true ", "true"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
    ] {
        assert_eq!(compacted(text), expected);
    }
}

#[test]
fn go_escapes_are_made_inside_of_untouched_values() {
    let text = "{\"<a>\": \"x&y\u{2028}\u{2029}\u{2027}<\"}";
    assert_eq!(compacted(text), "{\"\\u003ca\\u003e\":\"x\\u0026y\\u2028\\u2029\u{2027}\\u003c\"}");
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "tru",
        "nul",
        "True",
        "'a'",
        "\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\n\"",
        "[1 2]",
        "1 2",
        "{} {}",
        "[}",
        "{]",
        "NaN",
        "\u{feff}{}",
        "\"a\u{0}\"",
        "/**/1",
    ] {
        assert!(matches!(problem(text.as_bytes()), JsonError::Syntax { .. }), "{text:?}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    assert!(matches!(problem(b"{\"a\":\"\xff\"}"), JsonError::NotUtf8 { offset: 6 }));
    assert!(matches!(problem(b"\"\xed\xa0\x80\""), JsonError::NotUtf8 { .. }));
}

#[test]
fn depth_is_limited_without_recursion() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(compact(nested(64).as_bytes(), JsonLimits::CONFIG).is_ok());
    assert!(matches!(problem(nested(65).as_bytes()), JsonError::TooDeep { maximum: 64 }));
    assert!(matches!(problem("[".repeat(10_000_000).as_bytes()), JsonError::TooDeep { .. }));
    assert!(matches!(problem("{\"a\":".repeat(1_000_000).as_bytes()), JsonError::TooDeep { .. }));
}

#[test]
fn length_is_limited_before_anything_else() {
    let limits = JsonLimits::MANIFEST.with_bytes(4);
    assert!(compact(b"null", limits).is_ok());
    assert!(matches!(compact(b"\xff\xff\xff\xff\xff", limits), Err(JsonError::TooLong { maximum: 4 })));
}

#[test]
fn limits_hold_for_configs_manifests_and_indexes() {
    let deep = format!(r#"{{"os":"linux","architecture":"amd64","x":{}1{}}}"#, "[".repeat(64), "]".repeat(64));
    let error = patch_config(deep.as_bytes(), &ConfigPatch::default(), JsonLimits::CONFIG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    let long = JsonLimits::MANIFEST.with_bytes(1);
    assert!(Manifest::parse(b"{}", long).is_err());
    assert!(Index::parse(b"{}", long).is_err());
}

#[test]
fn numbers_out_of_range_are_refused_where_they_mean_something() {
    let digest = format!("sha256:{}", "0".repeat(64));
    for size in ["-1", "1.5", "1e3", "18446744073709551616", "1e999999999", "\"1\"", "null"] {
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{{"digest":"{digest}","size":{size}}}]}}"#);
        assert!(Index::parse(text.as_bytes(), JsonLimits::MANIFEST).is_err(), "{size}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![any::<String>(), "[<>&\u{2028}\u{2029}\"\\\\/a-c\n]{0,8}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            collection::btree_map(text.clone(), inner, 0..8).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn compaction_changes_the_spelling_as_go_does_and_nothing_else(value in value()) {
        let spaced = serde_json::to_vec_pretty(&value).unwrap();
        let once = compact(&spaced, JsonLimits::CONFIG).unwrap();
        let go = cache_core::json::to_vec(&value).unwrap();
        prop_assert_eq!(String::from_utf8_lossy(&once), String::from_utf8_lossy(&go));
        prop_assert_eq!(&compact(&once, JsonLimits::CONFIG).unwrap(), &once);
        let (before, after): (Value, Value) = (serde_json::from_slice(&spaced).unwrap(), serde_json::from_slice(&once).unwrap());
        prop_assert_eq!(after, before);
    }

    #[test]
    fn the_scanner_accepts_what_serde_accepts(text in r#"[\[\]{}:, "\\u0-9eE+.\-truefalsn\n]{0,24}"#) {
        let known = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(compact(text.as_bytes(), JsonLimits::CONFIG).is_ok(), known);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in collection::vec(any::<u8>(), 0..64)) {
        drop(compact(&bytes, JsonLimits::CONFIG));
        drop(Manifest::parse(&bytes, JsonLimits::MANIFEST));
        drop(Index::parse(&bytes, JsonLimits::MANIFEST));
        drop(patch_config(&bytes, &ConfigPatch::default(), JsonLimits::CONFIG));
    }
}
