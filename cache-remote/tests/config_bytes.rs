//! A config has the bytes that BuildKit writes, and is read as BuildKit reads it.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use cache_core::{Digest, ErrorKind, MediaType, Timestamp};
use cache_remote::config::{
    CacheConfig, CacheInput, CacheLayer, CacheRecord, CacheResult, ConfigDocument, ConfigLimits, LayerAnnotations,
    NO_PARENT, WireDigest,
};
use cache_remote::{CacheError, output_key};

fn read(bytes: impl AsRef<[u8]>) -> CacheConfig {
    match ConfigDocument::from_json(bytes.as_ref(), &ConfigLimits::default()).unwrap() {
        ConfigDocument::Current(config) => config,
        ConfigDocument::Legacy(legacy) => panic!("legacy: {legacy:?}"),
    }
}

fn fails(bytes: impl AsRef<[u8]>, limits: ConfigLimits) -> CacheError {
    ConfigDocument::from_json(bytes.as_ref(), &limits).unwrap_err()
}

fn key(name: &str, output: i64) -> WireDigest {
    output_key(&Digest::of(name), output).into()
}

fn layer(name: &str, parent: i64) -> CacheLayer {
    CacheLayer { blob: Digest::of(name).into(), parent, annotations: None }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn result(layer: i64) -> Vec<CacheResult> {
    vec![CacheResult { layer, created_at: time("2026-01-02T03:04:05.6Z") }]
}

fn link(link: i64) -> CacheInput {
    CacheInput { selector: String::new(), link }
}

/// The registry style: a source, and a step with two layers.
fn first_example() -> CacheConfig {
    let source = CacheRecord { digest: key("src", 0), ..CacheRecord::default() };
    let step = CacheRecord {
        results: result(1),
        digest: key("run", 0),
        inputs: vec![vec![link(0)]],
        ..CacheRecord::default()
    };
    CacheConfig { layers: vec![layer("L0", NO_PARENT), layer("L1", 0)], records: vec![source, step] }
}

/// The object-store style: fast and slow key of one input, and annotated layers.
fn second_example() -> CacheConfig {
    let annotated = |name: &str, parent, diff: &str, size, created: &str| {
        let annotations = LayerAnnotations {
            media_type: MediaType::OCI_LAYER_GZIP,
            diff_id: format!("sha256:{diff}").parse::<Digest>().unwrap().into(),
            size,
            created_at: time(created),
        };
        CacheLayer { annotations: Some(Box::new(annotations)), ..layer(name, parent) }
    };
    let root = |name: &str, output| CacheRecord { digest: key(name, output), ..CacheRecord::default() };
    let selected = CacheInput { selector: Digest::of("/app").to_string(), link: 0 };
    let copy = CacheRecord {
        results: result(1),
        digest: key("copy", 0),
        inputs: vec![vec![link(1)], vec![selected, link(3)]],
        ..CacheRecord::default()
    };
    CacheConfig {
        layers: vec![
            annotated(
                "L0",
                NO_PARENT,
                "238456f86e51ae487872bce9f842f26b58e237d59079529ecca3d146e38096bb",
                1234,
                "0001-01-01T00:00:00Z",
            ),
            annotated(
                "L2",
                0,
                "17f8f42f4b252152c8418b481c0c34117a7c3fe3dde0e0b29e905b5ede6f694a",
                567,
                "2026-01-02T03:04:05.6Z",
            ),
        ],
        records: vec![root("ctx", 0), root("base", 0), copy, root("content-of-/app", -1)],
    }
}

const FIRST: &str = r#"{"layers":[{"blob":"sha256:929172fae51e7c4fedc288349b430c1ca2ee1b35f6a9493f3ca7c83b44786791","parent":-1},{"blob":"sha256:dffe8596427fc50e8f64654a609af134d45552f18bbecef90b31135a9e7acaa0"}],"records":[{"digest":"sha256:eb1f776c952eb92be0faa7218e123f41237597f5928f9378fa22acec003aae92"},{"layers":[{"layer":1,"createdAt":"2026-01-02T03:04:05.6Z"}],"digest":"sha256:eb90204b8e72ad1f0e64b1c2ea34063b4c75820630bbe5d6cb8b21093de20af7","inputs":[[{"link":0}]]}]}"#;

#[test]
fn the_first_example_has_its_known_bytes() {
    let bytes = first_example().to_json().unwrap();
    assert_eq!(String::from_utf8(bytes.clone()).unwrap(), FIRST);
    assert_eq!(bytes.len(), 456);
    let digest = "sha256:2b6df7f22832654c7e0b8905cf0f2a56bb77877363843655e7f27bb35eb1529a";
    assert_eq!(Digest::of(&bytes).to_string(), digest);
    assert_eq!(read(bytes), first_example());
}

#[test]
fn the_second_example_has_its_known_length_and_digest() {
    let bytes = second_example().to_json().unwrap();
    assert_eq!(bytes.len(), 1144, "{}", String::from_utf8_lossy(&bytes));
    let digest = "sha256:f0179c3396d05f084d869bb7a09441f6a12a49a1142622f7449f5e4329379db5";
    assert_eq!(Digest::of(&bytes).to_string(), digest);
    assert_eq!(read(bytes), second_example());
}

#[test]
fn the_third_example_lists_layers_that_are_no_prefix() {
    let records = r#"[{"digest":"sha256:eb1f776c952eb92be0faa7218e123f41237597f5928f9378fa22acec003aae92"},{"layers":[{"layer":1,"createdAt":"2026-01-02T03:04:05.6Z"}],"digest":"sha256:eb90204b8e72ad1f0e64b1c2ea34063b4c75820630bbe5d6cb8b21093de20af7","inputs":[[{"link":0}]]},{"chains":[{"layers":[0,2],"createdAt":"0001-01-01T00:00:00Z"}],"digest":"sha256:ee5bfa39701676cfdc4d16ac01bc688841b070f906f94d030c900cc465dd240e","inputs":[[{"link":0}]]}]"#;
    let whole = format!(r#"{{"records":{records}}}"#);
    let config = read(&whole);
    assert_eq!(config.records[2].chains[0].layers, [0, 2]);
    assert_eq!(config.records[2].chains[0].created_at, Timestamp::zero());
    assert_eq!(String::from_utf8(config.to_json().unwrap()).unwrap(), whole);
}

#[test]
fn an_empty_config_is_an_empty_object() {
    assert_eq!(CacheConfig::default().to_json().unwrap(), b"{}");
    for text in ["{}", "null", r#"{"layers":null,"records":null}"#, r#"{"layers":[],"unknown":{"deep":[1,{}]}}"#] {
        assert_eq!(read(text), CacheConfig::default(), "{text}");
    }
}

#[test]
fn an_absent_parent_is_layer_zero_and_minus_one_is_none() {
    let config = read(r#"{"layers":[{},{"parent":0},{"parent":-1},{"parent":null},{"parent":7}]}"#);
    let parents: Vec<_> = config.layers.iter().map(|layer| layer.parent).collect();
    assert_eq!(parents, [0, 0, -1, 0, 7]);
    assert_eq!(config.to_json().unwrap(), br#"{"layers":[{},{},{"parent":-1},{},{"parent":7}]}"#);
}

#[test]
fn zero_values_are_left_out_except_where_go_cannot() {
    let config = CacheConfig {
        layers: vec![CacheLayer { annotations: Some(Box::default()), ..CacheLayer::default() }],
        records: vec![CacheRecord {
            results: vec![CacheResult::default()],
            chains: vec![Default::default()],
            inputs: vec![vec![CacheInput::default()], vec![]],
            ..CacheRecord::default()
        }],
    };
    let text = r#"{"layers":[{"annotations":{"createdAt":"0001-01-01T00:00:00Z"}}],"records":[{"layers":[{"layer":0,"createdAt":"0001-01-01T00:00:00Z"}],"chains":[{"layers":[],"createdAt":"0001-01-01T00:00:00Z"}],"inputs":[[{"link":0}],null]}]}"#;
    assert_eq!(String::from_utf8(config.to_json().unwrap()).unwrap(), text);
    assert_eq!(read(text), config);
}

#[test]
fn times_keep_their_zone_and_their_digits() {
    for time in [
        "0001-01-01T00:00:00Z",
        "2026-11-20T13:57:02.176391403Z",
        "2026-01-02T03:04:05.6+02:00",
        "2026-01-02T03:04:05-11:30",
        "1999-12-31T23:59:59.00000001Z",
    ] {
        let text = format!(r#"{{"records":[{{"layers":[{{"layer":0,"createdAt":"{time}"}}]}}]}}"#);
        assert_eq!(String::from_utf8(read(&text).to_json().unwrap()).unwrap(), text);
    }
}

#[test]
fn keys_are_read_in_any_case() {
    let lower = FIRST.replace("createdAt", "createdat");
    assert_eq!(read(lower), first_example());
    let upper = FIRST.replace("\"layers\"", "\"LAYERS\"").replace("\"link\"", "\"Link\"");
    assert_eq!(read(upper.replace("\"records\"", "\"rEcords\"")), first_example());
}

#[test]
fn the_last_of_equal_keys_counts_and_null_changes_nothing() {
    let config = read(r#"{"layers":[{"parent":1,"parent":2,"Parent":null}]}"#);
    assert_eq!(config.layers[0].parent, 2);
}

#[test]
fn selectors_are_escaped_as_go_does() {
    let input = CacheInput { selector: "<a>&\u{2028}".to_owned(), link: 0 };
    let record = CacheRecord { inputs: vec![vec![input]], ..CacheRecord::default() };
    let config = CacheConfig { layers: vec![], records: vec![record] };
    let text = r#"{"records":[{"inputs":[[{"selector":"\u003ca\u003e\u0026\u2028","link":0}]]}]}"#;
    assert_eq!(String::from_utf8(config.to_json().unwrap()).unwrap(), text);
    assert_eq!(read(text), config);
}

#[test]
fn what_is_no_digest_is_kept_as_it_is() {
    let text = r#"{"layers":[{"blob":"blake3:00"}],"records":[{"digest":"random:abc"},{"digest":"sha256:12"}]}"#;
    let config = read(text);
    assert!(config.records[0].digest.is_random());
    assert_eq!(config.records[1].digest.get(), None);
    assert_eq!(String::from_utf8(config.to_json().unwrap()).unwrap(), text);
}

#[test]
fn what_is_no_config_is_corrupt() {
    let deep = format!(r#"{{"unknown":{}}}"#, "[".repeat(100_000));
    let records = |record: &str| format!(r#"{{"records":[{record}]}}"#);
    for text in [
        "".to_owned(),
        "[]".to_owned(),
        "7".to_owned(),
        r#"{"layers":{}}"#.to_owned(),
        r#"{"layers":[1]}"#.to_owned(),
        r#"{"layers":[{"parent":1.5}]}"#.to_owned(),
        r#"{"layers":[{"parent":99999999999999999999}]}"#.to_owned(),
        r#"{} trailing"#.to_owned(),
        r#"{"layers":["#.to_owned(),
        records(r#"{"inputs":[[7]]}"#),
        records(r#"{"inputs":{}}"#),
        records(r#"{"layers":[{"createdAt":"yesterday"}]}"#),
        records(r#"{"chains":[{"layers":["0"]}]}"#),
        deep,
    ] {
        let error = fails(&text, ConfigLimits::default());
        assert!(matches!(error, CacheError::Malformed { .. }), "{:.60}: {error:?}", text);
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn each_limit_is_an_error_that_names_it() {
    let limits = ConfigLimits::default;
    for (text, limits, name) in [
        (r#"{"layers":[{},{},{}]}"#, limits().with_max_layers(2), "max_layers"),
        (r#"{"records":[{},{},{}]}"#, limits().with_max_records(2), "max_records"),
        (r#"{"Items":[{},{},{}]}"#, limits().with_max_records(2), "max_records"),
        (r#"{"records":[{"inputs":[[{},{}],[]]}]}"#, limits().with_max_links(3), "max_links"),
        (r#"{"records":[{"layers":[{},{}]},{"layers":[{}]}]}"#, limits().with_max_links(2), "max_links"),
        (r#"{"records":[{"chains":[{"layers":[0,1]}]}]}"#, limits().with_max_links(2), "max_links"),
        (r#"{"records":[{}]}"#, limits().with_max_bytes(15), "max_bytes"),
    ] {
        let error = fails(text, limits);
        assert!(matches!(error, CacheError::Limit { limit, .. } if limit == name), "{text}: {error:?}");
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    }
    let exact = limits().with_max_layers(3).with_max_bytes(21);
    assert!(ConfigDocument::from_json(br#"{"layers":[{},{},{}]}"#, &exact).is_ok());
}

#[test]
fn the_config_of_2017_is_told_apart() {
    let key = Digest::of("key");
    let text = format!(r#"{{"Items":[{{"Blobsum":"","CacheKey":"{key}","ContentKey":"","Parent":"","DiffID":""}}]}}"#);
    let document = ConfigDocument::from_json(text.as_bytes(), &ConfigLimits::default()).unwrap();
    let ConfigDocument::Legacy(legacy) = document else { panic!("{document:?}") };
    assert_eq!(legacy.items[0].cache_key.get(), Some(key));
}
