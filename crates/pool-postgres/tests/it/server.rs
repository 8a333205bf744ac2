//! A PostgreSQL server of the system's package, in a folder and on a port of its own, that ends with
//! the test.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Config, NoTls};

/// How long the server may take for anything, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the server lets in.
pub(crate) const PASSWORD: &str = "right";

/// Connections that ordinary users can have.
pub(crate) const MOST_CONNECTIONS: usize = 40;

pub(crate) struct Server {
    binaries: PathBuf,
    /// Who the server runs as, where the tests run as root, which it refuses.
    user: Option<User>,
    folder: TempDir,
    port: u16,
    child: Mutex<Option<Running>>,
    connections: usize,
}

struct Running {
    child: Child,
    /// Keeps the thread that started it.
    _starter: mpsc::Sender<()>,
}

struct User {
    uid: u32,
    gid: u32,
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

/// Where `postgres` and `initdb` are.
fn binaries() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    // Debian keeps them beside the PATH, one folder for each version.
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    folders.extend(versions.flatten().map(|it| it.path().join("bin")));
    let has = |folder: &PathBuf| {
        ["postgres", "initdb"]
            .iter()
            .all(|it| folder.join(it).is_file())
    };
    let found = folders.into_iter().find(has);
    if found.is_none() {
        println!("SKIPPED: no postgres; Debian package postgresql");
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "postgres is missing");
    }
    found
}

/// `postgres` or else `nobody`, where we are root.
fn unprivileged() -> Option<User> {
    let me = fs::read_to_string("/proc/self/status").unwrap();
    let uids = me.lines().find_map(|it| it.strip_prefix("Uid:")).unwrap();
    if uids.split_whitespace().nth(1) != Some("0") {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        let line = users
            .lines()
            .find(|it| it.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some(User {
            uid: fields.next()?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
        })
    };
    let user = find("postgres").or_else(|| find("nobody"));
    Some(user.expect("a user who is not root"))
}

impl Server {
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(MOST_CONNECTIONS)
    }

    /// One that lets in so many.
    pub(crate) fn start_with(connections: usize) -> Option<Self> {
        let binaries = binaries()?;
        let user = unprivileged();
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        if let Some(user) = &user {
            for path in [folder.path(), &password] {
                chown(path, Some(user.uid), Some(user.gid)).unwrap();
            }
        }
        let server = Self {
            binaries,
            user,
            folder,
            port: free_port(),
            child: Mutex::new(None),
            connections,
        };
        let mut initdb = server.command("initdb");
        initdb.args(["--no-sync", "--username=brolly", "--auth-local=trust"]);
        initdb.args(["--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C"]);
        initdb.arg(option("--pwfile=", &password));
        initdb.arg(option("--pgdata=", &server.data()));
        let output = initdb.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "initdb fails: {said}");
        server.run();
        Some(server)
    }

    /// Over TCP, with the password.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user("brolly");
        config.password(PASSWORD).dbname("postgres");
        config
    }

    /// Starts the server, again after [`kill`](Self::kill), and waits until it answers.
    pub(crate) fn run(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut running = self.spawn();
            while running.child.try_wait().unwrap().is_none() {
                if self.answers() {
                    *self.child.lock().unwrap() = Some(running);
                    return;
                }
                assert!(Instant::now() < deadline, "no answer:\n{}", self.log());
                thread::sleep(Duration::from_millis(20));
            }
            // What is left of a server that was killed may still be ending.
            assert!(Instant::now() < deadline, "no start:\n{}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// As `kill -9` on the server's first process, which its others follow.
    pub(crate) fn kill(&self) {
        if let Some(mut running) = self.child.lock().unwrap().take() {
            running.child.kill().unwrap();
            running.child.wait().unwrap();
        }
    }

    /// The first column of the first row, as text, over a connection of its own.
    pub(crate) fn ask(&self, query: &str) -> String {
        let mut config = self.config();
        config.application_name("observer");
        let answer = ask(&config, query);
        answer.unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// How many sessions of pools the server has.
    pub(crate) fn sessions(&self) -> usize {
        let count = self.ask(
            "SELECT count(*) FROM pg_stat_activity \
             WHERE backend_type = 'client backend' AND application_name <> 'observer'",
        );
        count.parse().unwrap()
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

    /// A command of the server's, as its user. It dies with this process, however that ends.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(User { uid, gid }) = &self.user {
            command.args(["--reuid", &uid.to_string(), "--regid", &gid.to_string()]);
            command.arg("--clear-groups");
        }
        command.arg("--").arg(self.binaries.join(name));
        command.current_dir(self.folder.path());
        command.stdin(Stdio::null()).process_group(0);
        command
    }

    /// It dies with the thread that starts it, which a test's may do before the server is to: so
    /// that is a thread of its own.
    fn spawn(&self) -> Running {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        for setting in [
            String::from("listen_addresses=127.0.0.1"),
            format!("port={}", self.port),
            format!("unix_socket_directories={}", self.folder.path().display()),
            // Three are kept for the superuser, whom the observer is.
            format!("max_connections={}", self.connections + 3),
            String::from("shared_buffers=16MB"),
            String::from("max_worker_processes=0"),
            String::from("max_wal_senders=0"),
            String::from("autovacuum=off"),
            String::from("fsync=off"),
        ] {
            command.arg("-c").arg(setting);
        }
        command.stdout(Stdio::null()).stderr(log);
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

    fn answers(&self) -> bool {
        ask(&self.config(), "SELECT 1").is_ok()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap().take();
        let Some(Running {
            mut child,
            _starter,
        }) = child
        else {
            return;
        };
        // Ends the server's other processes as well, before the folder goes.
        signal("-QUIT", child.id());
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// By the shell: the program of that name is in a package of its own.
pub(crate) fn signal(name: &str, pid: impl ToString) {
    let kill = format!("kill {name} {}", pid.to_string());
    let _ = Command::new("sh").args(["-c", &kill]).status();
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
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

fn ask(config: &Config, query: &str) -> Result<String, tokio_postgres::Error> {
    let config = config.clone();
    let query = query.to_owned();
    let asking = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (client, connection) = config.connect(NoTls).await?;
            let driver = tokio::spawn(connection);
            let messages = client.simple_query(&query).await?;
            drop(client);
            let _ = driver.await;
            let row = messages.iter().find_map(|it| match it {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            });
            Ok(row.unwrap_or_default().to_owned())
        })
    });
    asking.join().unwrap()
}
