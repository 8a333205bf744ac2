//! A walk over a document that records every problem where it is and goes on.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::document::{Node, Shown};
use crate::error::{PlanErrors, Problem, ProblemCode, Warning, WarningCode};
use crate::visible::is_unseen;

/// The problems and warnings found so far, bounded in number.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    problems: Vec<Problem>,
    problems_omitted: usize,
    warnings: Vec<Warning>,
    warnings_omitted: usize,
}

impl Findings {
    /// Warnings kept at most. A plan can be large and valid, so this is wider than the bound on problems.
    const MAX_WARNINGS: usize = 1_000;

    pub(crate) fn problem(
        &mut self,
        path: &Path<'_>,
        code: ProblemCode,
        message: impl Into<String>,
    ) {
        if self.problems.len() < PlanErrors::MAX_LISTED {
            self.problems.push(Problem {
                path: path.to_string(),
                code,
                message: message.into(),
            });
        } else {
            self.problems_omitted += 1;
        }
    }

    /// A problem of the document's shape, the commonest kind.
    pub(crate) fn invalid(&mut self, path: &Path<'_>, message: impl Into<String>) {
        self.problem(path, ProblemCode::SchemaValidation, message);
    }

    pub(crate) fn warning(
        &mut self,
        path: &Path<'_>,
        code: WarningCode,
        message: impl Into<String>,
    ) {
        if self.warnings.len() < Self::MAX_WARNINGS {
            let (path, message) = (path.to_string(), message.into());
            self.warnings.push(Warning {
                path,
                code,
                message,
            });
        } else {
            self.warnings_omitted += 1;
        }
    }

    /// True if a further problem would only be counted: whoever has many need not spell them out.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.len() >= PlanErrors::MAX_LISTED
    }

    /// Counts problems that are not listed; only when [full](Self::is_full).
    pub(crate) fn omit(&mut self, problems: usize) {
        debug_assert!(self.is_full(), "what can be listed is listed");
        self.problems_omitted = self.problems_omitted.saturating_add(problems);
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn into_errors(self) -> PlanErrors {
        PlanErrors::new(self.problems, self.problems_omitted)
    }

    /// The warnings, and how many more there were.
    pub(crate) fn into_warnings(self) -> (Vec<Warning>, usize) {
        (self.warnings, self.warnings_omitted)
    }
}

/// Where the walk stands: a list linked through the stack, rendered only when there is something to say.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(crate) fn key(&'a self, key: &'a str) -> Path<'a> {
        Path::Key(self, key)
    }

    pub(crate) fn index(&'a self, index: usize) -> Path<'a> {
        Path::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => f.write_str("$"),
            Path::Key(parent, key) if is_plain(key) => write!(f, "{parent}.{key}"),
            Path::Key(parent, key) => write!(f, "{parent}[{}]", Shown(key)),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// True if the key can stand after a dot.
fn is_plain(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.len() <= 60
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The fields of an object whose keys were checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    entries: &'a [(String, Node)],
}

impl<'a> Fields<'a> {
    /// The fields of `node`; unknown and repeated keys are problems, and so is anything that is no object.
    pub(crate) fn open(
        node: &'a Node,
        path: &Path<'_>,
        known: &[&str],
        findings: &mut Findings,
    ) -> Option<Self> {
        let entries = entries(node, path, findings)?;
        for (key, _, count) in keys(entries) {
            if !known.contains(&key) {
                let (key, known) = (Shown(key), known.join(", "));
                let message = format!("unknown field {key}; known are {known}");
                findings.invalid(&path.key(key.0), message);
            } else if count > 1 {
                findings.invalid(&path.key(key), given_twice(key));
            }
        }
        Some(Self { entries })
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries
            .iter()
            .find(|(found, _)| found == key)
            .map(|(_, node)| node)
    }

    /// A field that must be there.
    pub(crate) fn required(
        &self,
        key: &str,
        path: &Path<'_>,
        findings: &mut Findings,
    ) -> Option<&'a Node> {
        let node = self.get(key);
        if node.is_none() {
            findings.invalid(&path.key(key), "missing; this field is required");
        }
        node
    }
}

/// The entries of an object, as they stand there.
fn entries<'a>(
    node: &'a Node,
    path: &Path<'_>,
    findings: &mut Findings,
) -> Option<&'a [(String, Node)]> {
    let Node::Object(entries) = node else {
        findings.invalid(path, format!("expected an object, found {node}"));
        return None;
    };
    Some(entries)
}

/// Each key once, in the order of the document, with its first value and how often it is given.
fn keys(entries: &[(String, Node)]) -> Vec<(&str, &Node, usize)> {
    let mut places = HashMap::new();
    let mut keys: Vec<(&str, &Node, usize)> = Vec::with_capacity(entries.len());
    for (key, node) in entries {
        let place = *places.entry(key).or_insert(keys.len());
        match keys.get_mut(place) {
            Some((_, _, count)) => *count += 1,
            None => keys.push((key, node, 1)),
        }
    }
    keys
}

fn given_twice(key: &str) -> String {
    format!("the field {} is given twice", Shown(key))
}

/// What a string may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// A name that people read and that ends up in messages: 1 to 255 bytes, no unseen characters.
    Name,
    /// A revision handed to git: as a name, and spelled as the pool takes it, so that it can resolve.
    Revision,
    /// An environment variable that a plan may set: as a name, without `=`, and none that says which item or repository it is.
    Variable,
    /// A relative path that stays below where it starts.
    RelativePath,
    /// Free text of up to 64 KiB without NUL, possibly empty.
    Free,
    /// The same, not empty.
    Content,
}

impl Text {
    const MAX_NAME_BYTES: usize = 255;
    const MAX_FREE_BYTES: usize = 64 * 1024;

    /// What is wrong with `value`, if anything.
    pub(crate) fn fault(self, value: &str) -> Option<String> {
        let shown = Shown(value);
        let (min, max) = match self {
            Self::Name | Self::Revision | Self::Variable => (1, Self::MAX_NAME_BYTES),
            Self::Free => (0, Self::MAX_FREE_BYTES),
            Self::Content => (1, Self::MAX_FREE_BYTES),
            Self::RelativePath => (1, 4096),
        };
        if value.len() < min || value.len() > max {
            return Some(format!(
                "{shown} has {} bytes; {min} to {max} are allowed",
                value.len()
            ));
        }
        if value.contains('\0') {
            return Some(format!("{shown} holds a NUL character"));
        }
        match self {
            Self::Name | Self::Revision | Self::Variable if value.chars().any(is_unseen) => {
                Some(format!(
                    "{shown} holds a control character, a line separator or one that changes the direction of text"
                ))
            }
            Self::Revision => {
                revision_fault(value).map(|rule| format!("{shown} can be no revision: {rule}"))
            }
            Self::Variable => {
                variable_fault(value).map(|rule| format!("{shown} cannot be set: {rule}"))
            }
            Self::RelativePath if !stays_below(value) => Some(format!(
                "{shown} is absolute or leads out of the working copy; a relative path without '..' is allowed"
            )),
            _ => None,
        }
    }
}

/// Why git could never take `value` for a revision, where that is so.
fn revision_fault(value: &str) -> Option<String> {
    match brolly_repo_pool::check_revision(value) {
        Ok(()) => None,
        Err(brolly_repo_pool::Error::InvalidRef { rule, .. }) => Some(rule.to_owned()),
        Err(other) => Some(other.to_string()),
    }
}

/// Why a plan may not set this environment variable, where that is so.
fn variable_fault(name: &str) -> Option<&'static str> {
    /// What git takes its repository from, and not from where it runs.
    const REPOSITORY: [&str; 11] = [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_COMMON_DIR",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_NAMESPACE",
        "GIT_PREFIX",
        "GIT_CEILING_DIRECTORIES",
        "GIT_SHALLOW_FILE",
        "GIT_GRAFT_FILE",
    ];
    if name.contains('=') {
        Some("a variable's name holds no '='")
    } else if name.starts_with("BROLLY_") {
        Some("variables that begin with BROLLY_ tell a gate what it runs for")
    } else if REPOSITORY.contains(&name) {
        Some("it would lead git to another repository than the working copy")
    } else {
        None
    }
}

/// True if a path names something at or below the directory it is relative to, by its spelling.
fn stays_below(path: &str) -> bool {
    use std::path::Component;
    std::path::Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

pub(crate) fn text(
    node: &Node,
    kind: Text,
    path: &Path<'_>,
    findings: &mut Findings,
) -> Option<String> {
    let Node::Text(value) = node else {
        findings.invalid(path, format!("expected a string, found {node}"));
        return None;
    };
    if let Some(fault) = kind.fault(value) {
        findings.invalid(path, fault);
        return None;
    }
    Some(value.clone())
}

pub(crate) fn boolean(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<bool> {
    let Node::Bool(value) = node else {
        findings.invalid(path, format!("expected true or false, found {node}"));
        return None;
    };
    Some(*value)
}

pub(crate) fn integer(
    node: &Node,
    allowed: RangeInclusive<u64>,
    path: &Path<'_>,
    findings: &mut Findings,
) -> Option<u64> {
    let (low, high) = (*allowed.start(), *allowed.end());
    let Node::Integer(value) = node else {
        findings.invalid(
            path,
            format!(
                "expected a whole number without a fraction from {low} to {high}, found {node}"
            ),
        );
        return None;
    };
    match u64::try_from(*value) {
        Ok(value) if allowed.contains(&value) => Some(value),
        _ => {
            findings.invalid(
                path,
                format!("{value} is out of range; {low} to {high} are allowed"),
            );
            None
        }
    }
}

/// A number of seconds, fractions allowed.
pub(crate) fn seconds(
    node: &Node,
    allowed: RangeInclusive<f64>,
    path: &Path<'_>,
    findings: &mut Findings,
) -> Option<Duration> {
    let (low, high) = (*allowed.start(), *allowed.end());
    let value = match node {
        // Beyond 2^53 the conversion rounds, far outside every range in use.
        Node::Integer(value) => *value as f64,
        Node::Float(value) => *value,
        _ => {
            findings.invalid(
                path,
                format!("expected a number of seconds from {low} to {high}, found {node}"),
            );
            return None;
        }
    };
    match Duration::try_from_secs_f64(value) {
        Ok(duration) if allowed.contains(&value) => Some(duration),
        _ => {
            findings.invalid(
                path,
                format!("{node} is out of range; {low} to {high} seconds are allowed"),
            );
            None
        }
    }
}

/// One of a few words.
pub(crate) fn choice<T: Copy>(
    node: &Node,
    choices: &[(&str, T)],
    path: &Path<'_>,
    findings: &mut Findings,
) -> Option<T> {
    if let Node::Text(word) = node
        && let Some((_, value)) = choices.iter().find(|(known, _)| known == word)
    {
        return Some(*value);
    }
    let known: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    findings.invalid(
        path,
        format!("expected one of {}, found {node}", known.join(", ")),
    );
    None
}

/// Every element of an array through `read`; an element that could not be read is `None` and keeps its place.
pub(crate) fn list<T>(
    node: &Node,
    max: usize,
    path: &Path<'_>,
    findings: &mut Findings,
    mut read: impl FnMut(&Node, &Path<'_>, &mut Findings) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    let Node::Array(nodes) = node else {
        findings.invalid(path, format!("expected an array, found {node}"));
        return None;
    };
    if nodes.len() > max {
        findings.problem(
            path,
            ProblemCode::LimitExceeded,
            format!("{} elements; at most {max} are allowed", nodes.len()),
        );
        return None;
    }
    Some(
        nodes
            .iter()
            .enumerate()
            .map(|(index, node)| read(node, &path.index(index), findings))
            .collect(),
    )
}

/// An array of at most `max` strings, those that could be read.
pub(crate) fn texts(
    node: &Node,
    kind: Text,
    max: usize,
    path: &Path<'_>,
    findings: &mut Findings,
) -> Option<Vec<String>> {
    let read = list(node, max, path, findings, |node, path, findings| {
        text(node, kind, path, findings)
    })?;
    Some(read.into_iter().flatten().collect())
}

/// An object with free keys of kind `key`, each value through `read`.
pub(crate) fn map<T>(
    node: &Node,
    key_kind: Text,
    path: &Path<'_>,
    findings: &mut Findings,
    mut read: impl FnMut(&Node, &Path<'_>, &mut Findings) -> Option<T>,
) -> Option<BTreeMap<String, T>> {
    const MAX_KEYS: usize = 10_000;
    let entries = entries(node, path, findings)?;
    if entries.len() > MAX_KEYS {
        findings.problem(
            path,
            ProblemCode::LimitExceeded,
            format!("{} fields; at most {MAX_KEYS} are allowed", entries.len()),
        );
        return None;
    }
    let mut values = BTreeMap::new();
    for (key, node, count) in keys(entries) {
        let at = path.key(key);
        if count > 1 {
            findings.invalid(&at, given_twice(key));
        }
        if let Some(fault) = key_kind.fault(key) {
            findings.invalid(&at, fault);
        }
        if let Some(value) = read(node, &at, findings) {
            values.insert(key.to_owned(), value);
        }
    }
    Some(values)
}
