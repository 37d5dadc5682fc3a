//! What the tests of the alerts share: the fleet with a pipeline that ends as it is told, and everybody who subscribes.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use local_cloud::{Account, Cloud, Error, FunctionError, Notification, Stack, Subscriber, wait};
use serde_json::{Value, json};
use signalbox::clock::{Clock, SystemClock};

use crate::lock::failed;

type Item = std::collections::HashMap<String, AttributeValue>;

/// Longest that an alert may take to arrive on a busy machine.
const ARRIVES_WITHIN: Duration = Duration::from_mins(1);

/// How long is waited for what must not come.
const QUIET: Duration = Duration::from_secs(2);

/// The fleet, a pipeline, and the subscribers of the alerts' topic.
#[derive(Debug)]
pub struct Alerts {
    /// The account.
    pub account: Account,
    /// The name of the function `failure-alert`.
    pub function: String,
    /// The name of the function `resume`.
    pub resume: String,
    /// The ARN of the pipeline.
    pub pipeline: String,
    /// What has come by HTTP.
    pub http: Subscriber,
    /// The fleet's table.
    pub table: String,
    queue: String,
    seen: std::sync::Mutex<Vec<Notification>>,
}

impl Alerts {
    /// Deploys the fleet with the default parameters, and somebody to mail to.
    pub async fn deploy(test: &str) -> Result<Self, Error> {
        Self::of(test, Stack::fleet()).await
    }

    /// Deploys `fleet`, and the pipeline.
    pub async fn of(test: &str, fleet: Stack) -> Result<Self, Error> {
        let account = Cloud::shared().await?.account(test);
        let fleet = account
            .deploy(fleet.parameter("AlertEmail", "night@example.com"))
            .await?;
        let pipeline = Stack::new("alerts", "tests/e2e/pipelines/alerts.yaml")
            .parameter("LockReleaseFunctionArn", fleet.output("LockReleaseFunctionArn")?);
        let topic = fleet.output("AlertTopicArn")?;
        let http = Subscriber::listen().await?;
        http.subscribe(&account, topic).await?;
        Ok(Self {
            pipeline: account.deploy(pipeline).await?.output("Pipeline")?.to_owned(),
            function: fleet.output("FailureAlertFunctionName")?.to_owned(),
            resume: fleet.output("ResumeFunctionName")?.to_owned(),
            table: fleet.output("TableName")?.to_owned(),
            queue: account.subscribed_queue(topic, "watcher").await?,
            http,
            account,
            seen: std::sync::Mutex::default(),
        })
    }

    /// Starts a run of the pipeline.
    pub async fn run(&self, name: &str, input: &Value) -> Result<String, Error> {
        self.account.start_execution(&self.pipeline, name, input).await
    }

    /// Starts a run that fails in the state `Charge`, and waits until it has.
    pub async fn fails(&self, name: &str, error: &str, cause: &str) -> Result<String, Error> {
        let input = json!({"how": "fail", "error": error, "cause": cause});
        let run = self.run(name, &input).await?;
        self.account.wait_for_execution(&run).await?;
        Ok(run)
    }

    /// Starts a run that succeeds, and waits until it has.
    pub async fn succeeds(&self, name: &str) -> Result<String, Error> {
        let run = self.run(name, &json!({"how": "succeed"})).await?;
        self.account.wait_for_execution(&run).await?;
        Ok(run)
    }

    /// Everything that has come so far, in no order.
    pub async fn messages(&self) -> Result<Vec<Notification>, Error> {
        let taken = self.account.take_messages(&self.queue).await?;
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.extend(taken.iter().filter_map(local_cloud::Message::notification));
        Ok(seen.clone())
    }

    /// Their subjects.
    pub async fn subjects(&self) -> Result<Vec<String>, Error> {
        let mut subjects: Vec<String> = self
            .messages()
            .await?
            .into_iter()
            .map(|message| message.subject.unwrap_or_default())
            .collect();
        subjects.sort();
        Ok(subjects)
    }

    /// Waits until so many messages have come, and then for a moment that no more do.
    pub async fn comes(&self, count: usize) -> Result<Vec<Notification>, Error> {
        wait::until(&format!("{count} messages"), ARRIVES_WITHIN, async || {
            let came = self.messages().await.map_err(|error| error.to_string())?;
            match came.len() >= count {
                true => Ok(()),
                false => Err(format!("{} came", came.len())),
            }
        })
        .await?;
        #[allow(clippy::disallowed_methods, reason = "something that is not to happen")]
        tokio::time::sleep(QUIET).await;
        self.messages().await
    }

    /// Sweeps now.
    pub async fn sweep(&self) -> Result<Value, FunctionError> {
        self.account.invoke(&self.function, &json!({"sweep": true})).await
    }

    /// Hands the function the event of an end, as the queue delivers it the `received`th time. Whether it is to be
    /// delivered again.
    pub async fn deliver(&self, event: &Value, received: u32) -> Result<bool, FunctionError> {
        let batch = json!({"Records": [{
            "messageId": "m-1",
            "receiptHandle": "r",
            "body": event.to_string(),
            "attributes": {"ApproximateReceiveCount": received.to_string()},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:events",
            "awsRegion": "us-east-1",
        }]});
        let answer = self.account.invoke(&self.function, &batch).await?;
        Ok(answer["batchItemFailures"]
            .as_array()
            .is_some_and(|failures| !failures.is_empty()))
    }

    /// The event of the end of a run that failed in `Charge`.
    #[must_use]
    pub fn event(run: &str, error: &str, cause: &str) -> Value {
        let now = SystemClock.now().as_millis();
        json!({
            "version": "0", "id": "e-1", "detail-type": "Step Functions Execution Status Change",
            "source": "aws.states", "time": "2026-01-31T04:00:12Z", "region": "us-east-1",
            "detail": {
                "executionArn": run, "status": "FAILED", "startDate": now - 1000, "stopDate": now,
                "error": error, "cause": cause, "redriveCount": 0, "input": null, "output": null,
            },
        })
    }

    /// What became of the ends that the table knows: `pending`, `sent`, `counted`.
    pub async fn ends(&self) -> Result<Vec<String>, Error> {
        let items = self.items().await?.into_iter();
        let ends = items.filter(|item| matches!(item.get("sk"), Some(AttributeValue::S(sk)) if sk.starts_with("END#")));
        Ok(ends
            .filter_map(|item| item.get("state")?.as_s().ok().cloned())
            .collect())
    }

    /// What the table has of alerts.
    async fn items(&self) -> Result<Vec<Item>, Error> {
        let scan = self
            .account
            .dynamodb()
            .scan()
            .table_name(&self.table)
            .consistent_read(true);
        let found = scan.send().await.map_err(failed("DynamoDB.Scan"))?;
        let mut items = found.items.unwrap_or_default();
        items.retain(|item| matches!(item.get("pk"), Some(AttributeValue::S(pk)) if pk.starts_with("ALERT#")));
        Ok(items)
    }

    /// Makes what the table has of alerts so much older: claims, windows, marks.
    pub async fn age(&self, by: Duration) -> Result<(), Error> {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        for mut item in self.items().await? {
            for name in ["at", "due", "opened", "until", "claimed"] {
                if let Some(AttributeValue::N(time)) = item.get(name) {
                    let older = time.parse::<i64>().unwrap_or(0) - by;
                    item.insert(name.to_owned(), AttributeValue::N(older.to_string()));
                }
            }
            let put = self
                .account
                .dynamodb()
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item));
            put.send().await.map_err(failed("DynamoDB.PutItem"))?;
        }
        Ok(())
    }
}
