//! zstd layers under Docker media types are allowed, and the tool says what is wrong with them.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;

use support::building::{latest, option};
use support::{layercache, run_json, succeed};

/// The warnings of a build of `output`, as the lines that people see.
fn warnings(store: &Path, output: &str) -> Vec<String> {
    let mut command = layercache(["build", "--snapshotter=native", "--progress=plain", "--step=make=echo made > made"]);
    let output = format!("--output={output},name=example.com/demo:latest");
    let stderr = succeed(command.arg(option("store", store)).arg(output)).stderr;
    let stderr = String::from_utf8(stderr).unwrap();
    stderr.lines().filter(|line| line.contains(": warning: ")).map(str::to_owned).collect()
}

#[test]
fn zstd_with_docker_media_types_is_built_with_a_warning_on_standard_error() {
    let work = tempfile::tempdir().unwrap();
    let place = |name: &str| work.path().join(name);
    let (layout, store) = (place("layout"), place("store"));
    let zstd = "compression=zstd,force-compression=true";
    for output in [
        format!("type=oci,tar=false,dest={}", layout.display()),
        format!("type=oci,dest={}", place("oci.tar").display()),
        format!("type=docker,dest={}", place("docker.tar").display()),
        "type=image".to_owned(),
    ] {
        let told = warnings(&store, &format!("{output},{zstd},oci-mediatypes=false"));
        assert!(matches!(&told[..], [line] if line.contains("zstd")), "{output}: {told:?}");
        for other in [&format!("{zstd},oci-mediatypes=true"), zstd, "force-compression=true,oci-mediatypes=false"] {
            let output = output.replace(".tar", ".other.tar").replace("/layout", "/other");
            assert_eq!(warnings(&store, &format!("{output},{other}")), [""; 0], "{output},{other}");
        }
    }
    let manifest = run_json(["image", "inspect", &latest(&layout), "--json"]);
    assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.docker.image.rootfs.diff.tar.zstd");
}
