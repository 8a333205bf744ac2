//! Commands: nothing outlives the call, nothing grows without bound, nothing is misreported.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use brolly_repo_pool::process::{Cancel, Command, Exit};

fn sh(script: &str) -> Command {
    Command::new("sh").args(["-c", script])
}

/// Whether a process is alive; one that only waits to be reaped by its parent is not.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

fn wait_until_dead(file: &Path) {
    let pid = fs::read_to_string(file).expect("the pid");
    let deadline = Instant::now() + Duration::from_secs(10);
    while is_alive(&pid) {
        assert!(Instant::now() < deadline, "process {pid} is still alive");
        std::thread::yield_now();
    }
}

#[test]
fn exit_codes_and_signals_are_reported_as_they_are() {
    assert_eq!(sh("exit 0").run().expect("sh").exit, Exit::Code(0));
    assert_eq!(sh("exit 7").run().expect("sh").exit, Exit::Code(7));
    assert_eq!(sh("kill -9 $$").run().expect("sh").exit, Exit::Signal(9));
}

#[test]
fn a_timeout_ends_the_whole_group_and_not_only_the_shell() {
    let dir = tempfile::tempdir().expect("dir");
    let pid = dir.path().join("pid");
    let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
    let started = Instant::now();
    let outcome = sh(&script)
        .timeout(Duration::from_millis(300))
        .run()
        .expect("sh");
    assert_eq!(outcome.exit, Exit::TimedOut);
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
    wait_until_dead(&pid);
}

#[test]
fn a_group_that_ignores_the_polite_signal_is_killed_after_the_grace() {
    let grace = Duration::from_millis(100);
    let outcome = sh("trap '' TERM; while :; do sleep 600; done")
        .timeout(Duration::from_millis(100))
        .kill_grace(grace)
        .run();
    assert_eq!(outcome.expect("sh").exit, Exit::TimedOut);
}

#[test]
fn the_longest_durations_are_no_limits_and_overflow_nothing() {
    let outcome = sh("exit 3")
        .timeout(Duration::MAX)
        .kill_grace(Duration::MAX)
        .run();
    assert_eq!(outcome.expect("sh").exit, Exit::Code(3));
    let outcome = sh("trap 'exit 0' TERM; while :; do sleep 0.01; done")
        .timeout(Duration::from_millis(50))
        .kill_grace(Duration::MAX)
        .run();
    assert_eq!(outcome.expect("sh").exit, Exit::TimedOut);
}

#[test]
fn what_a_command_left_in_the_background_ends_with_it() {
    let dir = tempfile::tempdir().expect("dir");
    let pid = dir.path().join("pid");
    let outcome = sh(&format!("sleep 600 & echo $! > {}", pid.display()))
        .run()
        .expect("sh");
    assert_eq!(outcome.exit, Exit::Code(0));
    wait_until_dead(&pid);
}

#[test]
fn a_log_that_cannot_be_written_ends_no_child_and_is_told() {
    let dir = tempfile::tempdir().expect("dir");
    let (nowhere, fine) = (dir.path().join("no/such/folder"), dir.path().join("err"));
    let outcome = sh("echo out; echo err >&2; exit 3").log_to(&nowhere, &fine);
    let outcome = outcome.run().expect("sh");
    assert_eq!(outcome.exit, Exit::Code(3));
    assert_eq!(outcome.stdout.text(), "out\n");
    assert!(outcome.stdout.log_problem().is_some());
    assert_eq!(outcome.stderr.log_problem(), None);
    assert_eq!(fs::read_to_string(&fine).expect("log"), "err\n");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_a_log_ends_no_child() {
    let dir = tempfile::tempdir().expect("dir");
    let other = dir.path().join("err");
    let outcome = sh("echo one; echo two; exit 0").log_to("/dev/full", &other);
    let outcome = outcome.run().expect("sh");
    assert_eq!(outcome.exit, Exit::Code(0));
    assert_eq!(outcome.stdout.text(), "one\ntwo\n");
    let problem = outcome.stdout.log_problem().expect("nothing was written");
    assert!(problem.contains("No space"), "{problem}");
}

#[test]
fn a_cancelled_command_ends_and_so_does_every_later_one() {
    let cancel = Cancel::new().expect("pipe");
    std::thread::scope(|scope| {
        let running = scope.spawn(|| sh("sleep 600").cancel(&cancel).run().expect("sh").exit);
        cancel.cancel();
        assert_eq!(running.join().expect("no panic"), Exit::Cancelled);
    });
    assert_eq!(
        sh("sleep 600").cancel(&cancel).run().expect("sh").exit,
        Exit::Cancelled
    );
}

#[test]
fn output_is_bounded_and_a_log_holds_more_of_it() {
    let dir = tempfile::tempdir().expect("dir");
    let (out, err) = (dir.path().join("out"), dir.path().join("err"));
    let script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo oops >&2";
    let outcome = sh(script)
        .output_limit(100)
        .log_to(&out, &err)
        .log_limit(5000)
        .run()
        .expect("sh");
    assert!(outcome.stdout.is_truncated());
    assert!(
        outcome.stdout.text().starts_with("line 0\n")
            && outcome.stdout.text().ends_with("line 1999\n")
    );
    assert_eq!(fs::metadata(&out).expect("log").len(), 5000);
    assert_eq!(fs::read_to_string(&err).expect("log"), "oops\n");
    assert_eq!(outcome.stderr.text(), "oops\n");
}

#[test]
fn input_larger_than_a_pipe_passes_through_while_output_is_read() {
    let input = vec![b'x'; 1 << 20];
    let outcome = Command::new("cat")
        .stdin(input)
        .output_limit(1 << 21)
        .run()
        .expect("cat");
    assert_eq!(outcome.stdout.total_bytes(), 1 << 20);
    assert!(!outcome.stdout.is_truncated());
}

#[test]
fn input_that_nobody_reads_is_no_error() {
    let outcome = sh("exec <&-; exit 3")
        .stdin(vec![b'x'; 1 << 20])
        .run()
        .expect("sh");
    assert_eq!(outcome.exit, Exit::Code(3));
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let error = Command::new("no-such-program-anywhere")
        .run()
        .expect_err("missing");
    assert!(
        error.to_string().contains("no-such-program-anywhere"),
        "{error}"
    );
    let error = sh("true")
        .current_dir("/no/such/dir")
        .run()
        .expect_err("missing");
    assert!(error.to_string().contains("/no/such/dir"), "{error}");
}

#[test]
fn a_pause_ends_with_its_time_or_with_the_cancellation() {
    let cancel = Cancel::new().expect("pipe");
    assert!(!cancel.wait_timeout(Duration::from_millis(1)));
    std::thread::scope(|scope| {
        let pause = scope.spawn(|| cancel.wait_timeout(Duration::MAX));
        cancel.cancel();
        assert!(pause.join().expect("no panic"));
    });
}
