//! Clones of clones, and names.

use super::*;

#[test]
fn a_clone_of_a_clone_of_a_clone_goes_on_like_the_first() {
    let mut definition = json!({"StartAt": "Loop", "States": {
        "Loop": {"Type": "Map", "ItemProcessor": {"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": "arn:w", "End": true}}}, "Next": "More?"},
        "More?": {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsNull": true, "Next": "Loop"}], "Default": "End"},
        "End": {"Type": "Succeed"}}});
    let mut state = "Loop".to_owned();
    let mut work = "Work".to_owned();
    for generation in 1..=3 {
        // The first iteration has ended, the second goes on: in the copy, if there was one.
        let plan = BTreeMap::from([
            (0, done(json!(generation))),
            (1, region(at(&work, json!({"generation": generation})))),
        ]);
        let built = good(&definition, &run(&state, Run::Map(plan)));
        let states = &built.definition["States"];
        let (expected, inner, original) = match generation {
            1 => ("Loop (resumed)", "Work (resumed)", "Loop"),
            _ => ("Loop (resumed)", "Work (resumed)", "Loop (resumed)"),
        };
        assert!(
            states[expected]["ItemProcessor"]["States"].get(inner).is_some(),
            "{generation}: {states}"
        );
        assert_eq!(
            states["Loop"],
            json!({"Type": "Map", "ItemProcessor": {"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": "arn:w", "End": true}}}, "Next": "More?"})
        );
        let injected = built.copies.iter().find(|(name, _)| name.contains("(which")).unwrap();
        assert_eq!(injected.1, original, "{generation}");
        // No name grows with the generations.
        assert!(built.copies.keys().all(|name| name.len() < 20), "{:?}", built.copies);
        definition = built.definition;
        expected.clone_into(&mut state);
        inner.clone_into(&mut work);
    }
}

#[test]
fn names_of_80_characters_stay_unique_and_short() {
    let long = |end: char| format!("{}{end}", "n".repeat(79));
    let (first, second, third) = (long('1'), long('2'), long('3'));
    let definition = json!({"StartAt": first, "States": {
        first.clone(): {"Type": "Parallel", "Branches": [
            {"StartAt": second, "States": {second.clone(): {"Type": "Pass", "End": true}}},
            {"StartAt": third, "States": {third.clone(): {"Type": "Pass", "End": true}}}], "Next": "Again"},
        "Again": {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsNull": true, "Next": first}], "Default": "End"},
        "End": {"Type": "Succeed"}}});
    let parts = vec![
        region(with(at(&second, json!(2)), &[("a", json!(1))])),
        region(with(at(&third, json!(3)), &[("a", json!(1))])),
    ];
    let built = good(&definition, &run(&first, Run::Parallel(parts)));
    assert_eq!(built.copies.len(), 8);
    assert!(built.copies.keys().all(|name| name.len() == 80), "{:?}", built.copies);
}

#[test]
fn names_that_are_taken_are_taken_wherever_they_stand() {
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Next": "A (input)"},
        "A (input)": {"Type": "Parallel", "Branches": [
            {"StartAt": "A (input 2)", "States": {"A (input 2)": {"Type": "Pass", "End": true}}}], "End": true}}});
    let built = good(&definition, &at("A", json!(1)));
    assert_eq!(built.definition["StartAt"], "A (input 3)");
}
