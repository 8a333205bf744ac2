//! Leaves one of everything in a slot, and looks for it as the next tenant.

use brolly_repo_pool::{Freshness, Lease, RepoPool, Request};

use super::promise::Promise;
use crate::failure::Failure;

/// Both scripts begin with this: the first ordinary file of the commit, and its checksum as the first line of output.
const CHECKSUM: &str = r#"
first=$(git -c core.quotePath=false ls-files -s | sed -n 's/^100[0-7]* [0-9a-f]* 0\t//p' | head -n 1)
cksum < "${first:-/dev/null}"
"#;

/// What a careless tenant does. Every line works on its own.
const LEAVE: &str = r#"
echo left > left-over
mkdir -p ignored/deep && echo x > ignored/deep/file && echo ignored >> .gitignore
git init -q nested && echo x > nested/file
git config core.fsmonitor 'touch fsmonitor-ran; false'
mkdir -p "$(git rev-parse --git-common-dir)/hooks"
printf '#!/bin/sh\ntouch hook-ran\n' > "$(git rev-parse --git-common-dir)/hooks/post-checkout"
chmod +x "$(git rev-parse --git-common-dir)/hooks/post-checkout"
git -c core.fsmonitor=false checkout -q -b mine
git -c core.fsmonitor=false -c user.name=a -c user.email=a@b commit -q --allow-empty -m mine
git -c core.fsmonitor=false -c user.name=a -c user.email=a@b stash push -q --include-untracked
test -z "$first" || { git update-index --skip-worktree "$first" && echo hidden >> "$first"; }
"#;

/// What the next tenant looks at; prints what it finds.
const LOOK: &str = r#"
git ls-files --others --deleted
git for-each-ref --format='%(refname)' refs/heads refs/stash
git config --local --get core.fsmonitor
git ls-files -v | grep -v '^H '
git diff --cached --name-only HEAD
for trace in left-over ignored nested fsmonitor-ran hook-ran; do test -e $trace && echo $trace; done
test "$(git rev-parse HEAD)" = "$BROLLY_COMMIT" || echo "another commit"
test -z "$(git symbolic-ref -q HEAD)" || echo "on a branch"
exit 0
"#;

/// Leases one slot twice: the second tenant has to find it warm, and nothing of the first.
pub(super) fn promises(pools: &RepoPool, pool: &str) -> Result<[Promise; 2], Failure> {
    let request = Request::new(pool)
        .freshness(Freshness::Cached)
        .holder("careless tenant");
    let first = pools.allocate(&request)?;
    let slot = first.slot();
    let left = shell(&first, LEAVE)?;
    first.release()?;
    let second = pools.allocate(&request.holder("careful tenant"))?;
    let found = shell(&second, LOOK)?;
    let warm = second.is_warm();
    second.release()?;
    // The first line is the checksum of a file that the first tenant edited and hid the edit of.
    let (before, after) = (left.lines().next(), found.lines().next());
    let mut seen: Vec<_> = found.lines().skip(1).collect();
    if before.is_none() || before != after {
        seen.push("a hidden edit");
    }
    let is_clean = seen.is_empty();
    let seen = if is_clean {
        format!("nothing, in slot {slot}")
    } else {
        seen.join(", ")
    };
    Ok([
        Promise::judged(
            "the next tenant finds nothing of the last",
            "nothing",
            seen,
            is_clean,
        ),
        Promise::same(
            "a slot at the wanted commit is given out as it is",
            "warm",
            if warm { "warm" } else { "cold" },
        ),
    ])
}

fn shell(lease: &Lease, script: &str) -> Result<String, Failure> {
    let outcome = lease
        .command("sh")
        .args(["-c".to_owned(), format!("{CHECKSUM}{script}")])
        .run();
    let outcome = outcome
        .map_err(|error| Failure::failed("cannot_run", format!("{error}: {}", error.source)))?;
    Ok(outcome.stdout.text() + &outcome.stderr.text())
}
