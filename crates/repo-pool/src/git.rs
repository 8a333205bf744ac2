//! git as a child process: a fixed environment, explicit directories, a time limit, no shell, no prompt.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::{Cancel, Captured, Command, Exit, Outcome, SpawnError};

/// How long one git command may run unless set otherwise: 300 s.
pub const DEFAULT_GIT_TIMEOUT: Duration = Duration::from_secs(300);

/// Settings that no repository's own configuration may change while the pool runs git.
const CONFIG: [(&str, &str); 12] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.trustctime", "true"),
    ("core.checkStat", "default"),
    ("protocol.ext.allow", "never"),
    ("submodule.recurse", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("advice.detachedHead", "false"),
    ("commit.gpgSign", "false"),
    ("merge.verifySignatures", "false"),
];

/// Runs git for one working copy, or for a bare repository, with directories given explicitly.
///
/// Nothing is discovered from the current directory, every inherited `GIT_*` variable is cleared,
/// hooks, file-system monitors and background maintenance are off, and git never prompts. Arguments
/// are passed as they are: put `--` or `--end-of-options` before anything that comes from outside.
#[derive(Clone, Debug)]
pub struct Git {
    git_dir: Option<PathBuf>,
    work_tree: Option<PathBuf>,
    timeout: Duration,
    access: Access,
    env: Vec<(OsString, OsString)>,
    cancel: Option<Cancel>,
}

/// Which configuration git sees beside the repository's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// None: what git does to a working copy must not depend on who runs the pool.
    Isolated,
    /// The user's: credentials, proxies and URL rewrites live there.
    Network,
}

/// What a git command wrote.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Output {
    /// How git ended.
    pub exit: Exit,
    /// Standard output; what is not UTF-8 is replaced.
    pub stdout: String,
    /// Standard error; what is not UTF-8 is replaced.
    pub stderr: String,
    /// Whether the middle of either stream was left out.
    pub truncated: bool,
    /// From start to end, by the monotonic clock.
    pub duration: Duration,
}

impl Output {
    /// Whether git exited with code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.exit.is_success()
    }
}

impl From<Outcome> for Output {
    fn from(outcome: Outcome) -> Self {
        Self {
            exit: outcome.exit,
            truncated: outcome.stdout.is_truncated() || outcome.stderr.is_truncated(),
            stdout: outcome.stdout.text(),
            stderr: outcome.stderr.text(),
            duration: outcome.duration,
        }
    }
}

/// Why a git command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// There is no `git` in `PATH`.
    #[error("git was not found: install git and make sure that it is in PATH")]
    NotFound,
    /// git could not be started.
    #[error(transparent)]
    Spawn(SpawnError),
    /// git ended with an error, ran into its time limit or was cancelled.
    #[error("{command}: {exit}{}", after(.stderr))]
    #[non_exhaustive]
    Failed {
        /// The command, credentials removed.
        command: String,
        /// How it ended.
        exit: Exit,
        /// What it said, credentials removed.
        stderr: String,
    },
    /// git's answer is not of the form it documents.
    #[error("{command}: unexpected answer {answer:?}")]
    #[non_exhaustive]
    Answer {
        /// The command.
        command: String,
        /// The answer's beginning.
        answer: String,
    },
    /// git's answer is longer than what is kept of it, so nothing was read from it.
    #[error("{command}: the answer of {bytes} bytes is longer than {limit} bytes")]
    #[non_exhaustive]
    TooLong {
        /// The command, credentials removed.
        command: String,
        /// How long the answer is.
        bytes: u64,
        /// How long it may be.
        limit: usize,
    },
}

impl Git {
    /// git for the repository at `git_dir`, which may be bare.
    pub(crate) fn bare(git_dir: impl Into<PathBuf>, timeout: Duration) -> Self {
        let git_dir = Some(git_dir.into());
        Self {
            git_dir,
            work_tree: None,
            timeout,
            access: Access::Isolated,
            env: Vec::new(),
            cancel: None,
        }
    }

    /// git for a working copy.
    pub(crate) fn work_tree(
        git_dir: impl Into<PathBuf>,
        tree: impl Into<PathBuf>,
        timeout: Duration,
    ) -> Self {
        Self {
            work_tree: Some(tree.into()),
            ..Self::bare(git_dir, timeout)
        }
    }

    /// git outside any repository: the one around the current directory, if there is one, is not
    /// found, so neither its remotes nor its configuration have a say.
    pub(crate) fn anywhere(timeout: Duration) -> Self {
        Self {
            git_dir: None,
            ..Self::bare("", timeout)
        }
    }

    /// The same with the user's own configuration, for what talks to a remote.
    pub(crate) fn networked(mut self) -> Self {
        self.access = Access::Network;
        self
    }

    /// The same, ended when `cancel` is cancelled.
    #[must_use]
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }

    /// The same with an environment variable set, such as `GIT_COMMITTER_NAME`.
    #[must_use]
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Runs git and expects success.
    ///
    /// # Errors
    ///
    /// [`GitError::Failed`] when git ends with anything but exit code 0.
    pub fn run<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Output, GitError> {
        self.run_with_input(args, Vec::new())
    }

    /// Runs git where failing is an answer: look at [`Output::exit`].
    ///
    /// # Errors
    ///
    /// Only when git could not be started, ran into its time limit or was cancelled.
    pub fn try_run<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Output, GitError> {
        let command = self.command(args);
        let output = self.start(&command, Vec::new())?;
        match output.exit {
            Exit::Code(_) => Ok(output),
            _ => Err(failed(&command, output)),
        }
    }

    /// Runs git with bytes on its standard input and expects success.
    pub(crate) fn run_with_input<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: Vec<u8>,
    ) -> Result<Output, GitError> {
        let command = self.command(args);
        let output = self.start(&command, input)?;
        if output.success() {
            Ok(output)
        } else {
            Err(failed(&command, output))
        }
    }

    /// Runs git and reads the names that it lists, each ended by a zero byte; names need not be UTF-8.
    pub(crate) fn names<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Vec<Vec<u8>>, GitError> {
        let listed = self.read(args)?;
        let names = listed
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty());
        Ok(names.map(<[u8]>::to_vec).collect())
    }

    /// The commit that `HEAD` is at.
    ///
    /// # Errors
    ///
    /// When `HEAD` names no commit.
    pub fn current_commit(&self) -> Result<String, GitError> {
        self.commit_id("HEAD")
    }

    /// The full id of the commit that `revision` names.
    ///
    /// # Errors
    ///
    /// When it names none.
    pub fn commit_id(&self, revision: &str) -> Result<String, GitError> {
        let args = [
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &format!("{revision}^{{commit}}"),
        ];
        let output = self.run(args)?;
        let id = output.stdout.trim();
        if is_object_id(id) {
            Ok(id.to_owned())
        } else {
            Err(answer("rev-parse", &output.stdout))
        }
    }

    /// The branch that `HEAD` is on, or `None` where it is detached.
    ///
    /// # Errors
    ///
    /// When `HEAD` cannot be read.
    pub fn current_branch(&self) -> Result<Option<String>, GitError> {
        let output = self.try_run(["symbolic-ref", "--quiet", "--short", "HEAD"])?;
        match output.exit {
            Exit::Code(0) => Ok(Some(output.stdout.trim().to_owned())),
            Exit::Code(1) => Ok(None),
            _ => Err(failed(
                &self.command(["symbolic-ref", "--quiet", "--short", "HEAD"]),
                output,
            )),
        }
    }

    /// Whether nothing differs from `HEAD` and no untracked file lies about, ignored ones aside.
    ///
    /// # Errors
    ///
    /// When git cannot tell; that is never taken for clean.
    pub fn is_clean(&self) -> Result<bool, GitError> {
        Ok(self
            .run(["status", "--porcelain", "--untracked-files=normal"])?
            .stdout
            .is_empty())
    }

    /// The remote's branches as of the last fetch with their commits, sorted by name; the remote's `HEAD` pointer is none.
    ///
    /// A branch whose name is not UTF-8 is left out: no request could name it.
    ///
    /// # Errors
    ///
    /// When the refs cannot be read; [`GitError::TooLong`] for more than 256 MiB of them, some millions.
    pub fn remote_branches(&self, remote: &str) -> Result<Vec<(String, String)>, GitError> {
        let prefix = format!("refs/remotes/{remote}/");
        let listed = self.read([
            "for-each-ref",
            "--format=%(symref)%00%(objectname)%00%(refname)",
            "--",
            &prefix,
        ])?;
        let mut branches = Vec::new();
        let lines = listed.split(|byte| *byte == b'\n');
        for line in lines.filter(|line| !line.is_empty()) {
            let Ok(line) = std::str::from_utf8(line) else {
                continue;
            };
            let mut fields = line.split('\0');
            let (Some(symref), Some(id), Some(name)) =
                (fields.next(), fields.next(), fields.next())
            else {
                return Err(answer("for-each-ref", line));
            };
            if let (true, Some(branch)) = (symref.is_empty(), name.strip_prefix(&prefix)) {
                branches.push((branch.to_owned(), id.to_owned()));
            }
        }
        Ok(branches)
    }

    /// Runs git for an answer that is taken apart: all of it, byte by byte, or an error.
    pub(crate) fn read<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Vec<u8>, GitError> {
        let command = self.command(args);
        let outcome = outcome(&command)?;
        if !outcome.exit.is_success() {
            return Err(failed(&command, outcome.into()));
        }
        whole(&command, &outcome.stdout)
    }

    fn start(&self, command: &Command, input: Vec<u8>) -> Result<Output, GitError> {
        outcome(&command.clone().stdin(input)).map(Output::from)
    }

    fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new("git")
            .timeout(self.timeout)
            .kill_grace(Duration::from_secs(5))
            .output_limit(OUTPUT_LIMIT);
        for (key, _) in std::env::vars_os() {
            let transport =
                self.access == Access::Network && (key == "GIT_SSH_COMMAND" || key == "GIT_SSH");
            if key.as_encoded_bytes().starts_with(b"GIT_") && !transport {
                command = command.env_remove(key);
            }
        }
        command = command
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("SSH_ASKPASS_REQUIRE", "never");
        match self.access {
            Access::Isolated => {
                command = command
                    .env("GIT_CONFIG_NOSYSTEM", "1")
                    .env("GIT_CONFIG_GLOBAL", "/dev/null")
            }
            Access::Network if !has_ssh_command() => {
                command = command.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
            }
            Access::Network => {}
        }
        command = command.env("GIT_CONFIG_COUNT", CONFIG.len().to_string());
        for (index, (key, value)) in CONFIG.iter().enumerate() {
            command = command
                .env(format!("GIT_CONFIG_KEY_{index}"), *key)
                .env(format!("GIT_CONFIG_VALUE_{index}"), *value);
        }
        for (key, value) in &self.env {
            command = command.env(key, value);
        }
        match &self.git_dir {
            Some(git_dir) => command = command.arg(prefixed("--git-dir=", git_dir)),
            // Nothing is searched where a directory is named, and this one is no repository.
            // GIT_CEILING_DIRECTORIES would not do: it never excludes the current directory itself.
            None => command = command.env("GIT_DIR", "/dev/null"),
        }
        if let Some(tree) = &self.work_tree {
            command = command
                .arg(prefixed("--work-tree=", tree))
                .current_dir(tree);
        }
        if let Some(cancel) = &self.cancel {
            command = command.cancel(cancel);
        }
        command.args(args.into_iter().map(|arg| arg.as_ref().to_owned()))
    }
}

/// Answers of git that the pool reads are lists of names; this holds some millions of them.
const OUTPUT_LIMIT: usize = 256 * 1024 * 1024;

/// The text with the credentials of every URL in it removed.
pub(crate) fn redacted(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let authority = after
            .find(|c: char| c == '/' || c.is_whitespace() || c == '\'' || c == '"')
            .unwrap_or(after.len());
        match after[..authority].rfind('@') {
            Some(end) => {
                clean.push_str("***");
                rest = &after[end..];
            }
            None => rest = after,
        }
    }
    clean.push_str(rest);
    clean
}

/// Whether the text is a full object id (SHA-1 or SHA-256, in hex).
pub(crate) fn is_object_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn outcome(command: &Command) -> Result<Outcome, GitError> {
    command.run().map_err(|error| match error.source.kind() {
        // A missing directory reads the same as a missing program; only the latter is ours to name.
        io::ErrorKind::NotFound if error.current_dir.as_deref().is_none_or(Path::is_dir) => {
            GitError::NotFound
        }
        _ => GitError::Spawn(error),
    })
}

/// What git wrote, unless its middle was left out.
fn whole(command: &Command, stdout: &Captured) -> Result<Vec<u8>, GitError> {
    if stdout.is_truncated() {
        return Err(GitError::TooLong {
            command: shown(command),
            bytes: stdout.total_bytes(),
            limit: OUTPUT_LIMIT,
        });
    }
    Ok(stdout.bytes())
}

fn has_ssh_command() -> bool {
    std::env::var_os("GIT_SSH_COMMAND")
        .or_else(|| std::env::var_os("GIT_SSH"))
        .is_some()
}

fn prefixed(option: &str, path: &Path) -> OsString {
    let mut arg = OsString::from(option);
    arg.push(path);
    arg
}

fn shown(command: &Command) -> String {
    let words: Vec<_> = command
        .line()
        .into_iter()
        .map(OsStr::to_string_lossy)
        .collect();
    redacted(&words.join(" "))
}

fn failed(command: &Command, output: Output) -> GitError {
    GitError::Failed {
        command: shown(command),
        exit: output.exit,
        stderr: redacted(output.stderr.trim()),
    }
}

fn answer(command: &str, text: &str) -> GitError {
    GitError::Answer {
        command: command.to_owned(),
        answer: text.chars().take(200).collect(),
    }
}

fn after(stderr: &str) -> String {
    if stderr.is_empty() {
        String::new()
    } else {
        format!(": {stderr}")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Git, GitError, is_object_id, outcome, redacted, whole};
    use crate::process::Command;

    #[test]
    fn an_answer_cut_short_is_an_error_and_not_a_shorter_answer() {
        let command = Command::new("sh")
            .args(["-c", "echo 0123456789"])
            .output_limit(4);
        let output = outcome(&command).expect("sh");
        match whole(&command, &output.stdout) {
            Err(GitError::TooLong { bytes, .. }) => assert_eq!(bytes, 11),
            other => panic!("{other:?}"),
        }
        let command = command.output_limit(11);
        let output = outcome(&command).expect("sh");
        assert_eq!(
            whole(&command, &output.stdout).expect("whole"),
            b"0123456789\n"
        );
    }

    #[test]
    fn git_outside_a_repository_finds_none_around_it() {
        // This file lies in a repository in most checkouts, but tests run from a package too.
        let dir = tempfile::tempdir().expect("dir");
        let git = Git::anywhere(Duration::from_secs(60));
        let around = dir.path().join("around");
        git.run([
            "init".as_ref(),
            "-q".as_ref(),
            "--bare".as_ref(),
            "--".as_ref(),
            around.as_os_str(),
        ])
        .expect("a repository at a path given");
        let mut command = git.command(["rev-parse", "--git-dir"]);
        command = command.current_dir(&around);
        let found = outcome(&command).expect("git");
        assert!(!found.exit.is_success(), "{:?}", found.stdout.text());
    }

    #[test]
    fn credentials_never_reach_a_message() {
        assert_eq!(
            redacted("clone https://u:p@host/x and ssh://git@h"),
            "clone https://***@host/x and ssh://***@h"
        );
        assert_eq!(redacted("https://host/a@b"), "https://host/a@b");
        assert_eq!(redacted("https://u:p@q@host"), "https://***@host");
        assert_eq!(redacted("nothing here"), "nothing here");
    }

    #[test]
    fn an_object_id_is_forty_or_sixty_four_hex_digits() {
        assert!(is_object_id(&"a".repeat(40)));
        assert!(is_object_id(&"0".repeat(64)));
        assert!(!is_object_id(&"g".repeat(40)));
        assert!(!is_object_id("abc"));
    }
}
