//! Running a child process so that nothing of it outlives the call: own process group, time limit, bounded output.

#[cfg(unix)]
mod unix;

#[cfg(target_os = "linux")]
pub(crate) use unix::wait_for;

mod cancel;
mod captured;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use cancel::Cancel;
pub use captured::Captured;

/// Bytes of each output stream that are kept in memory unless [`Command::output_limit`] says otherwise: 1 MiB.
pub const DEFAULT_OUTPUT_LIMIT: usize = 1024 * 1024;

/// Bytes of each log file that are written unless [`Command::log_limit`] says otherwise: 64 MiB.
pub const DEFAULT_LOG_LIMIT: u64 = 64 * 1024 * 1024;

/// How long a process group may take to end after `SIGTERM` before it gets `SIGKILL`.
pub const DEFAULT_KILL_GRACE: Duration = Duration::from_secs(1);

/// A child process to run: program and arguments, never a shell string.
///
/// The child leads a process group of its own. When it ends, when its time is up or when it is
/// cancelled, the whole group is ended, so that no grandchild goes on working in the directory. A
/// process that leaves the group on purpose (`setsid`) is out of reach.
///
/// ```
/// use brolly_repo_pool::process::{Command, Exit};
///
/// let outcome = Command::new("sh").args(["-c", "echo hello"]).run()?;
/// assert_eq!(outcome.exit, Exit::Code(0));
/// assert_eq!(outcome.stdout.text(), "hello\n");
/// # Ok::<(), brolly_repo_pool::process::SpawnError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Command {
    program: OsString,
    args: Vec<OsString>,
    current_dir: Option<PathBuf>,
    env: Vec<(OsString, Option<OsString>)>,
    stdin: Vec<u8>,
    inherit_input: bool,
    timeout: Option<Duration>,
    kill_grace: Duration,
    inherit_output: bool,
    output_limit: usize,
    logs: Option<(PathBuf, PathBuf)>,
    log_limit: u64,
    cancel: Option<Cancel>,
}

impl Command {
    /// A command that runs `program`, searched in `PATH` unless it holds a separator, without a time limit.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            current_dir: None,
            env: Vec::new(),
            stdin: Vec::new(),
            inherit_input: false,
            timeout: None,
            kill_grace: DEFAULT_KILL_GRACE,
            inherit_output: false,
            output_limit: DEFAULT_OUTPUT_LIMIT,
            logs: None,
            log_limit: DEFAULT_LOG_LIMIT,
            cancel: None,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Runs the child in `dir`.
    #[must_use]
    pub fn current_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(dir.into());
        self
    }

    /// Sets one environment variable; everything else is inherited.
    #[must_use]
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), Some(value.into())));
        self
    }

    /// Removes one inherited environment variable.
    #[must_use]
    pub fn env_remove(mut self, key: impl Into<OsString>) -> Self {
        self.env.push((key.into(), None));
        self
    }

    /// Bytes the child reads from its standard input, which is empty otherwise.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Lets the child read this process's own standard input. A terminal is not passed on: a group of its
    /// own that reads from one is stopped by the system.
    #[must_use]
    pub fn inherit_input(mut self) -> Self {
        self.inherit_input = true;
        self
    }

    /// Ends the process group when the child has run this long.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long the group may take to end after `SIGTERM` ([`DEFAULT_KILL_GRACE`] unless set);
    /// `Duration::MAX` never kills.
    #[must_use]
    pub fn kill_grace(mut self, grace: Duration) -> Self {
        self.kill_grace = grace;
        self
    }

    /// Ends the process group when `cancel` is cancelled.
    #[must_use]
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }

    /// Lets the child write to this process's own output streams: nothing is kept and nothing logged.
    #[must_use]
    pub fn inherit_output(mut self) -> Self {
        self.inherit_output = true;
        self
    }

    /// Bytes of each stream kept in memory: the first half and the last half of what was written.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// Also writes both streams to files, each up to [`Command::log_limit`].
    ///
    /// A file that cannot be made or written ends nothing: [`Captured::log_problem`] says why the log is not whole.
    #[must_use]
    pub fn log_to(mut self, stdout: impl Into<PathBuf>, stderr: impl Into<PathBuf>) -> Self {
        self.logs = Some((stdout.into(), stderr.into()));
        self
    }

    /// Bytes of each log file ([`DEFAULT_LOG_LIMIT`] unless set); what comes after is counted and left out.
    #[must_use]
    pub fn log_limit(mut self, bytes: u64) -> Self {
        self.log_limit = bytes;
        self
    }

    /// Runs the child to its end and blocks meanwhile.
    ///
    /// # Errors
    ///
    /// [`SpawnError`] when the program could not be started. A child that fails, times out or is
    /// cancelled is no error: [`Outcome::exit`] says how it ended.
    pub fn run(&self) -> Result<Outcome, SpawnError> {
        #[cfg(unix)]
        {
            unix::run(self)
        }
        #[cfg(not(unix))]
        {
            Err(self.error(io::ErrorKind::Unsupported.into()))
        }
    }

    /// The program and its arguments, for messages.
    #[must_use]
    pub fn line(&self) -> Vec<&OsStr> {
        std::iter::once(self.program.as_os_str())
            .chain(self.args.iter().map(OsString::as_os_str))
            .collect()
    }

    fn error(&self, source: io::Error) -> SpawnError {
        SpawnError {
            program: self.program.clone(),
            current_dir: self.current_dir.clone(),
            source,
        }
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// A signal from elsewhere ended it.
    Signal(i32),
    /// Its time was up, so its group was ended.
    TimedOut,
    /// It was cancelled, so its group was ended.
    Cancelled,
}

impl Exit {
    /// Whether the child exited with code 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Exit::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(signal) => write!(f, "signal {signal}"),
            Exit::TimedOut => f.write_str("timed out"),
            Exit::Cancelled => f.write_str("cancelled"),
        }
    }
}

/// What a child did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// How it ended.
    pub exit: Exit,
    /// What it wrote to standard output.
    pub stdout: Captured,
    /// What it wrote to standard error.
    pub stderr: Captured,
    /// From its start to its end, by the monotonic clock.
    pub duration: Duration,
}

/// A child that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot run {program:?}{}", in_dir(.current_dir.as_deref()))]
#[non_exhaustive]
pub struct SpawnError {
    /// The program.
    pub program: OsString,
    /// The directory it was to run in, if one was set.
    pub current_dir: Option<PathBuf>,
    /// What the operating system said.
    pub source: io::Error,
}

fn in_dir(dir: Option<&Path>) -> String {
    dir.map(|dir| format!(" in {}", dir.display()))
        .unwrap_or_default()
}
