//! A PostgreSQL server of the system's package, in a folder of its own, that ends with the run.

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Only names the socket: the server listens on no network.
pub const PORT: u16 = 5432;
pub const USER: &str = "brolly";

/// The folder of `postgres` and `initdb`.
#[derive(Debug)]
pub struct Binaries(PathBuf);

impl Binaries {
    pub fn find() -> Option<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
        // Debian keeps them beside the PATH, one folder for each version.
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
        folders.extend(versions.flatten().map(|it| it.path().join("bin")));
        let has = |it: &&PathBuf| it.join("postgres").is_file() && it.join("initdb").is_file();
        folders.iter().find(has).cloned().map(Self)
    }
}

#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    child: Child,
}

impl Server {
    /// # Errors
    ///
    /// When there is no server that answers within half a minute.
    pub fn start(binaries: &Binaries) -> Result<Self, String> {
        let text = |it: std::io::Error| it.to_string();
        let folder = tempfile::tempdir().map_err(text)?;
        let user = unprivileged(folder.path())?;
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).map_err(text)?;
        }
        let command = |name: &str| {
            let mut command = Command::new("setpriv");
            // It dies with this program, however that ends.
            command.args(["--pdeathsig", "KILL"]);
            if let Some((uid, gid)) = user {
                command.args(["--reuid", &uid.to_string(), "--regid", &gid.to_string()]);
                command.arg("--clear-groups");
            }
            command.arg("--").arg(binaries.0.join(name));
            command.current_dir(folder.path()).stdin(Stdio::null());
            command.process_group(0);
            command
        };
        let data = folder.path().join("data");
        let mut initdb = command("initdb");
        initdb.args([
            "--no-sync",
            "--auth=trust",
            "--locale=C",
            "--username",
            USER,
        ]);
        let output = initdb.arg("-D").arg(&data).output().map_err(text)?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let mut postgres = command("postgres");
        postgres.arg("-D").arg(&data).arg("-k").arg(folder.path());
        for setting in [
            "listen_addresses=",
            "max_connections=200",
            "fsync=off",
            "autovacuum=off",
        ] {
            postgres.args(["-c", setting]);
        }
        postgres.stdout(Stdio::null()).stderr(Stdio::null());
        let child = postgres.spawn().map_err(text)?;
        let server = Self { folder, child };
        server.wait()?;
        Ok(server)
    }

    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// The last line of its file says when it is ready.
    fn wait(&self) -> Result<(), String> {
        let status = self.folder.path().join("data/postmaster.pid");
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            let lines = fs::read_to_string(&status).unwrap_or_default();
            if lines.lines().last().is_some_and(|it| it.trim() == "ready") {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(String::from("the server does not start"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ends its other processes too, before the folder goes.
        let kill = format!("kill -QUIT {}", self.child.id());
        let _ = Command::new("sh").args(["-c", &kill]).status();
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Who the server is to run as, where we are root, which it refuses.
fn unprivileged(ours: &Path) -> Result<Option<(u32, u32)>, String> {
    let uid = fs::metadata(ours).map_err(|it| it.to_string())?.uid();
    if uid != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(|it| it.to_string())?;
    let find = |name: &str| {
        let line = users
            .lines()
            .find(|it| it.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        let uid = fields.next()?.parse().ok()?;
        Some((uid, fields.next()?.parse().ok()?))
    };
    let user = find("postgres").or_else(|| find("nobody"));
    user.map(Some)
        .ok_or_else(|| String::from("only root is here"))
}
