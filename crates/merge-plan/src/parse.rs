//! From text to a validated plan: read the document, walk it by the schema, check the parts against each other.

mod checks;
mod document;
mod reader;
mod schema;

use crate::error::{PlanErrors, ProblemCode};
use crate::plan::Validated;
use document::Node;
use reader::{Findings, Path};

/// Longest document accepted, in bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Reads and validates a plan; all problems at once.
pub(crate) fn plan(text: &str) -> Result<Validated, PlanErrors> {
    let mut findings = Findings::default();
    if let Some(document) = read(text, &mut findings) {
        let draft = schema::plan(&document, &mut findings);
        checks::check(&draft, &mut findings);
        // A draft without problems is complete.
        if findings.is_clean() {
            let (warnings, warnings_omitted) = findings.into_warnings();
            return Ok(Validated {
                plan: draft.into_plan(),
                warnings,
                warnings_omitted,
            });
        }
    }
    Err(findings.into_errors())
}

fn read(text: &str, findings: &mut Findings) -> Option<Node> {
    if text.len() > MAX_BYTES {
        let message = format!(
            "the document has {} bytes; at most {MAX_BYTES} are accepted",
            text.len()
        );
        findings.problem(&Path::Root, ProblemCode::LimitExceeded, message);
        return None;
    }
    // serde_json refuses nesting beyond 128 levels, so neither this nor the walk over the result can exhaust the stack.
    match serde_json::from_str(text) {
        Ok(document) => Some(document),
        Err(error) => {
            findings.problem(&Path::Root, ProblemCode::JsonParse, error.to_string());
            None
        }
    }
}
