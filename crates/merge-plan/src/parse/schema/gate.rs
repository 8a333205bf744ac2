//! The schema of a gate.

use std::collections::BTreeMap;

use crate::error::WarningCode;
use crate::parse::document::{Node, Shown};
use crate::parse::reader::{Fields, Findings, Path, Text, choice, list, map, seconds, text, texts};
use crate::plan::{Container, Gate, Mount, MountKind, Runtime, Script};

const MIN_TIMEOUT_SECONDS: f64 = 0.001;
const MAX_TIMEOUT_SECONDS: f64 = 604_800.0;
/// Of a command line, and of artifacts.
const MAX_WORDS: usize = 10_000;

/// The gate's name, and the gate if it is sound.
pub(super) fn read(
    node: &Node,
    path: &Path<'_>,
    findings: &mut Findings,
) -> (Option<String>, Option<Gate>) {
    const KNOWN: [&str; 8] = [
        "name",
        "run",
        "cwd",
        "env",
        "timeoutSeconds",
        "runtime",
        "container",
        "artifacts",
    ];
    let Some(fields) = Fields::open(node, path, &KNOWN, findings) else {
        return (None, None);
    };
    let name = fields
        .required("name", path, findings)
        .and_then(|node| text(node, Text::Name, &path.key("name"), findings));
    let run = fields
        .required("run", path, findings)
        .and_then(|node| script(node, &path.key("run"), findings));
    let cwd = fields
        .get("cwd")
        .and_then(|node| text(node, Text::RelativePath, &path.key("cwd"), findings));
    let env = fields
        .get("env")
        .and_then(|node| environment(node, &path.key("env"), findings))
        .unwrap_or_default();
    let allowed = MIN_TIMEOUT_SECONDS..=MAX_TIMEOUT_SECONDS;
    let timeout = fields
        .get("timeoutSeconds")
        .and_then(|node| seconds(node, allowed, &path.key("timeoutSeconds"), findings));
    let runtime = fields.get("runtime").map_or(Some(Runtime::Local), |node| {
        const RUNTIMES: [Runtime; 3] = [Runtime::Local, Runtime::Container, Runtime::CiService];
        choice(
            node,
            &RUNTIMES.map(|runtime| (runtime.as_str(), runtime)),
            &path.key("runtime"),
            findings,
        )
    });
    let container = fields
        .get("container")
        .and_then(|node| container(node, &path.key("container"), findings));
    let artifacts = fields.get("artifacts").and_then(|node| {
        texts(
            node,
            Text::RelativePath,
            MAX_WORDS,
            &path.key("artifacts"),
            findings,
        )
    });
    warn_about_gate(runtime, &fields, path, findings);
    let gate = name
        .clone()
        .zip(run)
        .zip(runtime)
        .map(|((name, run), runtime)| Gate {
            name,
            run,
            cwd,
            env,
            timeout,
            runtime,
            container,
            artifacts: artifacts.unwrap_or_default(),
        });
    (name, gate)
}

fn warn_about_gate(
    runtime: Option<Runtime>,
    fields: &Fields<'_>,
    path: &Path<'_>,
    findings: &mut Findings,
) {
    match runtime {
        Some(Runtime::Local) | None if fields.get("container").is_some() => findings.warning(
            &path.key("container"),
            WarningCode::NotAvailable,
            "the gate's runtime is local, so its container has no effect",
        ),
        Some(other) if other != Runtime::Local => findings.warning(
            &path.key("runtime"),
            WarningCode::UnsupportedRuntime,
            format!("the runtime {} is not available yet; the gate will fail and is not run on this machine", other.as_str()),
        ),
        _ => {}
    }
    if let Some(Node::Array(paths)) = fields.get("artifacts")
        && !paths.is_empty()
    {
        findings.warning(
            &path.key("artifacts"),
            WarningCode::NotAvailable,
            "artifacts are not collected yet",
        );
    }
}

fn script(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<Script> {
    match node {
        Node::Text(_) => {
            let line = text(node, Text::Content, path, findings)?;
            if line.trim().is_empty() {
                findings.invalid(path, format!("{} runs nothing", Shown(&line)));
                return None;
            }
            Some(Script::Shell(line))
        }
        Node::Array(words) if words.is_empty() => {
            findings.invalid(
                path,
                "the array is empty; it holds a program and its arguments",
            );
            None
        }
        Node::Array(words) => {
            let program_is_empty = matches!(&words[0], Node::Text(program) if program.is_empty());
            if program_is_empty {
                findings.invalid(&path.index(0), "the program's name is empty");
            }
            let argv = texts(node, Text::Free, MAX_WORDS, path, findings)?;
            (argv.len() == words.len() && !program_is_empty).then_some(Script::Argv(argv))
        }
        _ => {
            findings.invalid(
                path,
                format!("expected a string for the shell or an array of strings, found {node}"),
            );
            None
        }
    }
}

fn environment(
    node: &Node,
    path: &Path<'_>,
    findings: &mut Findings,
) -> Option<BTreeMap<String, String>> {
    map(
        node,
        Text::Variable,
        path,
        findings,
        |node, path, findings| text(node, Text::Free, path, findings),
    )
}

fn container(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<Container> {
    let fields = Fields::open(node, path, &["image", "entrypoint", "mounts"], findings)?;
    let image = fields
        .required("image", path, findings)
        .and_then(|node| text(node, Text::Name, &path.key("image"), findings));
    let entrypoint = fields.get("entrypoint").and_then(|node| {
        texts(
            node,
            Text::Content,
            MAX_WORDS,
            &path.key("entrypoint"),
            findings,
        )
    });
    let mounts = fields
        .get("mounts")
        .and_then(|node| list(node, 1_000, &path.key("mounts"), findings, mount));
    Some(Container {
        image: image?,
        entrypoint,
        mounts: mounts.unwrap_or_default().into_iter().flatten().collect(),
    })
}

fn mount(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<Mount> {
    let fields = Fields::open(node, path, &["source", "target", "type"], findings)?;
    let source = fields
        .required("source", path, findings)
        .and_then(|node| text(node, Text::Content, &path.key("source"), findings));
    let target = fields
        .required("target", path, findings)
        .and_then(|node| text(node, Text::Content, &path.key("target"), findings));
    let kinds = [("bind", MountKind::Bind), ("volume", MountKind::Volume)];
    let kind = fields
        .required("type", path, findings)
        .and_then(|node| choice(node, &kinds, &path.key("type"), findings));
    Some(Mount {
        source: source?,
        target: target?,
        kind: kind?,
    })
}
