//! Whether SQLite may trust the locks and the shared memory of the filesystem below a folder.

use std::path::Path;

use super::Error;

/// The kind of filesystem behind a Linux `f_type` (statfs), if SQLite cannot keep a database whole there.
pub fn network_filesystem(f_type: i64) -> Option<&'static str> {
    // Some architectures sign-extend the 32 bits.
    match f_type & 0xffff_ffff {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB (CIFS)"),
        0x0102_1997 => Some("9p"),
        0x6573_5546 => Some("FUSE (such as sshfs)"),
        0x00c3_6400 => Some("CephFS"),
        0x0bd0_0bd0 => Some("Lustre"),
        0x4750_4653 => Some("GPFS"),
        0x1983_0326 => Some("BeeGFS"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x7375_7245 => Some("Coda"),
        0x0116_1970 => Some("GFS2"),
        0x7461_636f => Some("OCFS2"),
        _ => None,
    }
}

/// Refuses a database file in a folder whose filesystem cannot be trusted.
pub(super) fn check(database: &Path) -> Result<(), Error> {
    let folder = match database.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    refuse(folder, f_type(folder)?)
}

fn refuse(folder: &Path, f_type: Option<i64>) -> Result<(), Error> {
    match f_type.and_then(network_filesystem) {
        None => Ok(()),
        Some(filesystem) => Err(Error::NetworkFilesystem {
            path: folder.display().to_string(),
            filesystem: filesystem.to_owned(),
        }),
    }
}

#[cfg(target_os = "linux")]
fn f_type(folder: &Path) -> Result<Option<i64>, Error> {
    let stat = nix::sys::statfs::statfs(folder)
        .map_err(|e| Error::Unavailable(format!("the folder {}: {}", folder.display(), e.desc())))?;
    Ok(Some(stat.filesystem_type().0))
}

#[cfg(not(target_os = "linux"))]
fn f_type(_: &Path) -> Result<Option<i64>, Error> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_filesystems_are_told_from_local_ones() {
        for (f_type, kind) in [
            (0x6969, "NFS"),
            (0xff53_4d42, "SMB (CIFS)"),
            (i64::from(0xff53_4d42_u32.cast_signed()), "SMB (CIFS)"),
            (0x0102_1997, "9p"),
            (0x6573_5546, "FUSE (such as sshfs)"),
        ] {
            assert_eq!(network_filesystem(f_type), Some(kind), "{f_type:x}");
        }
        // ext4, btrfs, xfs, tmpfs, overlayfs, zfs.
        for f_type in [0xef53, 0x9123_683e, 0x5846_5342, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1] {
            assert_eq!(network_filesystem(f_type), None, "{f_type:x}");
        }
    }

    #[test]
    fn a_network_filesystem_is_refused_with_the_way_out() {
        let error = refuse(Path::new("/srv/data"), Some(0x6969)).unwrap_err().to_string();
        assert!(error.contains("/srv/data is on NFS") && error.contains("--database postgres://"), "{error}");
        assert_eq!(refuse(Path::new("/srv/data"), Some(0xef53)), Ok(()));
        assert_eq!(refuse(Path::new("/srv/data"), None), Ok(()));
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = check(Path::new("/nowhere/at/all/runyard.db")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
