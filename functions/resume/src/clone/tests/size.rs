//! What does not fit.

use super::*;

/// Two Maps after each other in a branch each, and a third one in the first.
fn definition() -> Value {
    let map = |name: &str, inner: Value| {
        json!({"StartAt": name, "States": {name: {"Type": "Map", "ItemProcessor": {
        "StartAt": format!("{name} work"), "States": {format!("{name} work"): inner}}, "End": true}}})
    };
    let task = json!({"Type": "Task", "Resource": "arn:w", "End": true});
    let third =
        json!({"Type": "Map", "ItemProcessor": {"StartAt": "Third work", "States": {"Third work": task}}, "End": true});
    json!({"StartAt": "Fan", "States": {"Fan": {"Type": "Parallel", "Branches": [map("First", third), map("Second", task)], "End": true}}})
}

/// Iterations that have ended with so many bytes each, and one that goes on.
fn kept(count: u32, bytes: usize, goes_on: At) -> Run {
    let kept = (0..count).map(|index| (index, done(json!(format!("{index:0>bytes$}")))));
    Run::Map(kept.chain([(count, region(goes_on))]).collect())
}

fn cut(first: usize, second: usize, third: usize) -> At {
    let third = run("First work", kept(2, third, at("Third work", json!(1))));
    let first = run("First", kept(2, first, third));
    let second = run("Second", kept(2, second, at("Second work", json!(1))));
    run("Fan", Run::Parallel(vec![region(first), region(second)]))
}

fn fit(top: &At, most_bytes: usize) -> Result<Built, CloneError> {
    build(
        &definition(),
        top,
        &Options {
            most_bytes,
            ..options()
        },
    )
}

#[test]
fn the_largest_map_runs_again_as_a_whole_then_the_next() {
    for (sizes, order) in [
        ((9_000, 5_000, 1_000), vec!["First", "Second"]),
        ((5_000, 9_000, 1_000), vec!["Second", "First"]),
        ((5_000, 1_000, 9_000), vec!["First work", "First", "Second"]),
        ((1_000, 5_000, 9_000), vec!["First work", "Second", "First"]),
    ] {
        let top = cut(sizes.0, sizes.1, sizes.2);
        let mut text = fit(&top, CLONE_BYTES).unwrap().text;
        let mut whole: Vec<&str> = Vec::new();
        for map in order {
            let most = sent_bytes(&text);
            assert_eq!(
                fit(&top, most).unwrap().text,
                text,
                "{sizes:?}: what fits is left alone"
            );
            let built = fit(&top, most - 1).unwrap();
            // What runs as a whole has nothing in it that goes on.
            whole.retain(|inner| *inner != "First work" || map != "First");
            whole.push(map);
            let mut expected = whole.clone();
            expected.sort_unstable();
            assert_eq!(built.maps_run_whole, expected, "{sizes:?}");
            let said: Vec<_> = expected.iter().map(|map| (Code::MapRunsAgain, *map)).collect();
            assert_eq!(codes(&built), said, "{sizes:?}");
            assert!(built.warnings[0].text.contains("larger than Step Functions takes"));
            text = built.text;
        }
        let error = fit(&top, sent_bytes(&text) - 1).unwrap_err();
        assert_eq!(
            error,
            CloneError::TooLarge {
                bytes: sent_bytes(&text),
                most: sent_bytes(&text) - 1
            }
        );
    }
}

#[test]
fn a_map_that_runs_again_as_a_whole_is_the_original_and_has_its_input() {
    let top = cut(9_000, 10, 10);
    let built = fit(&top, 9_000).unwrap();
    let Run::Parallel(mut branches) = top.run.clone() else {
        unreachable!()
    };
    branches[0] = region(at("First", json!({})));
    assert_eq!(
        check(&definition(), &built.definition, &run("Fan", Run::Parallel(branches))),
        [""; 0]
    );
}

#[test]
fn what_fills_a_request_fits_and_a_byte_more_does_not() {
    let definition = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}});
    let filled = |bytes: usize| {
        let quarter = json!("\u{e9}".repeat(131_071));
        let variables = [("a", quarter.clone()), ("b", quarter.clone()), ("c", quarter)];
        with(at("A", json!("x".repeat(bytes))), &variables)
    };
    let rest = CLONE_BYTES - sent_bytes(&good(&definition, &filled(0)).text);
    assert_eq!(sent_bytes(&good(&definition, &filled(rest)).text), 1_000_000);
    assert_eq!(
        refused(&definition, &filled(rest + 1)),
        "the clone's definition takes 1000001 bytes of a request: Step Functions leaves at most 1000000 for it"
    );
}

#[test]
fn a_map_with_more_iterations_than_a_history_takes_runs_again_as_a_whole() {
    let with_kept = |first: u32, second: u32| {
        let ended = |count: u32| Run::Map((0..count).map(|index| (index, done(json!(1)))).collect());
        run(
            "Fan",
            Run::Parallel(vec![
                region(run("First", ended(first))),
                region(run("Second", ended(second))),
            ]),
        )
    };
    let whole = |first, second| fit(&with_kept(first, second), CLONE_BYTES).unwrap().maps_run_whole;
    assert_eq!(whole(3_333, 0), [""; 0]);
    assert_eq!(whole(3_334, 0), ["First"]);
    assert_eq!(whole(1_600, 1_733), [""; 0]);
    assert_eq!(whole(1_600, 1_734), ["Second"]);
    assert_eq!(whole(3_400, 3_400), ["First", "Second"]);
    let built = fit(&with_kept(3_334, 9), CLONE_BYTES).unwrap();
    assert_eq!(codes(&built), [(Code::MapRunsAgain, "First")]);
    assert!(built.warnings[0].text.contains("25,000 events"));
}

/// Only as many run again as have to, though they are not tried out one by one.
#[test]
fn of_many_maps_only_those_run_again_that_do_not_fit() {
    let inner = |index: u32| region(run("First work", kept(1, 20_000, at("Third work", json!(index)))));
    let outer = Run::Map((0..90).map(|index| (index, inner(index))).collect());
    let top = run("Fan", Run::Parallel(vec![region(run("First", outer)), Region::Fresh]));
    let built = fit(&top, CLONE_BYTES).unwrap();
    assert_eq!(built.maps_run_whole, ["First work"]);
    assert!(
        sent_bytes(&built.text) > CLONE_BYTES - 21_000,
        "{}",
        sent_bytes(&built.text)
    );
}

/// A Map that runs again as a whole saves what Maps in it would.
#[test]
fn what_stands_in_a_map_is_saved_with_it() {
    let top = cut(30_000, 10_000, 20_000);
    let all = sent_bytes(&fit(&top, CLONE_BYTES).unwrap().text);
    let built = fit(&top, all - 80_000).unwrap();
    assert_eq!(built.maps_run_whole, ["First"]);
    assert_eq!(built.run_whole, [vec![0]].into());
}

/// The states that lead six hundred iterations on are more than what each of them keeps, but they are not what has to go.
#[test]
fn a_map_is_not_run_again_for_the_maps_in_it() {
    let inner = |index: u32| region(run("First work", kept(1, 3_000, at("Third work", json!(index)))));
    let outer = Run::Map((0..600).map(|index| (index, inner(index))).collect());
    let top = run("Fan", Run::Parallel(vec![region(run("First", outer)), Region::Fresh]));
    let built = fit(&top, CLONE_BYTES).unwrap();
    assert_eq!(built.maps_run_whole, ["First work"]);
    assert!(
        sent_bytes(&built.text) > CLONE_BYTES - 5_000,
        "{}",
        sent_bytes(&built.text)
    );
    // Where that is not enough it has to, after all.
    assert_eq!(fit(&top, 50_000).unwrap().maps_run_whole, ["First"]);
}

/// What a request is made of counts, as the SDK writes it.
#[test]
fn a_definition_is_as_long_as_its_string_in_a_request() {
    for text in [
        "{}",
        r#"{"a":"b"}"#,
        r#"{"Output":"{% \"\\n\" & 1 %}"}"#,
        "{\"é\":\"\u{7f}\u{2028}\"}",
    ] {
        let quotation_marks = 2;
        assert_eq!(
            sent_bytes(text),
            json!(text).to_string().len() - quotation_marks,
            "{text}"
        );
    }
}
