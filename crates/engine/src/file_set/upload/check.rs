//! What files may be announced: every wrong field by its path. Knows no set.

use std::collections::HashSet;

use runyard_domain::{
    ChecksumKind, FieldErrors,
    checkpoint::{MAX_ANNOUNCED, MAX_FILE_BYTES, PART_BYTES, WHOLE_BYTES, check_path, parts},
};
use runyard_objects::Checksum;
use runyard_store::file_set::file::{File, Part};

use super::NewFile;
use crate::{Error, Result};

/// Longest `ETag`.
const MAX_ETAG: usize = 200;

/// The files as rows, if nothing is wrong with any of them and each has the digest that the object store wants.
pub(crate) fn check(files: Vec<NewFile>, kind: ChecksumKind) -> Result<Vec<File>> {
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
        // Of a large file it may come when the set is completed.
        let later = file.sha256.is_empty() && !file.parts.is_empty();
        check_digest(ChecksumKind::Sha256, Some(&file.sha256).filter(|_| !later), at("sha256"), &mut errors);
        check_digest(ChecksumKind::Md5, file.md5.as_ref(), at("md5"), &mut errors);
        if let Some(mode) = file.mode.filter(|mode| !(0..=0o777).contains(mode)) {
            errors.add(at("mode"), format!("{mode} is not from 0 to 511: the nine bits of permissions"));
        }
        if (0..=MAX_FILE_BYTES).contains(&file.size) {
            check_parts(file, kind, &at, &mut errors);
        } else {
            errors.add(at("size"), format!("{} is not from 0 to {MAX_FILE_BYTES} bytes", file.size));
        }
    }
    errors.finish(())?;
    Ok(files.into_iter().map(row).collect())
}

fn check_digest(kind: ChecksumKind, text: Option<&String>, at: String, errors: &mut FieldErrors) {
    if text.is_some_and(|text| !is_hex(text, kind.digits())) {
        errors.add(at, format!("must be {} as {} hexadecimal digits", an(kind), kind.digits()));
    }
}

const fn an(kind: ChecksumKind) -> &'static str {
    match kind {
        ChecksumKind::Md5 => "an MD5",
        ChecksumKind::Sha256 => "a SHA-256",
    }
}

fn check_parts(file: &NewFile, kind: ChecksumKind, at: &impl Fn(&str) -> String, errors: &mut FieldErrors) {
    let missing = |what: &str| format!("is needed for {what}: the objects of this server are bound by it");
    if file.size <= WHOLE_BYTES {
        if !file.parts.is_empty() {
            errors.add(at("parts"), format!("a file of up to {WHOLE_BYTES} bytes goes as a whole"));
        } else if kind == ChecksumKind::Md5 && file.md5.is_none() {
            errors.add(at("md5"), missing("a file that goes as a whole"));
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
        for (own, text) in [(ChecksumKind::Md5, &part.md5), (ChecksumKind::Sha256, &part.sha256)] {
            let at = at(&format!("parts.{number}.{}", own.word()));
            if own == kind && text.is_none() {
                errors.add(at, missing("a part"));
            } else {
                check_digest(own, text.as_ref(), at, errors);
            }
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

pub(crate) fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn row(file: NewFile) -> File {
    let lower = |text: Option<String>| text.map(|text| text.to_ascii_lowercase());
    let part =
        |part: super::NewPart| Part { md5: lower(part.md5), sha256: lower(part.sha256), etag: part.etag };
    File {
        path: file.path,
        size: file.size,
        sha256: file.sha256.to_ascii_lowercase(),
        md5: lower(file.md5),
        parts: file.parts.into_iter().map(part).collect(),
        upload: None,
        mode: file.mode,
    }
}

/// The digest that binds the bytes in the object store.
pub(crate) fn checksum(
    kind: ChecksumKind,
    md5: Option<&String>,
    sha256: Option<&String>,
) -> Result<Checksum> {
    let text = match kind {
        ChecksumKind::Md5 => md5,
        ChecksumKind::Sha256 => sha256,
    };
    let text = text.map_or("", String::as_str);
    Checksum::from_hex(kind, text)
        .ok_or_else(|| Error::Internal(format!("`{text}` was stored as {}", an(kind))))
}

#[cfg(test)]
mod tests {
    use super::{super::NewPart, *};

    fn wrong(kind: ChecksumKind, file: NewFile) -> String {
        match check(vec![file], kind) {
            Err(Error::Invalid { fields }) => fields.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_binds_the_bytes_must_be_said_whichever_it_is() {
        let small = NewFile { path: "a".into(), size: 5, sha256: "a".repeat(64), ..NewFile::default() };
        assert_eq!(check(vec![small.clone()], ChecksumKind::Sha256).unwrap().len(), 1);
        let said = wrong(ChecksumKind::Md5, small.clone());
        assert!(said.contains("files.0.md5") && said.contains("is needed"), "{said}");
        let both = NewFile { md5: Some("b".repeat(32)), ..small.clone() };
        assert_eq!(check(vec![both], ChecksumKind::Md5).unwrap().len(), 1);

        let size = WHOLE_BYTES + 1;
        let bound = |md5: &str, sha256: &str| {
            let text = |digits: &str| (!digits.is_empty()).then(|| digits.to_owned());
            let part = |(_, size)| NewPart { size, md5: text(md5), sha256: text(sha256), etag: None };
            NewFile { size, parts: parts(size).map(part).collect(), ..small.clone() }
        };
        let (md5, sha256) = ("b".repeat(32), "c".repeat(64));
        assert_eq!(check(vec![bound(&md5, "")], ChecksumKind::Md5).unwrap()[0].md5, None);
        assert!(check(vec![bound("", &sha256)], ChecksumKind::Sha256).is_ok());
        let said = wrong(ChecksumKind::Sha256, bound(&md5, ""));
        assert!(said.contains("files.0.parts.0.sha256") && said.contains("is needed"), "{said}");
        let said = wrong(ChecksumKind::Md5, bound("", &sha256));
        assert!(said.contains("files.0.parts.2.md5") && said.contains("is needed"), "{said}");
        let said = wrong(ChecksumKind::Sha256, bound("x", &sha256));
        assert!(said.contains("files.0.parts.1.md5") && said.contains("32 hexadecimal digits"), "{said}");
    }
}
