//! What the tests of `resume` share: the fleet with the function, machines whose tasks are stubbed, and what it answers.

pub mod case;
pub mod corpus;
pub mod property;
pub mod trial;

use std::sync::atomic::{AtomicU64, Ordering};

use local_cloud::stubs::{ActiveStub, CallOutcome};
use local_cloud::{Account, Cloud, Deployed, Error, Execution, FunctionError, Outcome, Stack, Stub, StubbedCall, wait};
use serde_json::{Value, json};

use self::trial::RUN_WITHIN;
use crate::lock::failed;

/// The fleet with `resume`, in an account of its own.
#[derive(Debug)]
pub struct Resumes {
    /// The account.
    pub account: Account,
    /// The fleet.
    pub fleet: Deployed,
    /// The name of the function `resume`.
    pub function: String,
    /// The role of the machines, which clones may have too.
    role: String,
    /// How many machines there were.
    machines: AtomicU64,
}

/// What `resume` answers.
#[derive(Debug, Clone)]
pub struct Told(pub Value);

impl Told {
    /// `redrive` or `clone`.
    #[must_use]
    pub fn strategy(&self) -> &str {
        self.0["strategy"].as_str().unwrap_or_default()
    }

    /// The execution that goes on.
    pub fn execution(&self) -> Result<&str, Error> {
        let execution = self.0["executionArn"].as_str();
        execution.ok_or_else(|| Error::Unexpected {
            from: "resume".to_owned(),
            reason: self.0.to_string(),
        })
    }

    /// The clone.
    #[must_use]
    pub fn machine(&self) -> Option<String> {
        self.0["stateMachineArn"].as_str().map(str::to_owned)
    }
}

impl Resumes {
    /// Deploys the fleet.
    pub async fn deploy(test: &str) -> Result<Self, Error> {
        // Their ends are of no interest here, and would take time.
        Self::of(test, Stack::fleet().parameter("Alerts", "false")).await
    }

    /// Deploys `fleet`.
    pub async fn of(test: &str, fleet: Stack) -> Result<Self, Error> {
        Self::in_account(Cloud::shared().await?.account(test), fleet, None).await
    }

    /// Deploys `fleet`; clones may be given these roles.
    pub async fn with_roles(test: &str, fleet: Stack, roles: &str) -> Result<Self, Error> {
        Self::in_account(Cloud::shared().await?.account(test), fleet, Some(roles)).await
    }

    async fn in_account(account: Account, fleet: Stack, roles: Option<&str>) -> Result<Self, Error> {
        let role = account
            .deploy(Stack::new("pipelines", "tests/e2e/pipelines/resume.yaml"))
            .await?;
        let role = role.output("RoleArn")?.to_owned();
        let fleet = fleet.parameter("ResumeRoleArns", roles.unwrap_or(&role));
        let fleet = account.deploy(fleet).await?;
        Ok(Self {
            function: fleet.output("ResumeFunctionName")?.to_owned(),
            role,
            account,
            fleet,
            machines: AtomicU64::new(0),
        })
    }

    /// A state machine of its own: its name begins with this one.
    pub async fn machine(&self, name: &str, definition: &Value) -> Result<String, Error> {
        let number = self.machines.fetch_add(1, Ordering::Relaxed);
        let created = self
            .account
            .sfn()
            .create_state_machine()
            .name(format!("{name}-{number}"))
            .definition(definition.to_string())
            .role_arn(&self.role);
        let created = created.send().await.map_err(failed("States.CreateStateMachine"))?;
        Ok(created.state_machine_arn)
    }

    /// A state machine whose tasks are stubbed, with what happens to some of them.
    pub async fn stubbed(
        &self,
        name: &str,
        definition: &Value,
        outcomes: impl IntoIterator<Item = Outcome>,
    ) -> Result<(String, ActiveStub), Error> {
        let machine = self.machine(name, definition).await?;
        let stub = self.restub(&machine, outcomes).await?;
        Ok((machine, stub))
    }

    /// From now on this happens to the tasks of a machine, and of its clones.
    pub async fn restub(
        &self,
        machine: &str,
        outcomes: impl IntoIterator<Item = Outcome>,
    ) -> Result<ActiveStub, Error> {
        self.account.stub(&Stub::of(machine).outcomes(outcomes)).await
    }

    /// Runs a machine to its end.
    pub async fn run(&self, machine: &str, name: &str, input: &Value) -> Result<Execution, Error> {
        let run = self.account.start_execution(machine, name, input).await?;
        self.ends(&run).await
    }

    /// Waits until a run has ended.
    pub async fn ends(&self, run: &str) -> Result<Execution, Error> {
        self.account.wait_for_execution(run).await
    }

    /// Waits until a stub holds, or delays, a call of a state.
    pub async fn comes_to(&self, stub: &ActiveStub, state: &str) -> Result<StubbedCall, Error> {
        let what = format!("a call of {state}");
        wait::until(&what, RUN_WITHIN, async || {
            let calls = stub.calls().await.map_err(|error| error.to_string())?;
            let found = calls
                .iter()
                .find(|call| call.outcome == CallOutcome::Open && call.original == state);
            let seen = || {
                calls
                    .iter()
                    .map(|call| call.state.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            found.cloned().ok_or_else(seen)
        })
        .await
    }

    /// Asks what comes of a request, and does it: what is answered, and the run that goes on when it has ended.
    pub async fn resume(&self, request: &Value) -> Result<(Told, Execution), Box<dyn std::error::Error>> {
        let plan = self.ask(request).await?;
        let told = self.ask(&plan.0["apply"]).await?;
        let ended = self.ends(told.execution()?).await?;
        Ok((told, ended))
    }

    /// The name of the error that a request is refused with.
    ///
    /// # Panics
    ///
    /// If it is not refused.
    pub async fn refusal(&self, request: &Value) -> FunctionError {
        match self.ask(request).await {
            Ok(told) => panic!("{request} is answered {}", told.0),
            Err(error) => error,
        }
    }

    /// The runs that hold a lock, and those that wait for it.
    pub async fn lock(&self, lock: &str) -> Result<(Vec<Value>, Vec<Value>), Box<dyn std::error::Error>> {
        let request = json!({"action": "list", "lock": lock});
        let admin = self.fleet.output("LockAdminFunctionName")?;
        let list = self.account.invoke(admin, &request).await?;
        let of = |field: &str| list[field].as_array().cloned().unwrap_or_default();
        Ok((of("holders"), of("waiters")))
    }

    /// Deletes a state machine.
    pub async fn forget(&self, machine: &str) -> Result<(), Error> {
        let deleted = self.account.sfn().delete_state_machine().state_machine_arn(machine);
        deleted
            .send()
            .await
            .map(drop)
            .map_err(failed("States.DeleteStateMachine"))
    }

    /// Asks `resume`.
    pub async fn ask(&self, request: &Value) -> Result<Told, FunctionError> {
        self.account.invoke(&self.function, request).await.map(Told)
    }

    /// Asks what would be done.
    pub async fn plan(&self, run: &str, mode: &str, pin: bool) -> Result<Told, FunctionError> {
        self.ask(&json!({"executionArn": run, "mode": mode, "pin": pin})).await
    }

    /// Has done what was planned.
    pub async fn apply(&self, run: &str, mode: &str, pin: bool, plan: &Told) -> Result<Told, FunctionError> {
        let request = json!({
            "executionArn": run, "mode": mode, "pin": pin, "apply": true, "planHash": plan.0["planHash"],
            "reason": "a test",
        });
        self.ask(&request).await
    }
}
