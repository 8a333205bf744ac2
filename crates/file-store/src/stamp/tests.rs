//! The rule of settled files against a filesystem whose clock ticks slowly.

use proptest::prelude::*;

use super::*;

const MILLISECOND: i128 = 1_000_000;

fn stamp(changed: Moment) -> Stamp {
    Stamp {
        device: 1,
        inode: 2,
        len: 3,
        modified: Moment(0),
        changed,
    }
}

/// A file on a disk that knows the time only to a tick.
struct Disk {
    /// The true time.
    now: i128,
    tick: i128,
    /// Where ticks begin.
    offset: i128,
    content: u32,
    changed: Moment,
}

impl Disk {
    fn clock(&self) -> Moment {
        let ticks = (self.now - self.offset).div_euclid(self.tick);
        Moment(ticks * self.tick + self.offset)
    }

    fn write(&mut self) {
        self.content += 1;
        self.changed = self.clock();
    }
}

#[derive(Clone, Debug)]
enum Op {
    Wait(i128),
    Write,
    Read,
}

fn ops(longest_wait: i128) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        (0..longest_wait).prop_map(Op::Wait),
        Just(Op::Write),
        Just(Op::Read),
        Just(Op::Read),
    ];
    prop::collection::vec(op, 1..60)
}

/// Reads through a cache of one file that asks `keeps`; `Err` if it ever returns old content.
fn run(mut disk: Disk, ops: &[Op], keeps: impl Fn(&Stamp, Moment) -> bool) -> Result<u32, String> {
    let mut cached: Option<(Stamp, u32)> = None;
    let mut hits = 0;
    for op in ops {
        match op {
            Op::Wait(nanos) => disk.now += nanos,
            Op::Write => disk.write(),
            Op::Read => {
                let seen = stamp(disk.changed);
                match cached {
                    Some((of, content)) if of == seen => {
                        hits += 1;
                        if content != disk.content {
                            return Err(format!("{content} instead of {}", disk.content));
                        }
                    }
                    _ => cached = keeps(&seen, disk.clock()).then_some((seen, disk.content)),
                }
            }
        }
    }
    Ok(hits)
}

fn fine(tick: i128) -> Disk {
    let (now, offset) = (1_000_000 * MILLISECOND, 123_457);
    let mut disk = Disk {
        now,
        tick,
        offset,
        content: 0,
        changed: Moment(0),
    };
    disk.write();
    disk
}

fn coarse(tick: i128) -> Disk {
    Disk {
        offset: 0,
        ..fine(tick)
    }
}

proptest! {
    #[test]
    fn a_clock_of_ten_milliseconds_hides_no_change(ops in ops(25 * MILLISECOND)) {
        let keeps = |stamp: &Stamp, now| stamp.is_settled(now, Duration::ZERO);
        prop_assert!(run(fine(10 * MILLISECOND), &ops, keeps).is_ok());
    }

    #[test]
    fn a_clock_of_two_seconds_hides_no_change(ops in ops(3_000 * MILLISECOND)) {
        let keeps = |stamp: &Stamp, now| stamp.is_settled(now, Duration::ZERO);
        prop_assert!(run(coarse(2_000 * MILLISECOND), &ops, keeps).is_ok());
    }
}

#[test]
fn without_the_rule_a_change_in_the_same_tick_is_hidden() {
    let ops = [Op::Read, Op::Write, Op::Read];
    assert!(run(fine(10 * MILLISECOND), &ops, |_, _| true).is_err());
    let keeps = |stamp: &Stamp, now| stamp.is_settled(now, Duration::ZERO);
    assert_eq!(run(fine(10 * MILLISECOND), &ops, keeps), Ok(0));
}

#[test]
fn a_file_that_is_left_alone_is_kept() {
    let keeps = |stamp: &Stamp, now| stamp.is_settled(now, Duration::from_millis(50));
    let ops = [Op::Wait(61 * MILLISECOND), Op::Read, Op::Read];
    assert_eq!(run(fine(10 * MILLISECOND), &ops, keeps), Ok(1));
    let ops = [Op::Wait(39 * MILLISECOND), Op::Read, Op::Read];
    assert_eq!(run(fine(10 * MILLISECOND), &ops, keeps), Ok(0));
}

#[test]
fn extreme_times_and_durations_settle_nothing_by_accident() {
    let (first, last) = (Moment::new(i64::MIN, 0), Moment::new(i64::MAX, 999_999_999));
    assert!(stamp(first).is_settled(last, Duration::from_secs(u64::MAX / 2)));
    assert!(!stamp(last).is_settled(first, Duration::ZERO));
    assert!(!stamp(last).is_settled(last, Duration::ZERO));
    assert!(!stamp(Moment(5)).is_settled(last, Duration::MAX));
    assert!(!stamp(Moment(i128::MAX)).is_settled(Moment(i128::MIN), Duration::ZERO));
}

#[test]
fn a_change_in_the_future_is_not_settled() {
    let now = Moment::new(1_000, 5);
    let ahead = stamp(Moment::new(1_001, 5));
    assert!(!ahead.is_settled(now, Duration::ZERO));
}

#[test]
fn the_clock_of_files_is_not_ahead_of_a_file_changed_after_it_was_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    for round in 0..200 {
        let before = Moment::now();
        std::fs::write(&path, format!("{round}")).expect("written");
        let stat = rustix::fs::stat(&path).expect("it is there");
        assert!(Stamp::of(&stat).changed >= before, "round {round}");
    }
}
