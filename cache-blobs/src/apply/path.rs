//! Paths of archives, before any link is looked at.

/// The components of a name with `.` and `..` taken out. What would lead above the root stays at the root.
pub(super) fn clean(path: &[u8]) -> Vec<&[u8]> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts
}

/// Directory and last component of a hard link's target. `None` when the last component names no file.
///
/// The directory is not cleaned: a `..` in it leaves the directory that a link led to.
pub(super) fn split_target(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = path.iter().rposition(|byte| *byte != b'/')? + 1;
    let path = &path[..end];
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (directory, name) = path.split_at(start);
    if matches!(name, b"." | b"..") { None } else { Some((directory, name)) }
}
