//! Unpacking follows the rules of containerd.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

#[path = "support/jail.rs"]
mod jail;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use cache_blobs::apply::{
    ApplyLimit, ApplyLimits, ApplyOptions, Error, OverlayXattrs, Ownership, Problem, Whiteouts, unpack,
};
use cache_blobs::changes::MemoryTree;
use cache_blobs::tar::{Header, Kind, Timestamp, Writer};
use jail::{Jail, RESOLUTIONS, archive, directory, file, hard_link, link};

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn each(test: impl Fn(&Jail)) {
    for resolution in RESOLUTIONS {
        test(&Jail::new(resolution));
    }
}

fn xattr(jail: &Jail, path: &str, key: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 100];
    let count = rustix::fs::lgetxattr(jail.at(path), key, &mut value[..]).ok()?;
    value.truncate(count);
    Some(value)
}

fn supports_user_xattrs(jail: &Jail) -> bool {
    rustix::fs::setxattr(jail.root(), "user.test", b"1", rustix::fs::XattrFlags::empty()).is_ok()
}

#[test]
fn missing_parents_have_mode_755_whatever_the_umask() {
    each(|jail| {
        jail.unpack(&[file("a/b/c", "x")]).unwrap();
        assert_eq!(jail.at("a").metadata().unwrap().mode() & 0o7777, 0o755);
        assert_eq!(jail.at("a/b").metadata().unwrap().mode() & 0o7777, 0o755);
    });
}

#[test]
fn a_directory_takes_over_a_directory_and_replaces_everything_else() {
    each(|jail| {
        fs::create_dir_all(jail.at("d")).unwrap();
        fs::write(jail.at("d/kept"), "x").unwrap();
        fs::write(jail.at("f"), "x").unwrap();
        jail.unpack(&[(Header::directory("d").with_mode(0o711), ""), directory("f")]).unwrap();
        assert_eq!(jail.read("d/kept"), "x");
        assert_eq!(jail.at("d").metadata().unwrap().mode() & 0o7777, 0o711);
        assert!(jail.at("f").is_dir());
    });
}

#[test]
fn a_file_replaces_a_directory_with_everything_in_it() {
    each(|jail| {
        fs::create_dir_all(jail.at("d/e/f")).unwrap();
        fs::write(jail.at("d/e/f/g"), "x").unwrap();
        jail.unpack(&[file("d", "file")]).unwrap();
        assert_eq!(jail.read("d"), "file");
    });
}

#[test]
fn a_replaced_file_leaves_its_other_names_alone() {
    each(|jail| {
        jail.unpack(&[file("a", "old"), hard_link("b", "a"), file("a", "new")]).unwrap();
        assert_eq!((jail.read("a"), jail.read("b")), ("new".into(), "old".into()));
    });
}

#[test]
fn modes_times_and_links_are_those_of_the_archive() {
    each(|jail| {
        let time = Timestamp { seconds: 1_000_000_000, nanos: 123_456_789 };
        let entries = [
            (Header::directory("d").with_mode(0o1777).with_modified(time), ""),
            (Header::file("d/f", 0).with_mode(0o4755).with_modified(time), "x"),
            (Header::symlink("d/s", "f").with_modified(time), ""),
            (Header::new(Kind::Fifo, "d/p").with_mode(0o622).with_modified(time), ""),
            (Header::hard_link("d/h", "d/f").with_mode(0o4755).with_modified(time), ""),
        ];
        jail.unpack(&entries).unwrap();
        for (path, mode) in [("d", 0o1777), ("d/f", 0o4755), ("d/h", 0o4755), ("d/p", 0o622)] {
            let metadata = jail.at(path).symlink_metadata().unwrap();
            assert_eq!(metadata.mode() & 0o7777, mode, "{path}");
            assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1_000_000_000, 123_456_789), "{path}");
        }
        let metadata = jail.at("d/s").symlink_metadata().unwrap();
        assert_eq!((metadata.mtime(), jail.target("d/s")), (1_000_000_000, "f".into()));
        assert!(jail.is_same_file("d/f", "d/h"));
        assert!(jail.at("d/p").symlink_metadata().unwrap().file_type().is_fifo());
    });
}

#[test]
fn times_that_a_file_system_cannot_hold_become_1970() {
    each(|jail| {
        let at = |path, seconds| (Header::file(path, 0).with_modified(Timestamp::from_seconds(seconds)), "");
        jail.unpack(&[at("early", -1), at("late", 1 << 40), at("last", 9_223_372_035)]).unwrap();
        assert_eq!(jail.at("early").metadata().unwrap().mtime(), 0);
        assert_eq!(jail.at("late").metadata().unwrap().mtime(), 0);
        assert!(jail.at("last").metadata().unwrap().mtime() > 0);
    });
}

#[test]
fn the_time_of_access_is_never_before_that_of_modification() {
    each(|jail| {
        let mut early = Header::file("early", 0).with_modified(Timestamp::from_seconds(2000));
        early.records.insert(b"atime".to_vec(), b"1000.5".to_vec());
        let mut late = Header::file("late", 0).with_modified(Timestamp::from_seconds(2000));
        late.records.insert(b"atime".to_vec(), b"3000".to_vec());
        jail.unpack(&[(early, ""), (late, "")]).unwrap();
        assert_eq!(jail.at("early").metadata().unwrap().atime(), 2000);
        assert_eq!(jail.at("late").metadata().unwrap().atime(), 3000);
    });
}

#[test]
fn a_directory_without_access_for_its_owner_can_still_be_filled() {
    each(|jail| {
        let closed = |path| (Header::directory(path).with_mode(0o500), "");
        jail.unpack(&[closed("d"), closed("d/e"), file("d/e/f", "x"), file("d/g", "x")]).unwrap();
        assert_eq!(jail.at("d/e").metadata().unwrap().mode() & 0o777, 0o500);
        assert_eq!(jail.at("d").metadata().unwrap().mode() & 0o777, 0o500);
        for path in ["d", "d/e"] {
            fs::set_permissions(jail.at(path), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        }
    });
}

#[test]
fn a_whiteout_removes_what_is_there_and_is_itself_not_kept() {
    each(|jail| {
        fs::create_dir_all(jail.at("d/e")).unwrap();
        fs::write(jail.at("d/e/f"), "x").unwrap();
        fs::write(jail.at("g"), "x").unwrap();
        jail.unpack(&[file("d/.wh.e", ""), file(".wh.g", ""), file(".wh.never-was", "")]).unwrap();
        assert!(jail.exists("d") && !jail.exists("d/e") && !jail.exists("g"));
        assert_eq!(fs::read_dir(jail.root()).unwrap().count(), 1);
    });
}

#[test]
fn an_opaque_marker_hides_what_was_there_but_not_its_own_layer() {
    for last in [false, true] {
        each(|jail| {
            fs::create_dir_all(jail.at("d/old/deep")).unwrap();
            fs::create_dir_all(jail.at("d/both")).unwrap();
            for path in ["d/f", "d/old/deep/f", "d/both/old", "d/implicit-old"] {
                fs::write(jail.at(path), "old").unwrap();
            }
            let marker = file("d/.wh..wh..opq", "");
            let mut entries = vec![
                directory("d"),
                file("d/new", "new"),
                directory("d/both"),
                file("d/both/new", "new"),
                file("d/implicit/new", "new"),
            ];
            entries.insert(if last { 5 } else { 1 }, marker);
            jail.unpack(&entries).unwrap();
            for gone in ["d/old", "d/f", "d/both/old", "d/implicit-old", "d/.wh..wh..opq"] {
                assert!(!jail.exists(gone), "{gone}");
            }
            for kept in ["d/new", "d/both/new", "d/implicit/new"] {
                assert_eq!(jail.read(kept), "new");
            }
        });
    }
}

#[test]
fn an_opaque_marker_keeps_what_its_layer_put_into_an_old_directory() {
    each(|jail| {
        fs::create_dir_all(jail.at("d/sub")).unwrap();
        fs::write(jail.at("d/sub/old"), "old").unwrap();
        jail.unpack(&[file("d/sub/new", "new"), file("d/.wh..wh..opq", "")]).unwrap();
        assert!(jail.exists("d/sub/new") && !jail.exists("d/sub/old"));
    });
}

#[test]
fn whiteouts_become_those_of_an_overlay() {
    each(|jail| {
        if !supports_user_xattrs(jail) {
            eprintln!("skipped: no user attributes here");
            return;
        }
        let options = jail.options().with_whiteouts(Whiteouts::Overlay(OverlayXattrs::User));
        jail.unpack_with(&[directory("d"), file("d/.wh..wh..opq", ""), file(".wh.gone", "")], &options).unwrap();
        assert_eq!(xattr(jail, "d", "user.overlay.opaque").unwrap(), b"y");
        let metadata = jail.at("gone").symlink_metadata().unwrap();
        assert!(metadata.file_type().is_char_device() && metadata.rdev() == 0);
        if is_root() {
            let options = jail.options().with_whiteouts(Whiteouts::Overlay(OverlayXattrs::Trusted));
            jail.unpack_with(&[directory("t"), file("t/.wh..wh..opq", "")], &options).unwrap();
            assert_eq!(xattr(jail, "t", "trusted.overlay.opaque").unwrap(), b"y");
        }
    });
}

#[test]
fn missing_parents_in_an_upper_directory_look_like_those_below() {
    each(|jail| {
        let mut lower = MemoryTree::new();
        let uid = rustix::process::getuid().as_raw().into();
        let gid = rustix::process::getgid().as_raw().into();
        let time = Timestamp::from_seconds(1000);
        let deep = Header::directory("a/b").with_mode(0o710).with_owner(uid, gid).with_modified(time);
        lower.insert(&Header::directory("a").with_mode(0o1770).with_owner(uid, gid), b"").unwrap();
        lower.insert(&deep, b"").unwrap();
        let options = jail
            .options()
            .with_whiteouts(Whiteouts::Overlay(OverlayXattrs::User))
            .with_parents(vec![Arc::new(MemoryTree::new()), Arc::new(lower)]);
        jail.unpack_with(&[file("a/b/c/.wh.x", "")], &options).unwrap();
        let mode = |path: &str| jail.at(path).metadata().unwrap().mode() & 0o7777;
        assert_eq!((mode("a"), mode("a/b"), mode("a/b/c")), (0o1770, 0o710, 0o755));
    });
}

#[test]
fn attributes_of_the_host_are_left_out_and_reported() {
    each(|jail| {
        if !supports_user_xattrs(jail) {
            eprintln!("skipped: no user attributes here");
            return;
        }
        let header = Header::file("f", 0)
            .with_xattr("user.kept", "v\0w")
            .with_xattr("user.empty", "")
            .with_xattr("trusted.overlay.opaque", "y")
            .with_xattr("user.overlay.redirect", "/")
            .with_xattr("trusted.other", "x");
        let symlink = Header::symlink("s", "f").with_xattr("user.refused", "x");
        let applied = jail.unpack(&[(header, ""), (symlink, "")]).unwrap();
        assert_eq!(xattr(jail, "f", "user.kept").unwrap(), b"v\0w");
        assert_eq!(xattr(jail, "f", "user.empty").unwrap(), b"");
        assert_eq!(xattr(jail, "f", "user.overlay.redirect"), None);
        assert_eq!(xattr(jail, "f", "trusted.other"), None);
        let reported: Vec<_> = applied.xattrs.keys().map(Vec::as_slice).collect();
        assert_eq!(
            reported,
            [&b"trusted.other"[..], b"trusted.overlay.opaque", b"user.overlay.redirect", b"user.refused"]
        );
        assert_eq!(applied.xattrs[&b"user.refused"[..]].examples, [b"s"]);
    });
}

#[test]
fn owners_and_capabilities_survive_in_this_order() {
    if !is_root() {
        eprintln!("skipped: not root");
        return;
    }
    each(|jail| {
        // A capability in version 2 of its format; a change of owner after it would take it away.
        let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let header =
            Header::file("f", 1).with_mode(0o6755).with_owner(12, 34).with_xattr("security.capability", capability);
        let mut writer = Writer::new(Vec::new());
        writer.append(&header, &b"x"[..]).unwrap();
        writer.append(&Header::new(Kind::CharDevice, "null").with_mode(0o666).with_device(1, 3), &b""[..]).unwrap();
        let archive = writer.finish().unwrap();
        let applied = unpack(&archive[..], fs::File::open(jail.root()).unwrap(), &jail.options()).unwrap();
        let metadata = jail.at("f").metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), (12, 34, 0o6755));
        assert_eq!(xattr(jail, "f", "security.capability").unwrap(), capability);
        let device = jail.at("null").metadata().unwrap();
        assert_eq!((device.rdev(), device.mode() & 0o7777), (rustix::fs::makedev(1, 3), 0o666));
        assert_eq!((applied.entries, applied.bytes), (2, 1));
    });
}

#[test]
fn an_owner_that_would_wrap_is_refused() {
    // CVE-2024-40635: an owner above 32 bits became the superuser.
    each(|jail| {
        for owner in [u64::from(u32::MAX), 1 << 32, 1 << 40] {
            let mut writer = Writer::new(Vec::new());
            writer.append(&Header::file("f", 0).with_owner(owner, 0), &b""[..]).unwrap();
            let archive = writer.finish().unwrap();
            let options = jail.options().with_ownership(Ownership::Preserve);
            let result = unpack(&archive[..], fs::File::open(jail.root()).unwrap(), &options);
            assert!(matches!(result, Err(Error::Invalid { problem: Problem::Owner, .. })));
            assert!(!jail.exists("f"));
        }
    });
}

#[test]
fn without_ownership_everything_belongs_to_the_current_user() {
    each(|jail| {
        let mut writer = Writer::new(Vec::new());
        writer.append(&Header::file("f", 0).with_owner(1 << 40, 99), &b""[..]).unwrap();
        let archive = writer.finish().unwrap();
        let options = jail.options().with_ownership(Ownership::Current);
        unpack(&archive[..], fs::File::open(jail.root()).unwrap(), &options).unwrap();
        assert_eq!(jail.at("f").metadata().unwrap().uid(), rustix::process::geteuid().as_raw());
    });
}

#[test]
fn something_below_a_file_is_refused() {
    each(|jail| {
        let result = jail.unpack(&[file("f", "x"), file("f/g", "y")]);
        assert!(matches!(result, Err(Error::Invalid { problem: Problem::ParentNotDirectory, .. })));
        assert_eq!(jail.read("f"), "x");
    });
}

#[test]
fn links_in_a_circle_are_refused_but_long_chains_are_followed() {
    each(|jail| {
        let result = jail.unpack(&[link("a", "b"), link("b", "a"), file("a/x", "")]);
        assert!(matches!(result, Err(Error::Invalid { problem: Problem::TooManyLinks, .. })));
    });
    each(|jail| {
        // The kernel gives up after 40.
        let mut entries = vec![directory("d0")];
        for index in 1..=200 {
            entries.push((Header::symlink(format!("d{index}"), format!("d{}", index - 1)), ""));
        }
        entries.push(file("d200/x", "end"));
        jail.unpack(&entries).unwrap();
        assert_eq!(jail.read("d0/x"), "end");
    });
}

#[test]
fn a_dangling_link_is_filled_below_the_root() {
    each(|jail| {
        jail.unpack(&[link("run", "/var/run/../lib"), file("run/x", "x")]).unwrap();
        assert_eq!(jail.read("var/lib/x"), "x");
        assert_eq!(jail.target("run"), "/var/run/../lib");
    });
}

#[test]
fn a_hard_link_may_step_back_out_of_what_is_not_there() {
    each(|jail| {
        jail.unpack(&[file("c", "x"), hard_link("a", "missing/../c")]).unwrap();
        assert!(jail.is_same_file("a", "c"));
        assert!(!jail.exists("missing"));
    });
}

#[test]
fn a_hard_link_to_nothing_is_an_error() {
    each(|jail| {
        assert!(matches!(jail.unpack(&[hard_link("a", "missing")]), Err(Error::Io { .. })));
        assert!(matches!(jail.unpack(&[hard_link("a", "no/such/directory")]), Err(Error::Io { .. })));
        assert!(!jail.exists("no"));
    });
}

#[test]
fn zeros_take_up_no_room() {
    each(|jail| {
        let zeros = "\0".repeat(1 << 20);
        let content = format!("{zeros}x{zeros}");
        jail.unpack(&[(Header::file("f", 0), &content)]).unwrap();
        assert_eq!(jail.read("f"), content);
        assert!(jail.at("f").metadata().unwrap().blocks() * 512 < 1 << 20);
    });
}

#[test]
fn limits_hold() {
    let with = |limits: ApplyLimits| {
        move |jail: &Jail, entries: &[(Header, &str)]| match jail
            .unpack_with(entries, &jail.options().with_limits(limits.clone()))
        {
            Err(Error::LimitExceeded { limit, .. }) => Some(limit),
            Ok(_) => None,
            other => panic!("{other:?}"),
        }
    };
    each(|jail| {
        let three = [file("a", "12345"), file("b", "12345"), file("c", "")];
        assert_eq!(with(ApplyLimits::default().with_entries(2))(jail, &three), Some(ApplyLimit::Entries));
        assert_eq!(with(ApplyLimits::default().with_entries(3))(jail, &three), None);
        assert_eq!(with(ApplyLimits::default().with_bytes(9))(jail, &three), Some(ApplyLimit::Bytes));
        let deep = [file("1/2/3/4", "")];
        assert_eq!(with(ApplyLimits::default().with_depth(3))(jail, &deep), Some(ApplyLimit::Depth));
    });
}

#[test]
fn a_bomb_of_text_is_stopped_and_a_layer_of_zeros_is_not() {
    each(|jail| {
        let compressed = Arc::new(AtomicU64::new(100));
        let limits = ApplyLimits::default().with_ratio(10, 100_000);
        let options = jail.options().with_limits(limits).with_compressed(compressed);
        let zeros = "\0".repeat(4 << 20);
        jail.unpack_with(&[file("zeros", &zeros)], &options).unwrap();
        let text = "a".repeat(4 << 20);
        let result = jail.unpack_with(&[file("text", &text)], &options);
        assert!(matches!(result, Err(Error::LimitExceeded { limit: ApplyLimit::Ratio, .. })));
        assert!(jail.at("text").metadata().unwrap().len() < 1 << 20);
    });
}

#[test]
fn the_stream_is_read_to_its_end_but_not_beyond_the_limit() {
    each(|jail| {
        let mut stream = archive(&[file("a", "x")]);
        stream.write_all(&[0; 10_000]).unwrap();
        stream.write_all(b"rest").unwrap();
        let root = || fs::File::open(jail.root()).unwrap();
        assert_eq!(unpack(&stream[..], root(), &jail.options()).unwrap().stream_bytes, stream.len() as u64);
        let options = jail.options().with_limits(ApplyLimits::default().with_bytes(5000));
        let result =
            unpack(std::io::BufReader::new(std::io::Read::chain(&stream[..], std::io::repeat(0))), root(), &options);
        assert!(matches!(result, Err(Error::LimitExceeded { limit: ApplyLimit::Bytes, .. })));
    });
}

#[test]
fn an_empty_stream_is_an_empty_layer() {
    each(|jail| {
        let root = fs::File::open(jail.root()).unwrap();
        assert_eq!(unpack(&b""[..], root, &jail.options()).unwrap().entries, 0);
    });
}

#[test]
fn a_directory_that_moves_while_it_is_filled_stays_inside() {
    // CVE-2025-47290: somebody swaps directories for links all the time.
    use std::sync::atomic::{AtomicBool, Ordering};
    each(|jail| {
        fs::create_dir(jail.at("d")).unwrap();
        jail::make_link(&jail.at("l"), "../../etc");
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let _ = fs::rename(jail.at("d"), jail.at("t"));
                    let _ = fs::rename(jail.at("l"), jail.at("d"));
                    let _ = fs::rename(jail.at("d"), jail.at("l"));
                    let _ = fs::rename(jail.at("t"), jail.at("d"));
                }
            });
            for index in 0..200 {
                let entries =
                    [(Header::file(format!("d/e{index}/f"), 0), "x"), (Header::file(format!("d/f{index}"), 0), "x")];
                // It may fail, but nothing may appear outside, which `unpack` of the jail checks.
                let _ = jail.unpack(&entries);
            }
            stop.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn options_say_what_they_are() {
    let options = ApplyOptions::default();
    assert_eq!(options.ownership == Ownership::Preserve, is_root());
    assert!(format!("{options:?}").contains("Remove"));
}
