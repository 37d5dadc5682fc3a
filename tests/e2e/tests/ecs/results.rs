//! How a value comes back, and what exit codes mean.

use e2e::ecs::{Tested, output, puts, tested};
use local_cloud::{EcsTimes, Stack};
use serde_json::{Value, json};
use std::time::Duration;

/// Calls a service of AWS by `curl` alone, with the credentials of the task's role.
const SIGNED: &str = r#"signed() { service=$1; shift; curl -fsS --aws-sigv4 "aws:amz:$AWS_REGION:$service" \
    --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H "x-amz-security-token: $AWS_SESSION_TOKEN" "$@"; }; "#;

#[tokio::test]
async fn a_container_puts_its_result_with_curl() -> Tested {
    tested("result by curl", Stack::fleet(), async |relay| {
        for (name, ask) in [("redirected", json!({})), ("presigned", json!({"timeoutSeconds": 600}))] {
            let run = relay.run(name, &puts(r#"{"orders": 120}"#), ask).await?;
            let output = output(&run)?;
            assert_eq!(output["result"], json!({"orders": 120}), "{name}");
            assert_eq!(output["exitCode"], 0);
            for field in ["taskArn", "startedAt", "stoppedAt"] {
                assert!(output[field].is_string(), "{field}: {output}");
            }
            assert!(output["durationMs"].is_u64(), "{output}");
            assert_eq!(output["logs"]["group"], "/ecs/job");
            assert_eq!(output.get("resultRef"), None::<&Value>);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_container_writes_a_file_with_its_role() -> Tested {
    tested("result by file", Stack::fleet(), async |relay| {
        let command = format!(
            "{SIGNED} echo '[1, 2.50, \"é\"]' > result.json; \
             signed s3 -X PUT -H 'content-type: application/json' --data-binary @result.json \"$AWS_ENDPOINT_URL/${{RESULT_URI#s3://}}\""
        );
        let run = relay.run("file", &command, json!({})).await?;
        assert_eq!(output(&run)?["result"], json!([1, 2.5, "é"]));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_container_writes_its_result_to_its_log() -> Tested {
    tested("result by log", Stack::fleet(), async |relay| {
        let times = EcsTimes {
            logs: Some(Duration::from_secs(2)),
            ..EcsTimes::default()
        };
        relay.account.ecs_times(times).await?;
        let command =
            "echo '::result {\"n\": 1}'; echo '::result {\"n\": 2}'; echo 'goes on'; echo ' ::result {\"n\": 3}'";
        let run = relay.run("log", command, json!({"result": {"from": "log"}})).await?;
        assert_eq!(
            output(&run)?["result"],
            json!({"n": 2}),
            "the last line that begins with it"
        );
        let run = relay
            .run("no-line", "echo nothing", json!({"result": {"from": "log"}}))
            .await?;
        assert_eq!(run.error.as_deref(), Some("Ecs.ResultMissing"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_aware_container_answers_its_token_itself() -> Tested {
    tested("result by token", Stack::fleet(), async |relay| {
        let answers = format!(
            "{SIGNED} token=$(signed s3 \"$AWS_ENDPOINT_URL/${{TASK_TOKEN_URI#s3://}}\"); \
             printf '{{\"taskToken\": \"%s\", \"output\": \"{{\\\"by\\\": \\\"itself\\\"}}\"}}' \"$token\" > answer.json; \
             signed states -X POST -H 'content-type: application/x-amz-json-1.0' \
             -H 'x-amz-target: AWSStepFunctions.SendTaskSuccess' --data-binary @answer.json \"$AWS_ENDPOINT_URL/\""
        );
        let ask = json!({"result": {"from": "token"}});
        let run = relay.run("answers", &answers, ask.clone()).await?;
        assert_eq!(output(&run)?, json!({"by": "itself"}));
        // The relay speaks for it where it does not.
        let run = relay.run("silent", "exit 0", ask.clone()).await?;
        assert_eq!(run.error.as_deref(), Some("Ecs.ResultMissing"));
        let run = relay.run("crashes", "exit 4", ask).await?;
        assert_eq!(run.error.as_deref(), Some("Ecs.ExitCode.4"));
        // Nor is the token left lying about.
        relay.all_stopped().await?;
        let bucket = relay.fleet.output("EcsResultBucketName")?;
        for task in relay.tasks().await? {
            let started_by = task["startedBy"].as_str().unwrap_or_default();
            let key = started_by.splitn(3, '/').nth(2).map(|name| format!("tokens/{name}"));
            let key = key.ok_or("a startedBy without a key")?;
            assert_eq!(relay.account.object(bucket, &key).await?, None, "{key}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn without_a_result_only_the_exit_code_counts() -> Tested {
    tested("no result", Stack::fleet(), async |relay| {
        let ask = json!({"result": {"from": "none"}});
        let run = relay.run("good", "exit 0", ask.clone()).await?;
        let output = output(&run)?;
        assert_eq!((&output["result"], &output["exitCode"]), (&Value::Null, &json!(0)));
        let run = relay.run("bad", "echo 'no such table' >&2; exit 9", ask).await?;
        assert_eq!(run.error.as_deref(), Some("Ecs.ExitCode.9"));
        let cause = run.cause.unwrap_or_default();
        assert!(cause.contains("no such table"), "its last lines: {cause}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_no_result_is_said() -> Tested {
    tested("bad results", Stack::fleet(), async |relay| {
        let run = relay.run("missing", "exit 0", json!({})).await?;
        assert_eq!(run.error.as_deref(), Some("Ecs.ResultMissing"));
        let run = relay.run("invalid", &puts("{\"orders\": }"), json!({})).await?;
        assert_eq!(run.error.as_deref(), Some("Ecs.ResultInvalid"));
        let cause = run.cause.unwrap_or_default();
        assert!(cause.contains("line 1, column 12"), "{cause}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_a_state_cannot_take_stays_in_s3() -> Tested {
    tested("large result", Stack::fleet(), async |relay| {
        let command = "{ printf '\"'; head -c 1048574 /dev/zero | tr '\\0' x; printf '\"'; } > result.json \
                       && curl -fsS -L -T result.json \"$RESULT_URL\"";
        let run = relay.run("mebibyte", command, json!({})).await?;
        let output = output(&run)?;
        assert_eq!(output["result"], Value::Null);
        let (bucket, key) = (&output["resultRef"]["bucket"], &output["resultRef"]["key"]);
        assert_eq!(output["resultRef"]["bytes"], 1_048_576, "{output}");
        let object = relay
            .account
            .object(bucket.as_str().unwrap_or_default(), key.as_str().unwrap_or_default())
            .await?;
        assert_eq!(object.map(|object| object.len()), Some(1_048_576));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn exit_codes_mean_what_the_pipeline_says() -> Tested {
    tested("exit codes", Stack::fleet(), async |relay| {
        let ask = json!({"onExit": {"75": "TryLater", "3": "succeed"}});
        let run = relay.run("later", "exit 75", ask.clone()).await?;
        assert_eq!(run.error.as_deref(), Some("TryLater"));
        let run = relay.run("nothing-to-do", "exit 3", ask.clone()).await?;
        let nothing = output(&run)?;
        assert_eq!((&nothing["result"], &nothing["exitCode"]), (&Value::Null, &json!(3)));
        let run = relay
            .run("something", &format!("{}; exit 3", puts("{\"n\": 1}")), ask.clone())
            .await?;
        assert_eq!(output(&run)?["result"], json!({"n": 1}));
        let run = relay.run("other", "exit 4", ask).await?;
        assert_eq!(run.error.as_deref(), Some("Ecs.ExitCode.4"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn only_the_container_that_counts_is_looked_at() -> Tested {
    tested("sidecar", Stack::fleet(), async |relay| {
        let run = relay
            .run("accompanied", &puts("{\"n\": 1}"), json!({"task": "accompanied"}))
            .await?;
        assert_eq!(output(&run)?["result"], json!({"n": 1}));
        let tasks = relay.all_stopped().await?;
        let containers = tasks[0]["containers"].as_array().cloned().unwrap_or_default();
        let sidecar = containers.iter().find(|container| container["name"] == "sidecar");
        assert_eq!(
            sidecar.map(|sidecar| &sidecar["exitCode"]),
            Some(&json!(137)),
            "{containers:?}"
        );
        Ok(())
    })
    .await
}
