//! The disk is full, and then it is not. Needs the right to mount a small one.

use std::{fs::File, io::Write, path::Path, process::Command, time::Duration};

use tempfile::TempDir;

use crate::{
    black_box::words,
    comparison::compare,
    fixture::{FaultFixture, left_out},
    load::ClientsBook,
};

/// Its size in MiB. It is in memory.
const SIZE: usize = 512;
const BACK: Duration = Duration::from_secs(20);

/// A small disk, gone when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`: this user may not mount.
    fn mount() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &format!("size={SIZE}m"), "tmpfs"]).arg(folder.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(folder)),
            Ok(output) => {
                left_out(&format!("the full disk (mount: {})", words(&output).trim()));
                None
            }
            Err(error) => {
                left_out(&format!("the full disk (mount: {error})"));
                None
            }
        }
    }

    /// Writes a file until nothing more fits.
    fn fill(&self) {
        let mut file = File::create(self.ballast()).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.path().join("ballast")
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _still_mounted = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn nothing_is_lost_by_a_full_disk_and_it_heals_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let fixture = FaultFixture::new(&format!("sqlite://{}/vumi.db", disk.path().display()));
    let clients = ClientsBook::default();
    let router = fixture.run();
    let mut longest = Duration::ZERO;
    std::thread::scope(|threads| {
        let _until_the_end = clients.stopper();
        clients.send(threads, &fixture.harness, 8);
        for _ in 0..3 {
            clients.wait_for_more(100, BACK);
            disk.fill();
            clients.wait_until_refused();
            std::fs::remove_file(disk.ballast()).unwrap();
            longest = longest.max(clients.wait_for_more(1, BACK));
        }
    });
    let books = compare(&fixture.harness, &clients);
    books.show(&format!("a full disk of SQLite, three times, back within {longest:?}"));
    books.assert_kept();
    drop(router);
}
