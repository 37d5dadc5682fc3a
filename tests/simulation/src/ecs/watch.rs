//! What must be true, watched at every call that could break it.

use std::time::Duration;

use ecs_settle::settle::READ_WITHIN;
use serde_json::Value;
use signalbox::clock::{Clock, Timestamp};
use signalbox::ecs::key::TaskKey;
use signalbox::ecs::plan::ResultFrom;
use signalbox::ecs::record::{Record, Stage, Why};
use signalbox::tasks::TaskToken;

use super::fleet::{By, EcsTask};
use super::table::Row;
use super::tokens::{Answer, Issued};
use super::{INVOCATION, Model, STEADY, Scenario};

/// So long a task may run that nobody wants, once the trouble is over: until the sweep comes, and once more.
const UNWANTED_MOST: Duration = Duration::from_mins(6);

/// So long a state may wait after its task has ended.
const UNTOLD_MOST: Duration = Duration::from_mins(6);

/// So long a state may wait for a task that nobody starts.
const UNSTARTED_MOST: Duration = Duration::from_mins(15);

impl Model {
    pub(super) fn record(&self, key: &TaskKey) -> Option<Record> {
        self.rows.borrow().get(key).map(|row| row.record.clone())
    }

    /// The attempt to which the task of `key` belongs now.
    fn owner(&self, key: &TaskKey) -> Option<(Record, Issued)> {
        let mut record = self.record(key)?;
        while let Stage::Adopted(by) = &record.stage {
            record = self.record(by)?;
        }
        let issued = self.attempt_of(&record.key)?;
        Some((record, issued))
    }

    /// A task is about to be started.
    pub(super) fn check_start(&self, task: &EcsTask) {
        let (now, key) = (self.world.now(), &task.key);
        let Some((record, owner)) = self.owner(key) else {
            return self.breaks(format!("{} has no record", task.arn));
        };
        if record.plan != task.plan {
            self.breaks(format!("{} is not run as its record says", task.arn));
        }
        for other in self.tasks.borrow().values().filter(|other| other.lives(now)) {
            let same_step = other.key.run() == key.run() && other.key.step() == key.step();
            // Of iterations that say nothing of their item, one may have taken over what another had given up.
            let started = self.attempt_of(&other.key);
            let belongs = self.owner(&other.key).map(|(_, belongs)| belongs);
            let is_ours = |theirs: Option<Issued>| theirs.is_none_or(|theirs| theirs.visit == owner.visit);
            if same_step && is_ours(started) && is_ours(belongs) {
                self.breaks(format!(
                    "two tasks live: {} of {:?}, and now one of {:?}",
                    other.arn,
                    other.key.attempt(),
                    key.attempt()
                ));
            }
        }
    }

    /// The relay is about to stop a task that lives.
    pub(super) fn check_stop(&self, task: &EcsTask, why: Option<Why>) {
        let Some((_, owner)) = self.owner(&task.key) else {
            return;
        };
        let Some(why) = why else {
            return self.breaks("a task is stopped for no reason");
        };
        // Of two that ask, ECS may have no room for one: then the other's task is nobody's.
        let refused = why == Why::NotStarted && self.refused.borrow().contains(&task.key.client_token());
        if why != Why::TimedOut && !refused && self.waits(&owner) {
            self.breaks(format!(
                "{} is stopped ({}), for which {} waits",
                task.arn,
                why.name(),
                owner.token.secret()
            ));
        }
    }

    /// A state is about to be told this.
    pub(super) fn check_answer(&self, token: &TaskToken, answer: &Answer) {
        let Some(issued) = self.issued(token) else { return };
        if let Err(what) = self.is_true(&issued, answer) {
            self.breaks(format!("{} is told {answer:?}: {what}", token.secret()));
        }
    }

    fn is_true(&self, issued: &Issued, answer: &Answer) -> Result<(), String> {
        let now = self.world.now();
        let record = self.record(&issued.key).ok_or("it has no record")?;
        let task = self.tasks.borrow().get(&record.origin.client_token()).cloned();
        if let Some(task) = &task {
            let of = self.attempt_of(&task.key).ok_or("it is a task of nobody's")?;
            let same_step = of.key.run() == issued.key.run() && of.key.step() == issued.key.step();
            if !same_step || of.ask.hash != issued.ask.hash {
                return Err("it is the task of another step".to_owned());
            }
        }
        match answer {
            Answer::Success(output) => {
                let task = task.ok_or("it has no task")?;
                let output: Value = serde_json::from_str(output).map_err(|error| error.to_string())?;
                succeeded(&task, &output, now)
            }
            Answer::Failure(name) if name == "Ecs.AccessDenied" && self.is_failing("ecs:RunTask") => match task {
                None => Ok(()),
                Some(task) => Err(format!("it has the task {}", task.arn)),
            },
            Answer::Failure(name) if name == "Ecs.ResultInvalid" && self.is_failing("states:SendTaskSuccess") => {
                let task = task.ok_or("it has no task")?;
                match task.lives(now) {
                    true => Err("its task lives".to_owned()),
                    false => Ok(()),
                }
            }
            Answer::Failure(name) if name == "Ecs.ResultUnreadable" => {
                self.is_unreadable(&record, &task.ok_or("it has no task")?, now)
            }
            Answer::Failure(name) => {
                let refused = self.refused.borrow().contains(&record.origin.client_token());
                let late = record.deadline.is_some_and(|deadline| now.after(STEADY) >= deadline);
                let claimed = matches!(record.stage, Stage::Stopping(stop) if stop.why == Why::NotStarted);
                failed(task.as_ref(), name, now, refused, claimed, late)
            }
        }
    }

    /// Only what has ended well leaves a result, and only trouble keeps it from being read, as long as that is tried.
    fn is_unreadable(&self, record: &Record, task: &EcsTask, now: Timestamp) -> Result<(), String> {
        let ended = !task.lives(now) && task.by == By::Itself && matches!(task.code, Some(0 | 3));
        let from = matches!(task.plan.result, ResultFrom::S3 | ResultFrom::Log);
        let tried = now.after(STEADY).since(task.exits) >= READ_WITHIN;
        let late = record.deadline.is_none_or(|deadline| now.after(STEADY) >= deadline);
        // Invocations that had trouble may be at work for so long after its end.
        let troubled = !self.is_calm_since(now.before(INVOCATION + Duration::from_secs(3)));
        match ended && from && tried && late && troubled {
            true => Ok(()),
            false => Err(format!(
                "ended {ended}, has a result {from}, tried {tried}, late {late}, troubled {troubled}"
            )),
        }
    }

    /// Looked at each minute, once nothing fails any more.
    pub(super) fn check_calm(&self) {
        let now = self.world.now();
        let calm = now.since(self.calm());
        for task in self.tasks.borrow().values().filter(|task| task.lives(now)) {
            let Some((record, owner)) = self.owner(&task.key) else {
                continue;
            };
            let closed = self.closed_since(&owner).map(|since| now.since(since).min(calm));
            if closed.is_some_and(|closed| closed > UNWANTED_MOST) && !task.is_told_to_stop() {
                let stage = record.stage;
                self.breaks(format!(
                    "{} runs on for nobody: {:?}, {stage:?}",
                    task.arn,
                    task.key.attempt()
                ));
            }
        }
        for issued in self.tokens.borrow().values().filter(|issued| self.waits(issued)) {
            let Some(record) = self.record(&issued.key) else {
                continue;
            };
            let tasks = self.tasks.borrow();
            let since = match tasks.get(&record.origin.client_token()) {
                Some(task) if task.lives(now) || task.is_forgotten(now) => continue,
                Some(task) => now
                    .since(task.stopped.max(record.at))
                    .min(calm)
                    .checked_sub(UNTOLD_MOST),
                None => now.since(record.at).min(calm).checked_sub(UNSTARTED_MOST),
            };
            if since.is_some() {
                self.breaks(format!(
                    "{} waits and is not told: {:?}",
                    issued.token.secret(),
                    record.stage
                ));
            }
        }
    }

    /// At the very end.
    pub(super) fn nothing_is_left(&self) -> Result<(), String> {
        let now = self.world.now();
        let rows = self.rows.borrow();
        let tasks = self.tasks.borrow();
        // That a task was never started which is to be stopped, the sweep alone finds out.
        let swept = |record: &Record| {
            let unstarted = !tasks.contains_key(&record.origin.client_token());
            self.scenario == Scenario::NoSweep && unstarted && matches!(record.stage, Stage::Stopping(_))
        };
        let left = |row: &&Row| row.record.stage.is_open() && !swept(&row.record);
        if let Some(row) = rows.values().find(left) {
            return Err(format!("a record is left open: {:?}", row.record));
        }
        match tasks.values().find(|task| task.lives(now)) {
            Some(task) => Err(format!("a task runs on for nobody: {}", task.arn)),
            None => Ok(()),
        }
    }
}

fn succeeded(task: &EcsTask, output: &Value, now: Timestamp) -> Result<(), String> {
    let left = task
        .left(now)
        .map(|left| serde_json::from_str::<Value>(left).unwrap_or_default());
    if let Some(answered) = output.get("container") {
        return match Some(answered) == left.as_ref() {
            true => Ok(()),
            false => Err(format!("it has left {left:?}")),
        };
    }
    if task.lives(now) {
        return Err("its task lives".to_owned());
    }
    if output["taskArn"] != task.arn.as_str() {
        return Err(format!("its task is {}", task.arn));
    }
    if task
        .code
        .is_none_or(|code| output["exitCode"] != code || ![0, 3].contains(&code))
    {
        return Err(format!("it exited with {:?}", task.code));
    }
    let expected = match task.plan.result {
        ResultFrom::None | ResultFrom::Token => Value::Null,
        ResultFrom::S3 | ResultFrom::Log => left.clone().unwrap_or_default(),
    };
    let proved = match (task.by, task.code, task.plan.result) {
        (By::Itself, Some(3), _) | (By::Itself, _, ResultFrom::None) => true,
        (_, _, ResultFrom::S3 | ResultFrom::Log) => left.is_some(),
        _ => false,
    };
    match output["result"] == expected && proved {
        true => Ok(()),
        false => Err(format!("it has left {left:?}")),
    }
}

fn failed(
    task: Option<&EcsTask>,
    name: &str,
    now: Timestamp,
    refused: bool,
    claimed: bool,
    late: bool,
) -> Result<(), String> {
    let Some(task) = task else {
        return match name {
            "Ecs.StartFailed.Capacity" | "Ecs.StartFailed.Other" if refused => Ok(()),
            "Ecs.TimedOut" if late => Ok(()),
            _ => Err("it has no task".to_owned()),
        };
    };
    let ended = !task.lives(now);
    let good = match name {
        "Ecs.TimedOut" => late,
        "Ecs.StartFailed.Capacity" | "Ecs.StartFailed.Other" => refused && claimed,
        "Ecs.Lost" => task.is_forgotten(now),
        "TryLater" => ended && task.by == By::Itself && task.code == Some(75),
        "Ecs.StartFailed.Image" => ended && task.by == By::Failed,
        "Ecs.Interrupted" => ended && task.by == By::Spot,
        "Ecs.Stopped" => ended && task.by == By::People,
        "Ecs.ResultMissing" => ended && task.by == By::Itself && task.code == Some(0) && task.left(now).is_none(),
        _ => match name.strip_prefix("Ecs.ExitCode.") {
            Some(code) => ended && task.by == By::Itself && task.code.is_some_and(|own| own.to_string() == code),
            None => false,
        },
    };
    match good {
        true => Ok(()),
        false => Err(format!(
            "its task ended by {:?} with {:?}, lives: {}",
            task.by, task.code, !ended
        )),
    }
}
