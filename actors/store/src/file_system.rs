//! What SQLite's file lies on. WAL shares memory between processes by a file, which file systems of the network do not
//! do: two machines would each see another database, and neither would notice.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    error::OpenError,
    settings::{Database, StoreSettings},
};

/// File systems of the network, as the kernel calls them.
const NETWORK: [&str; 12] =
    ["nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "fuse.glusterfs", "fuse.sshfs"];

/// Refuses SQLite's file on a file system of the network. Answers a warning where nobody knows what is behind the file
/// system (FUSE).
pub fn check_file_system(settings: &StoreSettings) -> Result<Option<String>, OpenError> {
    match settings.database() {
        Some(Database::Sqlite(path)) => look_at(Path::new(path)),
        Some(Database::Postgres(_)) | None => Ok(None),
    }
}

/// The same, of a file that may not be there yet.
fn look_at(path: &Path) -> Result<Option<String>, OpenError> {
    // Linux tells; where there is no such file, nothing is known.
    let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") else { return Ok(None) };
    let Some(real) = real_path(path) else { return Ok(None) };
    judge(path, type_at(&mounts, &real).as_deref())
}

fn judge(path: &Path, file_system: Option<&str>) -> Result<Option<String>, OpenError> {
    match file_system {
        Some(network) if NETWORK.contains(&network) => {
            Err(OpenError::NetworkFileSystem { path: path.to_owned(), file_system: network.to_owned() })
        }
        Some(fuse) if fuse == "fuse" || fuse == "virtiofs" || fuse.starts_with("fuse.") => Ok(Some(format!(
            "{} lies on {fuse}: unless that is a disk of this machine, SQLite's WAL does not work there",
            path.display()
        ))),
        _ => Ok(None),
    }
}

/// The path without links; of a file that is not there yet, as far as its folder is.
fn real_path(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::canonicalize(path).or_else(|_| fs::canonicalize(folder)).ok()
}

/// The type of the file system that a path is on: that of the longest mount point above it, the last one mounted there.
fn type_at(mounts: &str, path: &Path) -> Option<String> {
    let mounted = mounts.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let point = PathBuf::from(unescaped(mount.split(' ').nth(4)?));
        let depth = path.starts_with(&point).then(|| point.components().count())?;
        Some((depth, file_system.split(' ').next()?.to_owned()))
    });
    // Of several that are equal, `max_by_key` takes the last.
    mounted.max_by_key(|(depth, _)| *depth).map(|(_, file_system)| file_system)
}

/// The kernel writes a space, a tab, a line feed and a backslash as `\` and three octal digits.
fn unescaped(point: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(point.to_owned(), |point, (written, meant)| point.replace(written, meant))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{judge, look_at, type_at};

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:40 / /srv rw - nfs4 filer:/srv rw,vers=4.2
31 30 254:1 / /srv/local rw - xfs /dev/vdb rw
32 22 0:41 / /mnt/my\\040disk rw - cifs //filer/share rw
33 22 0:42 / /home/anna rw - fuse.sshfs anna@filer: rw
34 22 0:43 / /data rw - fuse.bindfs /data rw
35 22 0:44 / /twice rw - nfs filer:/twice rw
36 35 254:2 / /twice rw - ext4 /dev/vdc rw
";

    #[test]
    fn a_path_is_on_the_file_system_of_the_nearest_mount_point() {
        for (path, file_system) in [
            ("/var/lib/vumi/vumi.db", "ext4"),
            ("/srv/vumi/vumi.db", "nfs4"),
            ("/srv/local/vumi.db", "xfs"),
            ("/srvx/vumi.db", "ext4"),
            ("/mnt/my disk/vumi.db", "cifs"),
            ("/twice/vumi.db", "ext4"),
        ] {
            assert_eq!(type_at(MOUNTS, Path::new(path)).as_deref(), Some(file_system), "{path}");
        }
        assert_eq!(type_at("", Path::new("/vumi.db")), None);
    }

    #[test]
    fn a_network_is_refused_and_named_and_fuse_is_warned_of() {
        let judged = |path: &str| judge(Path::new(path), type_at(MOUNTS, Path::new(path)).as_deref());
        for (path, named) in [("/srv/a.db", "nfs4"), ("/mnt/my disk/a.db", "cifs"), ("/home/anna/a.db", "fuse.sshfs")] {
            let error = judged(path).unwrap_err().to_string();
            assert!(error.contains(path) && error.contains(named) && error.contains("store.url"), "{error}");
        }
        assert!(judged("/data/a.db").unwrap().unwrap().contains("fuse.bindfs"));
        assert_eq!(judged("/var/a.db").unwrap(), None);
    }

    #[test]
    fn a_file_on_this_machines_disk_is_good_whether_it_is_there_or_not() {
        assert_eq!(look_at(&std::env::temp_dir().join("not-there.db")).unwrap(), None);
        assert_eq!(look_at(Path::new("/no/such/folder/vumi.db")).unwrap(), None);
    }
}
