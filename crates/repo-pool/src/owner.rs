//! Who works on a slot: a process, told apart from every other process before and after it.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::clock::boot_id;

/// A process, by facts that no later process shares: a reused process id has another start time, and
/// a restarted machine another boot id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The process id.
    pub pid: u32,
    /// When the process started, in clock ticks since the machine's start; 0 where the system does not tell.
    pub started: u64,
    /// The machine's run.
    pub boot_id: String,
    /// The process-id namespace, without which a process id means nothing; empty where there are none.
    pub namespace: String,
    /// The name of the lock that the process holds under the root.
    #[serde(default)]
    pub presence: String,
}

impl Owner {
    /// This process.
    pub(crate) fn this_process(presence: String) -> Self {
        let pid = std::process::id();
        Self {
            pid,
            started: start_time(pid).unwrap_or(0),
            boot_id: boot_id(),
            namespace: namespace(),
            presence,
        }
    }

    /// Whether the process is known to be gone. What cannot be known counts as alive: a process of
    /// another namespace is never taken for dead.
    pub(crate) fn is_dead(&self, this: &Self) -> bool {
        if self.boot_id != this.boot_id {
            return true;
        }
        if self.namespace != this.namespace {
            return false;
        }
        match start_time(self.pid) {
            Ok(started) => started != self.started,
            Err(error) if error.kind() == io::ErrorKind::NotFound && has_proc() => true,
            Err(_) => !has_proc() && !process_exists(self.pid),
        }
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {}", self.pid)
    }
}

fn has_proc() -> bool {
    cfg!(target_os = "linux") && Path::new("/proc/self/stat").exists()
}

/// Field 22 of `/proc/PID/stat`. The second field is the program's name in parentheses and may hold
/// anything, so fields are counted from the last closing one. A zombie has ended.
fn start_time(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let mut fields = stat
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_ascii_whitespace();
    if matches!(fields.next(), Some("Z" | "X")) {
        return Err(io::ErrorKind::NotFound.into());
    }
    fields
        .nth(18)
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn namespace() -> String {
    fs::read_link("/proc/self/ns/pid")
        .map(|link| link.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(unix)]
fn process_exists(pid: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(not(unix))]
fn process_exists(_pid: u32) -> bool {
    true
}

/// Kills every process that works inside `dir`, as its current directory tells; returns how many.
///
/// For what a tenant that is gone left running in a slot: nobody else waits for those processes any
/// more. This process and its ancestors are spared. A process that was forked but has not changed its
/// directory yet is not found, so whoever cleans the slot looks again afterwards. Without `/proc`
/// nothing is found and nothing killed.
pub(crate) fn kill_processes_in(dir: &Path) -> usize {
    kill_processes(|process| {
        fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(dir))
    })
}

/// Kills every `git` that a pool started to change the repository at `git_dir`; returns how many.
pub(crate) fn kill_writers_of(git_dir: &Path) -> usize {
    let option = [
        b"--git-dir=".as_slice(),
        git_dir.as_os_str().as_encoded_bytes(),
    ]
    .concat();
    kill_processes(|process| {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).collect();
        words.contains(&option.as_slice())
            && (words.contains(&b"fetch".as_slice()) || words.contains(&b"pack-refs".as_slice()))
    })
}

#[cfg(target_os = "linux")]
fn kill_processes(is_meant: impl Fn(&Path) -> bool) -> usize {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    let Ok(processes) = fs::read_dir("/proc") else {
        return 0;
    };
    let spared: Vec<u32> =
        std::iter::successors(Some(std::process::id()), |pid| parent(*pid)).collect();
    let mut killed = 0;
    for entry in processes.flatten() {
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok());
        let Some(number) = number.filter(|number| !spared.contains(number)) else {
            continue;
        };
        let path = entry.path();
        let pid = i32::try_from(number).ok().and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|_| is_meant(&path)) else {
            continue;
        };
        // The descriptor pins the process: looking again through it rules out a reused id.
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
            continue;
        };
        if is_meant(&path) && pidfd_send_signal(&process, Signal::KILL).is_ok() {
            let mut gone = [rustix::event::PollFd::new(
                &process,
                rustix::event::PollFlags::IN,
            )];
            let limit = rustix::event::Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            };
            let _ = rustix::event::poll(&mut gone, Some(&limit));
            killed += 1;
        }
    }
    killed
}

#[cfg(not(target_os = "linux"))]
fn kill_processes(_is_meant: impl Fn(&Path) -> bool) -> usize {
    0
}

/// Field 4 of `/proc/PID/stat`; none for the first process.
#[cfg(target_os = "linux")]
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    fields.nth(1)?.parse().ok().filter(|parent| *parent != 0)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::Owner;

    #[test]
    fn this_process_is_alive() {
        let this = Owner::this_process(String::new());
        assert!(!this.is_dead(&this));
    }

    #[test]
    fn a_reused_process_id_is_another_process() {
        let this = Owner::this_process(String::new());
        let earlier = Owner {
            started: this.started.wrapping_sub(1),
            ..this.clone()
        };
        assert!(earlier.is_dead(&this));
    }

    #[test]
    fn a_process_of_an_earlier_run_of_the_machine_is_dead() {
        let this = Owner::this_process(String::new());
        assert!(
            Owner {
                boot_id: "another".into(),
                ..this.clone()
            }
            .is_dead(&this)
        );
    }

    #[test]
    fn a_process_of_another_namespace_is_never_taken_for_dead() {
        let this = Owner::this_process(String::new());
        let foreign = Owner {
            pid: u32::MAX / 2,
            namespace: "pid:[1]".into(),
            ..this.clone()
        };
        assert!(!foreign.is_dead(&this));
    }

    #[test]
    fn an_ended_process_is_dead_even_before_its_parent_waits_for_it() {
        let this = Owner::this_process(String::new());
        let mut child = std::process::Command::new("true").spawn().expect("true");
        let child_owner = |started| Owner {
            pid: child.id(),
            started,
            ..this.clone()
        };
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        // The child is a zombie as soon as it has ended; nobody has waited for it.
        while super::start_time(child.id()).is_ok() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert!(child_owner(0).is_dead(&this));
        child.wait().expect("wait");
    }
}
