//! No archive gets out of its root: the cases of containerd's `TestBreakouts`, in both ways of resolving paths.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "support/jail.rs"]
mod jail;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use cache_blobs::apply::{Error, Problem};
use cache_blobs::tar::Header;
use jail::{Jail, RESOLUTIONS, directory, file, hard_link, link};

type Entries = Vec<(Header, &'static str)>;

/// Unpacks into a fresh root for each resolution, and hands the root over.
fn contained(entries: Entries, check: impl Fn(&Jail)) {
    for resolution in RESOLUTIONS {
        let jail = Jail::new(resolution);
        jail.unpack(&entries).unwrap();
        check(&jail);
    }
}

/// Unpacks what writes `etc/unbroken` by way of links.
fn unbroken(entries: Entries) {
    contained(entries, |jail| assert_eq!(jail.read("etc/unbroken"), "unbroken"));
}

/// Unpacks what links `localpasswd` to `etc/passwd` by way of links.
fn linked(entries: Entries) {
    let entries = [vec![directory("etc"), file("etc/passwd", "inside")], entries].concat();
    contained(entries, |jail| {
        assert_eq!(jail.read("localpasswd"), "inside");
        assert!(jail.is_same_file("localpasswd", "etc/passwd"));
    });
}

fn refused(entries: Entries) {
    for resolution in RESOLUTIONS {
        let jail = Jail::new(resolution);
        let all = [vec![directory("etc"), file("etc/passwd", "inside")], entries.clone()].concat();
        assert!(matches!(jail.unpack(&all), Err(Error::Invalid { problem: Problem::WhiteoutName, .. })));
        assert_eq!(jail.read("etc/passwd"), "inside");
    }
}

#[test]
fn symlink_absolute() {
    unbroken(vec![directory("etc"), link("localetc", "/etc/"), file("localetc/unbroken", "unbroken")]);
}

#[test]
fn symlink_up_and_out() {
    unbroken(vec![directory("etc"), link("localetc", "/../etc"), file("localetc/unbroken", "unbroken")]);
}

#[test]
fn symlink_multiple_absolute() {
    unbroken(vec![
        directory("etc"),
        link("one", "/two/../two"),
        link("two", "/three"),
        link("three", "/etc"),
        file("one/unbroken", "unbroken"),
    ]);
}

#[test]
fn symlink_multiple_relative() {
    unbroken(vec![
        directory("etc"),
        directory("d"),
        link("d/one", "../../two"),
        link("two", "../../../three"),
        link("three", "./etc"),
        file("d/one/unbroken", "unbroken"),
    ]);
}

#[test]
fn symlink_empty_file() {
    contained(
        vec![directory("etc"), file("etc/emptied", "full"), link("localetc", "/etc"), file("localetc/emptied", "")],
        |jail| assert_eq!(jail.read("etc/emptied"), ""),
    );
}

#[test]
fn hardlink_relative() {
    linked(vec![link("localetc", "../etc"), hard_link("localpasswd", "localetc/passwd")]);
}

#[test]
fn hardlink_down_and_out() {
    linked(vec![
        directory("down"),
        directory("down/down"),
        link("down/down/up", "../../../../../etc"),
        hard_link("localpasswd", "down/down/up/passwd"),
    ]);
}

#[test]
fn hardlink_absolute() {
    linked(vec![link("localetc", "/etc"), hard_link("localpasswd", "localetc/passwd")]);
}

#[test]
fn hardlink_relative_long() {
    linked(vec![link("localetc", "../../../../../../../etc"), hard_link("localpasswd", "/localetc/passwd")]);
}

#[test]
fn hardlink_relative_up_and_out() {
    linked(vec![
        link("localetc", "upandout/../../../etc"),
        directory("upandout"),
        hard_link("localpasswd", "localetc/passwd"),
    ]);
}

#[test]
fn hardlink_direct_relative() {
    linked(vec![hard_link("localpasswd", "../../../../../etc/passwd")]);
}

#[test]
fn hardlink_direct_absolute() {
    linked(vec![hard_link("localpasswd", "/etc/passwd")]);
}

#[test]
fn symlink_parent_directory() {
    linked(vec![link("..", "/etc/"), hard_link("localpasswd", "/etc/passwd")]);
}

#[test]
fn symlink_empty_filename() {
    linked(vec![link("", "/etc/"), hard_link("localpasswd", "/etc/passwd")]);
}

#[test]
fn symlink_parent_relative() {
    linked(vec![link("localetc/../..", "/etc/"), hard_link("localpasswd", "/etc/passwd")]);
}

#[test]
fn symlink_slash_ended() {
    linked(vec![link("localetc/", "/etc/"), hard_link("localpasswd", "/localetc/passwd")]);
}

#[test]
fn symlink_override_directory() {
    contained(vec![directory("d"), directory("d/etc"), file("d/etc/old", ""), link("d/etc", "/etc")], |jail| {
        assert_eq!(jail.target("d/etc"), "/etc")
    });
}

#[test]
fn symlink_override_directory_relative() {
    contained(vec![directory("d"), directory("d/etc"), link("d/etc", "../../../etc")], |jail| {
        assert_eq!(jail.target("d/etc"), "../../../etc")
    });
}

#[test]
fn directory_override_symlink() {
    contained(
        vec![directory("etc"), file("etc/passwd", "x"), link("localetc", "etc"), directory("localetc")],
        |jail| {
            assert!(jail.at("localetc").symlink_metadata().unwrap().is_dir());
            assert!(!jail.exists("localetc/passwd"));
        },
    );
}

#[test]
fn directory_override_symlink_and_hardlink() {
    contained(
        vec![
            directory("etc"),
            file("etc/emptied", "notempty"),
            link("localetc", "etc"),
            hard_link("localetc/linked", "etc/emptied"),
            directory("localetc"),
            file("localetc/linked", "new"),
        ],
        |jail| {
            assert!(!jail.is_same_file("localetc/linked", "etc/emptied"));
            assert_eq!(jail.read("etc/emptied"), "notempty");
        },
    );
}

#[test]
fn whiteout_root_parent() {
    refused(vec![file(".wh...", "")]);
}

#[test]
fn whiteout_parent() {
    refused(vec![file("etc/.wh...", "")]);
}

#[test]
fn whiteout_root() {
    refused(vec![file(".wh..", "")]);
}

#[test]
fn whiteout_current_directory() {
    refused(vec![file("etc/.wh..", "")]);
    refused(vec![file("etc/.wh.", "")]);
}

#[test]
fn whiteout_symlink() {
    contained(
        vec![directory("etc"), file("etc/passwd", "inside"), link("localetc", "etc"), file(".wh.localetc", "")],
        |jail| {
            assert!(!jail.exists("localetc"));
            assert_eq!(jail.read("etc/passwd"), "inside");
        },
    );
}

#[test]
fn whiteout_symlink_path() {
    contained(
        vec![directory("etc"), file("etc/emptied", ""), link("localetc", "/etc"), file("localetc/.wh.emptied", "")],
        |jail| assert!(jail.exists("etc") && !jail.exists("etc/emptied")),
    );
}

#[test]
fn whiteout_directory_name() {
    contained(vec![directory("etc"), file(".wh.etc/somefile", "x")], |jail| {
        assert!(jail.exists("etc"));
        assert_eq!(jail.read(".wh.etc/somefile"), "x");
    });
}

#[test]
fn whiteout_dead_symlink_parent() {
    contained(vec![link("passwd", "/nowhere/passwd"), file("passwd/.wh.x", "")], |jail| {
        assert_eq!(jail.target("passwd"), "/nowhere/passwd");
        assert!(jail.exists("nowhere/passwd"));
    });
}

#[test]
fn whiteout_relative_path() {
    contained(vec![directory("etc"), file("etc/x", ""), file("dne/../.wh.etc", "")], |jail| {
        assert!(!jail.exists("etc"));
    });
}

#[test]
fn symlink_override_path() {
    contained(
        vec![
            directory("dir"),
            link("dir/link", "/"),
            directory("dir/link"),
            link("dir", "/"),
            file("dir/tmp/unbroken", "unbroken"),
        ],
        |jail| {
            assert_eq!(jail.read("tmp/unbroken"), "unbroken");
            assert!(!std::path::Path::new("/tmp/unbroken").exists());
        },
    );
}

#[test]
fn hardlink_symlink_before_create_target() {
    contained(
        vec![
            directory("etc"),
            link("passwdlink", "/etc/passwd"),
            hard_link("localpasswd", "passwdlink"),
            file("etc/passwd", "x"),
        ],
        |jail| {
            assert_eq!(jail.target("localpasswd"), "/etc/passwd");
            assert!(jail.is_same_file("localpasswd", "passwdlink"));
        },
    );
}

#[test]
fn hardlink_symlink_relative() {
    contained(
        vec![
            directory("etc"),
            file("etc/passwd", "x"),
            link("passwdlink", "../../../../etc/passwd"),
            hard_link("localpasswd", "passwdlink"),
        ],
        |jail| assert_eq!(jail.target("localpasswd"), "../../../../etc/passwd"),
    );
}

#[test]
fn hardlink_symlink_absolute() {
    contained(
        vec![
            directory("etc"),
            file("etc/passwd", "x"),
            link("passwdlink", "/etc/passwd"),
            hard_link("localpasswd", "passwdlink"),
        ],
        |jail| assert_eq!(jail.target("localpasswd"), "/etc/passwd"),
    );
}

#[test]
fn hardlink_symlink_chmod() {
    for resolution in RESOLUTIONS {
        let jail = Jail::new(resolution);
        let secret = jail.at("../secret");
        let target = secret.to_str().unwrap().to_owned();
        let entries =
            [(Header::symlink("link", target), ""), (Header::hard_link("other", "link").with_mode(0o777), "")];
        jail.unpack(&entries).unwrap();
        assert_eq!(secret.metadata().unwrap().permissions().mode() & 0o777, 0o400);
    }
}

#[test]
fn the_root_itself_cannot_become_a_link() {
    // CVE-2021-29136.
    for name in [".", "/", "./", "..", "a/..", ""] {
        contained(vec![link(name, "/etc"), file("etc/unbroken", "x")], |jail| {
            assert!(jail.root().symlink_metadata().unwrap().is_dir());
            assert_eq!(jail.read("etc/unbroken"), "x");
        });
    }
}

#[test]
fn dots_and_links_of_umoci_and_kaniko_stay_inside() {
    // umoci#27, CVE-2026-28406.
    contained(vec![file("../../x", "x"), file("/../../y", "y"), file("a/../../../z", "z")], |jail| {
        assert_eq!((jail.read("x"), jail.read("y"), jail.read("z")), ("x".into(), "y".into(), "z".into()));
    });
}

#[test]
fn a_legitimate_link_is_replaced() {
    // kaniko's first fix refused this.
    contained(
        vec![directory("bin"), link("bin/sh", "/bin/dash"), file("bin/dash", "dash"), file("bin/sh", "bash")],
        |jail| assert_eq!((jail.read("bin/sh"), jail.read("bin/dash")), ("bash".into(), "dash".into())),
    );
}

#[test]
fn directory_modes_and_times_are_not_set_through_a_link() {
    // CVE-2026-33056: the second pass over directories followed a link that had taken a directory's place.
    for resolution in RESOLUTIONS {
        let jail = Jail::new(resolution);
        let outside = jail.at("../etc");
        let before = outside.metadata().unwrap();
        let entries = [
            (Header::directory("d").with_mode(0o055), ""),
            (Header::symlink("d", "../../etc"), ""),
            (Header::directory("e").with_mode(0o055), ""),
            (Header::directory("e/etc").with_mode(0o055), ""),
            (Header::symlink("e", "../.."), ""),
        ];
        jail.unpack(&entries).unwrap();
        let after = outside.metadata().unwrap();
        assert_eq!((before.mode(), before.mtime()), (after.mode(), after.mtime()));
    }
}

#[test]
fn a_link_to_a_directory_above_creates_nothing_there() {
    // RUSTSEC-2021-0080.
    contained(vec![link("up", "../.."), file("up/new/file", "x")], |jail| {
        assert_eq!(jail.read("new/file"), "x");
    });
}

#[test]
fn a_hard_link_to_a_directory_is_refused() {
    for resolution in RESOLUTIONS {
        for target in ["..", ".", "/", "", "d/..", "d"] {
            let jail = Jail::new(resolution);
            assert!(jail.unpack(&[directory("d"), hard_link("x", target)]).is_err(), "{target}");
        }
    }
}

#[test]
fn a_whiteout_does_not_delete_through_a_link() {
    // CVE-2024-23652.
    for resolution in RESOLUTIONS {
        let jail = Jail::new(resolution);
        fs::create_dir(jail.at("tree")).unwrap();
        jail::make_link(&jail.at("tree/out"), "../../etc");
        jail::make_link(&jail.at("tree/absolute"), jail.at("../../etc").to_str().unwrap());
        jail.unpack(&[file(".wh.tree", "")]).unwrap();
        assert!(!jail.exists("tree"));
    }
}
