//! A directory of the file system is a tree like any other.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::fs::{self, File, Permissions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use cache_blobs::changes::{DirectoryTree, Error, FileKind, Tree, double_walk, lookup};
use cache_blobs::content::{Extent, Filled};
use cache_blobs::layer::{LayerOptions, write_layer};
use support::{lines, names};
use tempfile::tempdir;

#[test]
fn it_is_walked_without_following_links() {
    let root = tempdir().unwrap();
    fs::create_dir_all(root.path().join("d/e")).unwrap();
    fs::write(root.path().join("d/f"), "x").unwrap();
    symlink("/etc", root.path().join("link")).unwrap();
    symlink("d", root.path().join("relative")).unwrap();
    let tree = DirectoryTree::open(root.path()).unwrap();
    assert_eq!(lines(double_walk(None, &tree).unwrap()), ["A d", "A d/e", "A d/f", "A link", "A relative"]);
    assert!(lookup(&tree, b"link/passwd").unwrap().is_none());
    assert_eq!(lookup(&tree, b"link").unwrap().unwrap().link_target().unwrap(), b"/etc");
    assert!(matches!(lookup(&tree, b"link").unwrap().unwrap().open(), Err(Error::Io { .. })));
    assert!(matches!(lookup(&tree, b"link").unwrap().unwrap().content(), Err(Error::Io { .. })));
    assert!(tree.root().unwrap().metadata(b"missing").unwrap().is_none());
}

#[test]
fn what_a_link_takes_the_place_of_meanwhile_does_not_lead_out() {
    let (root, outside) = (tempdir().unwrap(), tempdir().unwrap());
    fs::create_dir(outside.path().join("d")).unwrap();
    for file in ["f", "d/secret"] {
        fs::write(outside.path().join(file), "secret").unwrap();
    }
    let exchange = |name: &str| {
        fs::rename(root.path().join(name), outside.path().join(format!("old-{name}"))).unwrap();
        symlink(outside.path().join(name), root.path().join(name)).unwrap();
    };
    fs::create_dir_all(root.path().join("d/e")).unwrap();
    fs::write(root.path().join("f"), "x").unwrap();
    let tree = DirectoryTree::open(root.path()).unwrap();
    let [directory, file] = [b"d", b"f"].map(|name| lookup(&tree, name).unwrap().unwrap());
    let mut walk = double_walk(None, &tree).unwrap();
    assert_eq!(lines([walk.next().unwrap()].into_iter()), ["A d"]);
    exchange("d");
    exchange("f");

    assert!(matches!(directory.open(), Err(Error::Io { .. })));
    assert!(matches!(file.content(), Err(Error::Io { .. })));
    // What is still read is what was there, or nothing.
    let rest = walk.map_while(Result::ok).collect::<Vec<_>>().into_iter().map(Ok);
    assert!(!lines(rest).iter().any(|line| line.contains("secret")));
    let packed = write_layer(double_walk(None, &tree).unwrap(), Vec::new(), LayerOptions::default()).unwrap().0;
    let links = ["d", "f"].map(|name| format!("{name} -> {}", outside.path().join(name).display()));
    assert_eq!(names(&packed), links);
}

#[test]
fn metadata_and_attributes_are_read() {
    let root = tempdir().unwrap();
    let path = root.path().join("f");
    fs::write(&path, "hello").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o4751)).unwrap();
    fs::hard_link(&path, root.path().join("g")).unwrap();
    let value = vec![7u8; 1000];
    let has_xattrs = rustix::fs::lsetxattr(&path, "user.large", &value, rustix::fs::XattrFlags::empty()).is_ok();
    let tree = DirectoryTree::open(root.path()).unwrap();
    let entry = lookup(&tree, b"f").unwrap().unwrap();
    assert_eq!((entry.metadata.kind, entry.metadata.mode, entry.metadata.size), (FileKind::File, 0o4751, 5));
    assert_eq!(entry.metadata.links, 2);
    assert_eq!(entry.metadata.identity, lookup(&tree, b"g").unwrap().unwrap().metadata.identity);
    assert_eq!(entry.xattr(b"security.capability").unwrap(), None);
    if has_xattrs {
        assert!(entry.xattr_names().unwrap().contains(&b"user.large".to_vec()));
        assert_eq!(entry.xattr(b"user.large").unwrap().unwrap(), value);
    }
}

#[test]
fn holes_are_found_without_reading_them() {
    let root = tempdir().unwrap();
    let path = root.path().join("sparse");
    let mut file = File::create(&path).unwrap();
    file.seek(SeekFrom::Start(1 << 20)).unwrap();
    file.write_all(&[b'x'; 5000]).unwrap();
    file.set_len(8 << 20).unwrap();
    drop(file);
    let tree = DirectoryTree::open(root.path()).unwrap();
    let entry = lookup(&tree, b"sparse").unwrap().unwrap();
    let (mut content, mut buffer, mut holes) = (entry.content().unwrap(), vec![0; 65536], 0);
    loop {
        match content.next_extent(&mut buffer).unwrap() {
            Extent::Hole(length) => holes += length,
            Extent::Data(_) => {}
            Extent::End => break,
        }
    }
    assert!(holes >= 8 << 19, "{holes}");
    let mut filled = Vec::new();
    Filled::new(entry.content().unwrap()).read_to_end(&mut filled).unwrap();
    assert_eq!(filled, fs::read(&path).unwrap());
}

#[test]
fn a_file_of_many_pieces_reads_like_a_plain_one() {
    let root = tempdir().unwrap();
    let path = root.path().join("pieces");
    let mut file = File::create(&path).unwrap();
    for piece in 0..20u64 {
        file.seek(SeekFrom::Start(piece * 100_000)).unwrap();
        file.write_all(&[piece as u8 + 1; 9000]).unwrap();
    }
    let tree = DirectoryTree::open(root.path()).unwrap();
    let mut filled = Vec::new();
    Filled::new(lookup(&tree, b"pieces").unwrap().unwrap().content().unwrap()).read_to_end(&mut filled).unwrap();
    assert_eq!(filled, fs::read(&path).unwrap());
}

#[test]
fn a_layer_of_a_real_directory_leaves_sockets_out() {
    let root = tempdir().unwrap();
    fs::create_dir(root.path().join("run")).unwrap();
    let _listener = UnixListener::bind(root.path().join("run/socket")).unwrap();
    fs::write(root.path().join("run/file"), "x").unwrap();
    let tree = DirectoryTree::open(root.path()).unwrap();
    let (archive, report) =
        write_layer(double_walk(None, &tree).unwrap(), Vec::new(), LayerOptions::default()).unwrap();
    assert_eq!(names(&archive), ["run/", "run/file"]);
    assert_eq!(report.sockets.examples, [b"run/socket"]);
}

#[test]
fn a_tree_as_deep_as_a_path_may_be_long_is_walked() {
    let root = tempdir().unwrap();
    let deep = ["d"; 400].join("/");
    fs::create_dir_all(root.path().join(&deep)).unwrap();
    let tree = DirectoryTree::open(root.path()).unwrap();
    assert_eq!(double_walk(None, &tree).unwrap().map(Result::unwrap).count(), 400);
    assert!(lookup(&tree, deep.as_bytes()).unwrap().is_some());
}
