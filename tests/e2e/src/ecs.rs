//! What the tests of the ECS relay share: the fleet, the pipelines of `pipelines/ecs.yaml`, and images that do as they are
//! told.

use std::collections::BTreeSet;
use std::time::Duration;

use local_cloud::{Account, Cloud, Deployed, Error, Execution, FunctionError, Image, Stack, wait};
use serde_json::{Value, json};

use crate::lock::failed;

/// How long is waited for a step of a test: longer than it takes on a busy machine.
pub const STEP_WITHIN: Duration = Duration::from_secs(45);

/// A container's command that puts `result`, a JSON text, to its URL.
#[must_use]
pub fn puts(result: &str) -> String {
    format!("printf '%s' '{result}' > result.json && curl -fsS -L -T result.json \"$RESULT_URL\"")
}

/// The fleet, and pipelines with one stage each, in an account of their own.
#[derive(Debug)]
pub struct Relay {
    /// The account.
    pub account: Account,
    /// The fleet.
    pub fleet: Deployed,
    pipelines: Deployed,
}

impl Relay {
    /// Deploys the fleet with the default parameters.
    pub async fn deploy(test: &str) -> Result<Self, Error> {
        Self::of(test, Stack::fleet()).await
    }

    /// Deploys `fleet`, and the pipelines.
    pub async fn of(test: &str, fleet: Stack) -> Result<Self, Error> {
        let account = Cloud::shared().await?.account(test);
        // Their failures are of no interest here, and would take time.
        let fleet = account.deploy(fleet.parameter("Alerts", "false")).await?;
        let mut pipelines = Stack::new("pipelines", "tests/e2e/pipelines/ecs.yaml");
        for output in ["EcsLaunchFunctionArn", "EcsResultBucketName"] {
            pipelines = pipelines.parameter(output, fleet.output(output)?);
        }
        account.image(&Image::shell("shell")).await?;
        // Ends by a signal alone.
        let stubborn = Image::shell("stubborn").command(&["trap '' TERM; while :; do sleep 0.1; done"]);
        account.image(&stubborn).await?;
        Ok(Self {
            pipelines: account.deploy(pipelines).await?,
            fleet,
            account,
        })
    }

    /// Starts a run of the pipeline of this name.
    pub async fn start(&self, pipeline: &str, name: &str, input: &Value) -> Result<String, Error> {
        self.account
            .start_execution(self.pipelines.output(pipeline)?, name, input)
            .await
    }

    /// Starts a run of the pipeline `stage` whose container does what `command` says; `ask` is what else is asked.
    pub async fn stage(&self, name: &str, command: &str, ask: Value) -> Result<String, Error> {
        self.start("Stage", name, &asked(command, ask)).await
    }

    /// Runs it to its end.
    pub async fn run(&self, name: &str, command: &str, ask: Value) -> Result<Execution, Error> {
        let run = self.stage(name, command, ask).await?;
        self.account.wait_for_execution(&run).await
    }

    /// Sweeps now.
    pub async fn sweep(&self) -> Result<Value, FunctionError> {
        let function = self.fleet.output("EcsSettleFunctionName").unwrap_or_default();
        self.account.invoke(function, &json!({"sweep": true})).await
    }

    /// The tasks so far.
    pub async fn tasks(&self) -> Result<Vec<Value>, Error> {
        self.account.ecs_tasks().await
    }

    /// Waits until there are so many tasks that run.
    pub async fn running(&self, count: usize) -> Result<Vec<Value>, Error> {
        wait::until(&format!("{count} running tasks"), STEP_WITHIN, async || {
            let tasks = self.tasks().await.map_err(|error| error.to_string())?;
            let running: Vec<Value> = tasks
                .into_iter()
                .filter(|task| task["lastStatus"] == "RUNNING")
                .collect();
            match running.len() == count {
                true => Ok(running),
                false => Err(format!("{} run", running.len())),
            }
        })
        .await
    }

    /// Waits until no task lives.
    pub async fn all_stopped(&self) -> Result<Vec<Value>, Error> {
        wait::until("no task to live", STEP_WITHIN, async || {
            let tasks = self.tasks().await.map_err(|error| error.to_string())?;
            match tasks.iter().find(|task| task["lastStatus"] != "STOPPED") {
                None => Ok(tasks),
                Some(task) => Err(task.to_string()),
            }
        })
        .await
    }
}

/// Runs a test of the relay, and sees afterwards that no task token has come to light by it.
pub async fn tested(name: &str, fleet: Stack, body: impl AsyncFnOnce(&Relay) -> Tested) -> Tested {
    let relay = Relay::of(name, fleet).await?;
    body(&relay).await?;
    relay.shows_no_token().await
}

/// Sweeps each second until the run has ended.
pub async fn swept_until_it_ends(relay: &Relay, run: &str) -> Result<Execution, local_cloud::Error> {
    wait::until("the run to end by the sweep", STEP_WITHIN, async || {
        let ending = relay.account.wait_for_execution_within(run, Duration::from_secs(1));
        match ending.await {
            Ok(ended) => Ok(ended),
            Err(_) => Err(format!("the sweep: {:?}", relay.sweep().await)),
        }
    })
    .await
}

/// Most tests meet errors of the harness and of functions.
pub type Tested = Result<(), Box<dyn std::error::Error>>;

impl Relay {
    /// The tokens of all tasks of all executions.
    async fn tokens(&self) -> Result<BTreeSet<String>, Error> {
        let mut tokens = BTreeSet::new();
        for run in self.runs().await? {
            let mut pages = self
                .account
                .sfn()
                .get_execution_history()
                .execution_arn(run)
                .into_paginator()
                .items()
                .send();
            while let Some(event) = pages.next().await {
                let event = event.map_err(failed("States.GetExecutionHistory"))?;
                let Some(scheduled) = event.task_scheduled_event_details else {
                    continue;
                };
                let parameters: Value = serde_json::from_str(&scheduled.parameters).unwrap_or_default();
                tokens.extend(parameters["Payload"]["taskToken"].as_str().map(str::to_owned));
            }
        }
        Ok(tokens)
    }

    async fn runs(&self) -> Result<Vec<String>, Error> {
        let mut runs = Vec::new();
        for machine in self.account.state_machines().await? {
            let list = self
                .account
                .sfn()
                .list_executions()
                .state_machine_arn(machine.state_machine_arn);
            let mut pages = list.into_paginator().items().send();
            while let Some(run) = pages.next().await {
                let run = run.map_err(failed("States.ListExecutions"))?;
                runs.push(run.execution_arn);
            }
        }
        Ok(runs)
    }

    /// No task token is in a task, an event, a log, an error or an output.
    ///
    /// # Errors
    ///
    /// If one is; or if there was none to look for.
    pub async fn shows_no_token(&self) -> Tested {
        let tokens = self.tokens().await?;
        if tokens.is_empty() {
            return Err("no state has waited".into());
        }
        let mut texts: Vec<(String, String)> = self.account.log_lines("/").await?;
        if texts.is_empty() {
            return Err("nothing was logged".into());
        }
        texts.extend(
            self.tasks()
                .await?
                .iter()
                .map(|task| ("a task".to_owned(), task.to_string())),
        );
        texts.extend(
            self.account
                .events()
                .await?
                .iter()
                .map(|event| ("an event".to_owned(), event.to_string())),
        );
        for run in self.runs().await? {
            let run = self.account.execution(&run).await?;
            texts.push(("an execution".to_owned(), format!("{run:?}")));
        }
        for token in &tokens {
            if let Some((place, text)) = texts.iter().find(|(_, text)| text.contains(token.as_str())) {
                return Err(format!("a task token is in {place}: {text}").into());
            }
        }
        Ok(())
    }
}

/// What is asked of a container that does what `command` says.
#[must_use]
pub fn asked(command: &str, more: Value) -> Value {
    // A container that says nothing has its last lines waited for, in case they come late.
    let mut ask = json!({"command": [format!("echo begins; {command}")]});
    if let (Some(ask), Value::Object(more)) = (ask.as_object_mut(), more) {
        ask.extend(more);
    }
    ask
}

/// The output of an execution that succeeded.
pub fn output(execution: &Execution) -> Result<Value, String> {
    execution
        .output
        .clone()
        .ok_or_else(|| format!("it should have succeeded: {execution:?}"))
}
