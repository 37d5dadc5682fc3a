use std::cell::Cell;

use super::*;

const HASH: &str = "0123456789ab";

fn machine(name: &str) -> StateMachineArn {
    StateMachineArn::parse(&format!("arn:aws:states:us-east-1:123456789012:stateMachine:{name}")).unwrap()
}

#[test]
fn only_a_mark_a_hash_and_something_before_them_are_a_clones_name() {
    for (name, expected) in [
        ("orders--r-0123456789ab", true),
        ("o--r-ffffffffffff", true),
        ("--r---r-0123456789ab", true),
        ("orders--r-us--r-0123456789ab", true),
        ("bestellungen-für-später--r-0123456789ab", true),
        ("orders", false),
        ("", false),
        ("--r-0123456789ab", false),
        ("orders--r-us", false),
        ("orders--r-0123456789a", false),
        ("orders--r-0123456789abc", false),
        ("orders--r-0123456789AB", false),
        ("orders--r-0123456789ag", false),
        ("orders-r-0123456789ab", false),
        ("orders--r-0123456789ab-2", false),
        ("orders--r-0123456789é", false),
        ("orderséé-r-0123456789a", false),
    ] {
        assert_eq!(is_named_like_a_clone(name), expected, "{name}");
    }
}

#[test]
fn a_clones_name_is_one_and_keeps_as_much_of_the_original_as_there_is_room_for() {
    let long = |chars: usize| "é".repeat(chars);
    for (original, root) in [
        ("orders".to_owned(), "orders".to_owned()),
        // A clone's clone.
        (format!("orders--r-{}", HASH.replace('0', "f")), "orders".to_owned()),
        // A person's name, which only looks a little like one.
        ("orders--r-us".to_owned(), "orders--r-us".to_owned()),
        (long(64), long(64)),
        (long(65), long(64)),
        (long(80), long(64)),
        (format!("{}--r-{HASH}", long(64)), long(64)),
    ] {
        let name = clone_name(&original, HASH);
        assert_eq!(name, format!("{root}--r-{HASH}"));
        assert!(is_named_like_a_clone(&name) && name.chars().count() <= 80, "{name}");
        assert!(name.starts_with(&clone_stem(&original)));
        // It is stable.
        assert_eq!(clone_name(&name, HASH), name);
    }
}

/// What is recorded, and how often it was asked for.
struct Recorded(Option<CloneOf>, Cell<u32>);

impl Clones for Recorded {
    async fn find(&self, machine: &StateMachineArn) -> Result<Option<CloneOf>, CallError> {
        self.1.set(self.1.get() + 1);
        Ok(self.0.clone().filter(|clone| clone.machine == *machine))
    }

    async fn of(&self, _: &StateMachineArn) -> Result<Vec<CloneOf>, CallError> {
        unreachable!("one is asked for")
    }
}

#[tokio::test]
async fn the_record_says_which_pipeline_it_is_and_only_names_like_a_clones_are_looked_up() {
    let (original, clone) = (machine("orders"), machine("orders--r-0123456789ab"));
    let record = CloneOf {
        machine: clone.clone(),
        pipeline: original.clone(),
        made: Timestamp::from_millis(7),
    };
    for (record, asked, pipeline, calls) in [
        (Some(record.clone()), &clone, &original, 1),
        (Some(record.clone()), &original, &original, 0),
        // Named so by a person.
        (None, &clone, &clone, 1),
    ] {
        let recorded = Recorded(record, Cell::new(0));
        assert_eq!(pipeline_of(&recorded, asked).await.as_ref(), Ok(pipeline));
        assert_eq!(recorded.1.get(), calls);
    }
}
