//! A Redis server of the system's package, in a folder and on a port of its own, that ends with the
//! test.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use redis::Client;
use tempfile::TempDir;

/// How long the server may take for anything, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the server lets in.
pub(crate) const PASSWORD: &str = "right";

pub(crate) struct Server {
    binary: PathBuf,
    folder: TempDir,
    port: u16,
    running: Mutex<Option<Running>>,
    settings: Vec<String>,
}

struct Running {
    child: Child,
    /// Keeps the thread that started it.
    _starter: mpsc::Sender<()>,
}

/// The server that tests share which do it no harm; none, and a line that says so, where the program
/// is missing. It ends with the last test that has it.
pub(crate) fn shared() -> Option<Arc<Server>> {
    static SERVER: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    let server = Arc::new(Server::start()?);
    *shared = Arc::downgrade(&server);
    Some(server)
}

fn binary() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .map(|folder| folder.join("redis-server"))
        .find(|program| program.is_file());
    if found.is_none() {
        println!("SKIPPED: no redis-server; Debian package redis-server");
        let is_gate = env::var("CI").as_deref() == Ok("true");
        assert!(!is_gate, "redis-server is missing");
    }
    found
}

impl Server {
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(settings: &[&str]) -> Option<Self> {
        let server = Self {
            binary: binary()?,
            folder: tempfile::tempdir().unwrap(),
            port: free_port(),
            running: Mutex::new(None),
            settings: settings.iter().map(|it| (*it).to_owned()).collect(),
        };
        server.run();
        Some(server)
    }

    /// The client's URL, with what comes after the port.
    pub(crate) fn client(&self, rest: &str) -> Client {
        let port = self.port;
        Client::open(format!("redis://:{PASSWORD}@127.0.0.1:{port}{rest}")).unwrap()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Starts the server, again after [`kill`](Self::kill), and waits until it answers.
    pub(crate) fn run(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut running = self.spawn();
            while running.child.try_wait().unwrap().is_none() {
                if self.try_ask("PING").is_some_and(|it| it.contains("PONG")) {
                    *self.running.lock().unwrap() = Some(running);
                    return;
                }
                assert!(Instant::now() < deadline, "no answer:\n{}", self.log());
                thread::sleep(Duration::from_millis(20));
            }
            assert!(Instant::now() < deadline, "no start:\n{}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// As `kill -9`.
    pub(crate) fn kill(&self) {
        if let Some(mut running) = self.running.lock().unwrap().take() {
            running.child.kill().unwrap();
            running.child.wait().unwrap();
        }
    }

    /// A signal by its name, as `-STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let running = self.running.lock().unwrap();
        let pid = running.as_ref().unwrap().child.id();
        // By the shell: the program of that name is in a package of its own.
        let kill = Command::new("sh")
            .args(["-c", &format!("kill {name} {pid}")])
            .status();
        assert!(kill.unwrap().success());
    }

    /// What the server says, as it stands on the wire, over a connection of its own.
    pub(crate) fn ask(&self, command: &str) -> String {
        let answer = self.try_ask(command);
        answer.unwrap_or_else(|| panic!("{command}: no answer"))
    }

    /// The connections of others.
    pub(crate) fn connections(&self) -> usize {
        let list = self.ask("CLIENT LIST");
        let all = list.matches("laddr=").count();
        all.saturating_sub(1)
    }

    /// Sockets of this process to the server, in whatever state but waiting to be forgotten.
    pub(crate) fn sockets(&self) -> usize {
        let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
        let remote = format!(":{:04X}", self.port);
        let is_ours = |line: &&str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.len() > 3 && fields[2].ends_with(&remote) && fields[3] != "06"
        };
        table.lines().skip(1).filter(is_ours).count()
    }

    fn try_ask(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        // After `QUIT` the server closes, and the answer is whole.
        write!(stream, "AUTH {PASSWORD}\r\n{command}\r\nQUIT\r\n").ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    }

    /// It dies with the thread that starts it, which a test's may do before the server is to: so
    /// that is a thread of its own.
    fn spawn(&self) -> Running {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.binary);
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no"]);
        command
            .args(["--requirepass", PASSWORD])
            .args(&self.settings);
        command.arg("--dir").arg(self.folder.path());
        command.stdin(Stdio::null()).stdout(log).process_group(0);
        let (sender, receiver) = mpsc::channel();
        let (starter, ended) = mpsc::channel();
        thread::spawn(move || {
            sender.send(command.spawn().unwrap()).unwrap();
            let _ = ended.recv();
        });
        Running {
            child: receiver.recv().unwrap(),
            _starter: starter,
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = self.running.get_mut().unwrap() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}

/// A port that no outgoing connection is given by the system, so that it is still free when the server
/// comes back: below the range of those. Another for each call.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let end: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
    let start = (end / 2).max(1024);
    let count = end.saturating_sub(start).max(1);
    // Processes beside each other begin apart.
    let first = u16::try_from(std::process::id() * 61 % u32::from(count)).unwrap();
    for _ in 0..count {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = start + first.wrapping_add(step) % count;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free from {start} to {end}");
}
