//! Builds as the tests ask for them, and what they look at afterwards.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{layercache, run_json, succeed};

/// One run of `layercache build`, with native snapshots unless told otherwise.
#[derive(Clone, Debug)]
pub struct Build {
    arguments: Vec<OsString>,
    snapshotter: &'static str,
}

impl Build {
    /// A build of `steps` in the store `store`.
    pub fn new(store: &Path, steps: &[(&str, &str)]) -> Self {
        let mut build = Self { arguments: Vec::new(), snapshotter: "native" }.with(option("store", store));
        for (key, command) in steps {
            build = build.with(format!("--step={key}={command}"));
        }
        build
    }

    /// The same with one more argument.
    #[must_use]
    pub fn with(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// The same with another snapshotter.
    #[must_use]
    pub fn with_snapshotter(mut self, snapshotter: &'static str) -> Self {
        self.snapshotter = snapshotter;
        self
    }

    /// The same, writing the image to the layout `directory` under the tag `latest`.
    #[must_use]
    pub fn with_layout(self, directory: &Path) -> Self {
        self.with(format!("--output=type=oci,tar=false,name=example.com/demo:latest,dest={}", directory.display()))
    }

    /// The same, exporting a local cache to `directory` with more `attributes`.
    #[must_use]
    pub fn with_cache_export(self, directory: &Path, attributes: &str) -> Self {
        self.with(format!("--export-cache=type=local,dest={}{attributes}", directory.display()))
    }

    /// The same, looking in the local cache in `directory`.
    #[must_use]
    pub fn with_cache_import(self, directory: &Path) -> Self {
        self.with(format!("--import-cache=type=local,src={}", directory.display()))
    }

    /// The command, with JSON as its result and as its progress.
    pub fn command(&self) -> Command {
        let mut command = layercache(["build", "--json", "--progress=json"]);
        command.arg(format!("--snapshotter={}", self.snapshotter)).args(&self.arguments);
        command
    }

    /// Runs it. It must succeed.
    pub fn run(&self) -> Value {
        serde_json::from_slice(&succeed(&mut self.command()).stdout).unwrap()
    }
}

/// `--name=value`.
pub fn option(name: &str, value: &Path) -> OsString {
    let mut argument = OsString::from(format!("--{name}="));
    argument.push(value);
    argument
}

/// What became of each step.
pub fn states(report: &Value) -> Vec<&str> {
    report["steps"].as_array().unwrap().iter().map(|step| step["state"].as_str().unwrap()).collect()
}

/// The digest and the DiffID of each layer of the image `source`.
pub fn layers(source: &str) -> Vec<(String, String)> {
    let image = run_json(["image", "inspect", source, "--json"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let layers = image["layers"].as_array().unwrap();
    layers.iter().map(|layer| (text(&layer["digest"]), text(&layer["diffID"]))).collect()
}

/// The image `latest` of the layout `directory`.
pub fn latest(directory: &Path) -> String {
    format!("oci:{}:latest", directory.display())
}

/// The warnings among the progress on standard error.
pub fn warnings(stderr: &[u8]) -> Vec<String> {
    let lines = stderr.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let warnings = lines.filter(|event| event["event"] == "warning");
    warnings.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

/// The files of the blob `digest` in a layout or a store.
pub fn blob(directory: &Path, digest: &str) -> PathBuf {
    directory.join("blobs").join(digest.replace(':', "/"))
}

/// Asserts that `fsck` finds no damage in `store`.
pub fn assert_undamaged(store: &Path) {
    let found = run_json([OsString::from("fsck"), "--json".into(), option("store", store)]);
    assert_eq!(found["damage"].as_array().unwrap().len(), 0, "{found}");
}

/// Asserts that `prune --all` leaves no blob, no ingest and no snapshot in `store`.
pub fn assert_prunes_to_nothing(store: &Path) {
    run_json([OsString::from("prune"), "--all".into(), "--json".into(), option("store", store)]);
    let usage = run_json([OsString::from("du"), "--json".into(), option("store", store)]);
    assert_eq!(usage["records"].as_array().unwrap().len(), 0, "{usage}");
    for directory in ["blobs/sha256", "ingest", "snapshots"] {
        let left: Vec<_> =
            std::fs::read_dir(store.join(directory)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, Vec::<PathBuf>::new());
    }
}
