//! hooks: their fields, and their places in the Plan.

use serde_json::{Value, json};
use vial_plan::{Item, ProcessItem, Stage, Stage2};

use super::{acts, order, plan, refused};

/// Every point with one hook.
fn everywhere(config: &mut Value) {
    for point in
        ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
    {
        config["hooks"][point] = json!([{"path": format!("/{point}")}]);
    }
}

#[test]
fn hooks_run_between_the_mounts_and_the_change_of_the_root() {
    let edits: [fn(&mut Value); 2] =
        [|_| {}, |config| config["linux"]["namespaces"] = json!([{"type": "pid"}])];
    for edit in edits {
        let plan = plan(|config| {
            everywhere(config);
            config["process"]["rlimits"] = json!([{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}]);
            edit(config);
        })
        .unwrap();
        let root = if acts(&plan, Stage::Two).iter().any(|act| act.contains("bind")) {
            "make the rootfs the root"
        } else {
            "change the root to the rootfs"
        };
        let acts = [
            "link /dev/ptmx",
            "wait while vial runs hooks",
            "run the hook /createContainer",
            root,
            "set capabilities",
            "find the program",
            "wait for start",
            "set RLIMIT_CPU",
            "run the hook /startContainer",
            "execute the program",
        ];
        order(&plan, Stage::Two, &acts);
    }
}

#[test]
fn vial_init_waits_only_for_hooks_that_vial_runs() {
    let plan = plan(|config| {
        config["hooks"] = json!({"createContainer": [{"path": "/x"}], "prestart": [],
            "poststart": [{"path": "/x"}], "poststop": [{"path": "/x"}]});
    })
    .unwrap();
    let acts = acts(&plan, Stage::Two);
    assert!(acts.iter().all(|act| !act.contains("wait while")), "{acts:#?}");
    assert_eq!(acts.iter().filter(|act| act.contains("run the hook")).count(), 1);
}

#[test]
fn state_of_a_hook_is_json_around_the_pid() {
    let plan = plan(|config| {
        config["annotations"] = json!({"a\"\n": "\u{1}b"});
        config["hooks"]["startContainer"] =
            json!([{"path": "/x", "timeout": 5_000_000_000_u64, "env": []}]);
    })
    .unwrap();
    let hook = plan.items().find_map(|(_, item, field)| match item {
        Item::Stage2(Stage2::Process(ProcessItem::Hook {
            head,
            tail,
            args,
            timeout,
            own_env,
            ..
        })) => Some((head, tail, args, timeout, own_env, field)),
        _ => None,
    });
    let (head, tail, args, timeout, own_env, field) = hook.unwrap();
    let text = [head.to_bytes(), b"7", tail].concat();
    let state: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(
        state,
        json!({"ociVersion": "1.3.0", "id": "web", "status": "created", "pid": 7,
            "bundle": "/bundle", "annotations": {"a\"\n": "\u{1}b"}})
    );
    assert_eq!(args.iter().collect::<Vec<_>>(), [c"/x"]);
    assert_eq!((timeout, own_env, field), (u32::MAX, false, "hooks.startContainer[0]"));
}

#[test]
fn wrong_hooks_are_refused_by_their_fields() {
    for point in ["prestart", "createContainer", "startContainer", "poststop"] {
        let check = |hook: Value, text: &str| {
            let text = text.replace("HOOK", &format!("hooks.{point}[1]"));
            refused(|c| c["hooks"] = json!({ point: [{"path": "/x"}, hook] }), &text);
        };
        check(json!({"path": "x"}), "config.json HOOK.path: \"x\" is not an absolute path");
        check(json!({"path": ""}), "config.json HOOK.path: \"\" is not an absolute path");
        check(json!({}), "HOOK: missing field `path`");
        check(json!({"path": "/x\0"}), "config.json HOOK.path: contains a NUL byte");
        check(json!({"path": "/x", "args": ["a", "\0"]}), "HOOK.args[1]: contains a NUL byte");
        check(json!({"path": "/x", "env": ["A=\0"]}), "HOOK.env[0]: contains a NUL byte");
        check(json!({"path": "/x", "env": ["A=1", "B"]}), "HOOK.env[1]: \"B\" contains no `=`");
        check(json!({"path": "/x", "timeout": 0}), "HOOK.timeout: 0 is not above 0");
        check(json!({"path": "/x", "timeout": -1}), "HOOK.timeout: -1 is not above 0");
        check(json!({"path": "/x", "timeout": 1.5}), "HOOK.timeout: invalid type");
    }
}
