//! One invocation as AWS sees it: every call that it makes, to whichever service, with what may go wrong with it.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use ecs_launch::places::Places;
use ecs_settle::logs::Logs;
use ecs_settle::results::{Results, Stored};
use signalbox::arn::ExecutionArn;
use signalbox::aws::CallError;
use signalbox::clock::{Clock, Timestamp};
use signalbox::ecs::cluster::{DefinedContainer, Definition, Run, StartTasks, WatchTasks};
use signalbox::ecs::handover::Queue;
use signalbox::ecs::key::TaskKey;
use signalbox::ecs::plan::{LogStream, Plan};
use signalbox::ecs::task::Task;
use signalbox::tasks::{Outcome, Sent, TaskToken, Tasks};

use super::Model;
use super::air::Air;
use super::mail::Mail;
use super::tokens::Answer;
use crate::trace;

/// Makes the calls of one invocation.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) model: Rc<Model>,
    pub(super) air: Air,
}

impl Caller {
    /// One call: others may go on before it and after it, and it may fail on either side of its effect. `again`: whether
    /// the SDK may make it again where its answer was lost.
    pub(super) async fn call<T>(
        &self,
        api: &'static str,
        again: bool,
        mut effect: impl FnMut() -> T,
    ) -> Result<T, CallError> {
        let call = self.air.calls_now().await;
        self.air.step().await;
        if let Some(error) = self.model.failure_of(api) {
            return Err(error);
        }
        if self.model.strikes() {
            let mut error = CallError::malformed(api, "throttled, or lost on the way");
            if self.model.world.chance(0.5) {
                error.code = Some("ThrottlingException".to_owned());
            }
            return Err(error);
        }
        let mut answer = effect();
        self.air.called(call).await;
        self.air.step().await;
        if self.model.strikes() {
            if !again || self.model.world.chance(0.5) {
                return Err(CallError::malformed(api, "the answer was lost"));
            }
            answer = effect();
            self.air.step().await;
        }
        Ok(answer)
    }

    async fn send(&self, api: &'static str, token: &TaskToken, answer: Option<Answer>) -> Result<Sent, CallError> {
        let sent = self
            .call(api, true, || match &answer {
                None => self.model.is_open(token),
                Some(answer) => self.model.answers(token, answer),
            })
            .await;
        match sent {
            Ok(true) => Ok(Sent::Accepted),
            Ok(false) => Ok(Sent::Closed),
            // The service says that it did not take it.
            Err(error) if error.code.is_some() => Err(error),
            Err(error) => Ok(Sent::Unknown(error)),
        }
    }
}

impl Clock for Caller {
    fn now(&self) -> Timestamp {
        self.air.now()
    }

    async fn sleep(&self, span: Duration) {
        self.air.sleep(span).await;
    }

    fn jitter(&self, most: Duration) -> Duration {
        self.air.jitter(most)
    }

    fn nonce(&self) -> u64 {
        self.air.nonce()
    }
}

impl Tasks for Caller {
    async fn succeed(&self, token: &TaskToken, output: &str) -> Result<Sent, CallError> {
        let answer = Answer::Success(output.to_owned());
        self.send("states:SendTaskSuccess", token, Some(answer)).await
    }

    async fn fail(&self, token: &TaskToken, error: &str, _cause: &str) -> Result<Sent, CallError> {
        let answer = Answer::Failure(error.to_owned());
        self.send("states:SendTaskFailure", token, Some(answer)).await
    }

    async fn beat(&self, token: &TaskToken) -> Result<Sent, CallError> {
        self.send("states:SendTaskHeartbeat", token, None).await
    }

    async fn outcome(&self, _run: &ExecutionArn, _token: &TaskToken) -> Result<Outcome, CallError> {
        Ok(Outcome::Unclear)
    }
}

impl StartTasks for Caller {
    async fn definition(&self, task: &str) -> Result<Option<Definition>, CallError> {
        self.call("ecs:DescribeTaskDefinition", true, || {
            Some(Definition {
                arn: format!("arn:aws:ecs:us-east-1:123456789012:task-definition/{task}:1"),
                containers: vec![DefinedContainer {
                    name: "app".to_owned(),
                    essential: true,
                    logs: Some(LogStream {
                        group: "/ecs/etl".to_owned(),
                        prefix: "etl".to_owned(),
                        container: "app".to_owned(),
                        region: "us-east-1".to_owned(),
                    }),
                }],
                is_awsvpc: false,
                tags: BTreeMap::new(),
            })
        })
        .await
    }

    async fn run(&self, plan: &Plan, key: &TaskKey) -> Result<Run, CallError> {
        let is_first = self.model.knobs.queued && !self.model.handed_over.borrow().contains(&key.client_token());
        if self.model.throttles() || is_first {
            self.air.step().await;
            return Ok(Run::Throttled(CallError::malformed("ecs:RunTask", "Rate exceeded")));
        }
        let run = self.call("ecs:RunTask", true, || self.model.run_task(plan, key)).await;
        trace::note(&self.model.world, || format!("RunTask {} -> {run:?}", key.name()));
        run
    }
}

impl WatchTasks for Caller {
    async fn describe(&self, _cluster: &str, tasks: &[String]) -> Result<Vec<Task>, CallError> {
        let seen = self
            .call("ecs:DescribeTasks", true, || self.model.described(tasks))
            .await;
        trace::note(&self.model.world, || {
            let seen = seen.as_ref().map(|seen| {
                let told = |task: &Task| format!("{} {}", task.task_arn, task.last_status);
                seen.iter().map(told).collect::<Vec<_>>()
            });
            format!("DescribeTasks {tasks:?} -> {seen:?}")
        });
        seen
    }

    async fn find(&self, _cluster: &str, key: &TaskKey) -> Result<Option<String>, CallError> {
        let found = self.call("ecs:ListTasks", true, || self.model.found(key)).await;
        trace::note(&self.model.world, || format!("ListTasks {} -> {found:?}", key.name()));
        found
    }

    async fn stop(&self, _cluster: &str, task: &str, reason: &str) -> Result<(), CallError> {
        self.call("ecs:StopTask", true, || self.model.stop_task(task, reason))
            .await
    }
}

impl Places for Caller {
    fn uri(&self, key: &str) -> String {
        format!("s3://bucket/{key}")
    }

    async fn presigned(&self, key: &str, _life: Duration) -> Result<String, CallError> {
        Ok(format!("https://bucket/{key}"))
    }

    async fn keep(&self, key: &str, token: &TaskToken) -> Result<(), CallError> {
        self.call("s3:PutObject", true, || {
            self.model.kept.borrow_mut().insert(key.to_owned(), token.clone());
        })
        .await
    }

    fn secret(&self) -> Result<[u8; 32], CallError> {
        Ok([u8::try_from(self.model.world.number(0..=255)).unwrap_or(0); 32])
    }

    fn redirect(&self) -> Option<&str> {
        Some("https://result")
    }

    fn presigned_most(&self) -> Duration {
        Duration::from_mins(10)
    }
}

impl Queue for Caller {
    async fn hand_over(&self, key: &TaskKey) -> Result<(), CallError> {
        self.call("sqs:SendMessage", true, || {
            // What an attempt has taken over is started under the key of the one before it.
            let origin = self
                .model
                .record(key)
                .map_or_else(|| key.clone(), |record| record.origin);
            self.model.handed_over.borrow_mut().insert(origin.client_token());
            self.model.post(&Mail::Launch(key.clone()));
        })
        .await
    }
}

impl Results for Caller {
    async fn get(&self, key: &str) -> Result<Stored, CallError> {
        self.call("s3:GetObject", true, || {
            self.model
                .object(key)
                .map_or(Stored::Missing, |text| Stored::Small(text.into_bytes()))
        })
        .await
    }

    async fn forget_token(&self, key: &str) -> Result<(), CallError> {
        self.call("s3:DeleteObject", true, || {
            self.model.kept.borrow_mut().remove(key);
        })
        .await
    }
}

impl Logs for Caller {
    async fn last_lines(&self, _at: &LogStream, _task: &str, _most: usize) -> Result<Vec<String>, CallError> {
        self.call("logs:GetLogEvents", true, || vec!["a line".to_owned()]).await
    }

    async fn result(&self, _at: &LogStream, task: &str) -> Result<Option<String>, CallError> {
        self.call("logs:GetLogEvents", true, || self.model.printed(task)).await
    }
}
