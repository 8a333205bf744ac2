//! The house as it is drawn: who may stand on whom, how rooms are named, what every crate carries.

#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// Each crate's folder and its floor. An arrow goes down: to a lower floor, never to a neighbour.
const FLOORS: &[(&str, u8)] = &[
    ("macros", 0),
    ("sync", 1),
    ("metrics-core", 1),
    ("advisor", 2),
    ("batch", 2),
    ("circuit-breaker", 2),
    ("lazy", 2),
    ("resource-pool", 2),
    ("ttl-cache", 2),
    ("file-store", 3),
    ("pool-http", 3),
    ("pool-postgres", 3),
    ("pool-redis", 3),
    ("pool-sqlite", 3),
    ("repo-pool", 3),
    ("merge-plan", 4),
    ("cli", 7),
];

/// The only arrows between neighbours.
const BESIDE_EACH_OTHER: &[(&str, &str)] = &[("metrics-core", "sync")];

/// Stand beside the house: nothing depends on them.
const BESIDE: &[&str] = &["xtask", "brolly-benches"];

/// Folders whose package is not called `brolly-` and the folder's name.
const OWN_NAME: &[(&str, &str)] = &[("umbrella", "brolly")];

/// Crates that may contain unsafe code, each with the measured gain that pays for it.
const UNSAFE: &[(&str, &str)] = &[
    (
        "brolly-resource-pool",
        "a checkout without a third atomic step takes a seventh less: docs/design/resource-pool.md",
    ),
    (
        "brolly-ttl-cache",
        "a hit without a lock takes half the time of one with it: docs/design/ttl-cache.md",
    ),
];

/// What our crates are compared with; only the benches may depend on them, and a crate that speaks
/// to one behind a feature of its name.
const PEERS: &[&str] = &[
    "async_dag",
    "async-once-cell",
    "batched",
    "bb8",
    "cached",
    "circuitbreaker-rs",
    "dagrs",
    "dataloader",
    "deadpool",
    "failsafe",
    "fast_pool",
    "foyer",
    "futures-batch",
    "hdrhistogram",
    "histogram",
    "measured",
    "metrics",
    "mini-moka",
    "mobc",
    "moka",
    "opentelemetry",
    "petgraph",
    "prometheus",
    "prometheus-client",
    "quick_cache",
    "r2d2",
    "recloser",
    "stretto",
    "tinyufo",
    "tower-batch",
    "tower-resilience",
    "ultra-batch",
];

#[test]
fn every_crate_has_its_floor_in_the_picture() {
    for krate in house() {
        krate.floor();
    }
}

#[test]
fn a_folder_names_its_package() {
    for krate in house() {
        let folder = krate.folder();
        let own_name = OWN_NAME.iter().find(|(of, _)| *of == folder);
        let expected = own_name.map_or(format!("brolly-{folder}"), |(_, name)| (*name).to_owned());
        assert_eq!(krate.name(), expected, "package of crates/{folder}");
    }
}

#[test]
fn arrows_point_down() {
    for krate in house() {
        for dependency in krate.dependencies() {
            let Some(below) = dependency.ours() else {
                continue;
            };
            if dependency.is_dev() {
                continue;
            }
            let edge = (&*krate.folder(), &*below.folder());
            assert!(
                below.floor() < krate.floor() || BESIDE_EACH_OTHER.contains(&edge),
                "{} (floor {}) may not stand on {} (floor {})",
                krate.name(),
                krate.floor(),
                below.name(),
                below.floor(),
            );
        }
    }
}

#[test]
fn nothing_stands_on_what_is_beside_the_house() {
    for krate in members() {
        for dependency in krate.dependencies() {
            assert!(
                !BESIDE.contains(&dependency.name()),
                "{} depends on {}",
                krate.name(),
                dependency.name(),
            );
        }
    }
}

#[test]
fn no_crate_depends_on_a_peer() {
    for krate in members() {
        for dependency in krate.dependencies() {
            assert!(
                !PEERS.contains(&dependency.name()) || krate.has_behind_its_feature(&dependency),
                "{} depends on the peer {}",
                krate.name(),
                dependency.name(),
            );
        }
    }
}

#[test]
fn every_published_crate_carries_what_crates_io_and_docs_rs_need() {
    for krate in members().into_iter().filter(Crate::is_published) {
        let name = krate.name();
        for field in [
            "description",
            "license",
            "readme",
            "documentation",
            "rust_version",
        ] {
            assert!(!text(&krate.0[field]).is_empty(), "{name}: no {field}");
        }
        for (field, most) in [("keywords", 5), ("categories", 5)] {
            let entries = list(&krate.0[field]).count();
            assert!((1..=most).contains(&entries), "{name}: {entries} {field}");
        }
        for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            assert!(krate.path().join(file).is_file(), "{name}: no {file}");
        }
        let docs = &krate.0["metadata"]["docs"]["rs"];
        assert_eq!(docs["all-features"], true, "{name}: docs.rs settings");
        assert!(
            list(&docs["rustdoc-args"]).any(|arg| arg == "docsrs"),
            "{name}: docs.rs without --cfg docsrs",
        );
    }
}

#[test]
fn published_crates_share_one_version() {
    let published: Vec<_> = members().into_iter().filter(Crate::is_published).collect();
    for krate in &published {
        assert_eq!(
            krate.0["version"],
            published[0].0["version"],
            "{} and {}",
            krate.name(),
            published[0].name(),
        );
    }
}

#[test]
fn edges_between_our_crates_can_be_packaged() {
    for krate in members().into_iter().filter(Crate::is_published) {
        for dependency in krate.dependencies().filter(|it| it.ours().is_some()) {
            let edge = format!("{} -> {}", krate.name(), dependency.name());
            assert!(dependency.0["path"].is_string(), "{edge}: no path");
            // A version on a development edge would make packaging wait for a crate that waits for us.
            let has_version = text(&dependency.0["req"]) != "*";
            assert_eq!(has_version, !dependency.is_dev(), "{edge}: version");
        }
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for krate in members() {
        let manifest = read(&krate.path().join("Cargo.toml"));
        let lints = manifest.split("\n[lints]\n").nth(1).unwrap_or_default();
        assert!(lints.starts_with("workspace = true"), "{}", krate.name());
    }
}

#[test]
fn unsafe_code_is_forbidden_where_no_measured_gain_pays_for_it() {
    for krate in members() {
        if UNSAFE.iter().any(|(name, _)| *name == krate.name()) {
            continue;
        }
        for target in list(&krate.0["targets"]) {
            if !list(&target["kind"]).any(|kind| kind == "lib" || kind == "bin") {
                continue;
            }
            let root = PathBuf::from(text(&target["src_path"]));
            assert!(
                read(&root).contains("#![forbid(unsafe_code)]"),
                "{}",
                root.display(),
            );
        }
    }
}

/// A member of the workspace, as `cargo metadata` describes it.
#[derive(Clone)]
struct Crate(Value);

/// One edge that leaves a crate.
struct Dependency(Value);

impl Crate {
    fn name(&self) -> &str {
        text(&self.0["name"])
    }

    fn path(&self) -> &Path {
        let manifest = Path::new(text(&self.0["manifest_path"]));
        manifest.parent().expect("a manifest lies in a folder")
    }

    fn folder(&self) -> String {
        let folder = self.path().file_name().expect("a crate has a folder");
        folder.to_string_lossy().into_owned()
    }

    fn floor(&self) -> u8 {
        let folder = self.folder();
        let row = FLOORS.iter().find(|(name, _)| *name == folder);
        row.unwrap_or_else(|| panic!("crates/{folder} is not in the picture: give it a floor"))
            .1
    }

    fn is_published(&self) -> bool {
        // `publish = false` reads as an empty list of registries.
        self.0["publish"].is_null()
    }

    /// Whether the dependency is there only with the feature of its name, which is not a default.
    fn has_behind_its_feature(&self, dependency: &Dependency) -> bool {
        let features = &self.0["features"];
        let asks_for_it = format!("dep:{}", dependency.name());
        dependency.0["optional"] == true
            && list(&features[dependency.name()]).any(|it| it == asks_for_it.as_str())
            && !list(&features["default"]).any(|it| it == dependency.name())
    }

    fn dependencies(&self) -> impl Iterator<Item = Dependency> {
        list(&self.0["dependencies"]).cloned().map(Dependency)
    }
}

impl Dependency {
    fn name(&self) -> &str {
        text(&self.0["name"])
    }

    fn is_dev(&self) -> bool {
        self.0["kind"] == "dev"
    }

    /// The crate of the house this edge leads to.
    fn ours(&self) -> Option<Crate> {
        house()
            .into_iter()
            .find(|krate| krate.name() == self.name())
    }
}

/// The crates under `crates/`.
fn house() -> Vec<Crate> {
    let mut members = members();
    members.retain(|krate| !BESIDE.contains(&krate.name()));
    assert!(!members.is_empty(), "an empty house proves nothing");
    members
}

fn members() -> Vec<Crate> {
    static METADATA: OnceLock<Value> = OnceLock::new();
    let metadata = METADATA.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs, since it runs this test");
        assert!(output.status.success(), "cargo metadata failed");
        serde_json::from_slice(&output.stdout).expect("metadata is JSON")
    });
    list(&metadata["packages"]).cloned().map(Crate).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
