//! Which commands change the connection that they are sent on.
//!
//! Taken from the documentation of the commands, Redis 7. Scripts and functions cannot do it: what
//! they select or watch ends with them.

use redis::{Arg, Cmd, Pipeline};

/// What a command leaves behind on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// Something that `RESET` undoes.
    Changed,
    /// What nothing undoes, or answers that are not one for each command, so that later ones cannot
    /// be told apart.
    Lost,
}

/// What `RESET` undoes.
const CHANGING: &[&str] = &[
    "ASKING",
    "AUTH",
    "HELLO",
    "MULTI",
    "READONLY",
    "READWRITE",
    "RESET",
    "SELECT",
    "WATCH",
];

const LOSING: &[&str] = &[
    "MONITOR",
    "PSUBSCRIBE",
    "PSYNC",
    "PUNSUBSCRIBE",
    "QUIT",
    "REPLCONF",
    "SSUBSCRIBE",
    "SUBSCRIBE",
    "SUNSUBSCRIBE",
    "SYNC",
    "UNSUBSCRIBE",
];

/// Words after `CLIENT` whose work `RESET` undoes.
const CLIENT_CHANGING: &[&str] = &["CACHING", "SETNAME", "TRACKING"];

/// Words after `CLIENT` that change nothing of the connection. Any other counts as lost: `REPLY`,
/// and `NO-EVICT`, which `RESET` of Redis 7.0 forgets.
const CLIENT_READING: &[&str] = &[
    "GETNAME",
    "GETREDIR",
    "HELP",
    "ID",
    "INFO",
    "KILL",
    "LIST",
    "PAUSE",
    "TRACKINGINFO",
    "UNBLOCK",
    "UNPAUSE",
];

pub(crate) fn effect(command: &Cmd) -> Effect {
    if command.is_no_response() {
        return Effect::Lost;
    }
    let mut words = command.args_iter().map(|it| match it {
        Arg::Simple(word) => word,
        _ => b"",
    });
    let name = words.next().unwrap_or_default();
    if is_one_of(name, CHANGING) {
        return Effect::Changed;
    }
    if is_one_of(name, LOSING) {
        return Effect::Lost;
    }
    let second = words.next().unwrap_or_default();
    if name.eq_ignore_ascii_case(b"CLIENT") {
        return match second {
            it if is_one_of(it, CLIENT_READING) => Effect::None,
            it if is_one_of(it, CLIENT_CHANGING) => Effect::Changed,
            _ => Effect::Lost,
        };
    }
    if name.eq_ignore_ascii_case(b"SCRIPT") && second.eq_ignore_ascii_case(b"DEBUG") {
        return Effect::Lost;
    }
    Effect::None
}

/// The worst of all. That a transaction's own `MULTI` and `EXEC` come as a pair is the pipeline's
/// work, and is nothing that stays.
pub(crate) fn effect_of_all(pipeline: &Pipeline) -> Effect {
    let effects = pipeline.cmd_iter().map(effect);
    effects.max().unwrap_or(Effect::None)
}

fn is_one_of(word: &[u8], all: &[&str]) -> bool {
    all.iter()
        .any(|it| word.eq_ignore_ascii_case(it.as_bytes()))
}

#[cfg(test)]
mod tests {
    use redis::{cmd, pipe};

    use super::*;

    #[test]
    fn what_reads_and_writes_keys_leaves_nothing() {
        for name in ["GET", "set", "BLPOP", "EVAL", "EXEC", "UNWATCH", "PING", ""] {
            assert_eq!(effect(&cmd(name)), Effect::None, "{name}");
        }
        for word in ["ID", "info", "LIST"] {
            assert_eq!(effect(cmd("CLIENT").arg(word)), Effect::None, "{word}");
        }
        assert_eq!(effect(cmd("SCRIPT").arg("LOAD")), Effect::None);
        assert_eq!(effect(cmd("GET").arg("SELECT")), Effect::None);
    }

    #[test]
    fn what_changes_the_connection_is_seen_in_any_case_of_letters() {
        for name in CHANGING {
            assert_eq!(effect(&cmd(name)), Effect::Changed, "{name}");
            let lower = name.to_lowercase();
            assert_eq!(effect(&cmd(&lower)), Effect::Changed, "{lower}");
        }
        for word in ["SETNAME", "tracking", "CACHING"] {
            assert_eq!(effect(cmd("client").arg(word)), Effect::Changed, "{word}");
        }
    }

    #[test]
    fn what_nothing_undoes_is_seen() {
        for name in LOSING {
            assert_eq!(effect(&cmd(name)), Effect::Lost, "{name}");
        }
        for word in ["REPLY", "NO-EVICT", "no-touch", "NEW-ONE", ""] {
            assert_eq!(effect(cmd("client").arg(word)), Effect::Lost, "{word}");
        }
        assert_eq!(effect(&cmd("CLIENT")), Effect::Lost);
        assert_eq!(effect(cmd("SET").set_no_response(true)), Effect::Lost);
    }

    #[test]
    fn a_pipeline_is_as_bad_as_its_worst() {
        assert_eq!(effect_of_all(&pipe()), Effect::None);
        assert_eq!(effect_of_all(pipe().atomic().get("a")), Effect::None);
        let worst = effect_of_all(pipe().get("a").cmd("SELECT").arg(1).get("b"));
        assert_eq!(worst, Effect::Changed);
    }
}
