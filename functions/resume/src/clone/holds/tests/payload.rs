//! What is asked for again.

use super::*;

#[test]
fn in_jsonata_it_passes_its_input_on() {
    let take = json!({"Type": "Task", "Resource": RESOURCE, "Arguments": {"FunctionName": "lock-acquire", "Payload": {
        "lock": "{% $states.input.stock %}", "executionArn": "{% $states.context.Execution.Id %}",
        "taskToken": "{% $states.context.Task.Token %}", "hold": "{% $string($states.context.State.Name) %}", "priority": 5}},
        "Output": "{% $merge([$states.input, {'lock': $states.result}]) %}",
        "Assign": {"fence": "{% $states.result.fence %}", "n": "{% $n + 1 %}"}, "Next": "Work"});
    let mut definition = pipeline(&json!({}));
    definition["QueryLanguage"] = json!("JSONata");
    definition["States"]["Take"] = take;
    let mut held = hold(false);
    held.payload =
        json!({"lock": "{% shop %}", "executionArn": "arn:old", "taskToken": "old", "hold": "Take", "priority": 5});
    let built = good(&definition, &work(json!({"lock": 1}), vec![held.clone()]));
    let copy = copy(&built);
    assert_eq!(
        copy["Arguments"]["Payload"],
        json!({"lock": r#"{% "{\u0025 shop \u0025}" %}"#,
        "executionArn": "{% $states.context.Execution.Id %}", "taskToken": "{% $states.context.Task.Token %}",
        "hold": "{% $string($states.context.State.Name) %}", "priority": 5})
    );
    assert_eq!(
        (&copy["Output"], &copy["Assign"]),
        (
            &json!("{% $states.input %}"),
            &json!({"fence": "{% $states.result.fence %}"})
        )
    );
    assert_eq!(codes(&built), []);

    let state = &mut definition["States"]["Take"];
    state.as_object_mut().unwrap().remove("Assign");
    let built = good(&definition, &work(json!({"lock": 1}), vec![held.clone()]));
    assert_eq!(codes(&built), [Code::FenceNotInData]);
    // Its fence never was in the data.
    definition["States"]["Take"]["Output"] = json!("{% $states.input %}");
    assert_eq!(
        codes(&good(&definition, &work(json!({"lock": 1}), vec![held.clone()]))),
        []
    );
    // All of the payload is one expression: who asks is known all the same.
    definition["States"]["Take"]["Arguments"]["Payload"] = json!("{% $merge([$states.input.ask, $who]) %}");
    let built = good(&definition, &work(json!({"lock": 1}), vec![held]));
    let payload = &built.definition["States"]["Take (again)"]["Arguments"]["Payload"];
    assert_eq!(payload["executionArn"], "{% $states.context.Execution.Id %}");
    assert_eq!((&payload["hold"], &payload["priority"]), (&json!("Take"), &json!(5)));
}

#[test]
fn a_request_to_be_told_fails_where_nobody_looks_any_more() {
    for (field, asked, instead) in [
        ("onBusy", "skip", "fail"),
        ("policy", "skip", "failNewer"),
        ("onBusy", "wait", "wait"),
    ] {
        let mut held = hold(false);
        held.payload[field] = json!(asked);
        let built = good(&pipeline(&json!({})), &work(json!({"lock": 1}), vec![held.clone()]));
        assert_eq!(copy(&built)["Parameters"]["Payload"][field], instead);
        assert_eq!(
            codes(&built),
            if asked == instead {
                vec![]
            } else {
                vec![Code::HoldFails]
            }
        );
        // The one who looks is the target.
        held.feeds = true;
        assert_eq!(
            codes(&good(&pipeline(&json!({})), &work(json!({"lock": 1}), vec![held]))),
            []
        );
    }
}

#[test]
fn what_cannot_be_asked_for_again_is_refused() {
    let refused = |take: Value, held: Hold| {
        let error = build(&pipeline(&take), &work(json!({"lock": 1}), vec![held]), &options()).unwrap_err();
        let text = error.to_string();
        text.strip_prefix("what \"Take\" took cannot be taken again by a copy of it: ")
            .unwrap()
            .to_owned()
    };
    assert_eq!(refused(json!({"Type": "Pass"}), hold(true)), "it is no Task");
    assert_eq!(
        refused(json!({"Parameters": null}), hold(false)),
        "its Parameters are no object"
    );
    let dynamic = json!({"Parameters": {"FunctionName.$": "$.function", "Payload": {}}});
    assert_eq!(
        refused(dynamic, hold(false)),
        "its Parameters ask for $.function, which is not recorded"
    );
    let role = json!({"Credentials": {"RoleArn.$": "$.role"}});
    assert_eq!(
        refused(role, hold(false)),
        "its Credentials ask for $.role, which is not recorded"
    );
    for payload in [json!({"a.$": 1}), json!({"a": [{"b.$": 1}]})] {
        let held = Hold { payload, ..hold(false) };
        assert_eq!(
            refused(json!({}), held),
            "its payload has a key that ends in .$, which Parameters cannot say"
        );
    }
    let error = build(
        &pipeline(&json!({})),
        &work(
            json!(1),
            vec![Hold {
                state: "Nobody".to_owned(),
                ..hold(false)
            }],
        ),
        &options(),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "the definition has no state \"Nobody\" at its top level"
    );
}

#[test]
fn an_expression_of_data_and_context_is_what_it_was_and_that_is_said() {
    let take = json!({"Parameters": {"FunctionName": "lock-acquire", "Payload": {
        "lock": "shop", "hold.$": "States.Format('{}-{}', $$.Execution.Name, $.stock)", "executionArn.$": "$$.Execution.Id"}}});
    let mut held = hold(false);
    held.payload = json!({"lock": "shop", "hold": "run-shop", "executionArn": "arn:old"});
    let built = good(&pipeline(&take), &work(json!({"lock": 1}), vec![held]));
    assert_eq!(copy(&built)["Parameters"]["Payload"]["hold"], "run-shop");
    let said = built
        .warnings
        .iter()
        .find(|warning| warning.text.contains("asks for hold by the data"));
    assert_eq!(said.unwrap().code, Code::ContextDiffers);
    // A key that the record does not have, as a token may be left out of it.
    let mut held = hold(false);
    held.payload.as_object_mut().unwrap().remove("taskToken");
    let built = good(&pipeline(&json!({})), &work(json!({"lock": 1}), vec![held]));
    assert_eq!(copy(&built)["Parameters"]["Payload"]["taskToken.$"], "$$.Task.Token");
}
