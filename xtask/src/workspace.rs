//! What `cargo metadata` says about the workspace, reduced to what the tasks need.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::failure::Failure;
use crate::process::cargo;

/// The workspace as the tasks see it.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// One member of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) is_library: bool,
    pub(crate) has_features: bool,
    pub(crate) has_default_features: bool,
    /// Where the loom models are, as cargo is told; nothing if there are none.
    pub(crate) loom_models: Option<&'static [&'static str]>,
    /// Models for shuttle are in `tests/shuttle`.
    pub(crate) has_shuttle_models: bool,
    pub(crate) examples: Vec<String>,
}

impl Workspace {
    pub(crate) fn read() -> Result<Self, Failure> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("xtask lies in the workspace root");
        let output = cargo(root)
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(Failure::failed("cargo metadata failed"));
        }
        let metadata: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| Failure::failed(format!("cargo metadata: {error}")))?;
        Ok(Self {
            root: root.to_owned(),
            target: PathBuf::from(text(&metadata["target_directory"])),
            packages: list(&metadata["packages"]).map(Package::of).collect(),
        })
    }

    pub(crate) fn libraries(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.is_library)
    }
}

impl Package {
    fn of(package: &Value) -> Self {
        let targets = |kind: &'static str| {
            list(&package["targets"])
                .filter(move |target| list(&target["kind"]).any(|of| of == kind))
                .map(|target| text(&target["name"]).to_owned())
        };
        let features = package["features"].as_object();
        Self {
            name: text(&package["name"]).to_owned(),
            is_library: targets("lib").chain(targets("proc-macro")).next().is_some(),
            has_features: features.is_some_and(|features| !features.is_empty()),
            has_default_features: features
                .and_then(|features| features.get("default"))
                .is_some_and(|default| list(default).next().is_some()),
            loom_models: list(&package["dependencies"])
                .any(|dependency| dependency["name"] == "loom")
                .then(|| match targets("test").any(|name| name == "loom") {
                    true => &["--test", "loom"][..],
                    false => &["--lib"], // beside the code; other unit tests are not built for loom
                }),
            has_shuttle_models: list(&package["dependencies"])
                .any(|dependency| dependency["name"] == "shuttle"),
            examples: targets("example").collect(),
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
