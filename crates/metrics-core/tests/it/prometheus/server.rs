//! The Prometheus server and `promtool`, started from the system's package.

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::parser::{Sample, number};

/// How long the server may take for anything, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program of the package `prometheus`; none, and a line that says so, where it is missing.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file());
    if found.is_none() {
        println!("SKIPPED: no {name}; Debian package prometheus");
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "{name} is missing");
    }
    found
}

/// Runs `promtool` with this input. What it printed, as an error if it objects.
pub(crate) fn promtool(binary: &Path, args: &[&str], input: &[u8]) -> Result<String, String> {
    let child = Command::new(binary)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("it starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input).expect("it reads all");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    if output.status.success() {
        Ok(printed)
    } else {
        Err(printed)
    }
}

/// A server in a folder of its own that ends with the test.
pub(super) struct Server {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Server {
    /// Starts a server that reads each job's page, `/<job>` at `target`, once a second, and waits
    /// until it has read them all.
    pub(super) fn start(binary: &Path, target: SocketAddr, jobs: &[&str]) -> Self {
        let mut tries = 0;
        loop {
            // Another process may take the port before the server does.
            match Self::try_start(binary, target, jobs) {
                Ok(server) => return server,
                Err(log) if tries == 4 => panic!("the server does not start:\n{log}"),
                Err(_) => tries += 1,
            }
        }
    }

    /// What the server wrote to its log, if it ended at once.
    fn try_start(binary: &Path, target: SocketAddr, jobs: &[&str]) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = port.local_addr().expect("it is bound");
        drop(port);

        let mut config = String::from("global:\n  scrape_interval: 1s\nscrape_configs:\n");
        for job in jobs {
            config += &format!(
                "- job_name: {job}\n  metrics_path: /{job}\n  static_configs:\n  \
                 - targets: ['{target}']\n"
            );
        }
        let config_path = folder.path().join("prometheus.yml");
        fs::write(&config_path, config).expect("it is written");
        let log = fs::File::create(folder.path().join("log")).expect("it is made");
        let child = Command::new(binary)
            .arg(format!("--config.file={}", config_path.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let mut server = Self {
            child: child.expect("it starts"),
            address,
            folder,
        };
        let deadline = Instant::now() + PATIENCE;
        while !server.has_read(jobs) {
            if server.child.try_wait().expect("it is ours").is_some() {
                return Err(server.log());
            }
            let is_late = Instant::now() > deadline;
            assert!(!is_late, "a page is not read:\n{}", server.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// Every sample of a job, without the labels that the server adds.
    pub(super) fn samples(&self, job: &str) -> Vec<Sample> {
        let result = self.query(&format!("{{job=\"{job}\"}}"));
        let result = result.expect("the server answers");
        let all = result.as_array().expect("a list").iter().map(|one| {
            let labels = one["metric"].as_object().expect("labels").iter();
            let mut labels: std::collections::BTreeMap<String, String> = labels
                .map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned()))
                .collect();
            labels.retain(|name, _| name != "job" && name != "instance");
            Sample {
                name: labels.remove("__name__").expect("a name"),
                labels,
                value: value_of(one).expect("a number"),
            }
        });
        // What the server says about the scrape itself.
        let own = |sample: &Sample| sample.name == "up" || sample.name.starts_with("scrape_");
        all.filter(|sample| !own(sample)).collect()
    }

    /// The value of a query with one answer.
    pub(super) fn value(&self, query: &str) -> Option<f64> {
        let result = self.query(query).ok()?;
        value_of(result.get(0)?)
    }

    /// Waits until a query has an answer: rates need two readings.
    #[cfg(feature = "serde")]
    pub(super) fn wait_for(&self, query: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.query(query).expect("a valid query")[0].is_null() {
            assert!(Instant::now() < deadline, "no data for {query}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn has_read(&self, jobs: &[&str]) -> bool {
        // Written after all samples of a scrape.
        let reads = self.value("count(scrape_samples_post_metric_relabeling > 0)");
        reads == Some(jobs.len() as f64)
    }

    fn query(&self, query: &str) -> io::Result<Value> {
        let mut path = String::from("/api/v1/query?query=");
        for byte in query.bytes() {
            path += &format!("%{byte:02X}");
        }
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n",
            self.address
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let answer: Value = serde_json::from_str(body)?;
        if answer["status"] != "success" {
            return Err(io::Error::other(answer["error"].to_string()));
        }
        Ok(answer["data"]["result"].clone())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The value of one entry of an answer.
fn value_of(entry: &Value) -> Option<f64> {
    number(entry["value"][1].as_str()?)
}
