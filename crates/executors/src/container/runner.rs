//! The runner that is brought into containers: it has to run in any image, so it has to be static. Only looks at files.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

/// Its name beside the server's own binary.
pub const NAME: &str = "runyard-static";

/// The runner for containers: the one that was `named`, else `own` when it is static, else a static one beside it.
///
/// # Errors
/// There is none; what to do about that.
pub fn find(named: Option<&Path>, own: &Path) -> Result<PathBuf, String> {
    if let Some(path) = named {
        return match is_static(path) {
            Ok(true) => {
                std::path::absolute(path).map_err(|error| format!("cannot find {}: {error}", path.display()))
            }
            Ok(false) => Err(format!(
                "{} is not static, so it does not run in every image: build one with `scripts/static-runner`",
                path.display()
            )),
            Err(error) => Err(format!("cannot read the runner for containers {}: {error}", path.display())),
        };
    }
    let beside = own.with_file_name(NAME);
    match [own.to_owned(), beside.clone()].into_iter().find(|path| matches!(is_static(path), Ok(true))) {
        // A link to the newest build would lead elsewhere tomorrow, and into a container leads no link at all.
        Some(path) => path.canonicalize().map_err(|error| format!("cannot find {}: {error}", path.display())),
        None => Err(format!(
            "containers need a static runner, and {} is not static: build one with `scripts/static-runner`, which puts it to {}, \
             or name one with `runyard serve --container-runner FILE`",
            own.display(),
            beside.display()
        )),
    }
}

/// Whether a file is a program that asks for no interpreter (the dynamic linker).
///
/// # Errors
/// It cannot be read, or is no program of this sort of machine.
pub fn is_static(path: &Path) -> io::Result<bool> {
    const INTERPRETER: u32 = 3;
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut file = File::open(path)?;
    let mut head = [0; 64];
    file.read_exact(&mut head).map_err(|_| wrong("it is no program"))?;
    if head[..4] != *b"\x7fELF" {
        return Err(wrong("it is no program"));
    }
    if (head[4], head[5]) != (2, 1) {
        return Err(wrong("it is no 64-bit little-endian program"));
    }
    let number = |at: usize, bytes: usize| -> u64 {
        head[at..at + bytes].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    let (offset, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    for index in 0..count {
        file.seek(SeekFrom::Start(offset.saturating_add(index * size)))?;
        let mut kind = [0; 4];
        file.read_exact(&mut kind).map_err(|_| wrong("it is cut off"))?;
        if u32::from_le_bytes(kind) == INTERPRETER {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_dynamic_linker_is_not_taken_for_the_runner_of_containers() {
        let own = std::env::current_exe().unwrap();
        assert!(!is_static(&own).unwrap(), "tests are linked dynamically");
        let error = find(Some(&own), &own).unwrap_err();
        assert!(error.contains("is not static") && error.contains("scripts/static-runner"), "{error}");
        let place = tempfile::tempdir().unwrap();
        let copy = place.path().join("runyard");
        std::fs::copy(&own, &copy).unwrap();
        let error = find(None, &copy).unwrap_err();
        assert!(error.contains("--container-runner FILE"), "{error}");
    }

    #[test]
    fn what_is_no_program_is_named() {
        let place = tempfile::tempdir().unwrap();
        let script = place.path().join("script");
        std::fs::write(&script, "#!/bin/sh\n".repeat(20)).unwrap();
        assert!(find(Some(&script), &script).unwrap_err().contains("it is no program"));
        let nothing = place.path().join("nothing");
        assert!(find(Some(&nothing), &nothing).unwrap_err().contains("nothing"));
    }

    #[test]
    fn a_static_program_beside_the_server_is_found() {
        let place = tempfile::tempdir().unwrap();
        let own = place.path().join("runyard");
        std::fs::copy(std::env::current_exe().unwrap(), &own).unwrap();
        // A header, and one segment that is loaded.
        let mut program = vec![0; 64 + 56];
        program[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (program[32], program[54], program[56], program[64]) = (64, 56, 1, 1);
        std::fs::write(place.path().join(NAME), &program).unwrap();
        assert_eq!(find(None, &own).unwrap(), place.path().canonicalize().unwrap().join(NAME));
        // The same with an interpreter.
        program[64] = 3;
        std::fs::write(place.path().join(NAME), program).unwrap();
        assert!(find(None, &own).is_err());
    }
}
