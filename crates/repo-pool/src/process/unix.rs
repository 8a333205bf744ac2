//! The Unix runner: one thread waits on the child's pipes, its exit and the cancel handle in one `poll`.

use std::fs::File;
use std::io::{self, IsTerminal, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process_group};

use super::{Captured, Command, Exit, Outcome, SpawnError};

/// How long output is still read after the group has ended; only a process that left the group can hold a pipe open.
const DRAIN: Duration = Duration::from_millis(500);

pub(super) fn run(command: &Command) -> Result<Outcome, SpawnError> {
    let fail = |source| command.error(source);
    let started = Instant::now();
    let mut streams = Streams::open(command).map_err(fail)?;
    let mut child = Group::spawn(command, &mut streams).map_err(fail)?;
    let exit = supervise(command, &mut child, &mut streams, started).map_err(fail)?;
    let duration = started.elapsed();
    streams.drain().map_err(fail)?;
    let [stdout, stderr] = streams.outputs.map(|output| output.captured);
    Ok(Outcome {
        exit,
        stdout,
        stderr,
        duration,
    })
}

/// Waits until the child has ended, ending its group when time is up or it is cancelled.
fn supervise(
    command: &Command,
    child: &mut Group,
    streams: &mut Streams,
    started: Instant,
) -> io::Result<Exit> {
    let deadline = command
        .timeout
        .and_then(|timeout| started.checked_add(timeout));
    let mut stopped = None;
    loop {
        let now = Instant::now();
        if stopped.is_none() {
            let reason = if command
                .cancel
                .as_ref()
                .is_some_and(|cancel| cancel.is_cancelled())
            {
                Some(Exit::Cancelled)
            } else {
                deadline
                    .filter(|deadline| now >= *deadline)
                    .map(|_| Exit::TimedOut)
            };
            if let Some(reason) = reason {
                child.signal(Signal::TERM);
                // A grace too long for the clock is one without an end.
                stopped = Some((reason, now.checked_add(command.kill_grace)));
            }
        }
        let wake_at = match stopped {
            Some((_, Some(kill_at))) if now >= kill_at => {
                child.signal(Signal::KILL);
                None
            }
            Some((_, kill_at)) => kill_at,
            None => deadline,
        };
        let cancel = command
            .cancel
            .as_ref()
            .filter(|_| stopped.is_none())
            .map(|cancel| cancel.reader().as_fd());
        if streams.wait(Some(child.exited.as_fd()), cancel, wake_at)? {
            let status = child.reap()?;
            return Ok(match (stopped, status.code(), status.signal()) {
                (Some((reason, _)), ..) => reason,
                (None, Some(code), _) => Exit::Code(code),
                (None, None, signal) => Exit::Signal(signal.unwrap_or_default()),
            });
        }
    }
}

/// A child that leads a process group.
///
/// Invariant: the leader is reaped only after its group was killed. Until then its process id, which
/// is the group's id too, cannot be given to anybody else, so no signal ever reaches a stranger.
struct Group {
    child: Child,
    id: Pid,
    /// Readable once the leader has ended.
    exited: OwnedFd,
    reaped: bool,
}

impl Group {
    fn spawn(command: &Command, streams: &mut Streams) -> io::Result<Self> {
        let mut builder = std::process::Command::new(&command.program);
        builder.args(&command.args).process_group(0);
        if let Some(dir) = &command.current_dir {
            builder.current_dir(dir);
        }
        for (key, value) in &command.env {
            match value {
                Some(value) => builder.env(key, value),
                None => builder.env_remove(key),
            };
        }
        let [stdout, stderr] = [
            streams.outputs[0].writer.take(),
            streams.outputs[1].writer.take(),
        ];
        // Without a pipe the child writes where this process writes.
        builder.stdout(stdout.map_or_else(Stdio::inherit, Stdio::from));
        builder.stderr(stderr.map_or_else(Stdio::inherit, Stdio::from));
        builder.stdin(match streams.child_stdin.take() {
            Some(pipe) => Stdio::from(pipe),
            None if command.inherit_input && !io::stdin().is_terminal() => Stdio::inherit(),
            None => Stdio::null(),
        });
        let mut child = builder.spawn()?;
        let id = Pid::from_child(&child);
        match exit_event(id) {
            Ok(exited) => Ok(Self {
                child,
                id,
                exited,
                reaped: false,
            }),
            Err(error) => {
                let _ = kill_process_group(id, Signal::KILL);
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// A group that has ended already is no error.
    fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.id, signal);
    }

    fn reap(&mut self) -> io::Result<std::process::ExitStatus> {
        self.signal(Signal::KILL);
        self.reaped = true;
        self.child.wait()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = self.reap();
        }
    }
}

#[cfg(target_os = "linux")]
fn exit_event(id: Pid) -> io::Result<OwnedFd> {
    Ok(rustix::process::pidfd_open(
        id,
        rustix::process::PidfdFlags::empty(),
    )?)
}

#[cfg(not(target_os = "linux"))]
fn exit_event(id: Pid) -> io::Result<OwnedFd> {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let (reader, writer) = io::pipe()?;
    std::thread::Builder::new()
        .name("brolly-wait".into())
        .spawn(move || {
            // The child stays a zombie (NOWAIT) until `Group::reap`; closing the pipe is the event.
            let _ = waitid(
                WaitId::Pid(id),
                WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
            );
            drop(writer);
        })?;
    Ok(reader.into())
}

/// The three pipes of a child.
struct Streams {
    outputs: [Output; 2],
    child_stdin: Option<PipeReader>,
    stdin: Option<PipeWriter>,
    input: Vec<u8>,
    written: usize,
}

struct Output {
    reader: Option<PipeReader>,
    writer: Option<PipeWriter>,
    captured: Captured,
    log: Option<(File, u64)>,
}

impl Streams {
    fn open(command: &Command) -> io::Result<Self> {
        let [out_log, err_log] = match &command.logs {
            Some((stdout, stderr)) => [Some(stdout.as_path()), Some(stderr.as_path())],
            None => [None, None],
        };
        let outputs = [
            Output::open(command, out_log)?,
            Output::open(command, err_log)?,
        ];
        let (mut child_stdin, mut stdin) = (None, None);
        if !command.stdin.is_empty() {
            let (reader, writer) = io::pipe()?;
            set_nonblocking(writer.as_fd())?;
            (child_stdin, stdin) = (Some(reader), Some(writer));
        }
        Ok(Self {
            outputs,
            child_stdin,
            stdin,
            input: command.stdin.clone(),
            written: 0,
        })
    }

    /// Moves bytes until `exited` is readable (true) or it is time to look at the clock and the cancel handle (false).
    fn wait(
        &mut self,
        exited: Option<BorrowedFd<'_>>,
        cancel: Option<BorrowedFd<'_>>,
        wake_at: Option<Instant>,
    ) -> io::Result<bool> {
        let [exit_ready, out_ready, err_ready, in_ready] = {
            let slots = [
                (exited, PollFlags::IN),
                (
                    self.outputs[0].reader.as_ref().map(AsFd::as_fd),
                    PollFlags::IN,
                ),
                (
                    self.outputs[1].reader.as_ref().map(AsFd::as_fd),
                    PollFlags::IN,
                ),
                (self.stdin.as_ref().map(AsFd::as_fd), PollFlags::OUT),
                (cancel, PollFlags::IN),
            ];
            let mut fds: Vec<_> = slots
                .iter()
                .filter_map(|(fd, flags)| Some(PollFd::from_borrowed_fd((*fd)?, *flags)))
                .collect();
            wait_for(&mut fds, wake_at)?;
            let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
            let mut next = |slot: usize| slots[slot].0.is_some() && ready.next().unwrap_or(false);
            [next(0), next(1), next(2), next(3)]
        };
        for (output, ready) in self.outputs.iter_mut().zip([out_ready, err_ready]) {
            if ready {
                output.read()?;
            }
        }
        if in_ready {
            self.write_input();
        }
        Ok(exit_ready)
    }

    /// Reads what is left in the pipes after the group has ended.
    fn drain(&mut self) -> io::Result<()> {
        self.stdin = None;
        let until = Instant::now() + DRAIN;
        while self.outputs.iter().any(|output| output.reader.is_some()) && Instant::now() < until {
            self.wait(None, None, Some(until))?;
        }
        Ok(())
    }

    fn write_input(&mut self) {
        let Some(stdin) = &mut self.stdin else { return };
        match stdin.write(&self.input[self.written..]) {
            Ok(count) => self.written += count,
            Err(error) if would_block(&error) => {}
            // The child closed its input: it does not want the rest.
            Err(_) => self.written = self.input.len(),
        }
        if self.written == self.input.len() {
            self.stdin = None;
        }
    }
}

impl Output {
    fn open(command: &Command, log: Option<&Path>) -> io::Result<Self> {
        let mut captured = Captured::new(command.output_limit);
        if command.inherit_output {
            return Ok(Self {
                reader: None,
                writer: None,
                captured,
                log: None,
            });
        }
        let (reader, writer) = io::pipe()?;
        set_nonblocking(reader.as_fd())?;
        let log = log.and_then(|path| match File::create(path) {
            Ok(file) => Some((file, command.log_limit)),
            Err(error) => {
                captured.log_failed(&error);
                None
            }
        });
        Ok(Self {
            reader: Some(reader),
            writer: Some(writer),
            captured,
            log,
        })
    }

    fn read(&mut self) -> io::Result<()> {
        let Some(reader) = &mut self.reader else {
            return Ok(());
        };
        let mut buffer = [0; 16 * 1024];
        match reader.read(&mut buffer) {
            Ok(0) => self.reader = None,
            Ok(count) => {
                self.captured.push(&buffer[..count]);
                if let Some((file, left)) = &mut self.log {
                    let part = &buffer[..count.min(usize::try_from(*left).unwrap_or(usize::MAX))];
                    match file.write_all(part) {
                        Ok(()) => *left -= part.len() as u64,
                        // What the child does is worth more than its log: a full disk must not end it.
                        Err(error) => {
                            self.captured.log_failed(&error);
                            self.log = None;
                        }
                    }
                }
            }
            Err(error) if would_block(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn would_block(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    let flags = fcntl_getfl(fd)?;
    Ok(fcntl_setfl(fd, flags | OFlags::NONBLOCK)?)
}

/// Waits until one of `fds` is ready or `until` has passed; an interruption by a signal counts as a wake-up.
pub(crate) fn wait_for(fds: &mut [PollFd<'_>], until: Option<Instant>) -> io::Result<()> {
    let timeout = until.map(|until| {
        let left = until.saturating_duration_since(Instant::now());
        // Far deadlines are clamped to a day: the caller looks at the clock again anyway.
        let left = left.min(Duration::from_secs(86_400));
        Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        }
    });
    match poll(fds, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
