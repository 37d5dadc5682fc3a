//! Everything at once for a long time: pipelines with a guard, a lock, a container's value, failures and resumes, while AWS
//! has one bad moment after the other. Afterwards nothing may be left over, and nothing untold.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::types::ExecutionStatus;
use futures_util::future::{join, join_all, try_join_all};
use local_cloud::{Account, Cloud, Deployed, Error, Execution, Fault, Image, Stack, visits};
use serde_json::{Value, json};
use signalbox::ecs::key::TaskKey;

use crate::ecs::puts;
use crate::lock::failed;
use crate::lock_history::{Visit, most_at_once};
use crate::processes;

/// The pipelines' definition.
const DEFINITION: &str = include_str!("../pipelines/soak.asl.json");

/// So many pipelines share a lock.
const SHARE: usize = 4;

/// Longest that a run may take, bad moments and waiting included.
const ENDS_WITHIN: Duration = Duration::from_mins(10);

/// How long the fleet has, when all runs have ended and nothing is wrong any more, to put everything right: its sweeps come
/// each minute, and what it gave up on it tries again five minutes later.
const SETTLES_WITHIN: Duration = Duration::from_mins(15);

/// Sweeps of `failure-alert` that are not waited for, each time that it is looked whether all is settled.
const SWEEPS: usize = 15;

/// The errors by which runs may fail: what their inputs and the people of the soak bring about. The fleet's own, such as
/// `Lock.Unavailable`, are to be retried until they have passed.
const EXPECTED: [&str; 3] = ["Ecs.ExitCode.3", "Soak.Stopped", "States.QueryEvaluationError"];

/// What a resume may fail with that is asked for again: the emulator calls a function that dies before its first event
/// `Runtime.Unknown`.
const AGAIN: [&str; 3] = ["Resume.Unavailable", "Runtime.ExitError", "Runtime.Unknown"];

/// Executions whose histories are read at a time.
const AT_ONCE: usize = 20;

/// How long a bad moment lasts, and how long it is good after that.
const BAD: Duration = Duration::from_secs(8);
const GOOD: Duration = Duration::from_secs(7);

/// What is counted when a function is killed.
const KILLED: &str = "functions killed";

/// What was done, and what came of it.
#[derive(Debug, Default)]
pub struct Told {
    /// How often what happened.
    pub counts: BTreeMap<&'static str, usize>,
    /// By which errors runs failed.
    pub errors: BTreeMap<String, usize>,
    /// What must not be.
    pub broken: Vec<String>,
}

impl Told {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn so_far(&self) -> String {
        let of = |what| self.counts.get(what).copied().unwrap_or_default();
        format!(
            "{} runs started, {} succeeded, {} failed, {} resumes",
            of("runs started"),
            of("runs succeeded"),
            of("runs failed"),
            of("resumes")
        )
    }
}

struct Soak {
    account: Account,
    fleet: Deployed,
    role: String,
    until: Instant,
    told: RefCell<Told>,
    /// Runs that failed, and are to be announced.
    failures: RefCell<Vec<String>>,
    /// All runs that have ended, and of which pipeline they are.
    ended: RefCell<Vec<(usize, Execution)>>,
}

/// Runs so many pipelines for so long. `say` has a line each minute on how it goes.
#[allow(clippy::disallowed_methods, reason = "it lasts as long as it is told to")]
pub async fn soak(
    cloud: &Cloud,
    pipelines: usize,
    lasts: Duration,
    seed: u64,
    say: impl Fn(&str),
) -> Result<Told, Box<dyn std::error::Error>> {
    fastrand::seed(seed);
    let account = cloud.account("soak");
    account.image(&Image::shell("shell")).await?;
    let fleet = Stack::fleet()
        .parameter("AlertEmail", "night@example.com")
        .parameter("AlertWindowMinutes", "5")
        .parameter("ResumeRoleArns", format!("arn:aws:iam::{}:role/*", account.id()));
    let fleet = account.deploy(fleet).await?;
    let mut stack = Stack::new("soak", "tests/e2e/pipelines/soak.yaml");
    for function in FUNCTIONS {
        stack = stack.parameter(function, fleet.output(function)?);
    }
    let stack = account.deploy(stack).await?;
    let soak = Soak {
        role: stack.output("RoleArn")?.to_owned(),
        account,
        fleet,
        until: Instant::now() + lasts,
        told: RefCell::default(),
        failures: RefCell::default(),
        ended: RefCell::default(),
    };
    let machines = soak.machines(pipelines).await?;
    let runs = join_all(
        machines
            .iter()
            .enumerate()
            .map(|(number, machine)| soak.pipeline(number, machine)),
    );
    let minutes = async {
        while soak.goes_on() {
            tokio::time::sleep(Duration::from_mins(1)).await;
            say(&soak.told.borrow().so_far());
        }
    };
    let ((runs, faults), ()) = join(join(runs, soak.faults()), minutes).await;
    for done in runs.into_iter().chain([faults]) {
        done?;
    }
    soak.account.clear_faults().await?;
    soak.settles(&say).await?;
    say("the histories of all runs are read: who was alone, and when");
    soak.kept_apart().await?;
    Ok(soak.told.into_inner())
}

const FUNCTIONS: [&str; 4] = [
    "OverlapGuardFunctionArn",
    "LockAcquireFunctionArn",
    "LockReleaseFunctionArn",
    "EcsLaunchFunctionArn",
];

#[allow(clippy::disallowed_methods, reason = "it lasts as long as it is told to")]
impl Soak {
    fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    async fn machines(&self, count: usize) -> Result<Vec<String>, Error> {
        let mut definition = DEFINITION.to_owned();
        for function in FUNCTIONS {
            definition = definition.replace(&format!("${{{function}}}"), self.fleet.output(function)?);
        }
        let mut machines = Vec::new();
        for number in 0..count {
            let create = self
                .account
                .sfn()
                .create_state_machine()
                .name(format!("soak-{number:02}"))
                .definition(&definition)
                .role_arn(&self.role);
            let created = create.send().await.map_err(failed("States.CreateStateMachine"))?;
            machines.push(created.state_machine_arn);
        }
        Ok(machines)
    }

    /// Starts runs of a pipeline, one after the other and sometimes two at once, until the time is over.
    async fn pipeline(&self, number: usize, machine: &str) -> Result<(), Error> {
        let mut n = 0;
        while self.goes_on() {
            let at_once = if fastrand::u8(..100) < 15 { 2 } else { 1 };
            let runs = (0..at_once).map(|_| {
                n += 1;
                self.run(machine, number, n)
            });
            for done in join_all(runs.collect::<Vec<_>>()).await {
                done?;
            }
            tokio::time::sleep(Duration::from_millis(fastrand::u64(..1_500))).await;
        }
        Ok(())
    }

    /// A run, and what is done about it if it fails.
    async fn run(&self, machine: &str, number: usize, n: usize) -> Result<(), Error> {
        let exit = if fastrand::u8(..100) < 6 { 3 } else { 0 };
        let good = fastrand::u8(..100) >= 10;
        let seconds = f64::from(fastrand::u8(..15)) / 10.0;
        let input = |exit: u8, good: bool| {
            // `ecs-result` may die as well.
            let puts = puts(&format!("{{\"n\": {n}}}")).replacen("curl ", "curl --retry 5 ", 1);
            let command = match exit {
                0 => format!("echo begins; sleep {seconds}; {puts}"),
                exit => format!("echo begins; exit {exit}"),
            };
            json!({"lock": format!("soak-{}", number / SHARE), "n": n, "command": command, "good": good})
        };
        let run = self
            .account
            .start_execution(machine, &format!("run-{n}"), &input(exit, good))
            .await?;
        self.told.borrow_mut().count("runs started");
        if fastrand::u8(..100) < 5 {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(..4_000))).await;
            // It may have ended by then.
            let _ = self
                .account
                .stop_execution(&run, "Soak.Stopped", "a person stopped it")
                .await;
        }
        let ended = self.account.wait_for_execution_within(&run, ENDS_WITHIN).await?;
        if self.note(number, &ended, n) && ended.status == ExecutionStatus::Failed && fastrand::bool() {
            self.resume(number, &ended, &input(0, true), n).await?;
        }
        Ok(())
    }

    /// Counts a run's end. Whether it is one that people are told of.
    fn note(&self, pipeline: usize, ended: &Execution, n: usize) -> bool {
        self.ended.borrow_mut().push((pipeline, ended.clone()));
        let mut told = self.told.borrow_mut();
        let error = ended.error.clone().unwrap_or_default();
        match &ended.status {
            ExecutionStatus::Succeeded => {
                told.count("runs succeeded");
                if ended.output.as_ref().map(|output| &output["value"]) != Some(&json!(n)) {
                    told.broken
                        .push(format!("{} has another value: {:?}", ended.arn, ended.output));
                }
                return false;
            }
            _ if error == "OverlapGuard.Overlapping" => {
                told.count("runs refused by the guard");
                return false;
            }
            ExecutionStatus::Aborted => told.count("runs stopped"),
            _ => told.count("runs failed"),
        }
        if !EXPECTED.contains(&error.as_str()) {
            told.broken
                .push(format!("{} failed by {error}: {:?}", ended.arn, ended.cause));
        }
        *told.errors.entry(error).or_default() += 1;
        self.failures.borrow_mut().push(ended.arn.clone());
        true
    }

    /// Resumes a run with its input corrected: asked again, it succeeds.
    async fn resume(&self, pipeline: usize, ended: &Execution, input: &Value, n: usize) -> Result<(), Error> {
        let function = self.fleet.output("ResumeFunctionName")?;
        let mut input = input.clone();
        input["value"] = json!(n);
        input["fence"] = json!(0);
        let request = json!({"executionArn": ended.arn, "input": input, "apply": true, "by": "soak"});
        let until = Instant::now() + ENDS_WITHIN;
        loop {
            match self.account.invoke(function, &request).await {
                Ok(answer) => {
                    self.told.borrow_mut().count("resumes");
                    let run = answer["executionArn"].as_str().unwrap_or_default();
                    let ended = self.account.wait_for_execution_within(run, ENDS_WITHIN).await?;
                    self.note(pipeline, &ended, n);
                    return Ok(());
                }
                Err(error) if AGAIN.contains(&error.error_type.as_str()) && Instant::now() < until => {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
                Err(error) if error.error_type == "Resume.Overlapping" => {
                    self.told.borrow_mut().count("resumes refused: another run");
                    return Ok(());
                }
                Err(error) => {
                    let broken = format!("the resume of {} is refused: {error}", ended.arn);
                    self.told.borrow_mut().broken.push(broken);
                    return Ok(());
                }
            }
        }
    }

    /// One bad moment after the other.
    async fn faults(&self) -> Result<(), Error> {
        while self.goes_on() {
            let (what, fault): (&'static str, Fault) = match fastrand::usize(..12) {
                11 => {
                    self.functions_die().await;
                    continue;
                }
                0 => (
                    "DynamoDB throttles",
                    Fault::throttle("DynamoDB.*").rate(0.2).from_functions(),
                ),
                1 => (
                    "DynamoDB loses answers",
                    Fault::drop_after_effect("DynamoDB.UpdateItem")
                        .rate(0.1)
                        .from_functions(),
                ),
                2 => (
                    "DynamoDB fails",
                    Fault::apply_then_fail("DynamoDB.PutItem").rate(0.1).from_functions(),
                ),
                3 => (
                    "DynamoDB is slow",
                    Fault::delay("DynamoDB.*", Duration::from_millis(700))
                        .rate(0.3)
                        .from_functions(),
                ),
                4 => (
                    "Step Functions throttles",
                    Fault::throttle("States.*").rate(0.2).from_functions(),
                ),
                5 => (
                    "Step Functions loses answers",
                    Fault::drop_after_effect("States.SendTaskSuccess")
                        .rate(0.3)
                        .from_functions(),
                ),
                6 => (
                    "ECS throttles",
                    Fault::throttle("ECS.RunTask").rate(0.5).from_functions(),
                ),
                7 => ("ECS has no room", Fault::task_failures("RESOURCE:MEMORY").rate(0.3)),
                8 => ("events are lost", Fault::drop_events().rate(0.4)),
                9 => ("events come twice", Fault::double_events().rate(0.5)),
                _ => ("events come late", Fault::reorder_events(Duration::from_secs(6))),
            };
            let fault = self.account.fault(fault).await?;
            self.told.borrow_mut().count(what);
            tokio::time::sleep(BAD).await;
            fault.clear().await?;
            tokio::time::sleep(GOOD).await;
        }
        Ok(())
    }

    /// Functions die one after the other, each in whatever it is at: the process that has its sandbox is killed.
    async fn functions_die(&self) {
        self.told.borrow_mut().count("functions die");
        let here = format!("AWS_ENDPOINT_URL={}", self.account.cloud().endpoint());
        let until = Instant::now() + BAD;
        while Instant::now() < until {
            let found = processes::with(|entries| {
                let is_function = |entry: &&str| entry.starts_with("AWS_LAMBDA_FUNCTION_NAME=");
                entries.contains(&&*here) && entries.iter().any(is_function)
            });
            if fastrand::choice(found).is_some_and(|process| processes::kill(&process)) {
                self.told.borrow_mut().count(KILLED);
            }
            tokio::time::sleep(Duration::from_millis(fastrand::u64(..500))).await;
        }
        tokio::time::sleep(GOOD).await;
    }

    /// Waits until nothing is left over, or tells what is.
    async fn settles(&self, say: impl Fn(&str)) -> Result<(), Box<dyn std::error::Error>> {
        let until = Instant::now() + SETTLES_WITHIN;
        let mut said = None::<Instant>;
        let alerts = self.fleet.output("FailureAlertFunctionName")?;
        loop {
            // Each minute it looks for what its events have not told in 4 state machines, and each clone is one: an hour's
            // sweeps at once.
            for _ in 0..SWEEPS {
                self.account.invoke(alerts, &json!({"sweep": true})).await?;
            }
            let left = self.left_over().await?;
            if left.is_empty() {
                break;
            }
            if Instant::now() > until {
                self.told.borrow_mut().broken.extend(left);
                break;
            }
            if said.is_none_or(|said| said.elapsed() > Duration::from_mins(1)) {
                said = Some(Instant::now());
                say(&format!(
                    "all runs have ended; left over are {}: {}",
                    left.len(),
                    left[0]
                ));
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        let log = std::fs::read_to_string(self.account.cloud().log())?;
        let unhandled = log
            .lines()
            .filter(|line| line.contains("panicked at") || line.contains("Runtime.AnswerNotJson"));
        // So the emulator says that a process ended while it had an event.
        let died = log
            .lines()
            .filter(|line| line.contains("Runtime exited before returning a response"));
        let died = died.count();
        let mails = self.account.mails().await?.len();
        let mut told = self.told.borrow_mut();
        told.broken.extend(unhandled.take(10).map(str::to_owned));
        let killed = told.counts.get(KILLED).copied().unwrap_or_default();
        if died > killed {
            told.broken
                .push(format!("{died} functions died, of which {killed} were killed"));
        }
        told.counts.insert("mails", mails);
        Ok(())
    }

    /// Looks whether two runs of a pipeline were past the guard at once, or two runs had a lock, by their histories.
    async fn kept_apart(&self) -> Result<(), Error> {
        let (mut runs, mut holders) = (
            BTreeMap::<usize, Vec<Visit>>::new(),
            BTreeMap::<usize, Vec<Visit>>::new(),
        );
        let ended = self.ended.take();
        for some in ended.chunks(AT_ONCE) {
            let visits = some.iter().map(|(_, run)| visits::of(&self.account, run));
            for ((pipeline, run), visits) in some.iter().zip(try_join_all(visits).await?) {
                let times = Times::of(&run.arn, &visits);
                runs.entry(*pipeline).or_default().extend(times.past_the_guard);
                holders.entry(pipeline / SHARE).or_default().extend(times.held);
            }
        }
        let mut told = self.told.borrow_mut();
        for (what, visits) in [("a pipeline", &runs), ("a lock", &holders)] {
            for (number, visits) in visits {
                let most = most_at_once(visits);
                if most != 1 {
                    told.broken.push(format!(
                        "{what}, {number}: {most} runs at once, of {}: {}",
                        visits.len(),
                        overlapping(visits)
                    ));
                }
            }
        }
        let count = |visits: &BTreeMap<usize, Vec<Visit>>| visits.values().map(Vec::len).sum();
        told.counts.insert("runs past the guard", count(&runs));
        told.counts.insert("turns at a lock", count(&holders));
        Ok(())
    }

    /// What is not as it should be when all runs have ended.
    async fn left_over(&self) -> Result<Vec<String>, Box<dyn std::error::Error>> {
        let mut left = Vec::new();
        let admin = self.fleet.output("LockAdminFunctionName")?;
        let locks = self
            .account
            .invoke(admin, &json!({"action": "list", "limit": 1000}))
            .await?;
        for lock in locks["locks"].as_array().into_iter().flatten() {
            // The guard's claims stay, and say of whom they are.
            let name = lock["lock"].as_str().unwrap_or_default();
            if !name.starts_with("overlap:") && lock["held"] != 0 {
                left.push(format!("a lock is held, and no run is left: {lock}"));
            }
        }
        let records = self.items("EcsTableName").await?;
        let known: BTreeSet<String> = records.iter().filter_map(name_of).collect();
        let tasks = self.account.ecs_tasks().await?;
        for task in &tasks {
            let arn = task["taskArn"].as_str().unwrap_or_default();
            if task["lastStatus"] != "STOPPED" {
                left.push(format!("a task runs: {arn}"));
            }
            // By what it says of itself: a task that was stopped before its start was noted is in its record by that alone.
            let key = task["startedBy"].as_str().and_then(TaskKey::of_started_by);
            if key.is_none_or(|key| !known.contains(&key.name())) {
                left.push(format!("a task has no record: {arn}"));
            }
        }
        let open = records.iter().filter(|item| item.contains_key("active")).count();
        if open > 0 {
            left.push(format!("{open} records of tasks are open"));
        }
        let announced: BTreeSet<String> = self
            .items("TableName")
            .await?
            .iter()
            .filter(|item| text(item, "state").is_some_and(|state| matches!(state, "sent" | "counted")))
            .filter_map(|item| text(item, "pk")?.strip_prefix("ALERT#").map(str::to_owned))
            .collect();
        for run in self.failures.borrow().iter().filter(|run| !announced.contains(*run)) {
            left.push(format!("nobody is told of {run}"));
        }
        for queue in [
            "LockEventsDeadLetterQueue",
            "AlertEventsDeadLetterQueue",
            "EcsDeadLetterQueue",
        ] {
            let url = self.fleet.resources.get(queue).ok_or("a queue")?;
            for message in self.account.take_messages(url).await? {
                left.push(format!("{queue}: {message:?}"));
            }
        }
        self.told.borrow_mut().counts.insert("tasks", tasks.len());
        Ok(left)
    }

    async fn items(&self, table: &str) -> Result<Vec<std::collections::HashMap<String, AttributeValue>>, Error> {
        let scan = self
            .account
            .dynamodb()
            .scan()
            .table_name(self.fleet.output(table)?)
            .consistent_read(true);
        let pages: Result<Vec<_>, _> = scan.into_paginator().items().send().collect().await;
        pages.map_err(failed("DynamoDB.Scan"))
    }
}

/// When a run had to be alone.
struct Times {
    /// From the guard's answer to its end.
    past_the_guard: Option<Visit>,
    /// From the lock's grant until it gives it back, or its end.
    held: Option<Visit>,
}

impl Times {
    fn of(run: &str, visits: &[visits::Visit]) -> Self {
        let visit = |state: &str| visits.iter().find(|visit| visit.is_of(state));
        let end = visits.iter().map(|visit| visit.to).max();
        let after = |state: &str, until: Option<i64>| {
            let begun = visit(state).filter(|visit| visit.left)?;
            Some(Visit {
                entered: begun.to,
                left: until,
                input: json!(run),
            })
        };
        Self {
            past_the_guard: after("Guard", end),
            held: after("Take", visit("Give back").map(|visit| visit.from).or(end)),
        }
    }
}

/// The first two visits that overlap, with their times.
fn overlapping(visits: &[Visit]) -> String {
    let mut all: Vec<&Visit> = visits.iter().collect();
    all.sort_by_key(|visit| visit.entered);
    let pair = all
        .windows(2)
        .find(|pair| pair[0].left.is_none_or(|left| left > pair[1].entered));
    let said = pair.into_iter().flatten().map(|visit| {
        let run = visit.input.as_str().unwrap_or_default();
        format!("{run} from {} to {}", visit.entered, visit.left.unwrap_or(i64::MAX))
    });
    said.collect::<Vec<_>>().join(", ")
}

/// The name of the key of a task's record.
fn name_of(item: &std::collections::HashMap<String, AttributeValue>) -> Option<String> {
    let run = text(item, "pk")?.strip_prefix("RUN#")?;
    let [step, redrive, retry, token] = text(item, "sk")?.split('#').collect::<Vec<_>>().try_into().ok()?;
    Some(format!("{run}/{step}/{redrive}-{retry}-{token}"))
}

fn text<'i>(item: &'i std::collections::HashMap<String, AttributeValue>, name: &str) -> Option<&'i str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(state: &str, from: i64, to: i64, left: bool) -> visits::Visit {
        visits::Visit {
            state: state.to_owned(),
            iteration: None,
            from,
            to,
            left,
        }
    }

    fn times(visits: &[visits::Visit]) -> [Option<(i64, Option<i64>)>; 2] {
        let Times { past_the_guard, held } = Times::of("run", visits);
        [past_the_guard, held].map(|visit| visit.map(|visit| (visit.entered, visit.left)))
    }

    #[test]
    fn a_run_has_to_be_alone_from_its_grant_on() {
        let whole = [
            visit("Guard", 0, 10, true),
            visit("Take", 10, 50, true),
            visit("Stage", 50, 70, true),
            visit("Give back", 70, 80, true),
        ];
        assert_eq!(times(&whole), [Some((10, Some(80))), Some((50, Some(70)))]);
        assert_eq!(times(&whole[..3]), [Some((10, Some(70))), Some((50, Some(70)))]);
        let refused = [visit("Guard", 0, 10, false)];
        assert_eq!(times(&refused), [None, None]);
        let waited = [visit("Guard", 0, 10, true), visit("Take", 10, 50, false)];
        assert_eq!(times(&waited), [Some((10, Some(50))), None]);
        let clone = [
            visit("Post (input)", 0, 0, true),
            visit("Guard (again)", 0, 10, true),
            visit("Take (input)", 5, 5, true),
            visit("Take (again)", 10, 30, true),
            visit("Post", 30, 40, true),
        ];
        assert_eq!(times(&clone), [Some((10, Some(40))), Some((30, Some(40)))]);
    }
}
