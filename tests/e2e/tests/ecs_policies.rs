//! Every permission that the template gives the functions of the ECS relay is needed: without any one of them something
//! fails, or is not done, for want of it. What the local cloud does not see of them is held to the template's text.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::types::ExecutionStatus;
use e2e::ecs::{Relay, STEP_WITHIN, Tested, output, puts, tested};
use e2e::policies::{Permission, Seen, each_is_needed, granted, with_resources};
use local_cloud::{Error, Fault, FunctionError, Stack, wait};
use serde_json::{Value, json};
use signalbox::clock::{Clock, SystemClock};

/// Works for longer than any test runs.
const FOR_EVER: &str = "exec sleep 1000";

/// Not `EcsResult`: the bucket's name begins with it, too.
const RESULT: &str = "EcsResultFunction";

/// A launch that nothing was noted of for so long is put into the queue again.
const LOST: Duration = Duration::from_secs(310);

/// What could not be read for so long is given up.
const UNREAD: Duration = Duration::from_secs(610);

/// The fleet without a permission; `None` if it cannot be deployed like this. What is seen is seen in direct calls alone.
async fn deploy(permission: Permission) -> Result<Option<Relay>, Error> {
    let fleet = permission.taken_away(env!("CARGO_TARGET_TMPDIR")).expect("written");
    match Relay::of(&permission.test(), fleet).await {
        Ok(relay) => {
            relay.account.fault(Fault::drop_events()).await?;
            Ok(Some(relay))
        }
        // Lambda does not let a queue be read for a function that may not read it.
        Err(refused) if refused.to_string().contains(permission.action()) => Ok(None),
        Err(other) => Err(other),
    }
}

fn is_denied<T: std::fmt::Debug>(permission: Permission, answer: Result<T, FunctionError>) {
    let error = answer.expect_err("a permission is missing");
    let test = permission.test();
    assert_eq!(error.error_type, "Ecs.AccessDenied", "{test}: {error}");
    assert!(error.error_message.contains(permission.action()), "{test}: {error}");
}

/// The log says for want of what something was not done. On a busy machine the local cloud has a function's last lines only
/// after the next invocation: it is done `again`.
async fn is_logged(permission: Permission, relay: &Relay, again: impl AsyncFn() -> Seen) -> Seen {
    let denied = |line: &str| line.contains(permission.action()) && line.contains("AccessDenied");
    let logged = async || {
        again().await.map_err(|error| error.to_string())?;
        let lines = relay.account.log_lines("/aws/lambda/").await;
        let lines = lines.map_err(|error| error.to_string())?;
        match lines.iter().any(|(_, line)| denied(line)) {
            true => Ok(()),
            false => Err(format!("{lines:?}")),
        }
    };
    wait::until("the log to say it", STEP_WITHIN, logged).await?;
    Ok(())
}

/// A sweep that could not do all, of what there is after `before`.
async fn falls_short(permission: Permission, relay: &Relay, before: impl AsyncFn() -> Seen) -> Seen {
    is_logged(permission, relay, async || {
        before().await?;
        let swept = relay.sweep().await?;
        let (open, failed) = (&swept["open"], &swept["failed"]);
        assert_eq!((open, failed), (&json!(1), &json!(1)), "{}: {swept}", permission.test());
        Ok(())
    })
    .await
}

/// Launches an attempt of a state that never was, with a token of nobody's.
async fn launch(relay: &Relay, retry: u32, more: Value) -> Result<Value, FunctionError> {
    let mut request = json!({
        "task": "job",
        "command": [FOR_EVER],
        "taskToken": format!("AQC8nobodys{retry}"),
        "executionArn": format!("arn:aws:states:us-east-1:{}:execution:stage:nobody", relay.account.id()),
        "stateName": "Stage",
        "enteredTime": "2026-01-31T04:00:12.345Z",
        "retryCount": retry,
    });
    if let (Some(request), Value::Object(more)) = (request.as_object_mut(), more) {
        request.extend(more);
    }
    let function = relay.fleet.output("EcsLaunchFunctionName").unwrap_or_default();
    relay.account.invoke(function, &request).await
}

/// Tells `ecs-settle` of something.
async fn settle(relay: &Relay, kind: &str, detail: &Value) -> Result<Value, FunctionError> {
    let function = relay.fleet.output("EcsSettleFunctionName").unwrap_or_default();
    let event = json!({"detail-type": kind, "detail": detail});
    relay.account.invoke(function, &event).await
}

/// A run's task, which has ended.
async fn ended_task(relay: &Relay) -> Value {
    let task = wait::until("the task to stop", STEP_WITHIN, async || {
        let tasks = relay.tasks().await.map_err(|error| error.to_string())?;
        match tasks.first().filter(|task| task["lastStatus"] == "STOPPED") {
            Some(task) => Ok(task.clone()),
            None => Err(format!("{tasks:?}")),
        }
    })
    .await;
    task.expect("it stops")
}

/// Of that.
async fn hear_of_the_task(relay: &Relay) -> Result<Value, FunctionError> {
    settle(relay, "ECS Task State Change", &ended_task(relay).await).await
}

/// Of a run's end, which leaves a task running.
async fn hear_of_an_end(relay: &Relay) -> Result<Result<Value, FunctionError>, Error> {
    let run = relay.stage("run", FOR_EVER, json!({})).await?;
    relay.running(1).await?;
    let detail = json!({"executionArn": run, "status": "ABORTED", "redriveCount": 0});
    Ok(settle(relay, "Step Functions Execution Status Change", &detail).await)
}

/// The run waits on.
async fn is_not_answered(permission: Permission, relay: &Relay, run: &str) -> Seen {
    let run = relay.account.execution(run).await?;
    assert_eq!(run.status, ExecutionStatus::Running, "{}: {run:?}", permission.test());
    Ok(())
}

/// The only record.
async fn record(
    relay: &Relay,
) -> Result<std::collections::HashMap<String, AttributeValue>, Box<dyn std::error::Error>> {
    let table = relay.fleet.output("EcsTableName")?;
    let scan = relay.account.dynamodb().scan().table_name(table).send().await?;
    let [record] = <[_; 1]>::try_from(scan.items.unwrap_or_default()).map_err(|all| format!("{all:?}"))?;
    Ok(record)
}

/// Has a run's task run, and be noted.
async fn launch_a_run(relay: &Relay) -> Seen {
    relay.stage("run", FOR_EVER, json!({})).await?;
    relay.running(1).await?;
    wait::until("the task to be noted", STEP_WITHIN, async || {
        let record = record(relay).await.map_err(|error| error.to_string())?;
        record.contains_key("task").then_some(()).ok_or("not yet".to_owned())
    })
    .await?;
    Ok(())
}

/// Has its launch be one of five minutes ago that died before it noted anything.
async fn lose_the_launch(relay: &Relay) -> Seen {
    let mut record = record(relay).await?;
    record.remove("task");
    let then = SystemClock.now().before(LOST).as_millis();
    record.insert("at".to_owned(), AttributeValue::N(then.to_string()));
    record.insert("stage".to_owned(), AttributeValue::S("launching".to_owned()));
    let table = relay.fleet.output("EcsTableName")?;
    let put = relay.account.dynamodb().put_item().table_name(table);
    put.set_item(Some(record)).send().await?;
    Ok(())
}

/// Reads its token with its role, and ends without having answered it.
const READS_ITS_TOKEN: &str = "test -n \"$TASK_TOKEN_URI\"";

#[tokio::test]
async fn of_ecs_launch() -> Tested {
    each_is_needed("EcsLaunch", async |permission| {
        let Some(relay) = deploy(permission).await? else {
            assert!(permission.action().starts_with("sqs:"), "{}", permission.test());
            return Ok(());
        };
        let fault = async |fault: Fault| relay.account.fault(fault).await.map(drop);
        match permission.action() {
            "s3:PutObject" => return nothing_is_put(permission, &relay).await,
            // More than one attempt.
            "states:SendTaskHeartbeat" | "ecs:DescribeTasks" | "ecs:StopTask" => {
                assert_eq!(launch(&relay, 0, json!({})).await?, json!({"outcome": "launched"}));
                is_denied(permission, launch(&relay, 1, json!({"env": {"A": "other"}})).await);
                assert_eq!(relay.tasks().await?.len(), 1, "{}", permission.test());
                return Ok(());
            }
            "ecs:ListTasks" => {
                // It died before it noted what it started.
                fault(Fault::error("ECS.RunTask", "AccessDeniedException", 400, "for a moment").times(1)).await?;
                launch(&relay, 0, json!({})).await.expect_err("no task is noted");
                is_denied(permission, launch(&relay, 1, json!({"env": {"A": "other"}})).await);
                return Ok(());
            }
            "states:SendTaskFailure" => fault(Fault::task_failures("RESOURCE:MEMORY")).await?,
            // Somebody else is to go on.
            "sqs:SendMessage" => fault(Fault::throttle("ECS.RunTask")).await?,
            "dynamodb:GetItem"
            | "dynamodb:PutItem"
            | "dynamodb:Query"
            | "dynamodb:UpdateItem"
            | "ecs:DescribeTaskDefinition"
            | "ecs:RunTask"
            | "ecs:TagResource"
            | "iam:PassRole" => {}
            _ => return Err("what is it for?".into()),
        }
        is_denied(permission, launch(&relay, 0, json!({})).await);
        // Only what is done after that can be missing once a task was started.
        let started = usize::from(permission.action() == "dynamodb:UpdateItem");
        assert_eq!(relay.tasks().await?.len(), started, "{}", permission.test());
        Ok(())
    })
    .await
}

/// Neither the token, by the function itself, nor a result by the URL that it has signed.
async fn nothing_is_put(permission: Permission, relay: &Relay) -> Seen {
    is_denied(permission, launch(relay, 0, json!({"result": {"from": "token"}})).await);
    let run = relay.stage("run", &puts("{}"), json!({"timeoutSeconds": 600})).await?;
    assert_eq!(hear_of_the_task(relay).await?, json!({"outcome": "settled"}));
    let run = relay.account.execution(&run).await?;
    assert_eq!(
        run.error.as_deref(),
        Some("Ecs.ExitCode.22"),
        "curl was refused: {run:?}"
    );
    Ok(())
}

#[tokio::test]
async fn of_ecs_settle() -> Tested {
    each_is_needed("EcsSettle", async |permission| {
        let Some(relay) = deploy(permission).await? else {
            assert!(permission.action().starts_with("sqs:"), "{}", permission.test());
            return Ok(());
        };
        let run = async |command: &str, ask: Value| relay.stage("run", command, ask).await;
        match permission.line {
            // Nobody looks after anything.
            "- dynamodb:BatchGetItem" | "Action: dynamodb:Query" => {
                run(FOR_EVER, json!({})).await?;
                relay.running(1).await?;
                is_denied(permission, relay.sweep().await);
            }
            "- dynamodb:Query" | "- dynamodb:UpdateItem" | "- ecs:StopTask" => {
                is_denied(permission, hear_of_an_end(&relay).await?);
                relay.running(1).await?;
            }
            "- ecs:DescribeTasks" | "- states:SendTaskHeartbeat" => {
                run(FOR_EVER, json!({})).await?;
                relay.running(1).await?;
                falls_short(permission, &relay, async || Ok(())).await?;
            }
            "Action: ecs:ListTasks" | "Action: sqs:SendMessage" => {
                launch_a_run(&relay).await?;
                falls_short(permission, &relay, async || lose_the_launch(&relay).await).await?;
            }
            "- dynamodb:GetItem" | "- states:SendTaskSuccess" | "Action: s3:GetObject" => {
                let run = run(&puts("{}"), json!({})).await?;
                is_denied(permission, hear_of_the_task(&relay).await);
                is_not_answered(permission, &relay, &run).await?;
            }
            "- states:SendTaskFailure" => {
                let run = run("exit 3", json!({})).await?;
                is_denied(permission, hear_of_the_task(&relay).await);
                is_not_answered(permission, &relay, &run).await?;
            }
            // That there is no result.
            "Action: s3:ListBucket" => {
                let run = run("exit 0", json!({})).await?;
                is_denied(permission, hear_of_the_task(&relay).await);
                is_not_answered(permission, &relay, &run).await?;
            }
            "Action: s3:DeleteObject" => the_token_stays(permission, &relay).await?,
            "Action: logs:GetLogEvents" => nothing_is_read_of_logs(permission, &relay).await?,
            _ => return Err("what is it for?".into()),
        }
        Ok(())
    })
    .await
}

/// Where the token of the only task was laid down, and whether it still is there.
async fn token(relay: &Relay) -> Result<Option<Vec<u8>>, Box<dyn std::error::Error>> {
    let record = record(relay).await?;
    let name = record["key"].as_s().map_err(|other| format!("{other:?}"))?;
    let bucket = relay.fleet.output("EcsResultBucketName")?;
    Ok(relay.account.object(bucket, &format!("tokens/{name}")).await?)
}

async fn the_token_stays(permission: Permission, relay: &Relay) -> Seen {
    let ask = json!({"result": {"from": "token"}});
    relay.stage("run", READS_ITS_TOKEN, ask).await?;
    assert_eq!(hear_of_the_task(relay).await?, json!({"outcome": "settled"}));
    assert!(token(relay).await?.is_some(), "{}", permission.test());
    Ok(())
}

/// Neither a result, nor the last lines of what failed. Whoever has tried for long enough says so.
async fn nothing_is_read_of_logs(permission: Permission, relay: &Relay) -> Seen {
    let ask = json!({"result": {"from": "log"}});
    let run = relay.stage("run", "echo '::result {}'", ask).await?;
    is_denied(permission, hear_of_the_task(relay).await);
    is_not_answered(permission, relay, &run).await?;

    let then = SystemClock.now().before(UNREAD);
    let mut record = record(relay).await?;
    let noted = record.insert("lostSince".to_owned(), AttributeValue::N(then.as_millis().to_string()));
    assert!(noted.is_some(), "{}", permission.test());
    let table = relay.fleet.output("EcsTableName")?;
    let put = relay.account.dynamodb().put_item().table_name(table);
    put.set_item(Some(record)).send().await?;
    let mut task = ended_task(relay).await;
    task["executionStoppedAt"] = json!(then.to_string());
    let settled = settle(relay, "ECS Task State Change", &task).await?;
    assert_eq!(settled, json!({"outcome": "settled"}), "{}", permission.test());
    let run = relay.account.execution(&run).await?;
    assert_eq!(run.error.as_deref(), Some("Ecs.ResultUnreadable"), "{run:?}");
    let cause = run.cause.unwrap_or_default();
    let says = |what: &str| cause.contains(what);
    assert!(says(permission.action()) && says("AccessDenied"), "{cause}");
    Ok(())
}

#[tokio::test]
async fn of_ecs_result() -> Tested {
    each_is_needed(RESULT, async |permission| {
        let relay = deploy(permission).await?.ok_or("it is deployed")?;
        // The one cannot be redirected, the other is to a place where it may not put anything.
        let status = match permission.action() {
            "dynamodb:GetItem" => "503",
            "s3:PutObject" => "403",
            _ => return Err("what is it for?".into()),
        };
        let run = relay.stage("run", &puts("{}"), json!({})).await?;
        assert_eq!(hear_of_the_task(&relay).await?, json!({"outcome": "settled"}));
        let run = relay.account.execution(&run).await?;
        assert_eq!(run.error.as_deref(), Some("Ecs.ExitCode.22"), "{run:?}");
        let cause = run.cause.unwrap_or_default();
        assert!(
            cause.contains(&format!("error: {status}")),
            "{}: {cause}",
            permission.test()
        );
        Ok(())
    })
    .await
}

/// What fails or is not done without one of them does not fail, and is done, with all of them.
#[tokio::test]
async fn with_all_of_them_nothing_is_missing() -> Tested {
    let lost = async {
        let relay = Relay::deploy("all permissions: a lost launch").await?;
        launch_a_run(&relay).await?;
        lose_the_launch(&relay).await?;
        let swept = relay.sweep().await?;
        let expected = json!({"open": 1, "beating": 0, "settled": 0, "stopped": 0, "relaunched": 1, "lost": 0,
            "failed": 0, "left": 0});
        assert_eq!(swept, expected);
        Ok(()) as Seen
    };
    let unanswered = async {
        let relay = Relay::deploy("all permissions: a token").await?;
        relay.account.fault(Fault::drop_events()).await?;
        let ask = json!({"result": {"from": "token"}});
        let run = relay.stage("run", READS_ITS_TOKEN, ask).await?;
        assert_eq!(hear_of_the_task(&relay).await?, json!({"outcome": "settled"}));
        let run = relay.account.execution(&run).await?;
        assert!(run.error.is_some(), "nobody had answered: {run:?}");
        assert_eq!(token(&relay).await?, None);
        Ok(()) as Seen
    };
    let replaced = async {
        let relay = Relay::deploy("all permissions: replaced").await?;
        launch(&relay, 0, json!({})).await?;
        let second = launch(&relay, 1, json!({"env": {"A": "other"}})).await?;
        assert_eq!(second, json!({"outcome": "launched"}));
        assert_eq!(relay.tasks().await?.len(), 2);
        relay.running(1).await?;
        Ok(()) as Seen
    };
    futures_util::try_join!(lost, unanswered, replaced)?;
    Ok(())
}

/// What may take longer than a presigned URL can live has no URL then: its role puts the result where it belongs.
#[tokio::test]
async fn without_the_public_url_a_long_task_has_its_uri() -> Tested {
    let fleet = Stack::fleet().parameter("EcsResultUrl", "false");
    tested("no public URL", fleet, async |relay| {
        let command = r#"[ -z "${RESULT_URL+set}" ] || exit 9
            curl -fsS --aws-sigv4 "aws:amz:$AWS_REGION:s3" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
            -H "x-amz-security-token: $AWS_SESSION_TOKEN" -X PUT -H 'content-type: application/json' \
            --data-binary '{"n": 1}' "$AWS_ENDPOINT_URL/${RESULT_URI#s3://}""#;
        let run = relay.run("long", command, json!({})).await?;
        assert_eq!(output(&run)?["result"], json!({"n": 1}), "{run:?}");
        // What is signed at the start takes no public URL.
        let run = relay.run("short", &puts("[]"), json!({"timeoutSeconds": 600})).await?;
        assert_eq!(output(&run)?["result"], json!([]), "{run:?}");
        Ok(())
    })
    .await
}

/// The template's lines about a resource, whole, without its name.
fn part(resource: &str) -> Vec<&'static str> {
    let lines = with_resources();
    let lines = lines.into_iter().filter(|(about, _)| *about == resource);
    let lines: Vec<&str> = lines.map(|(_, line)| line).skip(1).collect();
    assert!(!lines.is_empty(), "there is no {resource}");
    lines
}

/// A statement of a policy, with what is said about it.
#[derive(Debug)]
struct Statement {
    /// Whether a comment stands before it.
    is_explained: bool,
    /// Its lines, trimmed, without the comments.
    lines: Vec<&'static str>,
}

impl Statement {
    fn has(&self, line: &str) -> bool {
        self.lines.contains(&line)
    }

    fn actions(&self) -> Vec<&'static str> {
        let of_list = self.lines.iter().skip_while(|line| **line != "Action:").skip(1);
        let of_list = of_list.map_while(|line| line.strip_prefix("- "));
        let only = self.lines.iter().filter_map(|line| line.strip_prefix("Action: "));
        only.chain(of_list).collect()
    }

    /// What it is on: whole lines.
    fn resources(&self) -> Vec<&'static str> {
        let of_list = self.lines.iter().skip_while(|line| **line != "Resource:").skip(1);
        let of_list = of_list.map_while(|line| line.strip_prefix("- "));
        let only = self.lines.iter().filter_map(|line| line.strip_prefix("Resource: "));
        only.chain(of_list).collect()
    }
}

/// The statements of a function's own policy.
fn statements(function: &str) -> Vec<Statement> {
    let mut statements: Vec<Statement> = Vec::new();
    let mut comment = false;
    for line in part(function).into_iter().map(str::trim) {
        if line.starts_with('#') {
            comment = true;
            continue;
        }
        if line.starts_with("- Sid: ") {
            statements.push(Statement {
                is_explained: comment,
                lines: Vec::new(),
            });
        }
        comment = false;
        if let Some(statement) = statements.last_mut().filter(|_| !line.is_empty()) {
            statement.lines.push(line);
        }
    }
    assert!(!statements.is_empty(), "{function} may do nothing");
    statements
}

/// The only statement of a function with an action.
fn statement(function: &str, action: &str) -> Statement {
    let with: Vec<Statement> = statements(function)
        .into_iter()
        .filter(|statement| statement.actions().contains(&action))
        .collect();
    let [only] = <[_; 1]>::try_from(with).expect("one statement has it");
    only
}

const FUNCTIONS: [&str; 3] = ["EcsLaunchFunction", "EcsSettleFunction", RESULT];

#[test]
fn only_roles_of_tasks_are_passed_and_only_to_tasks() {
    let pass = statement("EcsLaunchFunction", "iam:PassRole");
    assert_eq!(pass.actions(), ["iam:PassRole"]);
    assert_eq!(
        pass.resources(),
        ["!Sub arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${EcsRoleNamePrefix}*"]
    );
    let lines = pass.lines.join("\n");
    let condition = "Condition:\nStringEquals:\niam:PassedToService: ecs-tasks.amazonaws.com";
    assert!(lines.ends_with(condition), "{lines}");
    for function in ["EcsSettleFunction", RESULT] {
        assert!(!part(function).join("\n").contains("iam:"), "{function}");
    }
}

#[test]
fn only_task_definitions_with_the_prefix_are_run_and_only_what_is_run_is_tagged() {
    let run = statement("EcsLaunchFunction", "ecs:RunTask");
    assert_eq!(run.actions(), ["ecs:RunTask"]);
    let here = "!Sub arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:";
    assert_eq!(
        run.resources(),
        [format!("{here}task-definition/${{EcsTaskDefinitionPrefix}}*:*")]
    );
    let tag = statement("EcsLaunchFunction", "ecs:TagResource");
    assert_eq!(tag.actions(), ["ecs:TagResource"]);
    assert_eq!(tag.resources(), [format!("{here}task/*")]);
    let lines = tag.lines.join("\n");
    assert!(
        lines.ends_with("Condition:\nStringEquals:\necs:CreateAction: RunTask"),
        "{lines}"
    );
}

/// Who finds its URL could do nothing else, if it were taken over.
#[test]
fn the_public_function_reads_an_item_and_signs_results() {
    let may: Vec<_> = statements(RESULT)
        .iter()
        .map(|statement| (statement.actions(), statement.resources()))
        .collect();
    assert_eq!(
        may,
        [
            (vec!["dynamodb:GetItem"], vec!["!GetAtt EcsTable.Arn"]),
            (vec!["s3:PutObject"], vec!["!Sub ${EcsResultBucket.Arn}/results/*"]),
        ]
    );
    // The other policies that its role has give it the use of a key, for what it may do.
    let role = "!Ref EcsResultFunctionRole";
    let others = with_resources().into_iter().filter(|(_, line)| line.contains(role));
    let others: Vec<&str> = others.map(|(resource, _)| resource).collect();
    assert_eq!(others, ["KeyPolicy", "EcsWriteKeyPolicy"]);
}

/// Locks keep runs apart: what runs containers has nothing to do with them.
#[test]
fn nothing_of_the_relay_is_allowed_on_the_fleets_other_table() {
    for function in FUNCTIONS {
        for line in part(function) {
            let words = line.split(|c: char| !c.is_ascii_alphanumeric());
            assert!(!words.into_iter().any(|word| word == "Table"), "{function}: {line}");
        }
    }
    for policy in ["KeyPolicy", "EcsWriteKeyPolicy", "EcsReadKeyPolicy"] {
        let actions = part(policy).into_iter().filter(|line| line.contains("Action: "));
        for action in actions {
            assert!(action.contains("Action: kms:"), "{policy}: {action}");
        }
    }
}

#[test]
fn what_is_allowed_on_everything_says_why() {
    let mut on_everything = Vec::new();
    for function in FUNCTIONS {
        for statement in statements(function) {
            let is_wide = statement.has("Resource: \"*\"");
            if is_wide {
                assert!(statement.is_explained, "{function}: {statement:?}");
                on_everything.extend(statement.actions());
            }
            for action in statement.actions() {
                assert!(!action.contains('*'), "{function}: {action}");
            }
        }
    }
    on_everything.sort_unstable();
    on_everything.dedup();
    assert_eq!(
        on_everything,
        [
            "ecs:DescribeTaskDefinition",
            "ecs:ListTasks",
            "states:SendTaskFailure",
            "states:SendTaskHeartbeat",
            "states:SendTaskSuccess",
        ]
    );
}

#[test]
fn the_bucket_is_private_and_reached_by_tls_alone() {
    let policy = part("EcsResultBucketPolicy").into_iter().map(str::trim);
    let policy = policy.collect::<Vec<_>>().join("\n");
    let only_by_tls = "Effect: Deny\nPrincipal: \"*\"\nAction: s3:*\nResource:\n- !GetAtt EcsResultBucket.Arn\n\
                       - !Sub ${EcsResultBucket.Arn}/*\nCondition:\nBool:\naws:SecureTransport: \"false\"";
    assert!(policy.trim_end().ends_with(only_by_tls), "{policy}");
    assert!(!policy.contains("Effect: Allow"), "{policy}");
    let bucket: Vec<&str> = part("EcsResultBucket").into_iter().map(str::trim).collect();
    for line in [
        "BlockPublicAcls: true",
        "BlockPublicPolicy: true",
        "IgnorePublicAcls: true",
        "RestrictPublicBuckets: true",
        "- ObjectOwnership: BucketOwnerEnforced",
    ] {
        assert!(bucket.contains(&line), "{line}");
    }
}

/// Both are needed for the URL, and neither is there without it.
#[test]
fn the_public_url_can_be_done_without() {
    for (resource, line) in [
        ("EcsResultFunctionUrl", "AuthType: NONE"),
        ("EcsResultFunctionUrlPermission", "Action: lambda:InvokeFunctionUrl"),
        ("EcsResultFunctionInvokePermission", "InvokedViaFunctionUrl: true"),
    ] {
        let lines: Vec<&str> = part(resource).into_iter().map(str::trim).collect();
        assert!(lines.contains(&"Condition: HasEcsResultUrl"), "{resource}");
        assert!(lines.contains(&line), "{resource}: {line}");
    }
    // Nothing else is open to everybody.
    let everybody = with_resources()
        .into_iter()
        .filter(|(_, line)| line.trim() == "Principal: \"*\"");
    let everybody: Vec<&str> = everybody.map(|(resource, _)| resource).collect();
    assert_eq!(
        everybody,
        [
            // Which deny it.
            "ResumeArchiveBucketPolicy",
            "EcsResultBucketPolicy",
            "EcsResultFunctionUrlPermission",
            "EcsResultFunctionInvokePermission",
        ]
    );
}

/// The statements are read as the permissions are that are taken away.
#[test]
fn each_permission_that_is_taken_away_is_of_a_statement() {
    for function in FUNCTIONS {
        let mut taken: Vec<&str> = granted(function).into_iter().map(Permission::action).collect();
        let mut stated: Vec<&str> = statements(function).iter().flat_map(Statement::actions).collect();
        taken.sort_unstable();
        stated.sort_unstable();
        assert_eq!(taken, stated, "{function}");
    }
}
