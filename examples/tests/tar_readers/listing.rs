//! What readers say of an archive's entries, in one form.

use cache_blobs::tar::{Kind, Reader};

/// An entry as a reader sees it: its name without slashes at the end, its type as in `ls -l`, its size, mode and link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub name: Vec<u8>,
    pub kind: char,
    pub size: u64,
    pub mode: u32,
    pub link: Vec<u8>,
}

impl Seen {
    /// Only links link something, whatever the header of another entry says.
    pub fn new(path: &[u8], kind: char, size: u64, mode: u32, link: &[u8]) -> Self {
        let length = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
        let name = path[..length].to_vec();
        let link = if matches!(kind, 'l' | 'h') { link.to_vec() } else { Vec::new() };
        Self { name, kind, size, mode, link }
    }
}

/// The entries in their order.
pub type Listing = Vec<Seen>;

/// What our reader says.
pub fn by_us(tar: &[u8]) -> Listing {
    let mut reader = Reader::new(tar);
    let mut entries = Listing::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let header = entry.header();
        let kind = match header.kind {
            Kind::Directory => 'd',
            Kind::Symlink => 'l',
            Kind::HardLink => 'h',
            Kind::CharDevice => 'c',
            Kind::BlockDevice => 'b',
            Kind::Fifo => 'p',
            _ => '-',
        };
        entries.push(Seen::new(&header.path, kind, header.size, header.mode, &header.link));
    }
    entries
}

/// The entries of a listing as of `tar --list --verbose`: a mode, other columns with the size as the one of index
/// `size`, `columns` in all, one space, the name, and where there is one the link. What separates the two may be in
/// both, so that they are split as `ours` are, where that is possible.
pub fn from_columns(text: &[u8], columns: usize, size: usize, ours: &Listing) -> Listing {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.enumerate().map(|(at, line)| entry(line, columns, size, ours.get(at))).collect()
}

fn entry(line: &[u8], columns: usize, size: usize, ours: Option<&Seen>) -> Seen {
    let mut fields = Vec::new();
    let mut rest = line;
    while fields.len() < columns {
        let end = rest.iter().position(|byte| *byte == b' ').unwrap();
        let (field, after) = rest.split_at(end);
        if !field.is_empty() {
            fields.push(std::str::from_utf8(field).unwrap());
        }
        rest = &after[1..];
    }
    let kind = fields[0].chars().next().unwrap();
    let between: &[u8] = match kind {
        'l' => b" -> ",
        'h' => b" link to ",
        _ => b"",
    };
    let split = |at: usize| (unescape(&rest[..at]), unescape(&rest[at + between.len()..]));
    let size = if matches!(kind, 'c' | 'b') { 0 } else { fields[size].parse().unwrap() };
    let seen = |(name, link): (Vec<u8>, Vec<u8>)| Seen::new(&name, kind, size, mode_of(&fields[0][1..]), &link);
    let splits = (0..rest.len()).filter(|at| !between.is_empty() && rest[*at..].starts_with(between)).map(split);
    splits.map(seen).find(|it| ours == Some(it)).unwrap_or_else(|| seen((unescape(rest), Vec::new())))
}

/// A mode as `ls -l` shows it, without the type.
fn mode_of(text: &str) -> u32 {
    let mut mode = 0;
    for (at, letter) in text.chars().enumerate() {
        let bit = 0o400 >> at;
        let special = [0o4000, 0o2000, 0o1000][at / 3];
        mode |= match letter {
            '-' => 0,
            's' | 't' => bit | special,
            'S' | 'T' => special,
            _ => bit,
        };
    }
    mode
}

/// Undoes `\ooo` and the letters of C.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let letter = rest.next().unwrap();
        bytes.push(match letter {
            b'0'..=b'3' => {
                let mut digit = || rest.next().unwrap() - b'0';
                ((letter - b'0') << 6) | (digit() << 3) | digit()
            }
            b'a' => 7,
            b'b' => 8,
            b't' => 9,
            b'n' => 10,
            b'v' => 11,
            b'f' => 12,
            b'r' => 13,
            other => other,
        });
    }
    bytes
}
