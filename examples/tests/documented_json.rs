//! What `--json` prints has the keys that docs/cli.md lists, in the place where it lists them.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::ffi::OsString;
use std::path::Path;

use serde_json::Value;
use support::building::{Build, blob, latest, option};
use support::run_json;
use tempfile::tempdir;

const STEPS: [(&str, &str); 2] = [("one", "echo one > one"), ("two", "echo two > two")];

/// The object of the documentation that begins with `start`, with its alternatives and placeholders left as they are.
fn documented(start: &str) -> &'static str {
    let text = include_str!("../../docs/cli.md");
    let from = text.find(start).unwrap_or_else(|| panic!("docs/cli.md has no {start}"));
    let mut depth = 0;
    let end = text[from..].find(|character| {
        depth += match character {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        depth == 0
    });
    &text[from..=from + end.unwrap()]
}

/// The keys of the documented object, outermost first; those of inner objects after a dot.
fn keys(object: &str) -> Vec<String> {
    let (mut path, mut keys): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for (at, part) in object.split('"').enumerate() {
        if at % 2 == 1 {
            let name = path.iter().chain([&part.to_owned()]).cloned().collect::<Vec<_>>().join(".");
            keys.push(name);
            continue;
        }
        for character in part.chars() {
            match character {
                '{' if at > 0 => path.push(keys.last().unwrap().rsplit('.').next().unwrap().to_owned()),
                '}' => drop(path.pop()),
                _ => {}
            }
        }
    }
    // What stands between quotes after a colon is a value, as in "state":"cached|run".
    keys.retain(|key| !key.contains('|') && !key.ends_with('.'));
    keys
}

/// Whether `value`, or the first of its elements, has the key `path`.
fn has(value: &Value, path: &str) -> bool {
    match (value, path.split_once('.')) {
        (Value::Array(elements), _) => elements.iter().any(|element| has(element, path)),
        (Value::Object(object), None) => object.contains_key(path),
        (Value::Object(object), Some((first, rest))) => object.get(first).is_some_and(|inner| has(inner, rest)),
        _ => false,
    }
}

fn assert_documented(start: &str, printed: &Value) {
    let keys = keys(documented(start));
    assert!(keys.len() > 1, "{keys:?}");
    for key in keys {
        assert!(has(printed, &key), "{key} of {start} is missing in {printed}");
    }
}

fn command(words: &[&str], options: &[(&str, &Path)]) -> Value {
    let words = words.iter().map(OsString::from);
    run_json(words.chain(options.iter().map(|(name, value)| option(name, value))).chain(["--json".into()]))
}

#[test]
fn every_documented_key_is_printed_in_its_place() {
    let work = tempdir().unwrap();
    let place = |name: &str| work.path().join(name);
    let (store, image) = (place("store"), place("image"));
    let build = Build::new(&store, &STEPS).with_layout(&image).with_cache_export(&place("cache"), ",mode=max");
    let built = build.run();
    assert_documented("{\"steps\":", &built);

    std::fs::create_dir(place("tree")).unwrap();
    std::fs::write(place("tree/file"), "content").unwrap();
    let layer = command(&["diff", "--lower="], &[("store", &store), ("upper", &place("tree"))]);
    assert_documented("{\"mediaType\",\"digest\",\"size\",\"diffID\",\"uncompressedSize\"", &layer);

    let digest = layer["digest"].as_str().unwrap();
    let file = blob(&store, digest);
    assert_documented("{\"diffID\",\"entries\"", &command(&["apply"], &[("blob", &file), ("into", &place("into"))]));
    let converted = command(&["convert", "--compression=zstd"], &[("blob", &file), ("store", &store)]);
    assert_documented("{\"mediaType\",\"digest\",\"size\",\"diffID\",\"annotations\",\"missing\"}", &converted);
    let verified = command(&["verify", "--blob", digest], &[("store", &store)]);
    assert_documented("{\"same\":bool", &verified);

    let spec = format!("type=local,src={}", place("cache").display());
    assert_documented("{\"layout\":", &command(&["cache", "inspect", &spec], &[]));
    assert_documented("{\"digest\",\"mediaType\",\"config\"", &command(&["image", "inspect", &latest(&image)], &[]));
    assert_documented("{\"bytes\",\"records\"", &command(&["du"], &[("store", &store)]));
}
