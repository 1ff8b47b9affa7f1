//! A file that is there whole, or not at all: it is written beside its place, and put there at the end.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

/// Why a file can't be written.
#[derive(Debug, thiserror::Error)]
pub enum NewFileError {
    /// A file of this name is there, and is not to be replaced.
    #[error("{} is there already: give another name, or --force to replace it", .0.display())]
    Exists(PathBuf),
    /// The folder that the file would be in does not exist.
    #[error("the folder of {} does not exist: create it, or give another name", .0.display())]
    NoFolder(PathBuf),
    /// Another process writes it.
    #[error("another vumi is writing {}: wait for it, or give another name", .0.display())]
    UnderWay(PathBuf),
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Refused {
        /// The file, or the `.part` beside it, that was worked on.
        path: PathBuf,
        /// The system's error, such as that of a full disk.
        source: io::Error,
    },
}

/// See the module. Only its owner reads it. Dropped before [`Self::finish`], it leaves nothing; what a process that was
/// killed left, `FILE.part`, the next one of that name replaces.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    part: PathBuf,
    /// Locked for as long as it is written.
    file: File,
    replaces: bool,
    finished: bool,
}

impl NewFile {
    /// Begins one, in the folder of its place.
    pub fn begin(path: &Path, replaces: bool) -> Result<Self, NewFileError> {
        if path.is_dir() || (!replaces && path.exists()) {
            return Err(NewFileError::Exists(path.to_owned()));
        }
        if !folder(path).is_dir() {
            return Err(NewFileError::NoFolder(path.to_owned()));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let refused = |source| NewFileError::Refused { path: part.clone(), source };
        let file = private().open(&part).map_err(refused)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(NewFileError::UnderWay(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(refused(source)),
        }
        file.set_len(0).map_err(refused)?;
        Ok(Self { path: path.to_owned(), part, file, replaces, finished: false })
    }

    /// Where it is until it is finished: whoever can't write by [`Write`] writes there.
    #[must_use]
    pub fn part(&self) -> &Path {
        &self.part
    }

    /// Puts it in its place, on the disk.
    pub fn finish(mut self) -> Result<(), NewFileError> {
        let refused = |source| NewFileError::Refused { path: self.path.clone(), source };
        self.file.sync_all().map_err(refused)?;
        // Somebody else may have put one there meanwhile. A link never replaces one; not every file system has links.
        match if self.replaces { Ok(false) } else { std::fs::hard_link(&self.part, &self.path).map(|()| true) } {
            Ok(true) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(NewFileError::Exists(self.path.clone()));
            }
            Ok(false) | Err(_) => {
                std::fs::rename(&self.part, &self.path).map_err(refused)?;
                self.finished = true;
            }
        }
        sync_folder(&self.path).map_err(refused)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.finished {
            let _nothing_is_there = std::fs::remove_file(&self.part);
        }
    }
}

/// The folder that a file is in.
pub(crate) fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Has a name that was given or taken survive a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder(path))?.sync_all() } else { Ok(()) }
}

/// Texts and numbers of people are in it: others on the machine have no business there.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::{NewFile, NewFileError};

    #[test]
    fn a_new_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("export.csv");
        let mut cut_off = NewFile::begin(&path, false).unwrap();
        cut_off.write_all(b"half").unwrap();
        assert!(!path.exists() && cut_off.part().exists());
        assert!(matches!(NewFile::begin(&path, false), Err(NewFileError::UnderWay(_))));
        drop(cut_off);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        // What a killed process left.
        fs::write(folder.path().join("export.csv.part"), "an older and longer half").unwrap();
        let mut whole = NewFile::begin(&path, false).unwrap();
        whole.write_all(b"whole").unwrap();
        whole.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_replaced_unless_that_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup.db");
        let late = NewFile::begin(&path, false).unwrap();
        fs::write(&path, "somebody's").unwrap();
        assert!(matches!(late.finish(), Err(NewFileError::Exists(_))));
        assert!(matches!(NewFile::begin(&path, false), Err(NewFileError::Exists(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's");
        NewFile::begin(&path, true).unwrap().finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        assert!(matches!(NewFile::begin(folder.path(), true), Err(NewFileError::Exists(_))));
        let nowhere = folder.path().join("gone/backup.db");
        assert!(matches!(NewFile::begin(&nowhere, true), Err(NewFileError::NoFolder(_))));
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup.db");
        NewFile::begin(&path, false).unwrap().finish().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
    }
}
