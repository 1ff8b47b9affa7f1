//! Where the database's file lies: is there a folder, may we write, is it ours alone.

use std::{
    fs::{File, TryLockError},
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use crate::{
    error::OpenError,
    new_file::{folder, private},
};

/// How every SQLite database begins.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Kept for as long as the database is ours: the operating system lets go when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _held: File,
}

/// Looks at the file before SQLite does, whose own errors don't say what to do. Creates it where it is missing.
pub(crate) fn look_at(path: &Path) -> Result<(), OpenError> {
    let folder = folder(path);
    if !folder.is_dir() {
        return Err(OpenError::DirectoryMissing(folder));
    }
    if path.is_dir() {
        return Err(OpenError::NotADatabase(path.to_owned()));
    }
    let file = private().open(path).map_err(|error| refused(path, error))?;
    let mut begins = Vec::new();
    file.take(MAGIC.len() as u64).read_to_end(&mut begins).map_err(|error| refused(path, error))?;
    if begins.is_empty() || begins == MAGIC { Ok(()) } else { Err(OpenError::NotADatabase(path.to_owned())) }
}

/// Takes the database for this process alone.
pub(crate) fn lock(path: &Path) -> Result<Lock, OpenError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let file = private().open(&beside).map_err(|error| refused(&beside, error))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _held: file }),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(refused(&beside, error)),
    }
}

fn refused(path: &Path, error: std::io::Error) -> OpenError {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => OpenError::NoPermission(path.to_owned()),
        _ => OpenError::Io { path: path.to_owned(), source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::{lock, look_at};
    use crate::error::OpenError;

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gone/vumi.db");
        let error = look_at(&path).unwrap_err();
        assert!(matches!(&error, OpenError::DirectoryMissing(named) if named.ends_with("gone")), "{error}");
    }

    #[test]
    fn a_file_of_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "a shopping list, and no database").unwrap();
        assert!(matches!(look_at(&path), Err(OpenError::NotADatabase(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a shopping list, and no database");
        assert!(matches!(look_at(folder.path()), Err(OpenError::NotADatabase(_))));
    }

    #[test]
    fn a_database_has_one_holder_and_the_next_when_that_one_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vumi.db");
        let held = lock(&path).unwrap();
        assert!(matches!(lock(&path), Err(OpenError::Locked(_))));
        drop(held);
        lock(&path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_a_new_database() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vumi.db");
        look_at(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
    }
}
