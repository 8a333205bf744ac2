//! A gate as data: what it runs, where, and for how long.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::seconds;

/// One check: a command that must exit with 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    pub(crate) name: String,
    pub(crate) run: Script,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cwd: Option<String>,
    pub(crate) env: BTreeMap<String, String>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional_seconds",
        rename = "timeoutSeconds"
    )]
    pub(crate) timeout: Option<Duration>,
    pub(crate) runtime: Runtime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) container: Option<Container>,
    pub(crate) artifacts: Vec<String>,
}

impl Gate {
    /// The name, unique within its item.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the gate runs.
    pub fn run(&self) -> &Script {
        &self.run
    }

    /// The directory to run in, relative to the root of the working copy.
    pub fn cwd(&self) -> Option<&str> {
        self.cwd.as_deref()
    }

    /// Variables added to the environment.
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// The time limit of one attempt, where the plan sets one.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Where the gate wants to run.
    pub fn runtime(&self) -> Runtime {
        self.runtime
    }

    /// The container that the gate wants, if any.
    pub fn container(&self) -> Option<&Container> {
        self.container.as_ref()
    }

    /// Paths that the gate produces, relative to its directory.
    pub fn artifacts(&self) -> &[String] {
        &self.artifacts
    }
}

/// What a gate runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Script {
    /// A line for `sh -c`.
    Shell(String),
    /// A program and its arguments, without a shell.
    Argv(Vec<String>),
}

/// Where a gate wants to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Runtime {
    /// As a process on this machine.
    Local,
    /// In a container. Not available yet: the gate fails and is never run on the host instead.
    Container,
    /// In a service elsewhere. Not available yet: the gate fails and is never run on the host instead.
    CiService,
}

impl Runtime {
    /// The word used in plans.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Container => "container",
            Self::CiService => "ci-service",
        }
    }
}

/// The container that a gate wants.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    pub(crate) image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) entrypoint: Option<Vec<String>>,
    pub(crate) mounts: Vec<Mount>,
}

impl Container {
    /// The image's name.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// The command that replaces the image's entry point.
    pub fn entrypoint(&self) -> Option<&[String]> {
        self.entrypoint.as_deref()
    }

    /// What is mounted into the container.
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }
}

/// A directory or volume seen inside a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    pub(crate) source: String,
    pub(crate) target: String,
    #[serde(rename = "type")]
    pub(crate) kind: MountKind,
}

impl Mount {
    /// The host path or the volume's name.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The path inside the container.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// A bind mount or a volume.
    pub fn kind(&self) -> MountKind {
        self.kind
    }
}

/// How a mount's source is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A path on the host.
    Bind,
    /// A named volume.
    Volume,
}

fn optional_seconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    seconds(&duration.unwrap_or_default(), serializer)
}
