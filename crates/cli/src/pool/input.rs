//! What is piped into `pool exec`, for its command.

use std::io::{self, IsTerminal, Read};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::failure::Failure;
use crate::output::Output;

/// Bytes that are passed on at most; they are held in memory until the command has read them.
const LIMIT_MIB: u64 = 64;

/// How long to wait for the end of the input before the user is told what is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Standard input to its end; nothing if it is a terminal, which a command in a process group of its own must not read.
pub(super) fn piped(output: &Output) -> Result<Vec<u8>, Failure> {
    if io::stdin().is_terminal() {
        return Ok(Vec::new());
    }
    let fail = Failure::io("cannot read standard input");
    let (sender, receiver) = mpsc::channel();
    let reader = thread::Builder::new().name("brolly-input".into());
    let reader = reader.spawn(move || sender.send(read(LIMIT_MIB << 20)));
    if let Err(error) = reader {
        return Err(fail(error));
    }
    let read = receiver.recv_timeout(PATIENCE).or_else(|_| {
        output.note("reading standard input to its end; \"< /dev/null\" gives the command none");
        receiver.recv()
    });
    let read = read.expect("the reader ends with what it read, or with an error");
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
