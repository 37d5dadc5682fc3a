//! Amazon ECS: one task for a client token, which lives by a plan that is made when it is started, and that only a stop
//! changes. How it stands follows from the time.

use std::rc::Rc;
use std::time::Duration;

use signalbox::clock::{Clock, Timestamp};
use signalbox::ecs::cluster::Run;
use signalbox::ecs::key::TaskKey;
use signalbox::ecs::plan::{LOG_MARKER, Plan, ResultFrom};
use signalbox::ecs::record::Why;
use signalbox::ecs::start_failure::{Kind, StartFailure};
use signalbox::ecs::task::{Container, Task};
use signalbox::ecs::upload::token_key;

use super::Model;
use super::mail::Mail;
use super::tokens::Answer;
use crate::trace;

/// So long ECS knows a task that has stopped.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(1);

/// A line takes up to this until CloudWatch shows it.
const LINES_LAG: Duration = Duration::from_secs(5);

/// Who ended a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// Its container, by exiting.
    Itself,
    /// Nobody: it was not started.
    Failed,
    /// Spot.
    Spot,
    /// A person.
    People,
    /// The relay.
    Relay,
}

/// A task.
#[derive(Debug, Clone)]
pub(super) struct EcsTask {
    pub(super) arn: String,
    /// The attempt that started it.
    pub(super) key: TaskKey,
    pub(super) plan: Plan,
    /// Describing and listing know it from then on,
    visible: Timestamp,
    /// it runs,
    runs: Timestamp,
    /// it is told to stop,
    stopping: Option<Timestamp>,
    /// its containers have ended,
    pub(super) exits: Timestamp,
    /// and all is cleared away.
    pub(super) stopped: Timestamp,
    /// What it exits with.
    pub(super) code: Option<i32>,
    pub(super) by: By,
    /// When it has its result, and which.
    writes: Option<(Timestamp, String)>,
    lines: Timestamp,
    /// How long it takes to end when it is told to.
    grace: Duration,
    /// Which of its events were sent.
    told: u8,
}

impl EcsTask {
    /// Whether it may do something at this time.
    pub(super) fn lives(&self, now: Timestamp) -> bool {
        now < self.exits
    }

    pub(super) fn is_told_to_stop(&self) -> bool {
        self.stopping.is_some()
    }

    /// The result that it has left.
    pub(super) fn left(&self, now: Timestamp) -> Option<&str> {
        let (at, text) = self.writes.as_ref()?;
        (*at <= now && *at <= self.exits).then_some(text)
    }

    pub(super) fn is_forgotten(&self, now: Timestamp) -> bool {
        now >= self.stopped.after(FORGOTTEN_AFTER)
    }

    fn is_known(&self, now: Timestamp) -> bool {
        now >= self.visible && !self.is_forgotten(now)
    }

    fn view(&self, now: Timestamp) -> Task {
        let began = now >= self.runs && self.runs < self.exits;
        let stopping = self.stopping.unwrap_or(self.exits);
        // Not before its container has said all that it had to say.
        let ended = now >= self.exits && self.told > 0;
        let status = match () {
            () if ended && now >= self.stopped => "STOPPED",
            () if ended => "DEPROVISIONING",
            () if now >= stopping && began => "STOPPING",
            () if began => "RUNNING",
            () => "PENDING",
        };
        let (code, reason) = match self.by {
            By::Itself => ("EssentialContainerExited", "Essential container in task exited"),
            By::Failed => ("TaskFailedToStart", "CannotPullContainerError: pull access denied"),
            By::Spot => ("SpotInterruption", "Your Spot Task was interrupted."),
            By::People => ("UserInitiated", "by hand"),
            By::Relay => ("UserInitiated", "Signalbox"),
        };
        let ends = now >= stopping;
        Task {
            task_arn: self.arn.clone(),
            cluster_arn: "arn:aws:ecs:us-east-1:123456789012:cluster/default".to_owned(),
            last_status: status.to_owned(),
            stop_code: ends.then(|| code.to_owned()),
            stopped_reason: ends.then(|| reason.to_owned()),
            started_by: Some(self.key.started_by("5b918d10")),
            started_at: began.then_some(self.runs),
            stopping_at: ends.then_some(stopping),
            execution_stopped_at: ended.then_some(self.exits),
            stopped_at: (ended && now >= self.stopped).then_some(self.stopped),
            containers: vec![Container {
                name: "app".to_owned(),
                last_status: if ended { "STOPPED" } else { "RUNNING" }.to_owned(),
                exit_code: self.code.filter(|_| ended),
                reason: None,
            }],
        }
    }
}

impl Model {
    /// `RunTask`.
    pub(super) fn run_task(self: &Rc<Self>, plan: &Plan, key: &TaskKey) -> Run {
        let (now, token) = (self.world.now(), key.client_token());
        if let Some(task) = self.tasks.borrow().get(&token) {
            if task.plan != *plan {
                self.breaks(format!("{} was asked for in two ways", task.arn));
            }
            return Run::Started(task.view(now));
        }
        if self.world.chance(self.knobs.refused) {
            self.refused.borrow_mut().insert(token);
            return Run::Refused(StartFailure {
                kind: Kind::Capacity,
                reason: "RESOURCE:MEMORY".to_owned(),
            });
        }
        let task = self.new_task(plan, key);
        self.check_start(&task);
        let view = task.view(now);
        trace::note(&self.world, || {
            format!(
                "### {} starts, until {} with {:?} {:?}",
                task.arn, task.exits, task.by, task.code
            )
        });
        self.tasks.borrow_mut().insert(token.clone(), task);
        self.watch_over(&token);
        Run::Started(view)
    }

    fn new_task(&self, plan: &Plan, key: &TaskKey) -> EcsTask {
        let (world, knobs, now) = (&self.world, &self.knobs, self.world.now());
        let number = self.tasks.borrow().len();
        let work = plan.overrides.env.get("WORK").cloned().unwrap_or_default();
        let runs = now.after(Duration::from_millis(500) + world.up_to(Duration::from_secs(10)));
        let most = match world.number(1..=10) {
            _ if knobs.plain => Duration::from_secs(40),
            1 => knobs.longest,
            2 | 3 => Duration::from_mins(2),
            _ => Duration::from_secs(20),
        };
        let works = Duration::from_millis(200) + world.up_to(most.min(knobs.longest)) + knobs.longer;
        let mut exits = runs.after(works);
        let code = match world.number(1..=20) {
            _ if knobs.plain => 0,
            1..=3 => 1,
            4 => 75,
            5 => 3,
            6 => 137,
            _ => 0,
        };
        let (mut code, mut by) = (Some(code), By::Itself);
        if world.chance(knobs.fails) {
            exits = runs.before(Duration::from_millis(1));
            (code, by) = (None, By::Failed);
        }
        let forgets = !knobs.plain && world.chance(0.05);
        let result = serde_json::json!({"work": work, "task": number}).to_string();
        let written = exits.before(world.up_to(Duration::from_millis(150)));
        EcsTask {
            arn: format!("arn:aws:ecs:us-east-1:123456789012:task/default/{number:032x}"),
            key: key.clone(),
            plan: plan.clone(),
            visible: now.after(world.up_to(knobs.lag)),
            runs,
            stopping: None,
            exits,
            stopped: exits.after(Duration::from_secs(1) + world.up_to(Duration::from_secs(25))),
            code,
            by,
            writes: (by == By::Itself && !forgets).then_some((written, result)),
            lines: written.after(world.up_to(LINES_LAG)),
            grace: match world.number(1..=20) {
                1 if knobs.lag > Duration::ZERO => Duration::from_mins(15),
                2..=5 => Duration::from_secs(30),
                _ => Duration::from_secs(3),
            },
            told: 0,
        }
    }

    /// What becomes of a task: its events, and what befalls it.
    fn watch_over(self: &Rc<Self>, token: &str) {
        self.spawn_events(token);
        let stops = match () {
            () if self.mishap(self.knobs.spot) => By::Spot,
            () if self.mishap(self.knobs.people) => By::People,
            () => return,
        };
        let (model, token) = (Rc::clone(self), token.to_owned());
        self.world.spawn(async move {
            model.world.sleep(model.world.up_to(Duration::from_secs(40))).await;
            model.stop(&token, stops);
        });
    }

    /// Sends the events of its end when their times have come.
    fn spawn_events(self: &Rc<Self>, token: &str) {
        let (model, token) = (Rc::clone(self), token.to_owned());
        self.world.spawn(async move {
            loop {
                let now = model.world.now();
                let next = {
                    let mut tasks = model.tasks.borrow_mut();
                    let Some(task) = tasks.get_mut(&token) else { return };
                    let at = match task.told {
                        0 => task.exits,
                        1 => task.stopped,
                        _ => return,
                    };
                    if now >= at {
                        task.told += 1;
                        Ok((task.view(at), task.clone()))
                    } else {
                        Err(at)
                    }
                };
                match next {
                    Ok((view, task)) => {
                        if view.last_status == "DEPROVISIONING" {
                            model.has_exited(&task);
                        }
                        model.post(&Mail::Task(view));
                    }
                    Err(at) => model.world.sleep(at.since(now)).await,
                }
            }
        });
    }

    /// A container with a token answers by itself before it ends.
    fn has_exited(&self, task: &EcsTask) {
        trace::note(&self.world, || {
            format!("### {} has exited: {:?} {:?}", task.arn, task.by, task.code)
        });
        let answer = task
            .left(self.world.now())
            .filter(|_| task.plan.result == ResultFrom::Token);
        let token = self.kept.borrow().get(&token_key(&task.key)).cloned();
        if let (Some(answer), Some(token)) = (answer, token) {
            self.answers(&token, &Answer::Success(format!("{{\"container\":{answer}}}")));
        }
    }

    /// `StopTask`, for a reason.
    pub(super) fn stop_task(self: &Rc<Self>, arn: &str, reason: &str) {
        let now = self.world.now();
        let found = {
            let tasks = self.tasks.borrow();
            let found = tasks.iter().find(|(_, task)| task.arn == arn && task.is_known(now));
            found.map(|(token, task)| (token.clone(), task.clone()))
        };
        trace::note(&self.world, || {
            format!("### StopTask {arn} {reason}, known {}", found.is_some())
        });
        let Some((token, task)) = found else { return };
        if task.lives(now) {
            let why = Why::ALL.into_iter().find(|why| why.for_people() == reason);
            self.check_stop(&task, why);
        }
        self.stop(&token, By::Relay);
    }

    fn stop(self: &Rc<Self>, token: &str, by: By) {
        let now = self.world.now();
        let changed = {
            let mut tasks = self.tasks.borrow_mut();
            let Some(task) = tasks.get_mut(token) else { return };
            let changes = task.lives(now) && task.stopping.is_none();
            if changes {
                let cleared = task.stopped.since(task.exits);
                task.stopping = Some(now);
                task.by = by;
                let (ends, code) = match now < task.runs {
                    true => (now.after(Duration::from_secs(2)), None),
                    false => (now.after(task.grace), Some(143)),
                };
                // One that was about to end, or takes its time, may still exit by itself.
                if ends < task.exits || task.code.is_none() {
                    task.exits = ends.min(task.exits);
                    task.code = code;
                } else if now < task.runs {
                    task.code = None;
                }
                task.stopped = task.exits.after(cleared);
            }
            changes
        };
        if changed {
            trace::note(&self.world, || format!("### a task is stopped by {by:?}"));
            self.spawn_events(token);
        }
    }

    /// `DescribeTasks`.
    pub(super) fn described(&self, arns: &[String]) -> Vec<Task> {
        let now = self.world.now();
        let then = now.before(self.world.up_to(self.knobs.lag / 4));
        let tasks = self.tasks.borrow();
        let known = tasks
            .values()
            .filter(|task| arns.contains(&task.arn) && task.is_known(now));
        known.map(|task| task.view(then)).collect()
    }

    /// `ListTasks`.
    pub(super) fn found(&self, key: &TaskKey) -> Option<String> {
        let now = self.world.now();
        let tasks = self.tasks.borrow();
        let mut known = tasks.values().filter(|task| task.key == *key && task.is_known(now));
        known.next().map(|task| task.arn.clone())
    }

    /// An object that a container has put into the bucket.
    pub(super) fn object(&self, key: &str) -> Option<String> {
        let now = self.world.now();
        let tasks = self.tasks.borrow();
        let written =
            |task: &&EcsTask| task.plan.result == ResultFrom::S3 && task.plan.result_key.as_deref() == Some(key);
        tasks.values().find(written)?.left(now).map(str::to_owned)
    }

    /// What stands behind the marker in the output of a task.
    pub(super) fn printed(&self, arn: &str) -> Option<String> {
        let now = self.world.now();
        let tasks = self.tasks.borrow();
        let task = tasks.values().find(|task| task.arn == arn)?;
        let shown = task.left(now).filter(|_| now >= task.lines)?;
        format!("{LOG_MARKER}{shown}")
            .strip_prefix(LOG_MARKER)
            .map(str::to_owned)
    }
}
