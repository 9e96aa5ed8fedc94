//! Image names are read as Docker reads them.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use exporter_image::{Error, ImageName, NameProblem};

#[test]
fn names_are_normalised_as_docker_does() {
    let hex = "a".repeat(64);
    for (given, full, familiar) in [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("library/busybox:1", "docker.io/library/busybox:1", "busybox:1"),
        ("org/repo:tag1", "docker.io/org/repo:tag1", "org/repo:tag1"),
        ("index.docker.io/a/b", "docker.io/a/b:latest", "a/b:latest"),
        ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
        ("Host/x", "Host/x:latest", "Host/x:latest"),
        ("host:5000/x/y", "host:5000/x/y:latest", "host:5000/x/y:latest"),
        ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
        ("a/b__c-d--e.f", "docker.io/a/b__c-d--e.f:latest", "a/b__c-d--e.f:latest"),
        (&format!("a/b@sha256:{hex}"), &format!("docker.io/a/b@sha256:{hex}"), &format!("a/b@sha256:{hex}")),
        (&format!("a/b:t@sha256:{hex}"), &format!("docker.io/a/b:t@sha256:{hex}"), &format!("a/b:t@sha256:{hex}")),
    ] {
        let name: ImageName = given.parse().unwrap();
        assert_eq!((name.to_string().as_str(), name.familiar().as_str()), (full, familiar));
        assert_eq!(name.to_string().parse::<ImageName>().unwrap(), name);
    }
}

#[test]
fn names_that_are_none_are_refused() {
    let long = format!("a.b/{}", "x".repeat(252));
    let id = "0".repeat(64);
    for (name, expected) in [
        ("", NameProblem::Malformed),
        ("/", NameProblem::Malformed),
        ("a//b", NameProblem::Malformed),
        ("a/../b", NameProblem::Malformed),
        ("-a", NameProblem::Malformed),
        ("a___b", NameProblem::Malformed),
        ("a..b/c/d..e", NameProblem::Malformed),
        ("a:", NameProblem::Malformed),
        ("a:b/c:d e", NameProblem::Malformed),
        ("a:.tag", NameProblem::Malformed),
        ("a@sha256:12", NameProblem::Malformed),
        ("a b", NameProblem::Malformed),
        ("a\n", NameProblem::Malformed),
        ("ho_st.x/a", NameProblem::Malformed),
        ("h.x:port/a", NameProblem::Malformed),
        ("repo/Upper", NameProblem::UpperCase),
        (&long, NameProblem::TooLong),
        (&id, NameProblem::Identifier),
    ] {
        match name.parse::<ImageName>() {
            Err(Error::Name { problem, .. }) => assert_eq!(problem, expected, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}
