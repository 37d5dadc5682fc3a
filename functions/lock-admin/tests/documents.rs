//! What the documents say is held to what the code does.

#[path = "../../../shared/tests/documents/mod.rs"]
mod documents;

use std::collections::BTreeSet;

use lock_admin::answer::{All, Done, One, Summary};
use lock_admin::request::{Ask, Request};
use serde_json::Value;
use signalbox::arn::ExecutionArn;
use signalbox::clock::Timestamp;
use signalbox::lock::Error;
use signalbox::lock::admin::{Idle, View};
use signalbox::lock::key::{Fence, HoldName, LockKey, Nonce, Place, Priority, Ticket};
use signalbox::lock::record::{Head, Hold, Holder, SLOTS_MOST, Waiter};
use signalbox::lock::store::Audit;
use signalbox::request::{BadRequest, parse};

use documents::{code_blocks, first_column, listed_errors, sample_events};

const README: &str = include_str!("../README.md");

const ACTIONS: [&str; 7] = ["list", "forceRelease", "remove", "move", "pause", "resume", "setSlots"];

fn read(payload: Value) -> Result<Ask, BadRequest> {
    parse::<Request>(payload).and_then(Ask::try_from)
}

/// The names of all fields, as paths.
fn fields(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(name, value)| {
                let inner = fields(value).into_iter().map(move |field| format!("{name}.{field}"));
                inner.chain([name.clone()])
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(fields).collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn every_listed_error_exists() {
    let listed = listed_errors(README, "Lock.");
    let expected = ["Lock.AccessDenied", "Lock.BadRequest", "Lock.Unavailable"];
    assert_eq!(listed, BTreeSet::from(expected));
    assert!(listed.is_subset(&BTreeSet::from(Error::NAMES)));
}

/// The commands for the shell, with the answers that are shown below them.
fn commands() -> Vec<(Value, Option<Value>)> {
    let mut commands = Vec::new();
    for line in README.lines() {
        if let Some(rest) = line.strip_prefix("lock '") {
            let request = rest
                .trim_end_matches('\'')
                .replace("'$run'", "arn:aws:states:us-east-1:123456789012:execution");
            commands.push((serde_json::from_str(&request).expect("JSON"), None));
        } else if let Some(answer) = line.strip_prefix("# {")
            && let Some((_, shown)) = commands.last_mut()
        {
            *shown = Some(serde_json::from_str(&format!("{{{answer}")).expect("JSON"));
        }
    }
    commands
}

#[test]
fn there_is_a_command_for_every_action() {
    let mut shown = BTreeSet::new();
    for (request, answer) in commands() {
        let action = request["action"].as_str().expect("an action").to_owned();
        let understood = read(request.clone()).unwrap_or_else(|error| panic!("{request}: {error}"));
        assert_eq!(
            matches!(understood, Ask::Change { .. }),
            answer.is_some(),
            "{request}: {answer:?}"
        );
        shown.insert(action);
    }
    assert_eq!(shown, ACTIONS.map(str::to_owned).into());
    assert!(first_column(README).is_superset(&BTreeSet::from(ACTIONS)));
    assert!(README.contains(&format!("1 to {SLOTS_MOST}.")));
}

#[test]
fn the_answers_that_are_shown_have_the_fields_of_real_ones() {
    let now = Timestamp::parse("2026-01-31T04:01:13.500Z").unwrap();
    let lock = LockKey::parse("warehouse").unwrap();
    let execution = ExecutionArn::parse("arn:aws:states:us-east-1:123456789012:execution:stock:run-1").unwrap();
    let name = HoldName::parse("item-3").unwrap();
    let mut head = Head::new(now);
    head.last_hold_ms = Some(94_100);
    head.fences.insert(Ticket::of("t1"), Fence(7));
    head.holders.insert(
        Ticket::of("t1"),
        Holder {
            execution: execution.clone(),
            name: name.clone(),
            redrive: 0,
            entered: now,
            since: now,
            by: Nonce::of("n"),
            at: now,
            confirmed: true,
            members: Vec::new(),
        },
    );
    let all = All {
        locks: vec![Summary::of(&lock, &head)],
        next: Some("warehouse".to_owned()),
    };
    let waiter = Waiter {
        hold: Hold {
            execution,
            lock: lock.clone(),
            name,
        },
        ticket: Ticket::of("t2"),
        place: Place::by_arrival(Priority::default(), 1),
        since: now,
        until: Some(now),
        by: Nonce::of("n"),
    };
    let view = View {
        head: Some(head),
        waiters: vec![waiter],
        before: 0,
        waiting: 1,
        audits: vec![Audit {
            at: now,
            by: "ana".to_owned(),
            reason: "the paint is dry".to_owned(),
            action: "resume".to_owned(),
            details: "paused: false".to_owned(),
        }],
    };
    let one = One::of(&lock, view, 1, now);
    let real = [serde_json::to_value(all), serde_json::to_value(one)].map(Result::unwrap);
    let shown = code_blocks(README);
    assert_eq!(shown.len(), real.len());
    for (shown, real) in shown.iter().zip(&real) {
        assert_eq!(fields(shown), fields(real));
    }
    // A place as it is stored, to be given back as it is.
    assert_eq!(shown[1]["next"], real[1]["next"]);

    let done = Done {
        done: false,
        why: Some(Idle::NotHolding),
        fence: Some(Fence(7)),
        slots: Some(1),
        paused: Some(false),
    };
    let done = fields(&serde_json::to_value(done).unwrap());
    for (request, answer) in commands() {
        if let Some(answer) = answer {
            assert!(fields(&answer).is_subset(&done), "{request}");
        }
    }
    for why in [Idle::NotHolding, Idle::NotWaiting] {
        let why = serde_json::to_value(why).unwrap();
        assert!(README.contains(&format!("`{}`", why.as_str().unwrap())), "{why}");
    }
}

#[test]
fn every_sample_event_is_listed_and_every_action_has_one() {
    let mut actions = BTreeSet::new();
    for (name, event) in sample_events("lock-admin", README) {
        let action = event["action"].as_str().unwrap().to_owned();
        let refusal = read(event).err().map(|error| error.path().to_owned());
        let expected = (name == "unsigned.json").then_some("by");
        assert_eq!(refusal.as_deref(), expected, "{name}");
        actions.insert(action);
    }
    assert_eq!(actions, ACTIONS.map(str::to_owned).into());
}
