//! skopeo and umoci read the image that the tool makes.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::process::Command;

use support::building::{Build, latest, layers};
use support::{assert_same_tree, is_root, shell, succeed, with_tools};

/// Steps that make every kind of file, delete some, and replace a directory.
const STEPS: [(&str, &str); 4] = [
    (
        "make",
        "mkdir -p usr/bin usr/share/deep/er etc; cp /bin/ls usr/bin/ls; echo one > etc/one; ln etc/one etc/one-hard; \
         chown 3:4 etc/one; echo two > etc/two; \
         ln -s ../etc/one usr/link; mkfifo usr/fifo; chmod 4755 usr/bin/ls; echo x > usr/share/deep/er/x; echo y > usr/share/deep/y; \
         printf 'caf\\303\\251' > \"$(printf 'caf\\303\\251')\"; echo gone > etc/gone",
    ),
    ("rights", "chown 1000:2000 etc/two; setcap cap_net_raw+ep usr/bin/ls; mknod usr/null c 1 3; chmod 1777 usr/share"),
    ("delete", "rm -r etc/gone usr/share/deep/er; rm usr/link"),
    (
        "replace",
        "rm -r usr/share/deep; mkdir usr/share/deep; echo new > usr/share/deep/new; ln -s new usr/share/deep/link",
    ),
];

/// Over copies, a change of a file is seen under all its names, as in a plain directory; overlayfs copies one name up.
const OVER_COPIES: (&str, &str) = ("names", "chown 5:6 etc/one-hard; echo more >> etc/one");

fn is_ready(test: &str) -> bool {
    with_tools(test, &["skopeo", "umoci", "setcap"]) && is_root(test)
}

/// Builds the image of `steps` and lets skopeo and umoci have it.
fn assert_read_by_others(snapshotter: &'static str, steps: &[(&str, &str)]) {
    let work = tempfile::tempdir().unwrap();
    let plain = work.path().join("plain");
    std::fs::create_dir(&plain).unwrap();
    for (_, command) in steps {
        shell(&plain, command);
    }
    for compression in ["gzip", "zstd", "estargz", "uncompressed"] {
        let layout = work.path().join(format!("layout-{compression}"));
        let output = format!(
            "--output=type=oci,dest={},tar=false,name=example.com/demo:latest,compression={compression}",
            layout.display()
        );
        let build = Build::new(&work.path().join(format!("store-{compression}")), steps)
            .with_snapshotter(snapshotter)
            .with(output);
        let built = build.run();

        let source = latest(&layout);
        let inspected = succeed(Command::new("skopeo").args(["inspect", &source]));
        let inspected: serde_json::Value = serde_json::from_slice(&inspected.stdout).unwrap();
        assert_eq!(inspected["Digest"], built["outputs"][0]["digest"]);
        assert_eq!(inspected["Layers"].as_array().unwrap().len(), steps.len());

        let copy = work.path().join(format!("copy-{compression}")).display().to_string();
        succeed(Command::new("skopeo").args(["--insecure-policy", "copy", &source, &format!("oci:{copy}:copied")]));

        // umoci 0.4.7 reads no zstd.
        if compression != "zstd" {
            let bundle = work.path().join(format!("bundle-{compression}"));
            succeed(Command::new("umoci").args(["unpack", "--image", &format!("{copy}:copied")]).arg(&bundle));
            assert_same_tree(&bundle.join("rootfs"), &plain);
        }
    }
}

#[test]
fn skopeo_copies_an_image_and_umoci_unpacks_the_tree_that_the_commands_make_over_overlayfs() {
    if is_ready("skopeo and umoci on an image made over overlayfs") {
        assert_read_by_others("overlayfs", &STEPS);
    }
}

#[test]
fn skopeo_copies_an_image_and_umoci_unpacks_the_tree_that_the_commands_make_over_copies() {
    if is_ready("skopeo and umoci on an image made over copies") {
        assert_read_by_others("native", &[&STEPS[..], &[OVER_COPIES]].concat());
    }
}

#[test]
fn skopeo_decompresses_gzip_zstd_and_estargz_layers_to_their_diff_ids() {
    if !with_tools("skopeo on compressed layers", &["skopeo"]) {
        return;
    }
    // Several blocks of gzip and frames of zstd, which it must read as one stream.
    let large = "seq 1 1500000 > numbers; head -c 9000000 /dev/urandom > noise; ln numbers hard; : > empty";
    let steps = [("large", large), ("small", "rm hard; echo small > small")];
    let work = tempfile::tempdir().unwrap();
    let compressions = ["gzip", "zstd", "estargz"];
    let build = compressions.iter().fold(Build::new(&work.path().join("store"), &steps), |build, compression| {
        let attributes = format!("compression={compression},force-compression=true,name=example.com/demo:latest");
        let layout = work.path().join(compression);
        build.with(format!("--output=type=oci,tar=false,dest={},{attributes}", layout.display()))
    });
    build.run();
    for compression in compressions {
        let (packed, diff_ids): (Vec<_>, Vec<_>) = layers(&latest(&work.path().join(compression))).into_iter().unzip();
        assert!(packed.iter().all(|digest| !diff_ids.contains(digest)), "{compression}");
        let (source, copy) = (format!("oci:{compression}:latest"), format!("dir:plain-{compression}"));
        shell(work.path(), &format!("skopeo --insecure-policy copy --dest-decompress {source} {copy}"));
        let manifest = std::fs::read(work.path().join(format!("plain-{compression}/manifest.json"))).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        let plain = manifest["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].as_str().unwrap());
        assert_eq!(plain.collect::<Vec<_>>(), diff_ids, "{compression}");
    }
}
