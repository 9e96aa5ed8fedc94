//! skopeo and umoci read the image that the tool makes.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;
use std::process::Command;

use support::{assert_same_tree, run_json, shell, succeed, with_tools};

/// Steps that make every kind of file, delete some, and replace a directory.
const STEPS: [(&str, &str); 4] = [
    (
        "make",
        "mkdir -p usr/bin usr/share/deep/er etc; cp /bin/ls usr/bin/ls; echo one > etc/one; ln etc/one etc/one-hard; \
         ln -s ../etc/one usr/link; mkfifo usr/fifo; chmod 4755 usr/bin/ls; echo x > usr/share/deep/er/x; echo y > usr/share/deep/y; \
         printf 'caf\\303\\251' > \"$(printf 'caf\\303\\251')\"; echo gone > etc/gone",
    ),
    ("rights", "chown 1000:2000 etc/one; setcap cap_net_raw+ep usr/bin/ls; mknod usr/null c 1 3; chmod 1777 usr/share"),
    ("delete", "rm -r etc/gone usr/share/deep/er; rm usr/link"),
    (
        "replace",
        "rm -r usr/share/deep; mkdir usr/share/deep; echo new > usr/share/deep/new; ln -s new usr/share/deep/link",
    ),
];

fn build(store: &Path, layout: &Path, compression: &str) -> serde_json::Value {
    let mut arguments = vec!["build".to_owned(), "--json".into(), "--progress=quiet".into()];
    arguments.push(format!("--store={}", store.display()));
    for (key, command) in STEPS {
        arguments.push(format!("--step={key}={command}"));
    }
    arguments.push(format!(
        "--output=type=oci,dest={},tar=false,name=example.com/demo:latest,compression={compression}",
        layout.display()
    ));
    run_json(arguments)
}

#[test]
fn skopeo_inspects_and_copies_the_image_and_umoci_unpacks_the_tree_that_the_commands_make() {
    let test = "skopeo and umoci on an image";
    if !with_tools(test, &["skopeo", "umoci", "setcap"]) || !support::is_root(test) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let plain = work.path().join("plain");
    std::fs::create_dir(&plain).unwrap();
    for (_, command) in STEPS {
        shell(&plain, command);
    }
    for compression in ["gzip", "zstd", "uncompressed"] {
        let layout = work.path().join(format!("layout-{compression}"));
        let built = build(&work.path().join("store"), &layout, compression);
        let digest = built["outputs"][0]["digest"].as_str().unwrap().to_owned();
        let source = format!("oci:{}:latest", layout.display());

        let inspected = succeed(Command::new("skopeo").args(["inspect", &source]));
        let inspected: serde_json::Value = serde_json::from_slice(&inspected.stdout).unwrap();
        assert_eq!(inspected["Digest"].as_str().unwrap(), digest);
        assert_eq!(inspected["Layers"].as_array().unwrap().len(), STEPS.len());

        let copy = work.path().join(format!("copy-{compression}"));
        succeed(Command::new("skopeo").args([
            "--insecure-policy",
            "copy",
            &source,
            &format!("oci:{}:copied", copy.display()),
        ]));

        // umoci 0.4.7 reads no zstd.
        if compression == "zstd" {
            continue;
        }
        let bundle = work.path().join(format!("bundle-{compression}"));
        succeed(Command::new("umoci").args(["unpack", "--image", &format!("{}:copied", copy.display())]).arg(&bundle));
        assert_same_tree(&bundle.join("rootfs"), &plain);
    }
}
