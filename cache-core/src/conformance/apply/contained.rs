//! Layers that try to get out. Mirrors: containerd `TestBreakouts`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::conformance::apply::ApplySubject;
use crate::conformance::require::{require, require_equal, require_kind};
use crate::conformance::tree::{Archive, Change, observe, require_tree};
use crate::conformance::{Outcome, Unmet};
use crate::error::ErrorKind;

impl ApplySubject {
    /// A directory beside the root, with a file and a directory that no layer may touch.
    fn outside(&self) -> Result<PathBuf, Unmet> {
        let outside = self.directory("outside")?;
        Archive::of(&[
            Change::file("secret", "secret", 0o400),
            Change::directory("d", 0o755),
            Change::file("d/f", "secret", 0o644),
        ])
        .make(&outside)?;
        Ok(outside)
    }
}

/// The layers, each for a root beside `outside`.
fn breakouts(outside: &Path) -> Vec<Archive> {
    use std::os::unix::ffi::OsStrExt;
    let (absolute, empty) = (outside.as_os_str().as_bytes().to_vec(), Archive::of(&[]));
    let link = |target: &[u8]| empty.clone().entry(b"up", b'2', target, b"", 0o777);
    let under = |name: &[u8]| [absolute.as_slice(), name].concat();
    let mut archives = vec![
        // Names that lead out by themselves.
        empty.clone().entry(b"../outside/secret", b'0', b"", b"!", 0o666),
        empty.clone().entry(b"a/../../outside/secret", b'0', b"", b"!", 0o666),
        empty.clone().entry(b"/../../outside/secret", b'0', b"", b"!", 0o666),
        empty.clone().entry(&under(b"/secret"), b'0', b"", b"!", 0o666),
        empty.clone().entry(b"../outside/", b'5', b"", b"", 0o777),
        empty.clone().entry(b"../outside/.wh.secret", b'0', b"", b"", 0),
        empty.clone().entry(b"../outside/.wh..wh..opq", b'0', b"", b"", 0),
        // Hard links to what is outside, and changes through them.
        empty.clone().entry(b"h", b'1', b"../outside/secret", b"", 0o644).entry(b"h", b'0', b"", b"!", 0o666),
        empty.clone().entry(b"h", b'1', &under(b"/secret"), b"", 0o777),
        empty.clone().entry(b"h", b'1', b"a/../../outside/secret", b"", 0o777),
    ];
    for target in [b"../outside".to_vec(), absolute.clone(), b"../../../../../../../outside".to_vec(), under(b"/.")] {
        archives.extend([
            link(&target).entry(b"up/secret", b'0', b"", b"!", 0o666),
            link(&target).entry(b"up/new", b'0', b"", b"!", 0o666),
            link(&target).entry(b"up/d/", b'5', b"", b"", 0o700),
            link(&target).entry(b"up/", b'5', b"", b"", 0o700).entry(b"up/secret", b'0', b"", b"!", 0o666),
            link(&target).entry(b"up/.wh.secret", b'0', b"", b"", 0),
            link(&target).entry(b"up/.wh.d", b'0', b"", b"", 0),
            link(&target).entry(b"up/.wh..wh..opq", b'0', b"", b"", 0),
            link(&target).entry(b"up/.wh.d/f", b'0', b"", b"!", 0o666),
            link(&target).entry(b"h", b'1', b"up/secret", b"", 0o777),
            link(&target).entry(b"h", b'1', b"up", b"", 0o777).entry(b"h/secret", b'0', b"", b"!", 0o666),
            link(&target).entry(b"again", b'2', b"up/d", b"", 0o777).entry(b"again/f", b'0', b"", b"!", 0o666),
            // The directory becomes a link between two entries in it.
            empty
                .clone()
                .entry(b"up/", b'5', b"", b"", 0o755)
                .entry(b"up/first", b'0', b"", b"1", 0o644)
                .entry(b"up", b'2', &target, b"", 0o777)
                .entry(b"up/secret", b'0', b"", b"!", 0o666)
                .entry(b"up/d/f", b'0', b"", b"!", 0o666),
        ]);
    }
    let secret = b"../outside/secret";
    archives.extend([
        // A link to a file, which is written to, changed, or linked again.
        empty.clone().entry(b"l", b'2', secret, b"", 0o777).entry(b"l", b'0', b"", b"!", 0o666),
        empty.clone().entry(b"l", b'2', secret, b"", 0o777).entry(b"h", b'1', b"l", b"", 0o666),
        empty.clone().entry(b"l", b'2', &under(b"/secret"), b"", 0o777).entry(b"h", b'1', b"l", b"", 0o666),
    ]);
    archives
}

/// Whether a layer that tries to get out is refused or tamed, nothing outside of the root is made, changed or deleted.
pub async fn nothing_outside_is_touched(subject: ApplySubject) -> Outcome {
    let outside = subject.outside()?;
    let wanted = observe(&outside)?;
    for (number, archive) in breakouts(&outside).iter().enumerate() {
        let root = subject.directory(&format!("root {number}"))?;
        // Both are right: what counts is what is outside.
        drop(subject.apply(&root, &archive.bytes()).await);
        require_tree(&outside, &wanted, &format!("layer {number} touches nothing outside"))?;
        require_equal(&fs::metadata(outside.join("secret"))?.nlink(), &1, "nothing outside is linked")?;
        let mut beside: Vec<_> = fs::read_dir(&subject.scratch)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<std::io::Result<_>>()?;
        beside.retain(|name| name != "outside" && !name.starts_with("root "));
        require_equal(&beside, &Vec::<String>::new(), "nothing beside the root is made")?;
    }
    Ok(())
}

/// Links are evaluated as in a root of their own: an absolute target, or one that climbs too far, begins at the layer's
/// root.
pub async fn links_stay_inside(subject: ApplySubject) -> Outcome {
    let archives: [(&[u8], &[u8]); 4] = [
        (b"/inner", b"link/f"),
        (b"../../../inner", b"link/f"),
        (b"inner", b"link/f"),
        (b"./inner/../inner", b"link/f"),
    ];
    for (number, (target, name)) in archives.into_iter().enumerate() {
        let archive = Archive::of(&[Change::directory("inner", 0o755)])
            .entry(b"link", b'2', target, b"", 0o777)
            .entry(name, b'0', b"", b"content", 0o644);
        let root = subject.directory(&format!("root {number}"))?;
        subject.apply(&root, &archive.bytes()).await?;
        let found = fs::read(root.join("inner/f")).unwrap_or_default();
        require(found == b"content", "a link leads to the same place as in a root of its own")?;
        require(fs::symlink_metadata(root.join("link"))?.is_symlink(), "a link stays one")?;
    }
    // A hard link to a link is that link, whatever it leads to.
    let archive = Archive::of(&[Change::symlink("l", "/etc/passwd"), Change::hard_link("h", "l")]);
    let root = subject.directory("root")?;
    subject.apply(&root, &archive.bytes()).await?;
    let inode = |name| fs::symlink_metadata(root.join(name)).map(|metadata| metadata.ino());
    require_equal(&inode("h")?, &inode("l")?, "a hard link to a link is that link")
}

/// `.wh.`, `.wh..` and `.wh...` would delete a directory itself or its parent: they are `Corrupt`.
pub async fn whiteouts_without_a_name_are_corrupt(subject: ApplySubject) -> Outcome {
    let outside = subject.outside()?;
    let wanted = observe(&outside)?;
    let names: [&[u8]; 6] = [b".wh.", b".wh..", b".wh...", b"d/.wh.", b"d/.wh..", b"d/.wh..."];
    for (number, name) in names.into_iter().enumerate() {
        let archive = Archive::of(&[Change::directory("d", 0o755), Change::file("d/f", "content", 0o644)]);
        let archive = archive.entry(name, b'0', b"", b"", 0);
        let root = subject.directory(&format!("root {number}"))?;
        let applied = subject.apply(&root, &archive.bytes()).await;
        require_kind(applied, ErrorKind::Corrupt, "a whiteout without a name is refused")?;
        require(root.is_dir(), "the root stays")?;
        require_tree(&outside, &wanted, "nothing outside is touched")?;
    }
    Ok(())
}
