//! The overlap guard on the local cloud: the template's policies, the real binary, DynamoDB, Step Functions.

use std::time::Duration;

use aws_sdk_sfn::types::ExecutionStatus;
use e2e::clones::clone_of;
use e2e::policies::each_is_needed;
use e2e::storm::{Weather, storm};
use e2e::{Asked, FOR_EVER, Fleet};
use futures_util::future::try_join_all;
use local_cloud::{Fault, Stack};
use serde_json::{Value, json};

type Tested = Result<(), local_cloud::Error>;

fn question(run: &str) -> Value {
    json!({"executionArn": run, "enteredTime": "2026-01-31T04:00:00.000Z", "retryCount": 0})
}

async fn one_survives(weather: Weather) -> Tested {
    let outcome = storm(&format!("storm {weather:?}"), 50, weather).await?;
    assert_eq!(outcome.survived.len(), 1, "{outcome:?}");
    if weather != Weather::ThrottledTable {
        assert_eq!(outcome.refused, 49, "{outcome:?}");
    }
    Ok(())
}

#[tokio::test]
async fn of_fifty_at_once_one_survives() -> Tested {
    one_survives(Weather::Fair).await
}

#[tokio::test]
async fn of_fifty_at_once_one_survives_a_stale_list() -> Tested {
    one_survives(Weather::StaleList).await
}

#[tokio::test]
async fn of_fifty_at_once_one_survives_a_throttled_table() -> Tested {
    one_survives(Weather::ThrottledTable).await
}

#[tokio::test]
async fn a_refusal_says_in_plain_words_what_is_in_the_way() -> Tested {
    let fleet = Fleet::deploy("refusal").await?;
    let first = fleet.ask("Guarded", "first", FOR_EVER, json!({})).await?;
    assert!(first.worked, "{first:?}");
    let second = fleet.ask("Guarded", "second", 0, json!({})).await?;
    assert!(second.refused(), "{second:?}");
    let says = second.says();
    assert!(
        says.starts_with("second was refused: it would overlap with first of guarded, running since 20"),
        "{says}"
    );
    assert!(
        says.ends_with(&format!("#/v2/executions/details/{}", first.execution.arn)),
        "{says}"
    );
    Ok(())
}

/// A run that started before its pipeline had the guard never asks, and still counts.
#[tokio::test]
async fn a_run_that_never_asked_blocks_and_a_finished_one_that_is_still_listed_does_not() -> Tested {
    let fleet = Fleet::deploy("never asked").await?;
    let machine = fleet.machine("Guarded")?;
    let sfn = fleet.account.sfn();
    let guarded = sfn
        .describe_state_machine()
        .state_machine_arn(machine)
        .send()
        .await
        .expect("the definition");
    let quiet = include_str!("../pipelines/quiet.asl.json");
    sfn.update_state_machine()
        .state_machine_arn(machine)
        .definition(quiet)
        .send()
        .await
        .expect("without the guard");
    let before = fleet.start("Guarded", "before", FOR_EVER, json!({})).await?;
    let with_guard = sfn
        .update_state_machine()
        .state_machine_arn(machine)
        .definition(guarded.definition);
    with_guard.send().await.expect("with the guard");

    let blocked = fleet.ask("Guarded", "blocked", 0, json!({})).await?;
    assert!(blocked.refused(), "{blocked:?}");
    assert!(blocked.says().contains("with before of guarded"), "{}", blocked.says());

    fleet.stop(&before).await?;
    let stale = fleet
        .account
        .fault(Fault::stale("States.ListExecutions", Duration::from_mins(10)))
        .await?;
    let free = fleet.ask("Guarded", "free", 0, json!({})).await?;
    assert!(free.worked, "{free:?}");
    assert!(stale.hits().await? > 0, "the list was stale");
    Ok(())
}

/// A run that was started through a version's ARN is a run of its pipeline like any other.
#[tokio::test]
async fn runs_of_versions_and_aliases_are_runs_of_their_pipeline() -> Tested {
    let fleet = Fleet::deploy("versions").await?;
    let sfn = fleet.account.sfn();
    let version = sfn
        .publish_state_machine_version()
        .state_machine_arn(fleet.machine("Quiet")?)
        .send()
        .await;
    let version = version.expect("a version").state_machine_version_arn;
    let older = fleet
        .account
        .start_execution(&version, "older", &json!({"seconds": FOR_EVER}))
        .await?;
    let newer = fleet.start("Quiet", "newer", FOR_EVER, json!({})).await?;
    let refusal = fleet.invoke(&question(&newer)).await.expect_err("older runs");
    assert_eq!(refusal.error_type, "OverlapGuard.Overlapping");
    assert!(refusal.error_message.contains(&older), "{refusal:?}");
    // Named by its version, the other pipeline is checked as a whole.
    let other = fleet
        .ask("Guarded", "other", 0, json!({"alsoCheck": [version]}))
        .await?;
    assert!(
        other.refused() && other.says().contains("with older of quiet"),
        "{other:?}"
    );
    Ok(())
}

#[tokio::test]
async fn runs_in_a_clone_are_runs_of_their_pipeline() -> Tested {
    let fleet = Fleet::deploy("clones").await?;
    let clone = clone_of(&fleet.account, &fleet.table, fleet.machine("Guarded")?).await;
    let ask = async |name: &str, guard: Value| {
        let input = json!({"seconds": FOR_EVER, "guard": guard});
        let run = fleet.account.start_execution(&clone, name, &input).await?;
        fleet.verdict(&run).await
    };
    let resumed = ask("resumed", json!({})).await?;
    assert!(resumed.worked, "{resumed:?}");
    let refused = fleet.ask("Guarded", "refused", 0, json!({})).await?;
    let in_the_way = "with resumed of guarded--r-0123456789ab, running since";
    assert!(refused.refused() && refused.says().contains(in_the_way), "{refused:?}");
    let newer = json!({"policy": "cancelOlder"});
    let newer = fleet.ask("Guarded", "newer", FOR_EVER, newer).await?;
    assert!(newer.worked, "{newer:?}");
    let stopped = fleet.account.wait_for_execution(&resumed.execution.arn).await?;
    assert_eq!(stopped.error.as_deref(), Some("OverlapGuard.Cancelled"));
    let again = ask("again", json!({})).await?;
    assert!(
        again.refused() && again.says().contains("with newer of guarded,"),
        "{again:?}"
    );
    // One that never asked is in the way as well.
    fleet.stop(&newer.execution.arn).await?;
    let quiet = clone_of(&fleet.account, &fleet.table, fleet.machine("Quiet")?).await;
    let never = json!({"seconds": FOR_EVER});
    let never = fleet.account.start_execution(&quiet, "never-asked", &never).await?;
    let asks = fleet.start("Quiet", "asks", FOR_EVER, json!({})).await?;
    let refusal = fleet.invoke(&question(&asks)).await.expect_err("older runs");
    assert!(refusal.error_message.contains(&never), "{refusal:?}");
    Ok(())
}

#[tokio::test]
async fn a_claim_whose_holder_ended_without_a_word_is_taken_over() -> Tested {
    let fleet = Fleet::deploy("taken over").await?;
    let ends_well = fleet.ask("Guarded", "ends-well", 0, json!({})).await?;
    fleet.account.wait_for_execution(&ends_well.execution.arn).await?;
    let next = fleet.ask("Guarded", "next", FOR_EVER, json!({})).await?;
    assert!(next.worked, "{next:?}");
    fleet.stop(&next.execution.arn).await?;
    let after_abort = fleet.ask("Guarded", "after-abort", 0, json!({})).await?;
    assert!(after_abort.worked, "{after_abort:?}");
    Ok(())
}

#[tokio::test]
async fn a_question_that_is_asked_again_has_the_same_answer() -> Tested {
    let fleet = Fleet::deploy("same answer").await?;
    let older = fleet.start("Quiet", "older", FOR_EVER, json!({})).await?;
    let newer = fleet.start("Quiet", "newer", FOR_EVER, json!({})).await?;
    let refusal = fleet
        .invoke(&question(&newer))
        .await
        .expect_err("older never asked, and runs");
    assert_eq!(refusal.error_type, "OverlapGuard.Overlapping");
    fleet.stop(&older).await?;

    let mut retry = question(&newer);
    retry["retryCount"] = json!(1);
    let again = fleet.invoke(&retry).await.expect_err("the verdict stands");
    assert_eq!(again.error_message, refusal.error_message);

    let mut anew = question(&newer);
    anew["enteredTime"] = json!("2026-01-31T04:10:00.000Z");
    let proceeds = fleet.invoke(&anew).await.expect("a new question");
    assert_eq!(proceeds, json!({"proceed": true, "overlapping": []}));
    assert_eq!(fleet.invoke(&anew).await.expect("the same question"), proceeds);
    Ok(())
}

#[tokio::test]
async fn skip_answers_instead_of_failing() -> Tested {
    let fleet = Fleet::deploy("skip").await?;
    let first = fleet
        .ask("Guarded", "first", FOR_EVER, json!({"policy": "skip"}))
        .await?;
    assert!(first.worked, "{first:?}");
    let second = fleet.ask("Guarded", "second", 0, json!({"policy": "skip"})).await?;
    assert!(
        second.skipped && second.execution.status == ExecutionStatus::Succeeded,
        "{second:?}"
    );
    let answer = &second.execution.output.as_ref().expect("an output")["answer"];
    assert_eq!(answer["proceed"], false);
    assert_eq!(answer["overlapping"][0]["executionArn"], first.execution.arn.as_str());
    Ok(())
}

#[tokio::test]
async fn cancel_older_stops_the_older_run_and_goes_on() -> Tested {
    let fleet = Fleet::deploy("cancel").await?;
    let older = fleet.ask("Guarded", "older", FOR_EVER, json!({})).await?;
    let newer = fleet
        .ask("Guarded", "newer", 0, json!({"policy": "cancelOlder"}))
        .await?;
    assert!(newer.worked, "{newer:?}");
    let older = fleet.account.wait_for_execution(&older.execution.arn).await?;
    assert_eq!(older.status, ExecutionStatus::Aborted);
    assert_eq!(older.error.as_deref(), Some("OverlapGuard.Cancelled"));
    assert!(
        older
            .cause
            .as_ref()
            .is_some_and(|cause| cause.contains("newer of guarded")),
        "{older:?}"
    );
    let newer = fleet.account.wait_for_execution(&newer.execution.arn).await?;
    let answer = &newer.output.as_ref().expect("an output")["answer"];
    assert_eq!(
        answer["overlapping"][0],
        json!({
            "executionArn": older.arn,
            "startedAt": answer["overlapping"][0]["startedAt"],
            "consoleUrl": answer["overlapping"][0]["consoleUrl"],
            "cancelled": true,
        })
    );
    Ok(())
}

#[tokio::test]
async fn pipelines_that_check_each_other_never_overlap() -> Tested {
    let fleet = Fleet::deploy("neighbours").await?;
    let both = json!({"alsoCheck": [fleet.machine("Guarded")?, format!("{}:1", fleet.machine("Neighbour")?)]});
    let names: Vec<String> = (0..5).map(|n| format!("run-{n}")).collect();
    let starts = ["Guarded", "Neighbour"]
        .into_iter()
        .flat_map(|machine| names.iter().map(move |name| (machine, name)));
    let asked = try_join_all(starts.map(|(machine, name)| fleet.ask(machine, name, FOR_EVER, both.clone()))).await?;
    let (worked, refused): (Vec<&Asked>, Vec<&Asked>) = asked.iter().partition(|asked| asked.worked);
    assert_eq!(worked.len(), 1, "{asked:?}");
    assert!(refused.iter().all(|asked| asked.refused()), "{asked:?}");
    Ok(())
}

#[tokio::test]
async fn a_run_goes_on_under_the_claim_of_the_run_that_started_it() -> Tested {
    let fleet = Fleet::deploy("ancestors").await?;
    let parent = fleet.ask("Guarded", "parent", FOR_EVER, json!({})).await?;
    let ancestors = json!({"ignoreAncestors": [parent.execution.arn]});
    let child = fleet.ask("Guarded", "child", FOR_EVER, ancestors).await?;
    assert!(child.worked, "{child:?}");
    let stranger = fleet.ask("Guarded", "stranger", 0, json!({})).await?;
    assert!(stranger.refused(), "{stranger:?}");
    // The child outlives its parent: nobody else may start beside it.
    fleet.stop(&parent.execution.arn).await?;
    let after = fleet.ask("Guarded", "after", 0, json!({})).await?;
    assert!(
        after.refused() && after.says().contains("with child of guarded"),
        "{after:?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_guarded_is_refused_by_name() -> Tested {
    let fleet = Fleet::deploy("bad requests").await?;
    let run = fleet.start("Quiet", "run", FOR_EVER, json!({})).await?;
    let with = |field: &str, value: Value| {
        let mut question = question(&run);
        question[field] = value;
        question
    };
    let (quiet, express) = (fleet.machine("Quiet")?, fleet.machine("Express")?);
    let express_run = format!("{}:run:0f6a", express.replace(":stateMachine:", ":express:"));
    let nowhere = quiet.replace(":stateMachine:quiet", ":stateMachine:nowhere");
    for (question, says) in [
        (with("executionArn", json!(express_run)), "is an EXPRESS execution"),
        (with("executionArn", json!(quiet)), "is a state machine"),
        (
            with("executionArn", json!(format!("{quiet}:PROD"))),
            "is an alias of a state machine",
        ),
        (
            with("executionArn", json!(format!("{quiet}:7"))),
            "is a version of a state machine",
        ),
        (
            with("executionArn", json!("x".repeat(257))),
            "has 257 characters, an ARN has at most 256",
        ),
        (with("alsoCheck", json!([express])), "alsoCheck[0]: "),
        (with("alsoCheck", json!([express])), "is EXPRESS"),
        (with("alsoCheck", json!([quiet, nowhere])), "alsoCheck[0]: "),
        (with("polcy", json!("skip")), "polcy: unknown field `polcy`"),
        (with("policy", json!("queue")), "policy: unknown variant `queue`"),
        (
            with("enteredTime", json!("noon")),
            "enteredTime: \"noon\" is not an RFC 3339 time",
        ),
        (json!(["not", "an", "object"]), "$: the request is an array"),
    ] {
        let error = fleet.invoke(&question).await.expect_err("a bad request");
        assert_eq!(error.error_type, "OverlapGuard.BadRequest", "{question}: {error:?}");
        assert!(error.error_message.contains(says), "{question}: {error:?}");
    }
    let unknown = fleet
        .invoke(&question(&run.replace(":run", ":never-started")))
        .await
        .expect_err("unknown");
    assert_eq!(unknown.error_type, "OverlapGuard.NotRunning", "{unknown:?}");
    fleet.stop(&run).await?;
    let ended = fleet.invoke(&question(&run)).await.expect_err("ended");
    assert_eq!(ended.error_type, "OverlapGuard.NotRunning", "{ended:?}");
    // Nothing of it may be left behind.
    let next = fleet.start("Quiet", "next", FOR_EVER, json!({})).await?;
    assert_eq!(fleet.invoke(&question(&next)).await.expect("free")["proceed"], true);
    Ok(())
}

#[tokio::test]
async fn cancel_older_is_off_unless_the_stack_allows_it() -> Tested {
    let fleet = Fleet::of("cancel off", Stack::fleet()).await?;
    let run = fleet.start("Quiet", "run", FOR_EVER, json!({})).await?;
    let mut question = question(&run);
    question["policy"] = json!("cancelOlder");
    let error = fleet.invoke(&question).await.expect_err("off");
    assert_eq!(error.error_type, "OverlapGuard.BadRequest");
    assert!(error.error_message.contains("AllowStopExecution=true"), "{error:?}");
    Ok(())
}

/// Every permission that the template gives the function is needed: without any one of them a run is refused for want of it.
#[tokio::test]
async fn every_permission_in_the_template_is_needed() -> Result<(), Box<dyn std::error::Error>> {
    each_is_needed("OverlapGuard", async |permission| {
        let stack = permission.taken_away(env!("CARGO_TARGET_TMPDIR"))?;
        let fleet = Fleet::of(&permission.test(), stack.parameter("AllowStopExecution", "true")).await?;
        fleet.start("Quiet", "older", FOR_EVER, json!({})).await?;
        let newer = fleet.start("Quiet", "newer", FOR_EVER, json!({})).await?;
        let mut question = question(&newer);
        if permission.action() == "states:StopExecution" {
            question["policy"] = json!("cancelOlder");
        }
        let error = fleet.invoke(&question).await.expect_err("a permission is missing");
        let test = permission.test();
        assert_eq!(error.error_type, "OverlapGuard.AccessDenied", "{test}: {error:?}");
        assert!(error.error_message.contains(permission.action()), "{test}: {error:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn pipelines_outside_the_prefix_are_out_of_reach() -> Tested {
    let stack = Stack::fleet().parameter("PipelineNamePrefix", "guard");
    let fleet = Fleet::of("prefix", stack).await?;
    assert!(fleet.ask("Guarded", "inside", 0, json!({})).await?.worked);
    let run = fleet.start("Quiet", "outside", FOR_EVER, json!({})).await?;
    let error = fleet.invoke(&question(&run)).await.expect_err("outside the prefix");
    assert_eq!(error.error_type, "OverlapGuard.AccessDenied", "{error:?}");
    assert!(error.error_message.contains("PipelineNamePrefix"), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_decided_does_not_proceed() -> Tested {
    let fleet = Fleet::deploy("unavailable").await?;
    let run = fleet.start("Quiet", "run", FOR_EVER, json!({})).await?;
    let fault = fleet
        .account
        .fault(Fault::throttle("States.ListExecutions").from_functions())
        .await?;
    let error = fleet.invoke(&question(&run)).await.expect_err("no list, no verdict");
    assert_eq!(error.error_type, "OverlapGuard.Unavailable", "{error:?}");
    assert!(
        error
            .error_message
            .contains("states:ListExecutions failed: ThrottlingException"),
        "{error:?}"
    );
    fault.clear().await?;
    assert_eq!(
        fleet.invoke(&question(&run)).await.expect("the list is back")["proceed"],
        true
    );
    Ok(())
}

/// The reply to a write may be lost after the write took effect.
#[tokio::test]
async fn lost_replies_change_nothing() -> Tested {
    let fleet = Fleet::deploy("lost replies").await?;
    for api in ["DynamoDB.PutItem", "DynamoDB.UpdateItem"] {
        fleet
            .account
            .fault(Fault::drop_after_effect(api).rate(0.5).from_functions())
            .await?;
    }
    let first = fleet.ask("Guarded", "first", FOR_EVER, json!({})).await?;
    assert!(first.worked, "{first:?}");
    let second = fleet.ask("Guarded", "second", 0, json!({})).await?;
    assert!(second.refused(), "{second:?}");
    Ok(())
}

/// What the function's README says that a run costs.
#[tokio::test]
async fn a_run_on_its_own_costs_four_writes_one_read_and_one_query() -> Tested {
    let fleet = Fleet::deploy("cost").await?;
    let before = fleet.ask("Guarded", "before", 0, json!({})).await?;
    fleet.account.wait_for_execution(&before.execution.arn).await?;
    fleet.account.reset_calls().await?;
    assert!(fleet.ask("Guarded", "run", 0, json!({})).await?.worked);
    let calls = fleet.account.calls().await?;
    let by_functions = |api: &str| calls.get(api).map_or(0, |calls| calls.functions);
    for (api, times) in [
        ("DynamoDB.PutItem", 1),
        ("DynamoDB.UpdateItem", 3),
        ("DynamoDB.DeleteItem", 0),
        ("DynamoDB.GetItem", 1),
        ("DynamoDB.BatchGetItem", 0),
        ("States.DescribeExecution", 2),
        ("States.ListExecutions", 1),
    ] {
        assert_eq!(by_functions(api), times, "{api}: {calls:?}");
    }
    // Whatever `lock-release` asks for the run before is among them.
    assert!(by_functions("DynamoDB.Query") >= 1, "{calls:?}");
    Ok(())
}
