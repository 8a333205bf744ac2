//! A user with a root of pools, a repository and a shell.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

pub(crate) struct User {
    dir: tempfile::TempDir,
}

impl User {
    /// With a repository of two branches, `main` and `feature`.
    pub(crate) fn new() -> Self {
        let user = Self {
            dir: tempfile::tempdir().expect("dir"),
        };
        let repo = user.repo();
        user.git(&["init", "-q", "-b", "main", repo.to_str().expect("UTF-8")]);
        for (branch, file) in [("main", "a"), ("feature", "b")] {
            fs::write(repo.join(file), "text\n").expect("write");
            user.in_repo(&["checkout", "-q", "-B", branch]);
            user.in_repo(&["add", "-A"]);
            user.in_repo(&[
                "-c",
                "user.name=A",
                "-c",
                "user.email=a@b",
                "commit",
                "-q",
                "-m",
                branch,
            ]);
        }
        user.in_repo(&["checkout", "-q", "main"]);
        user
    }

    /// With a pool `app` of two slots as well.
    pub(crate) fn pooled() -> Self {
        let user = Self::new();
        user.run(&["pool", "create", "app", "--url", "repo", "--slots", "2"])
            .ends_with(0);
        user
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.path().join("repo")
    }

    pub(crate) fn in_repo(&self, args: &[&str]) -> String {
        let repo = self.repo();
        self.git(&[&["-C", repo.to_str().expect("UTF-8")], args].concat())
    }

    fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git").args(args).output().expect("git");
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout)
            .expect("UTF-8")
            .trim()
            .to_owned()
    }

    /// The command with a root of this user's own, in a folder of this user's own.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_brolly"));
        command
            .args(args)
            .current_dir(self.path())
            .env("BROLLY_ROOT", self.path().join("root"));
        command.env("TMPDIR", self.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Answer {
        Answer::of(self.command(args).output().expect("brolly"))
    }

    /// Starts the command with pipes for its output.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("brolly")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("write");
    }
}

/// Waits for the end of a command that may be at fault for hanging; one that does is killed, and the test fails.
#[track_caller]
pub(crate) fn finish(child: Child) -> Answer {
    let id = child.id();
    let (sender, receiver) = mpsc::channel();
    let waiter = std::thread::spawn(move || sender.send(child.wait_with_output()));
    let output = receiver.recv_timeout(Duration::from_secs(120));
    if output.is_err() {
        signal(id, "KILL");
    }
    let _ = waiter.join();
    Answer::of(output.expect("it hangs").expect("brolly"))
}

/// Sends a signal to a child that has not been waited for, so that its id is its own.
pub(crate) fn signal(id: u32, name: &str) {
    let sent = Command::new("kill")
        .args([format!("-{name}"), id.to_string()])
        .status();
    assert!(sent.expect("kill").success());
}

pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The one JSON document on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }

    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }
}
