//! What stands before an entry in a tar: the same bytes for the same entry, so no times and no owners.

use std::{os::unix::ffi::OsStrExt, path::Path};

use crate::walk::Kind;

/// A tar is made of blocks of this size.
pub(crate) const BLOCK: u64 = 512;
/// Zeros that end a tar.
pub(crate) const END: u64 = 2 * BLOCK;

/// The blocks before the content of the entry at `path`. Names and targets that do not fit stand in a block of their own, as GNU
/// tar has it, with exactly the bytes that were given.
pub(crate) fn blocks(path: &Path, kind: &Kind) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    let mut before = Vec::new();
    match kind {
        Kind::Folder => {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o755);
        }
        Kind::File(stamp) => {
            header.set_entry_type(tar::EntryType::Regular);
            header.set_mode(if stamp.executable { 0o755 } else { 0o644 });
            header.set_size(stamp.bytes);
        }
        Kind::Link(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_mode(0o777);
            fit(target, b'K', &mut header.as_old_mut().linkname, &mut before);
        }
    }
    fit(path, b'L', &mut header.as_old_mut().name, &mut before);
    header.set_cksum();
    before.extend_from_slice(header.as_bytes());
    before
}

/// What the first entry of an archive may say of it: contents come in the order of their paths, and no link leads to one of them.
/// Who needs them in that order then need not keep them. A comment, as `git archive` writes one: nobody extracts it.
pub(crate) const IN_ORDER: &[u8] = b"27 comment=runyard: sorted\n";

/// The blocks that say so.
pub(crate) fn in_order() -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    let name = b"pax_global_header";
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(tar::EntryType::XGlobalHeader);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(IN_ORDER.len() as u64);
    header.set_cksum();
    let mut blocks = header.as_bytes().to_vec();
    blocks.extend_from_slice(IN_ORDER);
    blocks.resize(blocks.len().next_multiple_of(BLOCK as usize), 0);
    blocks
}

/// Writes `name` into `field`, and before it, as an entry of the given kind, when it is too long.
fn fit(name: &Path, kind: u8, field: &mut [u8; 100], before: &mut Vec<u8>) {
    let name = name.as_os_str().as_bytes();
    let short = name.len().min(field.len());
    field[..short].copy_from_slice(&name[..short]);
    if name.len() <= field.len() {
        return;
    }
    let mut header = tar::Header::new_gnu();
    let link = b"././@LongLink";
    header.as_old_mut().name[..link.len()].copy_from_slice(link);
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    // The zero that ends the name is counted.
    header.set_size(name.len() as u64 + 1);
    header.set_cksum();
    before.extend_from_slice(header.as_bytes());
    before.extend_from_slice(name);
    before.push(0);
    before.resize(before.len().next_multiple_of(BLOCK as usize), 0);
}

/// Zeros between `bytes` of content and the next block.
pub(crate) fn padding(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK) - bytes
}
