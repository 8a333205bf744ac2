//! Ways to files, with the kernel's help and without.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::*;

struct World {
    dir: tempfile::TempDir,
}

impl World {
    /// A root `in` with some files, and a secret beside it.
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let world = Self { dir };
        fs::create_dir_all(world.path("in/deep/er")).expect("made");
        fs::write(world.path("secret"), "secret").expect("written");
        fs::write(world.path("in/top"), "top").expect("written");
        fs::write(world.path("in/deep/er/file"), "file").expect("written");
        world
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn link(&self, target: &str, at: &str) {
        symlink(target, self.path(at)).expect("linked");
    }

    fn pipe(&self, at: &str) {
        let made = std::process::Command::new("mkfifo")
            .arg(self.path(at))
            .status();
        assert!(made.expect("every Unix has it").success());
    }

    /// What the root is, with the kernel's help and without.
    fn roots(&self) -> [Root; 2] {
        let root = || Root::open(&self.path("in")).expect("a root");
        let (with, without) = (root(), root());
        without.beneath.store(false, Relaxed);
        [with, without]
    }

    fn read(&self, path: &str) -> Result<String, Refusal> {
        let [with, without] = self.roots().map(|root| read(&root, path));
        assert_eq!(with, without, "the two ways differ for {path:?}");
        with
    }
}

fn read(root: &Root, path: &str) -> Result<String, Refusal> {
    let (file, _) = root.open_file(path.as_bytes())?;
    let mut content = String::new();
    fs::File::from(file)
        .read_to_string(&mut content)
        .expect("text");
    Ok(content)
}

#[test]
fn ways_below_the_root_lead_to_their_files() {
    let world = World::new();
    world.link("deep/er", "in/short");
    world.link("../top", "in/deep/up");
    world.link("short/file", "in/twice");
    for (path, content) in [
        ("top", "top"),
        ("deep/er/file", "file"),
        ("deep/../top", "top"),
        ("deep/er/../../top", "top"),
        ("short/file", "file"),
        ("short/../up", "top"),
        ("deep/up", "top"),
        ("twice", "file"),
    ] {
        assert_eq!(world.read(path).as_deref(), Ok(content), "{path}");
    }
}

#[test]
fn no_way_leaves_the_root() {
    let world = World::new();
    let absolute = world.path("secret");
    world.link("../secret", "in/link");
    world.link("..", "in/up");
    world.link("up", "in/up2");
    world.link(absolute.to_str().expect("text"), "in/absolute");
    world.link("/proc/self/root", "in/magic");
    world.link("deep/er/../../../secret", "in/long");
    for path in [
        "../secret",
        "..",
        "deep/../../secret",
        "link",
        "up/secret",
        "up2/secret",
        "absolute",
        "magic/etc/passwd",
        "long",
        "../in/top",
    ] {
        assert_eq!(world.read(path), Err(Refusal::Outside), "{path}");
    }
}

#[test]
fn what_is_outside_is_not_told() {
    let world = World::new();
    world.link("../missing", "in/to_missing");
    world.link("../in", "in/to_directory");
    world.pipe("pipe");
    world.link("../pipe", "in/to_pipe");
    for path in ["to_missing", "to_directory", "to_pipe"] {
        assert_eq!(world.read(path), Err(Refusal::Outside), "{path}");
    }
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let world = World::new();
    world.pipe("in/pipe");
    let _socket = UnixListener::bind(world.path("in/socket")).expect("a socket");
    for (path, kind) in [
        ("pipe", FileKind::Fifo),
        ("socket", FileKind::Socket),
        ("deep", FileKind::Directory),
        ("deep/..", FileKind::Directory),
        ("", FileKind::Directory),
    ] {
        assert_eq!(world.read(path), Err(Refusal::NotAFile(kind)), "{path}");
    }
}

#[test]
fn missing_files_and_endless_links_are_told_by_the_system() {
    let world = World::new();
    world.link("b", "in/a");
    world.link("a", "in/b");
    for (path, errno) in [
        ("missing", Errno::NOENT),
        ("missing/file", Errno::NOENT),
        ("top/file", Errno::NOTDIR),
        ("a", Errno::LOOP),
        ("a/file", Errno::LOOP),
    ] {
        assert_eq!(
            world.read(path),
            Err(Refusal::System("open", errno)),
            "{path}"
        );
    }
    let long = "x/".repeat(3_000);
    for root in world.roots() {
        assert!(matches!(
            read(&root, &long),
            Err(Refusal::System(_, Errno::NAMETOOLONG))
        ));
    }
}

#[test]
fn all_ways_to_a_file_have_one_name() {
    let world = World::new();
    world.link("deep/er", "in/short");
    world.link("short/file", "in/twice");
    let [root, _] = world.roots();
    let way = Way {
        missing: Missing::Guess,
        ..Way::TO_FILE
    };
    for path in [
        "deep/er/file",
        "short/file",
        "twice",
        "deep/../short/../er/file",
        "none/../short/file",
        "none/of/../../twice",
    ] {
        let place = root.place(path.as_bytes(), way).expect(path);
        assert_eq!(place.path, b"deep/er/file", "{path}");
    }
    for path in [
        "new/dir/file",
        "new/other/../dir/file",
        "short/../../new/dir/file",
        "deep/none/../../new/dir/file",
    ] {
        let place = root.place(path.as_bytes(), way).expect(path);
        assert_eq!(place.path, b"new/dir/file", "{path}");
    }
    for path in ["new/..", "deep/new/.."] {
        let refused = root.place(path.as_bytes(), way).expect_err(path);
        assert_eq!(refused, Refusal::NotAFile(FileKind::Directory), "{path}");
    }
    for path in ["new/../../secret", "../x"] {
        let refused = root.place(path.as_bytes(), way).expect_err(path);
        assert_eq!(refused, Refusal::Outside, "{path}");
    }
}

#[test]
fn a_way_far_down_and_up_again_takes_about_as_long_as_the_way_down() {
    const DEPTH: usize = 300;
    let world = World::new();
    let [root, _] = world.roots();
    let down = format!("{}file", "d/".repeat(DEPTH));
    let up = format!("{}{}file", "d/".repeat(DEPTH), "../".repeat(DEPTH));
    let make = Way {
        missing: Missing::Make { synced: false },
        ..Way::TO_FILE
    };
    root.place(down.as_bytes(), make).expect("made");
    let time = |path: &str| {
        let once = |_| {
            let start = std::time::Instant::now();
            root.place(path.as_bytes(), Way::TO_FILE).expect("a place");
            start.elapsed()
        };
        (0..9).map(once).min().expect("it was timed")
    };
    assert_eq!(root.place(up.as_bytes(), make).expect("up").path, b"file");
    let (down, up) = (time(&down), time(&up));
    // Not its square: that would be 150 times as long.
    assert!(up < down * 30, "{up:?} up, {down:?} down");
    let out = format!("{}{}file", "d/".repeat(3), "../".repeat(4));
    let refused = root.place(out.as_bytes(), Way::TO_FILE);
    assert_eq!(refused.expect_err("out"), Refusal::Outside);
}

#[test]
fn the_name_of_a_path_is_the_same_before_and_after_its_directories_are_made() {
    let world = World::new();
    let [root, _] = world.roots();
    let guess = Way {
        missing: Missing::Guess,
        ..Way::TO_FILE
    };
    let make = Way {
        missing: Missing::Make { synced: true },
        ..Way::TO_FILE
    };
    let before = root.place(b"new/dir/file", guess).expect("a place").path;
    let made = root.place(b"new/dir/file", make).expect("a place").path;
    let after = root.place(b"new/dir/file", guess).expect("a place").path;
    assert!(world.path("in/new/dir").is_dir());
    assert!(before == made && made == after);
}

#[test]
fn a_link_where_none_was_is_noticed() {
    let world = World::new();
    world.link("deep", "in/link");
    let [root, _] = world.roots();
    let way = Way {
        links: Links::Refuse,
        last: Last::Keep,
        missing: Missing::Fail,
    };
    let refused = root.place(b"link/er/file", way).expect_err("a link");
    assert_eq!(refused, Refusal::Moved);
    root.place(b"deep/er/file", way).expect("no link");
}

#[test]
fn directories_swapped_for_links_never_lead_out() {
    use std::sync::atomic::AtomicBool;
    let world = World::new();
    fs::create_dir(world.path("in/swap")).expect("made");
    fs::write(world.path("in/swap/secret"), "inside").expect("written");
    world.link("..", "in/out");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (a, b) = (world.path("in/swap"), world.path("in/out"));
            while !is_over.load(Relaxed) {
                rustix::fs::renameat_with(
                    rustix::fs::CWD,
                    &a,
                    rustix::fs::CWD,
                    &b,
                    rustix::fs::RenameFlags::EXCHANGE,
                )
                .expect("swapped");
            }
        });
        let mut insides = 0;
        for _ in 0..3_000 {
            for root in world.roots() {
                match read(&root, "swap/secret") {
                    Ok(content) => {
                        assert_eq!(content, "inside");
                        insides += 1;
                    }
                    Err(refusal) => assert!(
                        matches!(
                            refusal,
                            Refusal::Outside | Refusal::System(_, Errno::NOENT | Errno::NOTDIR)
                        ),
                        "{refusal:?}"
                    ),
                }
            }
        }
        is_over.store(true, Relaxed);
        assert!(insides > 0);
    });
}

#[test]
fn a_root_that_was_moved_is_still_the_root() {
    let world = World::new();
    for root in world.roots() {
        fs::rename(world.path("in"), world.path("moved")).expect("moved");
        assert_eq!(read(&root, "top").as_deref(), Ok("top"));
        fs::rename(world.path("moved"), world.path("in")).expect("moved");
    }
}
