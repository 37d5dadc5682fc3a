//! An account: isolated state, clients, deployments, faults.

use std::{collections::BTreeMap, fmt, time::Duration};

use aws_credential_types::Credentials;
use aws_sdk_sfn::{
    config::{BehaviorVersion, Region},
    types::StateMachineListItem,
};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_types::error::display::DisplayErrorContext;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Cloud, Deployed, Error, Execution, Fault, Mail, Message, Stack, Usage,
    cloud::REGION,
    fault::ActiveFault,
    http::{Content, Reply},
    sqs, wait,
};

/// How long [`Account::wait_for_execution`] waits.
const EXECUTION_ENDS_WITHIN: Duration = Duration::from_mins(1);

/// An account of the local cloud. It has its own clients: use it in the runtime that made it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Account {
    cloud: Cloud,
    id: String,
    name: String,
    sfn: aws_sdk_sfn::Client,
    dynamodb: aws_sdk_dynamodb::Client,
}

/// An invocation that failed, as a Task state sees it: the function's own error, or `Lambda.<code>` for a call that
/// the service refused or did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error_type}: {error_message}")]
pub struct FunctionError {
    /// The name that an `ErrorEquals` matches.
    pub error_type: String,
    /// The message.
    pub error_message: String,
}

/// The calls of one API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Calls {
    /// All of them.
    pub count: u64,
    /// Those of the functions.
    #[serde(default)]
    pub functions: u64,
    /// Those of the account's root: the test's own.
    #[serde(default)]
    pub harness: u64,
}

impl Account {
    pub(crate) fn new(cloud: Cloud, id: String, name: &str) -> Self {
        let credentials = Credentials::builder()
            .access_key_id(&id)
            .secret_access_key("test")
            .provider_name("local-cloud")
            .build();
        // Plain HTTP on loopback: without roots no certificate has to be read, and nothing else can be reached.
        let tls = TlsContext::builder()
            .with_trust_store(TrustStore::empty())
            .build()
            .unwrap_or_default();
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(tls)
            .build_https();
        let sfn = aws_sdk_sfn::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(REGION))
            .endpoint_url(cloud.endpoint())
            .credentials_provider(credentials.clone())
            .http_client(http.clone())
            .build();
        let dynamodb = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(REGION))
            .endpoint_url(cloud.endpoint())
            .credentials_provider(credentials)
            .http_client(http)
            .build();
        Self {
            id,
            name: name.to_owned(),
            sfn: aws_sdk_sfn::Client::from_conf(sfn),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb),
            cloud,
        }
    }

    /// The 12 digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The name that it was asked for by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the AWS CLI, the SDKs, `sam` and `cargo lambda` find it by.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT_URL", self.cloud.endpoint().to_owned()),
            ("AWS_ACCESS_KEY_ID", self.id.clone()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ]
    }

    /// The local cloud that it is in.
    #[must_use]
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// A Step Functions client, as the account's root.
    #[must_use]
    pub fn sfn(&self) -> &aws_sdk_sfn::Client {
        &self.sfn
    }

    /// A DynamoDB client, as the account's root.
    #[must_use]
    pub fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        &self.dynamodb
    }

    /// Creates or updates a stack, and returns when it is complete.
    pub async fn deploy(&self, stack: Stack) -> Result<Deployed, Error> {
        let request = json!({
            "account": self.id,
            "stack": stack.name,
            "template": stack.template,
            "binaries": self.cloud.binaries(),
            "parameters": stack.parameters,
        });
        let answer = self
            .cloud
            .local(Method::POST, "/_local/deploy", Some(&request))
            .await
            .map_err(|error| {
                let Error::Refused { message, .. } = error else {
                    return error;
                };
                Error::Refused {
                    call: format!("deploy of the stack `{}` ({})", stack.name, self.name),
                    message,
                }
            })?;
        let answer: DeployAnswer =
            serde_json::from_value(answer).map_err(|error| Error::unexpected("POST /_local/deploy", error))?;
        Ok(Deployed {
            stack: stack.name,
            outputs: answer.outputs,
            resources: answer.resources,
            took: Duration::try_from_secs_f64(answer.seconds).unwrap_or_default(),
        })
    }

    /// Deletes a stack, whether its resources are protected or not.
    pub async fn delete_stack(&self, name: &str) -> Result<(), Error> {
        let path = format!("/_local/stacks?account={}&stack={name}", self.id);
        self.cloud.local(Method::DELETE, &path, None).await.map(drop)
    }

    /// Invokes a function and waits for its answer.
    pub async fn invoke(&self, function: &str, payload: &Value) -> Result<Value, FunctionError> {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let reply = self
            .cloud
            .call(Method::POST, &path, Some((&self.id, "lambda")), Content::Json(payload))
            .await
            .map_err(|error| FunctionError::of_the_service("SdkClientException", error))?;
        let answer = reply.json();
        if reply.headers.contains_key("x-amz-function-error") {
            return Err(FunctionError::of_the_function(&answer));
        }
        if reply.status >= 300 {
            let code = reply
                .headers
                .get("x-amzn-errortype")
                .and_then(|code| code.to_str().ok());
            let code = code.or_else(|| answer.get("__type")?.as_str()).unwrap_or("Unknown");
            let message = answer
                .get("message")
                .or_else(|| answer.get("Message"))
                .and_then(Value::as_str);
            return Err(FunctionError::of_the_service(
                code,
                message.unwrap_or(&answer.to_string()),
            ));
        }
        Ok(answer)
    }

    /// The environment variables of a function.
    pub async fn function_environment(&self, function: &str) -> Result<BTreeMap<String, String>, Error> {
        let path = format!("/2015-03-31/functions/{function}/configuration");
        let reply = self
            .cloud
            .call(Method::GET, &path, Some((&self.id, "lambda")), Content::None)
            .await?;
        let answer = reply.json();
        let variables = answer["Environment"]["Variables"].clone();
        serde_json::from_value(variables).map_err(|_| Error::unexpected("GetFunctionConfiguration", &answer))
    }

    /// The names of the functions that are deployed.
    pub async fn functions(&self) -> Result<Vec<String>, Error> {
        let path = "/2015-03-31/functions/";
        let reply = self
            .cloud
            .call(Method::GET, path, Some((&self.id, "lambda")), Content::None)
            .await?;
        let answer = reply.json();
        let functions = answer["Functions"]
            .as_array()
            .ok_or_else(|| Error::unexpected("ListFunctions", &answer))?;
        Ok(functions
            .iter()
            .filter_map(|function| Some(function.get("FunctionName")?.as_str()?.to_owned()))
            .collect())
    }

    /// The state machines that are deployed.
    pub async fn state_machines(&self) -> Result<Vec<StateMachineListItem>, Error> {
        let machines = self.sfn.list_state_machines().send().await;
        machines
            .map(|answer| answer.state_machines)
            .map_err(aws("States.ListStateMachines"))
    }

    /// Starts an execution and returns its ARN.
    pub async fn start_execution(&self, state_machine: &str, name: &str, input: &Value) -> Result<String, Error> {
        let started = self
            .sfn
            .start_execution()
            .state_machine_arn(state_machine)
            .name(name)
            .input(input.to_string());
        started
            .send()
            .await
            .map(|answer| answer.execution_arn)
            .map_err(aws("States.StartExecution"))
    }

    /// An execution as it stands.
    pub async fn execution(&self, arn: &str) -> Result<Execution, Error> {
        let described = self.sfn.describe_execution().execution_arn(arn).send().await;
        described.map(Execution::from).map_err(aws("States.DescribeExecution"))
    }

    /// Stops an execution. It may take a moment until it has ended.
    pub async fn stop_execution(&self, arn: &str, error: &str, cause: &str) -> Result<(), Error> {
        let stopped = self.sfn.stop_execution().execution_arn(arn).error(error).cause(cause);
        stopped.send().await.map(drop).map_err(aws("States.StopExecution"))
    }

    /// Redrives an execution that did not succeed, from the state in which it ended.
    pub async fn redrive_execution(&self, arn: &str) -> Result<(), Error> {
        let redriven = self.sfn.redrive_execution().execution_arn(arn).send().await;
        redriven.map(drop).map_err(aws("States.RedriveExecution"))
    }

    /// Waits for an execution to end, in any way, for up to a minute.
    pub async fn wait_for_execution(&self, arn: &str) -> Result<Execution, Error> {
        self.wait_for_execution_within(arn, EXECUTION_ENDS_WITHIN).await
    }

    /// Waits for an execution to end, in any way.
    pub async fn wait_for_execution_within(&self, arn: &str, deadline: Duration) -> Result<Execution, Error> {
        let name = arn.rsplit(':').next().unwrap_or(arn);
        wait::until(&format!("the end of the execution {name}"), deadline, async || {
            let execution = self.execution(arn).await.map_err(|error| error.to_string())?;
            if execution.ended() {
                Ok(execution)
            } else {
                Err(execution.status.to_string())
            }
        })
        .await
    }

    /// Waits for all of these executions to end, for up to a minute in all; the results are in the same order.
    pub async fn wait_for_executions(&self, arns: &[impl AsRef<str>]) -> Result<Vec<Execution>, Error> {
        let begun = std::time::Instant::now();
        let mut ended = Vec::with_capacity(arns.len());
        for arn in arns {
            let left = EXECUTION_ENDS_WITHIN.saturating_sub(begun.elapsed());
            ended.push(self.wait_for_execution_within(arn.as_ref(), left).await?);
        }
        Ok(ended)
    }

    /// Puts a fault in force.
    pub async fn fault(&self, fault: Fault) -> Result<ActiveFault, Error> {
        let mut request = serde_json::to_value(fault).map_err(|error| Error::unexpected("a fault", error))?;
        request["account"] = Value::from(self.id.as_str());
        let answer = self.cloud.local(Method::POST, "/_local/faults", Some(&request)).await?;
        let id = answer["id"]
            .as_str()
            .ok_or_else(|| Error::unexpected("POST /_local/faults", &answer))?;
        Ok(ActiveFault::new(self.clone(), id.to_owned()))
    }

    /// The faults in force, as the local cloud lists them.
    pub async fn faults(&self) -> Result<Vec<Value>, Error> {
        self.list("faults").await
    }

    /// Ends all faults of this account.
    pub async fn clear_faults(&self) -> Result<(), Error> {
        self.cloud
            .local(Method::DELETE, &format!("/_local/faults?account={}", self.id), None)
            .await
            .map(drop)
    }

    pub(crate) async fn clear_fault(&self, id: &str) -> Result<(), Error> {
        self.cloud
            .local(Method::DELETE, &format!("/_local/faults?id={id}"), None)
            .await
            .map(drop)
    }

    /// The calls since the start or the last reset, by API: `DynamoDB.PutItem`.
    pub async fn calls(&self) -> Result<BTreeMap<String, Calls>, Error> {
        let path = format!("/_local/calls?account={}", self.id);
        let answer = self.cloud.local(Method::GET, &path, None).await?;
        serde_json::from_value(answer).map_err(|error| Error::unexpected("GET /_local/calls", error))
    }

    /// Counts calls from zero again.
    pub async fn reset_calls(&self) -> Result<(), Error> {
        self.cloud
            .local(Method::DELETE, &format!("/_local/calls?account={}", self.id), None)
            .await
            .map(drop)
    }

    /// What AWS would have billed for since the start or the last reset.
    pub async fn usage(&self) -> Result<Usage, Error> {
        let path = format!("/_local/usage?account={}", self.id);
        let answer = self.cloud.local(Method::GET, &path, None).await?;
        serde_json::from_value(answer).map_err(|error| Error::unexpected("GET /_local/usage", error))
    }

    /// Counts usage from zero again.
    pub async fn reset_usage(&self) -> Result<(), Error> {
        self.cloud
            .local(Method::DELETE, &format!("/_local/usage?account={}", self.id), None)
            .await
            .map(drop)
    }

    /// Everything that was put on the default event bus.
    pub async fn events(&self) -> Result<Vec<Value>, Error> {
        self.list("events").await
    }

    /// What was mailed to the subscribers of this account's topics, oldest first.
    pub async fn mails(&self) -> Result<Vec<Mail>, Error> {
        let mails = Value::Array(self.list("mails").await?);
        serde_json::from_value(mails).map_err(|error| Error::unexpected("GET /_local/mails", error))
    }

    /// Forgets the mails so far.
    pub async fn clear_mails(&self) -> Result<(), Error> {
        self.cloud
            .local(Method::DELETE, &format!("/_local/mails?account={}", self.id), None)
            .await
            .map(drop)
    }

    /// Subscribes an endpoint to a topic: `email` and an address, `sqs` and the ARN of a queue, `http` and a URL on
    /// loopback, which is asked to confirm and, should it answer 5xx, gets what it is sent three more times at once.
    pub async fn subscribe(&self, topic: &str, protocol: &str, endpoint: &str) -> Result<(), Error> {
        let policy = json!({"healthyRetryPolicy": {
            "numRetries": 3, "numNoDelayRetries": 3, "minDelayTarget": 1, "maxDelayTarget": 1,
        }});
        let policy = policy.to_string();
        let mut fields = vec![
            ("Action", "Subscribe"),
            ("TopicArn", topic),
            ("Protocol", protocol),
            ("Endpoint", endpoint),
        ];
        if protocol.starts_with("http") {
            fields.extend([
                ("Attributes.entry.1.key", "DeliveryPolicy"),
                ("Attributes.entry.1.value", policy.as_str()),
            ]);
        }
        self.service("sns", "SNS.Subscribe", Content::Form(&fields))
            .await
            .map(drop)
    }

    /// Publishes a message, as the account's root.
    pub async fn publish(&self, topic: &str, subject: &str, message: &str) -> Result<(), Error> {
        let fields = [
            ("Action", "Publish"),
            ("TopicArn", topic),
            ("Subject", subject),
            ("Message", message),
        ];
        self.service("sns", "SNS.Publish", Content::Form(&fields))
            .await
            .map(drop)
    }

    /// A new queue that is subscribed to a topic; returns its URL.
    pub async fn subscribed_queue(&self, topic: &str, name: &str) -> Result<String, Error> {
        let arn = format!("arn:aws:sqs:{REGION}:{}:{name}", self.id);
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }]});
        let arguments = json!({"QueueName": name, "Attributes": {"Policy": policy.to_string()}});
        let created = self.sqs("CreateQueue", &arguments).await?;
        let url = created["QueueUrl"]
            .as_str()
            .ok_or_else(|| Error::unexpected("SQS.CreateQueue", &created))?;
        self.subscribe(topic, "sqs", &arn).await?;
        Ok(url.to_owned())
    }

    /// Sends a message to a queue.
    pub async fn send_message(&self, queue_url: &str, body: &str) -> Result<(), Error> {
        let arguments = json!({"QueueUrl": queue_url, "MessageBody": body});
        self.sqs("SendMessage", &arguments).await.map(drop)
    }

    /// Takes all messages out of a queue that are to be seen in it; none if there are none.
    pub async fn take_messages(&self, queue_url: &str) -> Result<Vec<Message>, Error> {
        let mut taken = Vec::new();
        loop {
            let arguments = json!({
                "QueueUrl": queue_url,
                "MaxNumberOfMessages": 10,
                "AttributeNames": ["ApproximateReceiveCount"],
            });
            let messages = sqs::received(self.sqs("ReceiveMessage", &arguments).await?)?;
            if messages.is_empty() {
                return Ok(taken);
            }
            let handles = messages
                .iter()
                .enumerate()
                .map(|(at, message)| json!({"Id": at.to_string(), "ReceiptHandle": message.handle}));
            let arguments = json!({"QueueUrl": queue_url, "Entries": handles.collect::<Vec<_>>()});
            self.sqs("DeleteMessageBatch", &arguments).await?;
            taken.extend(messages);
        }
    }

    async fn sqs(&self, operation: &str, arguments: &Value) -> Result<Value, Error> {
        let target = format!("AmazonSQS.{operation}");
        let call = format!("SQS.{operation}");
        let reply = self
            .service("sqs", &call, Content::Operation(&target, arguments))
            .await?;
        Ok(reply.json())
    }

    /// A call of a service of which the harness has no client.
    pub(crate) async fn service(&self, service: &str, call: &str, content: Content<'_>) -> Result<Reply, Error> {
        let signed_for = Some((self.id.as_str(), service));
        let reply = self.cloud.call(Method::POST, "/", signed_for, content).await?;
        if (200..300).contains(&reply.status) {
            return Ok(reply);
        }
        Err(Error::Refused {
            call: call.to_owned(),
            message: String::from_utf8_lossy(&reply.body).into_owned(),
        })
    }

    /// A list of the local cloud's own: bare, or as the one field of an object.
    async fn list(&self, of: &str) -> Result<Vec<Value>, Error> {
        let answer = self
            .cloud
            .local(Method::GET, &format!("/_local/{of}?account={}", self.id), None)
            .await?;
        match answer {
            Value::Array(list) => Ok(list),
            Value::Object(mut fields) if fields.get(of).is_some_and(Value::is_array) => Ok(fields
                .remove(of)
                .and_then(|list| serde_json::from_value(list).ok())
                .unwrap_or_default()),
            other => Err(Error::unexpected(format!("GET /_local/{of}"), other)),
        }
    }
}

impl FunctionError {
    fn of_the_function(answer: &Value) -> Self {
        let field = |name| answer.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            error_type: field("errorType").unwrap_or_else(|| "Lambda.Unknown".to_owned()),
            error_message: field("errorMessage").unwrap_or_else(|| answer.to_string()),
        }
    }

    fn of_the_service(code: &str, message: impl fmt::Display) -> Self {
        let code = code.split([':', '#']).next_back().unwrap_or(code);
        Self {
            error_type: format!("Lambda.{code}"),
            error_message: message.to_string(),
        }
    }
}

/// An SDK error with its whole source chain: by itself it says only "dispatch failure".
pub(crate) fn aws<E: std::error::Error>(call: &'static str) -> impl FnOnce(E) -> Error {
    move |error| Error::Aws {
        call,
        message: DisplayErrorContext(&error).to_string(),
    }
}

#[derive(Deserialize)]
struct DeployAnswer {
    #[serde(default)]
    outputs: BTreeMap<String, String>,
    #[serde(default)]
    resources: BTreeMap<String, String>,
    #[serde(default)]
    seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_functions_error_keeps_its_name() {
        let error = FunctionError::of_the_function(&json!({"errorType": "Lock.BadRequest", "errorMessage": "no"}));
        assert_eq!(error.to_string(), "Lock.BadRequest: no");
        assert_eq!(
            FunctionError::of_the_function(&json!("?")).to_string(),
            r#"Lambda.Unknown: "?""#
        );
    }

    #[test]
    fn a_services_error_is_named_as_a_task_state_names_it() {
        let error = FunctionError::of_the_service("ResourceNotFoundException", "no such function");
        assert_eq!(error.error_type, "Lambda.ResourceNotFoundException");
    }
}
