//! A folder of images as elements: each is named by its path in the folder. Only headers are read.

use std::{
    fs,
    path::{Path, PathBuf},
};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::import::{Place, Sink};
use crate::{failure::Failure, output};

/// What is taken for an image.
const EXTENSIONS: [&str; 10] = ["jpg", "jpeg", "png", "tif", "tiff", "webp", "gif", "bmp", "jp2", "avif"];
/// Folders in folders.
const DEPTH_MAX: usize = 64;
/// What a path in an address must not have as it is.
const ESCAPED: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');

/// Reads the headers of all images below a folder, in the order of their paths.
pub(super) fn read(folder: &Path, sink: &mut Sink) -> Result<(), Failure> {
    if sink.defaults.of_type.is_none() {
        return Err(Failure::usage("images say no type").hint("add --type page"));
    }
    let root = folder.canonicalize().map_err(|error| unreadable(folder, &error))?;
    let (mut found, mut others) = (0_u64, 0_u64);
    walk(&root, 0, &mut |path| {
        if !is_image(path) {
            others += 1;
            return Ok(());
        }
        found += 1;
        let name = path.strip_prefix(&root).unwrap_or(path);
        let content = name.to_string_lossy().into_owned();
        // Without its number: a new image between two old ones must not change theirs.
        sink.take(element(path, name)?, Place::File(path.to_owned()), (page(name), content.as_bytes()), found)
    })?;
    if found == 0 {
        return Err(Failure::new(format!("there are no images in {}", folder.display()))
            .hint(format!("images end in {}", EXTENSIONS.join(", "))));
    }
    if others > 0 {
        output::note(format!("{others} files were left out: they are no images"));
    }
    Ok(())
}

fn is_image(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

fn element(path: &Path, name: &Path) -> Result<Map<String, Value>, Failure> {
    let size = imagesize::size(path).map_err(|error| {
        Failure::new(format!("{} cannot be read as an image: {error}", path.display()))
            .hint("mend it or take it away, and give the same command again: nothing is made twice")
    })?;
    let Some(text) = path.to_str() else {
        return Err(Failure::new(format!("{} is no UTF-8 name", path.display())).hint("rename the file"));
    };
    let url = format!("file://{}", utf8_percent_encode(text, ESCAPED));
    let element = json!({
        "name": name.with_extension("").to_string_lossy(),
        "image": {"url": url, "width": size.width, "height": size.height},
    });
    match element {
        Value::Object(element) => Ok(element),
        _ => unreachable!("it was written as an object"),
    }
}

/// The last number in a name, so that `page-2` comes before `page-10`; 0 when there is none.
fn page(name: &Path) -> u64 {
    let stem = name.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let end = stem.rfind(|c: char| c.is_ascii_digit()).map_or(0, |at| at + 1);
    let start = stem[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    stem[start..end].parse::<u64>().map_or(0, |number| number & ((1 << 34) - 1))
}

fn walk(
    folder: &Path,
    depth: usize,
    each: &mut dyn FnMut(&Path) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if depth > DEPTH_MAX {
        return Err(Failure::new(format!("{} is deeper than {DEPTH_MAX} folders", folder.display())));
    }
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(folder, &error))?;
    paths.sort();
    for path in paths {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let kind = fs::symlink_metadata(&path).map_err(|error| unreadable(&path, &error))?.file_type();
        if hidden {
            continue;
        }
        if kind.is_dir() {
            walk(&path, depth + 1, each)?;
        } else if path.is_file() {
            // A link to a file is one; a link to a folder might lead in circles.
            each(&path)?;
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_in_the_order_of_their_numbers() {
        for (name, number) in
            [("scan-0012.png", 12), ("v1/p3a.jpg", 3), ("cover.png", 0), ("99999999999999999999.png", 0)]
        {
            assert_eq!(page(Path::new(name)), number, "{name}");
        }
    }

    #[test]
    fn an_address_is_whole_whatever_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b#1%.png");
        // The header of a PNG of 3 times 2 pixels.
        let header =
            [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &[0, 0, 0, 3, 0, 0, 0, 2], &[8, 2, 0, 0, 0]]
                .concat();
        fs::write(&path, header).unwrap();
        let element = element(&path, Path::new("a b#1%.png")).unwrap();
        let url = element["image"]["url"].as_str().unwrap();
        assert!(url.starts_with("file:///") && url.ends_with("/a%20b%231%25.png"), "{url}");
        assert_eq!((&element["image"]["width"], &element["image"]["height"]), (&json!(3), &json!(2)));
        assert_eq!(element["name"], "a b#1%");
    }
}
