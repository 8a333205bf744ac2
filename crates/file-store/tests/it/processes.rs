//! Several processes, some of which are killed.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use brolly_file_store::FileStore;

use crate::support::World;

const ROOT: &str = "BROLLY_TEST_ROOT";

/// Another process, with a store of the same files.
struct Other {
    process: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Other {
    fn new(root: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("a test runs"))
            .args(["--exact", "processes::child", "--nocapture"])
            .env(ROOT, root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let commands = process.stdin.take().expect("piped");
        let answers = BufReader::new(process.stdout.take().expect("piped")).lines();
        Self {
            process,
            commands,
            answers,
        }
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.commands, "{command}").expect("it listens");
    }

    fn hear(&mut self) -> String {
        loop {
            let line = self.answers.next().expect("it lives").expect("text");
            if let Some(answer) = line.strip_prefix("answer ") {
                return answer.to_owned();
            }
        }
    }

    fn ask(&mut self, command: &str) -> String {
        self.tell(command);
        self.hear()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn store(root: &Path) -> FileStore {
    FileStore::builder(root)
        .settle(Duration::ZERO)
        .durable(false)
        .process_locks(true)
        .build()
        .expect("a store")
}

/// Not a test by itself: what the other process does.
#[test]
fn child() {
    let Some(root) = std::env::var_os(ROOT) else {
        return;
    };
    let store = store(Path::new(&root));
    let mut held = None;
    println!();
    for line in std::io::stdin().lines() {
        let line = line.expect("text");
        let answer = match line.split_once(' ').unwrap_or((&line, "")) {
            ("lock", path) => {
                held = Some(store.lock_blocking(path).expect("locked"));
                "locked".to_owned()
            }
            ("unlock", _) => {
                held = None;
                "unlocked".to_owned()
            }
            ("read", path) => store.read_to_string_blocking(path).expect("read"),
            ("write", rest) => {
                let (path, contents) = rest.split_once(' ').expect("two words");
                store.write_blocking(path, contents).expect("written");
                "written".to_owned()
            }
            ("count", path) => {
                for _ in 0..100 {
                    let held = store.lock_blocking(path).expect("locked");
                    let content = held.read_blocking().expect("read");
                    let count: u32 = content.to_str().expect("text").parse().expect("a number");
                    held.write_blocking((count + 1).to_string())
                        .expect("written");
                }
                "counted".to_owned()
            }
            other => panic!("{other:?}"),
        };
        println!("answer {answer}");
    }
    drop(held);
}

#[test]
fn processes_see_each_others_writes_at_once() {
    let world = World::new();
    let mut other = Other::new(&world.path(""));
    for round in 0..200 {
        let contents = format!("{round:06}");
        world
            .store
            .write_blocking("a", contents.clone())
            .expect("written");
        assert_eq!(other.ask("read a"), contents);
        let contents = format!("{:06}", round + 500_000);
        assert_eq!(other.ask(&format!("write a {contents}")), "written");
        assert_eq!(world.store.read_blocking("a").expect("read"), *contents);
    }
}

#[test]
fn processes_exclude_each_other_and_lose_no_update() {
    let world = World::with(|builder| builder.process_locks(true));
    world.put("count", "0");
    let root = world.path("");
    let mut others = [Other::new(&root), Other::new(&root), Other::new(&root)];
    for other in &mut others {
        other.tell("count count");
    }
    for other in &mut others {
        assert_eq!(other.hear(), "counted");
    }
    assert_eq!(world.store.read_blocking("count").expect("read"), "300");
    assert_eq!(world.names(""), ["count"]);
}

#[test]
fn a_process_that_is_killed_holds_nothing() {
    let world = World::with(|builder| builder.process_locks(true));
    let mut other = Other::new(&world.path(""));
    assert_eq!(other.ask("lock a"), "locked");
    let store = world.store.clone();
    let waiter = std::thread::spawn(move || {
        let held = store.lock_blocking("a").expect("locked");
        held.write_blocking("mine").expect("written");
    });
    std::thread::sleep(Duration::from_millis(20));
    assert!(!waiter.is_finished(), "two hold it");
    drop(other);
    waiter.join().expect("the lock was free");
    assert_eq!(world.names(""), ["a"]);
}

#[test]
fn a_lock_passes_from_process_to_process() {
    let world = World::with(|builder| builder.process_locks(true));
    let mut other = Other::new(&world.path(""));
    for _ in 0..20 {
        assert_eq!(other.ask("lock a"), "locked");
        assert_eq!(other.ask("unlock"), "unlocked");
        let held = world.store.lock_blocking("a").expect("locked");
        other.tell("lock a");
        drop(held);
        assert_eq!(other.hear(), "locked");
        assert_eq!(other.ask("unlock"), "unlocked");
    }
}
