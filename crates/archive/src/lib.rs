//! tar.zst archives: create, digest, extract; digests of files that are sent. Knows files, nothing else.
//!
//! What is packed is the same bytes for the same content, whoever packs it and when. What is extracted never
//! touches anything outside its folder, whoever made the archive. Everything here blocks: call it from a thread.

pub mod bundle;
pub mod digest;
pub mod extract;
mod header;
mod link;
mod members;
pub mod model;
pub mod pack;
mod walk;

pub use extract::{Extracted, Limits, extract};
pub use pack::{PackOptions, Packed, pack};

/// A number of bytes for a person: `512.0 MiB`.
fn human(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{value:.1} {}", units[unit]) }
}

fn hex(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::with_capacity(2 * digest.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
