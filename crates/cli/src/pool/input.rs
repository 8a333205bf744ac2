//! What is piped into `pool exec`, for its command.

use std::io::{self, IsTerminal, Read};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;

/// Bytes that are passed on at most; they are held in memory until the command has read them.
const LIMIT_MIB: u64 = 64;

/// How long to wait for the end of the input before the user is told what is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Standard input to its end; nothing if it is a terminal, which a command in a process group of its own must not read.
pub(super) fn piped(interrupt: &Interrupt, output: &Output) -> Result<Vec<u8>, Failure> {
    /// How often the wait looks for an interruption.
    const LOOK: Duration = Duration::from_millis(50);
    if io::stdin().is_terminal() {
        return Ok(Vec::new());
    }
    let (sender, receiver) = mpsc::channel();
    let fail = Failure::io("cannot read standard input");
    // The thread of an interrupted wait stays in its read and ends with the process.
    let reader = thread::Builder::new().name("brolly-input".into());
    let reader = reader.spawn(move || sender.send(read(LIMIT_MIB << 20)));
    if let Err(error) = reader {
        return Err(fail(error));
    }
    let started = Instant::now();
    let mut told = false;
    let read = loop {
        match receiver.recv_timeout(LOOK) {
            Ok(read) => break read,
            Err(RecvTimeoutError::Timeout) => interrupt.check()?,
            Err(RecvTimeoutError::Disconnected) => break Err(io::ErrorKind::Other.into()),
        }
        if !told && started.elapsed() >= PATIENCE {
            output
                .note("reading standard input to its end; \"< /dev/null\" gives the command none");
            told = true;
        }
    };
    match read {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(Failure::bad_input(
            "input_too_large",
            format!(
                "standard input is larger than {LIMIT_MIB} MiB; give the command a file to read"
            ),
        )),
        Err(error) => Err(fail(error)),
    }
}

/// All of standard input, or nothing if there is more than `limit`.
fn read(limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    io::stdin().take(limit + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}
