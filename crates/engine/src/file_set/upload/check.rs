//! What files may be announced: every wrong field by its path. Knows no set.

use std::collections::HashSet;

use runyard_domain::{
    FieldErrors,
    checkpoint::{MAX_ANNOUNCED, MAX_FILE_BYTES, PART_BYTES, WHOLE_BYTES, check_path, parts},
};
use runyard_store::file_set::file::{File, Part};

use super::NewFile;
use crate::{Error, Result};

/// Longest `ETag`.
const MAX_ETAG: usize = 200;

/// The files as rows, if nothing is wrong with any of them.
pub(super) fn check(files: Vec<NewFile>) -> Result<Vec<File>> {
    if files.is_empty() || files.len() > MAX_ANNOUNCED {
        let message = format!("has {} files: announce 1 to {MAX_ANNOUNCED} at a time", files.len());
        return Err(Error::field("files", message));
    }
    let mut errors = FieldErrors::default();
    let mut seen = HashSet::new();
    for (index, file) in files.iter().enumerate() {
        let at = |field: &str| format!("files.{index}.{field}");
        if let Err(error) = check_path(&file.path) {
            errors.add(at("path"), error.to_string());
        }
        if !seen.insert(file.path.as_str()) {
            errors.add(at("path"), format!("`{}` is named twice", file.path));
        }
        if !is_hex(&file.sha256, 64) {
            errors.add(at("sha256"), "must be a SHA-256 as 64 hexadecimal digits");
        }
        if file.md5.as_deref().is_some_and(|text| !is_hex(text, 32)) {
            errors.add(at("md5"), "must be an MD5 as 32 hexadecimal digits");
        }
        if (0..=MAX_FILE_BYTES).contains(&file.size) {
            check_parts(file, &at, &mut errors);
        } else {
            errors.add(at("size"), format!("{} is not from 0 to {MAX_FILE_BYTES} bytes", file.size));
        }
    }
    errors.finish(())?;
    Ok(files.into_iter().map(row).collect())
}

fn check_parts(file: &NewFile, at: &impl Fn(&str) -> String, errors: &mut FieldErrors) {
    if file.size <= WHOLE_BYTES {
        if !file.parts.is_empty() {
            errors.add(at("parts"), format!("a file of up to {WHOLE_BYTES} bytes goes as a whole"));
        } else if file.md5.is_none() {
            errors.add(at("md5"), "is needed for a file that goes as a whole");
        }
        return;
    }
    let sizes: Vec<i64> = parts(file.size).map(|(_, size)| size).collect();
    if sizes != file.parts.iter().map(|part| part.size).collect::<Vec<_>>() {
        let message = format!(
            "a file of {} bytes goes in {} parts of {} bytes, only the last one smaller",
            file.size,
            sizes.len(),
            sizes.first().copied().unwrap_or(PART_BYTES)
        );
        errors.add(at("parts"), message);
        return;
    }
    for (number, part) in file.parts.iter().enumerate() {
        if !is_hex(&part.md5, 32) {
            errors.add(at(&format!("parts.{number}.md5")), "must be an MD5 as 32 hexadecimal digits");
        }
        if part.etag.as_deref().is_some_and(|etag| !is_etag(etag)) {
            errors.add(
                at(&format!("parts.{number}.etag")),
                "must be the `ETag` that the part was answered with",
            );
        }
    }
}

/// Whether an object store may have answered this.
pub(crate) fn is_etag(text: &str) -> bool {
    (1..=MAX_ETAG).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn row(file: NewFile) -> File {
    let part = |part: super::NewPart| Part { md5: part.md5.to_ascii_lowercase(), etag: part.etag };
    File {
        path: file.path,
        size: file.size,
        sha256: file.sha256.to_ascii_lowercase(),
        md5: file.md5.map(|md5| md5.to_ascii_lowercase()),
        parts: file.parts.into_iter().map(part).collect(),
        upload: None,
    }
}

/// The bytes of a hex MD5.
pub(super) fn md5(text: &str) -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    if !is_hex(text, 32) {
        return Err(Error::Internal(format!("`{text}` was stored as an MD5")));
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        let digits = text.get(2 * at..2 * at + 2).unwrap_or_default();
        *byte = u8::from_str_radix(digits, 16).map_err(|error| Error::Internal(error.to_string()))?;
    }
    Ok(bytes)
}
