//! Image configs are patched with everything unknown kept.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use cache_core::{Digest, ErrorKind, Platform, Timestamp};
use exporter_image::config::{ConfigPatch, HistoryEntry, ImageConfig, default_config, patch_config};
use exporter_image::{ComposeOptions, ConfigProblem, EmptyLists, Error, JsonError, JsonLimits, compose_image};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn patched(config: &str, patch: &ConfigPatch) -> String {
    String::from_utf8(patch_config(config.as_bytes(), patch, JsonLimits::CONFIG).unwrap()).unwrap()
}

fn problem(config: &str) -> ConfigProblem {
    match patch_config(config.as_bytes(), &ConfigPatch::default(), JsonLimits::CONFIG) {
        Err(Error::Config(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn unknown_fields_are_kept_as_they_are_spelled_under_sorted_keys() {
    let config = r#"{
        "zeta": {"b": 1, "a": [2.50, 1e3, "\u0041<"]}, "os": "linux", "Alpha": null, "architecture": "riscv64",
        "docker_version": "20.10", "id": "x", "a<b": "é", "container_config": {"Cmd": null}, "variant": "v8",
        "created": "2020-01-01T00:00:00Z"
    }"#;
    let expected = concat!(
        r#"{"Alpha":null,"a\u003cb":"é","architecture":"riscv64","container_config":{"Cmd":null},"#,
        r#""created":"2020-01-01T00:00:00Z","docker_version":"20.10","history":null,"id":"x","os":"linux","#,
        r#""rootfs":{"type":"layers","diff_ids":null},"variant":"v8","zeta":{"b":1,"a":[2.50,1e3,"\u0041\u003c"]}}"#,
    );
    assert_eq!(patched(config, &ConfigPatch::default()), expected);
}

#[test]
fn rootfs_and_history_are_replaced_as_a_whole() {
    let id = Digest::of("layer");
    let config = r#"{"os":"linux","architecture":"amd64","rootfs":{"type":"x","more":1},"created":null,
        "history":[{"created_by":"old","extra":1}]}"#;
    let patch = ConfigPatch::new(vec![id], Some(vec![HistoryEntry::new("new").with_comment("a&b")]));
    assert_eq!(
        patched(config, &patch),
        format!(
            r#"{{"architecture":"amd64","created":null,"history":[{{"created_by":"new","comment":"a\u0026b"}}],"os":"linux","rootfs":{{"type":"layers","diff_ids":["{id}"]}}}}"#
        )
    );
}

#[test]
fn empty_lists_are_null_unless_they_were_lists_or_must_be() {
    let config = r#"{"os":"linux","architecture":"amd64"}"#;
    let nothing = patched(config, &ConfigPatch::default());
    assert!(nothing.contains(r#""diff_ids":null"#) && nothing.contains(r#""history":null"#), "{nothing}");
    let empty = patched(config, &ConfigPatch::new(Vec::new(), Some(Vec::new())));
    assert!(empty.contains(r#""diff_ids":null"#) && empty.contains(r#""history":[]"#), "{empty}");
    let strict = patched(config, &ConfigPatch::default().with_empty_lists(EmptyLists::Array));
    assert!(strict.contains(r#""diff_ids":[]"#) && strict.contains(r#""history":[]"#), "{strict}");
}

#[test]
fn a_missing_creation_time_is_that_of_the_last_step_that_has_one() {
    let config = r#"{"os":"linux","architecture":"amd64"}"#;
    let at = |text| HistoryEntry::new("x").with_created(time(text));
    let history = vec![at("2022-01-01T00:00:00.10Z"), at("2021-01-01T00:00:00+01:00"), HistoryEntry::new("y")];
    let created = patched(config, &ConfigPatch::new(Vec::new(), Some(history)));
    assert!(created.contains(r#""created":"2021-01-01T00:00:00+01:00","history""#), "{created}");
    assert!(created.contains(r#""created":"2022-01-01T00:00:00.1Z""#), "{created}");
    let unknown = patched(config, &ConfigPatch::new(Vec::new(), Some(vec![HistoryEntry::new("y")])));
    assert!(unknown.contains(r#""created":null,"#), "{unknown}");
}

#[test]
fn an_epoch_bounds_the_creation_time_and_leaves_earlier_ones_alone() {
    let epoch = time("2015-10-21T09:28:00+02:00");
    for (given, expected) in [
        (r#""2026-01-01T00:00:00Z""#, r#""2015-10-21T07:28:00Z""#),
        (r#""2014-01-01T00:00:00.500+01:00""#, r#""2014-01-01T00:00:00.500+01:00""#),
        ("null", "null"),
    ] {
        let config = format!(r#"{{"os":"linux","architecture":"amd64","created":{given}}}"#);
        let created = patched(&config, &ConfigPatch::default().with_epoch(epoch));
        assert!(created.contains(&format!(r#""created":{expected},"#)), "{created}");
    }
}

#[test]
fn an_epoch_bounds_the_history_from_the_first_step_on_that_is_not_the_bases() {
    let late = |name: &str| HistoryEntry::new(name).with_created(time("2026-01-01T00:00:00Z"));
    let base = vec![late("base 1"), late("base 2"), late("base 3")];
    let early = HistoryEntry::new("early").with_created(time("2001-01-01T00:00:00Z"));
    let own = vec![late("base 1"), late("changed"), late("base 3"), early, HistoryEntry::new("undated")];
    let config = r#"{"os":"linux","architecture":"amd64"}"#;
    let patch =
        ConfigPatch::new(Vec::new(), Some(own)).with_epoch(time("2015-10-21T07:28:00Z")).with_base_history(base);
    let parsed = ImageConfig::parse(patched(config, &patch).as_bytes(), JsonLimits::CONFIG).unwrap();
    let times: Vec<_> = parsed.history.unwrap().iter().map(|entry| entry.created.unwrap().to_string()).collect();
    let (kept, bound) = ("2026-01-01T00:00:00Z", "2015-10-21T07:28:00Z");
    assert_eq!(times, [kept, bound, bound, "2001-01-01T00:00:00Z", bound]);
}

#[test]
fn a_base_step_whose_time_is_spelled_in_another_zone_is_another_step() {
    let own = HistoryEntry::new("x").with_created(time("2026-01-01T00:00:00Z"));
    let base = HistoryEntry::new("x").with_created(time("2026-01-01T01:00:00+01:00"));
    let patch = ConfigPatch::new(Vec::new(), Some(vec![own])).with_base_history(vec![base]);
    let config = patched(r#"{"os":"linux","architecture":"amd64"}"#, &patch.with_epoch(time("2015-10-21T07:28:00Z")));
    assert!(config.contains(r#"[{"created":"2015-10-21T07:28:00Z""#), "{config}");
}

#[test]
fn an_inline_cache_is_opaque_bytes_in_base64() {
    let patch = ConfigPatch::default().with_inline_cache(b"[{\"<\":1}]\xff".to_vec().into());
    let config = patched(r#"{"os":"linux","architecture":"amd64","moby.buildkit.cache.v0":"old"}"#, &patch);
    assert!(config.contains(r#""moby.buildkit.cache.v0":"W3siPCI6MX1d/w==","#), "{config}");
}

#[test]
fn configs_that_cannot_be_exported_say_why() {
    assert!(matches!(problem("null"), ConfigProblem::Null));
    assert!(matches!(problem(" null "), ConfigProblem::Null));
    assert!(matches!(problem("{}"), ConfigProblem::MissingOs));
    assert!(matches!(problem(r#"{"architecture":"amd64"}"#), ConfigProblem::MissingOs));
    assert!(matches!(problem(r#"{"architecture":"amd64","os":""}"#), ConfigProblem::MissingOs));
    assert!(matches!(problem(r#"{"architecture":"amd64","os":null}"#), ConfigProblem::MissingOs));
    assert!(matches!(problem(r#"{"os":"linux"}"#), ConfigProblem::MissingArchitecture));
    assert!(matches!(problem("[]"), ConfigProblem::Json(JsonError::NotAnObject)));
    assert!(matches!(problem("7"), ConfigProblem::Json(JsonError::NotAnObject)));
    assert!(matches!(problem("{"), ConfigProblem::Json(JsonError::Syntax { .. })));
    for field in [r#""history":{}"#, r#""config":7"#, r#""created":"yesterday""#, r#""rootfs":{"diff_ids":["x"]}"#] {
        let config = format!(r#"{{"os":"linux","architecture":"amd64",{field}}}"#);
        assert!(matches!(problem(&config), ConfigProblem::Json(JsonError::Shape(_))), "{field}");
    }
    for twice in [r#""os":"linux""#, r#""\u006fs":"linux""#, r#""x":1,"x":2"#] {
        let config = format!(r#"{{"os":"linux","architecture":"amd64",{twice}}}"#);
        assert!(matches!(problem(&config), ConfigProblem::Json(JsonError::DuplicateKey { .. })), "{twice}");
    }
}

#[test]
fn bad_configs_are_invalid_also_as_base() {
    let options = ComposeOptions::default().with_config("{}");
    assert_eq!(compose_image(&[], &options).unwrap_err().kind(), ErrorKind::Invalid);
    let options = ComposeOptions::default().with_base_config("[]");
    let error = compose_image(&[], &options).unwrap_err();
    assert!(matches!(error, Error::BaseConfig(_)) && error.kind() == ErrorKind::Invalid);
}

#[test]
fn null_fields_are_the_same_as_missing_ones() {
    let config = r#"{"os":"linux","architecture":"amd64","variant":null,"author":null,"history":null,"rootfs":null,
        "config":{"Env":null,"Labels":null,"User":null,"ExposedPorts":null,"Cmd":null}}"#;
    let parsed = ImageConfig::parse(config.as_bytes(), JsonLimits::CONFIG).unwrap();
    assert_eq!(parsed.platform(), Platform::new("linux", "amd64", ""));
    assert_eq!(parsed.history, None);
}

#[test]
fn the_default_config_has_gos_architecture_a_search_path_and_a_root() {
    let config = |platform: &Platform| String::from_utf8(default_config(platform).unwrap()).unwrap();
    assert_eq!(
        config(&Platform::new("linux", "x86_64", "v1")),
        concat!(
            r#"{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:"#,
            r#"/usr/sbin:/usr/bin:/sbin:/bin"],"WorkingDir":"/"}}"#
        )
    );
    assert!(
        config(&Platform::new("linux", "arm", "")).starts_with(r#"{"architecture":"arm","os":"linux","variant":"v7","#)
    );
    assert_eq!(
        config(&Platform::new("windows", "aarch64", "")),
        r#"{"architecture":"arm64","os":"windows","config":{"WorkingDir":"/"}}"#
    );
}

#[test]
fn an_image_without_config_is_one_for_the_host() {
    let image = compose_image(&[], &ComposeOptions::default()).unwrap();
    assert_eq!(image.manifest.descriptor.platform, Some(Platform::host()));
    let parsed = ImageConfig::parse(&image.config.bytes, JsonLimits::CONFIG).unwrap();
    assert_eq!(parsed.platform(), Platform::host());
    assert_eq!(parsed.config.working_dir, "/");
}

#[test]
fn runtime_settings_are_read_and_written_in_gos_order() {
    let text = concat!(
        r#"{"User":"1:2","ExposedPorts":{"80/tcp":{}},"Env":["A=b"],"Entrypoint":["e"],"Cmd":["c"],"#,
        r#""Volumes":{"/v":{}},"WorkingDir":"/w","Labels":{"k":"v"},"StopSignal":"TERM"}"#
    );
    let config: exporter_image::config::RuntimeConfig = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&config).unwrap(), text);
}
