//! `brolly pool`.

use std::path::Path;

use crate::support::User;

#[test]
fn a_lease_outlives_the_command_and_is_given_back_by_token_or_path() {
    let user = User::pooled();
    let first = user
        .run(&["pool", "allocate", "app", "--ref", "feature", "--json"])
        .ends_with(0)
        .json();
    let path = first["path"].as_str().expect("a path").to_owned();
    assert!(Path::new(&path).join("b").exists());
    let second = user.run(&["pool", "allocate", "app"]).ends_with(0);
    assert_ne!(second.stdout.trim(), path);
    let full = user
        .run(&["pool", "allocate", "app", "--json"])
        .ends_with(1)
        .json();
    assert_eq!(full["error"]["code"], "no_available_slot");
    user.run(&["pool", "release", &first["token"].to_string()])
        .ends_with(0);
    user.run(&["pool", "release", second.stdout.trim()])
        .ends_with(0);
    let again = user
        .run(&["pool", "release", &first["token"].to_string(), "--json"])
        .ends_with(1)
        .json();
    assert_eq!(again["error"]["code"], "already_released");
}

#[test]
fn a_lease_is_at_the_branch_as_it_is_now() {
    let user = User::pooled();
    user.in_repo(&[
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@b",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "new",
    ]);
    let lease = user
        .run(&["pool", "allocate", "app", "--json"])
        .ends_with(0)
        .json();
    assert_eq!(lease["commit"], user.in_repo(&["rev-parse", "main"]));
}

#[test]
fn list_and_status_tell_who_holds_what() {
    let user = User::pooled();
    user.run(&["pool", "allocate", "app", "--holder", "nightly"])
        .ends_with(0);
    let list = user.run(&["pool", "list"]).ends_with(0).stdout;
    assert!(list.contains("app") && list.contains("main"), "{list}");
    let status = user.run(&["pool", "status"]).ends_with(0).stdout;
    assert!(
        status.contains("nightly") && status.contains("leased"),
        "{status}"
    );
}

#[test]
fn bad_input_ends_with_2_names_the_fault_and_creates_nothing() {
    let user = User::new();
    for (args, code) in [
        (
            &["pool", "create", "../x", "--url", "repo"][..],
            "invalid_name",
        ),
        (&["pool", "create", "app", "--url", "-x"], "invalid_url"),
        (
            &["pool", "create", "app", "--url", "--upload-pack=touch x"],
            "invalid_url",
        ),
        (
            &["pool", "create", "app", "--url", "repo", "--slots", "0"],
            "invalid_slots",
        ),
        (
            &["pool", "create", "app", "--url", "repo", "--slots", "-3"],
            "invalid_slots",
        ),
        (
            &["pool", "create", "app", "--url", "repo", "--branch", "none"],
            "unknown_ref",
        ),
        (&["pool", "allocate", "none"], "pool_not_found"),
        (&["pool", "release", "99"], "unknown_lease"),
        (&["pool", "release", "nowhere"], "unknown_lease"),
    ] {
        let answer = user.run(&[args, &["--json"]].concat()).ends_with(2).json();
        assert_eq!(answer["error"]["code"], code, "{args:?}: {answer}");
        user.run(args).ends_with(2);
    }
    let pools = user.run(&["pool", "list", "--json"]).ends_with(0).json();
    assert_eq!(pools["pools"].as_array().expect("a list").len(), 0);
    user.run(&["pool", "allocate", "app", "--ttl", "soon"])
        .ends_with(2);
}

#[test]
fn a_missing_git_is_named_before_anything_is_created() {
    let user = User::new();
    let output = user
        .command(&["pool", "create", "app", "--url", "repo", "--json"])
        .env("PATH", user.path())
        .output();
    let answer = crate::support::Answer::of(output.expect("brolly"))
        .ends_with(1)
        .json();
    assert_eq!(answer["error"]["code"], "git_not_found");
    assert!(!user.path().join("root/pools/app").exists());
}

#[test]
fn a_slot_in_error_is_made_anew() {
    let user = User::pooled();
    let lease = user
        .run(&["pool", "allocate", "app", "--json"])
        .ends_with(0)
        .json();
    let path = Path::new(lease["path"].as_str().expect("a path"));
    std::fs::write(path.join("a"), "changed\n").expect("write");
    // Without git the slot cannot be cleaned.
    let release = ["pool", "release", &lease["token"].to_string(), "--json"];
    let output = user.command(&release).env("PATH", user.path()).output();
    let answer = crate::support::Answer::of(output.expect("brolly"));
    assert_eq!(
        answer.ends_with(1).json()["error"]["code"],
        "cleanup",
        "the slot was to be in error"
    );
    let slot = lease["slot"].to_string();
    let unknown = user.run(&["pool", "recover", "app", &slot, "9", "--json"]);
    assert_eq!(
        unknown.ends_with(2).json()["error"]["code"],
        "slot_not_found"
    );
    let recovered = user.run(&["pool", "recover", "app", "--json"]);
    let recovered = recovered.ends_with(0).json();
    assert_eq!(recovered["recovered"], serde_json::json!([lease["slot"]]));
    let status = user.run(&["pool", "status", "app", "--json"]);
    assert_eq!(
        status.ends_with(0).json()["pools"][0]["summary"]["available"],
        2
    );
    let nothing = user.run(&["pool", "recover", "app"]).ends_with(0);
    assert_eq!(nothing.stdout, "no slot is in error\n");
    let sound = user.run(&["pool", "recover", "app", &slot, "--json"]);
    let sound = sound.ends_with(1).json();
    assert_eq!(sound["failed"][0]["error"]["code"], "invalid_state");
}

#[test]
fn a_lease_is_renewed_by_token_or_path() {
    let user = User::pooled();
    let lease = user
        .run(&["pool", "allocate", "app", "--ttl", "1m", "--json"])
        .ends_with(0)
        .json();
    for (name, ttl, least) in [("token", "1h", 3_000_000.0), ("path", "2h", 6_000_000.0)] {
        let name = lease[name]
            .as_str()
            .map_or_else(|| lease[name].to_string(), str::to_owned);
        user.run(&["pool", "renew", &name, "--ttl", ttl])
            .ends_with(0);
        let status = user.run(&["pool", "status", "app", "--json"]).ends_with(0);
        let status = status.json();
        let slots = status["pools"][0]["slots"].as_array().expect("a list");
        let left = slots
            .iter()
            .find_map(|slot| slot["lease"]["expires_in_ms"].as_f64());
        assert!(left.expect("a lease") > least, "{status}");
    }
    user.run(&["pool", "renew", "99"]).ends_with(2);
    user.run(&["pool", "renew", &lease["token"].to_string(), "--ttl", "0s"])
        .ends_with(2);
}

#[test]
fn a_fetch_brings_news() {
    let user = User::pooled();
    user.in_repo(&["branch", "new", "feature"]);
    let allocate = ["pool", "allocate", "app", "--no-fetch", "--ref", "main"];
    user.run(&allocate).ends_with(0);
    user.run(&["pool", "fetch", "app"]).ends_with(0);
    let url = user.repo();
    std::fs::rename(&url, user.path().join("gone")).expect("rename");
    let known = ["pool", "allocate", "app", "--no-fetch", "--ref", "new"];
    user.run(&known).ends_with(0);
    user.run(&["pool", "fetch", "app"]).ends_with(1);
    user.run(&["pool", "fetch", "none"]).ends_with(2);
}

#[test]
fn durations_are_numbers_of_milliseconds() {
    let user = User::pooled();
    user.run(&["pool", "allocate", "app", "--ttl", "1h"])
        .ends_with(0);
    for verb in ["list", "status"] {
        let answer = user.run(&["pool", verb, "--json"]).ends_with(0);
        assert!(!answer.stdout.contains("nanos"), "{}", answer.stdout);
        let summary = &answer.json()["pools"][0]["summary"];
        assert!(summary["mean_allocation_ms"].as_f64().expect("a number") > 0.0);
    }
}

#[test]
fn a_number_of_slots_is_refused_as_it_was_given() {
    let user = User::new();
    user.write("plan.json", r#"{"schemaVersion": "1.0.0", "items": []}"#);
    for number in ["-3", "0", "1001", "99999999999"] {
        let create = ["pool", "create", "app", "--url", "repo", "--slots", number];
        let run = [
            "plan",
            "run",
            "plan.json",
            "--repo",
            "repo",
            "--slots",
            number,
        ];
        for args in [create, run] {
            let text = user.run(&args).ends_with(2).stderr;
            assert!(text.contains(&format!("slots {number}: ")), "{text}");
        }
    }
}

#[test]
fn an_empty_root_variable_counts_as_unset() {
    let user = User::new();
    let mut list = user.command(&["pool", "list"]);
    list.env("BROLLY_ROOT", "")
        .env("XDG_DATA_HOME", user.path().join("data"));
    let answer = crate::support::Answer::of(list.output().expect("brolly"));
    answer.ends_with(0);
    assert!(user.path().join("data/brolly").exists());
}
