//! Who the merge commits are by: the user as git knows them, else a fixed name.

use std::env;
use std::time::Duration;

use brolly_repo_pool::process::Command;

/// A name and an address.
#[derive(Debug)]
pub(super) struct Identity {
    name: String,
    email: String,
}

impl Identity {
    /// What git reads the author and the committer from.
    pub(super) fn variables(&self) -> [(&'static str, &str); 4] {
        [
            ("GIT_AUTHOR_NAME", &self.name),
            ("GIT_AUTHOR_EMAIL", &self.email),
            ("GIT_COMMITTER_NAME", &self.name),
            ("GIT_COMMITTER_EMAIL", &self.email),
        ]
    }
}

/// The user's identity: git's own variables first, then its configuration.
pub(super) fn of_user() -> Identity {
    let half = |variable: &str, key: &str| env::var(variable).ok().or_else(|| configured(key));
    choose(
        half("GIT_COMMITTER_NAME", "user.name"),
        half("GIT_COMMITTER_EMAIL", "user.email"),
    )
}

/// Both halves, or the fixed identity: half of somebody's is nobody's.
fn choose(name: Option<String>, email: Option<String>) -> Identity {
    let usable = |half: Option<String>| half.filter(|value| !value.trim().is_empty());
    match (usable(name), usable(email)) {
        (Some(name), Some(email)) => Identity { name, email },
        _ => Identity {
            name: "brolly".to_owned(),
            email: "brolly@localhost".to_owned(),
        },
    }
}

/// One value of the user's global configuration; a repository that happens to be around has no say.
fn configured(key: &str) -> Option<String> {
    let command = Command::new("git")
        .args(["config", "--global", "--get", key])
        .timeout(Duration::from_secs(10));
    let outcome = command
        .run()
        .ok()
        .filter(|outcome| outcome.exit.is_success())?;
    Some(outcome.stdout.text().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn the_users_identity_is_taken_whole_or_not_at_all() {
        let chosen = |name: Option<&str>, email: Option<&str>| {
            let identity = choose(name.map(str::to_owned), email.map(str::to_owned));
            (identity.name, identity.email)
        };
        let fixed = ("brolly".to_owned(), "brolly@localhost".to_owned());
        let ann = ("Ann".to_owned(), "ann@example.com".to_owned());
        assert_eq!(chosen(Some("Ann"), Some("ann@example.com")), ann);
        for (name, email) in [
            (None, None),
            (Some("Ann"), None),
            (None, Some("a@b")),
            (Some(" "), Some("a@b")),
        ] {
            assert_eq!(chosen(name, email), fixed);
        }
    }
}
