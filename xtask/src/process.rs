//! Running cargo: commands shown as they are run, output streamed line by line.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;

/// The cargo that runs this task, at the workspace root.
pub(crate) fn cargo(root: &Path) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(root);
    command
}

/// The command as one would type it, with the variables it sets.
pub(crate) fn as_typed(command: &Command) -> String {
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            let value = value.to_string_lossy();
            words.push(format!("{}=\"{value}\"", name.to_string_lossy()));
        }
    }
    let program = Path::new(command.get_program());
    let program = program.file_stem().unwrap_or(program.as_os_str());
    words.push(program.to_string_lossy().into_owned());
    words.extend(
        command
            .get_args()
            .map(|arg| arg.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

/// Runs `command`, passes each line of its two streams on at once, and shows each line to `see`.
pub(crate) fn stream(command: &mut Command, mut see: impl FnMut(&str)) -> io::Result<ExitStatus> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().expect("stdout was asked for as a pipe");
    let stderr = child.stderr.take().expect("stderr was asked for as a pipe");
    let (to_us, lines) = mpsc::channel();
    thread::scope(|scope| {
        let also_to_us = to_us.clone();
        scope.spawn(move || forward(stdout, io::stdout(), &to_us));
        scope.spawn(move || forward(stderr, io::stderr(), &also_to_us));
        for line in lines {
            see(&line);
        }
    });
    child.wait()
}

/// Output need not be UTF-8, and a closed terminal must not stop the run.
fn forward(from: impl Read, mut to: impl Write, copy: &mpsc::Sender<String>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let _ = to.write_all(&line);
        let text = String::from_utf8_lossy(&line);
        let _ = copy.send(text.trim_end_matches(['\r', '\n']).to_owned());
        line.clear();
    }
    let _ = to.flush();
}
