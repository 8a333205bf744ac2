//! `brolly pool recover`: slots that could not be cleaned, made anew.

use std::process::ExitCode;

use brolly_repo_pool::{Error, RepoPool, SlotState};
use serde_json::json;

use crate::Done;
use crate::failure::Failure;
use crate::output::{Output, count};

/// Makes the slots anew, or all that are in error if none is named; one that fails does not stop the others.
pub(super) fn recover(pools: &RepoPool, name: &str, slots: &[u32], output: &Output) -> Done {
    let status = pools.status(name)?;
    let known = |number| status.slots.iter().any(|slot| slot.number == number);
    if let Some(&slot) = slots.iter().find(|&&number| !known(number)) {
        let pool = name.to_owned();
        return Err(Error::SlotNotFound { pool, slot }.into());
    }
    let broken = status.slots.iter();
    let broken = broken.filter(|slot| slot.state == SlotState::Error);
    let chosen: Vec<u32> = if slots.is_empty() {
        broken.map(|slot| slot.number).collect()
    } else {
        slots.to_vec()
    };
    let (mut recovered, mut failed) = (Vec::new(), Vec::new());
    for slot in chosen {
        output.note(format_args!("making slot {slot} anew"));
        match pools.recover(name, slot) {
            Ok(()) => recovered.push(slot),
            Err(error) => failed.push((slot, Failure::from(error))),
        }
    }
    let failures: Vec<_> = failed
        .iter()
        .map(|(slot, failure)| {
            if !output.is_json() {
                output.complain(format_args!("slot {slot}: {}", failure.message));
            }
            json!({"slot": slot, "error": {"code": failure.code, "message": failure.message}})
        })
        .collect();
    let answer = json!({
        "ok": failures.is_empty(),
        "pool": name,
        "recovered": recovered,
        "failed": failures,
    });
    output.answer(&answer, || match (recovered.len(), failed.len()) {
        (0, 0) => "no slot is in error".to_owned(),
        (0, _) => String::new(),
        (made, _) => format!("recovered {}", count(made, "slot", "slots")),
    });
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
