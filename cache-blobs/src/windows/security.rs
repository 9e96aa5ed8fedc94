//! The security descriptors that every directory and every file of a Windows layer has.
//!
//! They are self-relative `SECURITY_DESCRIPTOR`s as [MS-DTYP] 2.4.6 has them, in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// `SE_DACL_PRESENT` and `SE_SELF_RELATIVE`.
const CONTROL: u16 = 0x8004;
/// `OBJECT_INHERIT_ACE`, `CONTAINER_INHERIT_ACE` and `INHERIT_ONLY_ACE`.
const OBJECTS: u8 = 1;
const CONTAINERS: u8 = 2;
const ONLY_INHERITED: u8 = 8;

const FILE_ALL: u32 = 0x001f_01ff;
const READ_AND_EXECUTE: u32 = 0x0012_00a9;
const GENERIC_ALL: u32 = 0x1000_0000;
const APPEND: u32 = 4;
const CREATE: u32 = 2;

/// An account, by its authority and what follows it.
#[derive(Clone, Copy)]
struct Sid(u8, &'static [u32]);

const ADMINISTRATORS: Sid = Sid(5, &[32, 544]);
const USERS: Sid = Sid(5, &[32, 545]);
const SYSTEM: Sid = Sid(5, &[18]);
const CREATOR: Sid = Sid(3, &[0]);

/// What an account is allowed.
struct Allowed {
    inherited: u8,
    mask: u32,
    account: Sid,
}

const fn allowed(inherited: u8, mask: u32, account: Sid) -> Allowed {
    Allowed { inherited, mask, account }
}

/// `O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)`.
pub(super) fn of_directories() -> Vec<u8> {
    const BELOW: u8 = OBJECTS | CONTAINERS;
    descriptor(&[
        allowed(BELOW, FILE_ALL, ADMINISTRATORS),
        allowed(BELOW, FILE_ALL, SYSTEM),
        allowed(0, FILE_ALL, ADMINISTRATORS),
        allowed(BELOW | ONLY_INHERITED, GENERIC_ALL, CREATOR),
        allowed(BELOW, READ_AND_EXECUTE, USERS),
        allowed(CONTAINERS, APPEND, USERS),
        allowed(CONTAINERS, CREATE, USERS),
    ])
}

/// `O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)`.
pub(super) fn of_files() -> Vec<u8> {
    descriptor(&[
        allowed(0, FILE_ALL, ADMINISTRATORS),
        allowed(0, FILE_ALL, SYSTEM),
        allowed(0, READ_AND_EXECUTE, USERS),
    ])
}

/// A descriptor whose owner are the administrators and whose group is the system.
fn descriptor(entries: &[Allowed]) -> Vec<u8> {
    const HEADER_BYTES: usize = 20;
    let (owner, group) = (sid(ADMINISTRATORS), sid(SYSTEM));
    let group_at = HEADER_BYTES + owner.len();
    let list_at = group_at + group.len();
    let mut out = vec![1, 0];
    out.extend(CONTROL.to_le_bytes());
    for offset in [HEADER_BYTES, group_at, 0, list_at] {
        out.extend((offset as u32).to_le_bytes());
    }
    out.extend(owner.into_iter().chain(group).chain(list(entries)));
    STANDARD.encode(out).into_bytes()
}

/// An access control list.
fn list(entries: &[Allowed]) -> Vec<u8> {
    let body: Vec<u8> = entries.iter().flat_map(entry).collect();
    let mut out = vec![2, 0];
    out.extend((body.len() as u16 + 8).to_le_bytes());
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend([0; 2]);
    out.extend(body);
    out
}

fn entry(entry: &Allowed) -> Vec<u8> {
    let account = sid(entry.account);
    let mut out = vec![0, entry.inherited];
    out.extend((account.len() as u16 + 8).to_le_bytes());
    out.extend(entry.mask.to_le_bytes());
    out.extend(account);
    out
}

fn sid(Sid(authority, rest): Sid) -> Vec<u8> {
    let mut out = vec![1, rest.len() as u8, 0, 0, 0, 0, 0, authority];
    out.extend(rest.iter().flat_map(|part| part.to_le_bytes()));
    out
}
