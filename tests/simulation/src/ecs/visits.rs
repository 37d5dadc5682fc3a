//! What executions do: they visit states that wait for tasks, one after the other or in the iterations of a Map.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use ecs_launch::request::Ask;
use ecs_settle::stops::End;
use serde_json::json;
use signalbox::arn::ExecutionArn;
use signalbox::clock::{Clock, Timestamp};
use signalbox::ecs::error::Error;
use signalbox::tasks::TaskToken;

use super::mail::Mail;
use super::tokens::{Answer, Issued, Standing};
use super::{Model, Scenario};
use crate::trace;

/// A visit of a state, or of an iteration of it.
#[derive(Debug, Clone)]
struct Visit {
    /// Which, of all there are.
    number: usize,
    run: ExecutionArn,
    state: String,
    entered: Timestamp,
    item: Option<String>,
    /// What is asked for, but for what changes from attempt to attempt.
    work: String,
    result: &'static str,
    /// `timeoutSeconds` of the request.
    timeout: Option<u64>,
    /// `TimeoutSeconds` of the state.
    state_timeout: Option<Duration>,
    retries: u32,
    /// Whether a retry may ask for something else.
    changes: bool,
    done: Rc<Cell<bool>>,
}

/// How an attempt ends.
enum Got {
    Success,
    Failure,
    /// The execution is over, or was redriven.
    Over,
}

impl Model {
    pub(super) fn spawn_runs(self: &Rc<Self>) {
        let count = match self.scenario {
            Scenario::Maps | Scenario::Redrive => 1,
            _ if self.knobs.plain => 1,
            _ => self.world.number(1..=2),
        };
        self.left.set(count);
        self.spawn_sweeps();
        for n in 0..count {
            let arn = format!("arn:aws:states:us-east-1:123456789012:execution:m:r{n}");
            let run = ExecutionArn::parse(&arn).expect("a good ARN");
            let model = Rc::clone(self);
            self.world.spawn(async move {
                model.world.sleep(model.world.up_to(Duration::from_secs(20))).await;
                model.starts(&run);
                model.spawn_abort(&run);
                model.live(&run).await;
                model.left.set(model.left.get() - 1);
            });
        }
    }

    fn spawn_abort(self: &Rc<Self>, run: &ExecutionArn) {
        if self.mishap(self.knobs.aborts) {
            let (model, run) = (Rc::clone(self), run.clone());
            self.world.spawn(async move {
                model.world.sleep(model.world.up_to(Duration::from_secs(90))).await;
                model.end(&run);
            });
        }
    }

    /// The execution ends, unless it has, and EventBridge tells.
    fn end(self: &Rc<Self>, run: &ExecutionArn) {
        if self.ends(run) {
            self.post(&Mail::Ended(End {
                execution: run.clone(),
                redrive: self.execution(run).redrive,
            }));
        }
    }

    async fn live(self: &Rc<Self>, run: &ExecutionArn) {
        let visits = self.visits(run);
        for redrive in 0.. {
            let left = Rc::new(Cell::new(0));
            let failed = Rc::new(Cell::new(false));
            for visit in visits.iter().filter(|visit| !visit.done.get()) {
                left.set(left.get() + 1);
                let (model, visit) = (Rc::clone(self), visit.clone());
                let (left, failed) = (Rc::clone(&left), Rc::clone(&failed));
                self.world.spawn(async move {
                    match model.visit(&visit, redrive).await {
                        true => visit.done.set(true),
                        false => failed.set(true),
                    }
                    left.set(left.get() - 1);
                });
            }
            while left.get() > 0 && !failed.get() && self.execution(run).running {
                self.world.sleep(Duration::from_millis(300)).await;
            }
            self.end(run);
            let again = self.scenario == Scenario::Redrive && redrive < 2 && failed.get() && self.world.chance(0.8);
            // Others that wait notice that their execution is over before it goes on.
            let most = if self.world.chance(0.5) { 3 } else { 120 };
            self.world
                .sleep(Duration::from_millis(1_500) + self.world.up_to(Duration::from_secs(most)))
                .await;
            while left.get() > 0 {
                self.world.sleep(Duration::from_millis(300)).await;
            }
            if !again {
                return;
            }
            self.redrives(run);
        }
    }

    fn visits(&self, run: &ExecutionArn) -> Vec<Visit> {
        let world = &self.world;
        let count = match self.scenario {
            Scenario::Maps => world.number(2..=4),
            Scenario::Outage => 1,
            _ if self.knobs.plain => 1,
            _ => world.number(1..=2),
        };
        let (map, items, alike) = (self.scenario == Scenario::Maps, world.chance(0.5), world.chance(0.5));
        let entered = world.now();
        let plain = self.knobs.plain;
        let result = if plain {
            "s3"
        } else {
            ["s3", "s3", "none", "log", "token"][world.number(0..=4)]
        };
        let visit = |n: usize| {
            let number = self.numbered.get();
            self.numbered.set(number + 1);
            let times_out = self.mishap(self.knobs.timeouts);
            Visit {
                number,
                run: run.clone(),
                state: if map { "Each".to_owned() } else { format!("State{n}") },
                entered,
                item: (map && items).then(|| n.to_string()),
                work: if map && alike { "same".to_owned() } else { n.to_string() },
                result,
                timeout: match plain {
                    true => self.knobs.timeout_seconds,
                    false => world.chance(0.25).then(|| [5, 60, 3_600][world.number(0..=2)]),
                },
                state_timeout: times_out.then(|| Duration::from_secs(3) + world.up_to(Duration::from_mins(1))),
                retries: if plain {
                    3
                } else {
                    u32::try_from(world.number(0..=4)).expect("small")
                },
                changes: self.scenario == Scenario::Changes,
                done: Rc::default(),
            }
        };
        (0..count).map(visit).collect()
    }

    /// A Task state with `.waitForTaskToken`, with its Retry. Whether it succeeded.
    async fn visit(self: &Rc<Self>, visit: &Visit, redrive: u32) -> bool {
        let mut work = visit.work.clone();
        for retry in 0..=visit.retries {
            if retry > 0 && visit.changes && self.world.chance(0.5) {
                work = format!("{}-{retry}", visit.work);
            }
            let token = self.issue(visit, redrive, retry, &work);
            match self.attempt(visit, redrive, &token).await {
                Got::Success => return true,
                Got::Over => return false,
                Got::Failure => {}
            }
            self.gives_up(&token);
            self.world
                .sleep(Duration::from_secs(1) + self.world.up_to(Duration::from_secs(8)))
                .await;
            if !self.goes_on(visit, redrive) {
                return false;
            }
        }
        false
    }

    fn goes_on(&self, visit: &Visit, redrive: u32) -> bool {
        let execution = self.execution(&visit.run);
        execution.running && execution.redrive == redrive
    }

    fn issue(&self, visit: &Visit, redrive: u32, retry: u32, work: &str) -> TaskToken {
        let text = format!(
            "{}/{}/{redrive}-{retry}/{}",
            visit.run.name(),
            visit.number,
            self.tokens.borrow().len()
        );
        let token = TaskToken::parse(&text).expect("a good token");
        let mut request = json!({
            "task": "etl", "taskToken": text, "executionArn": visit.run.as_str(), "stateName": visit.state,
            "enteredTime": visit.entered.to_string(), "retryCount": retry, "redriveCount": redrive,
            "env": {"WORK": work}, "result": {"from": visit.result}, "onExit": {"75": "TryLater", "3": "succeed"},
        });
        if let Some(item) = &visit.item {
            request["item"] = json!(item);
        }
        if let Some(timeout) = visit.timeout {
            request["timeoutSeconds"] = json!(timeout);
        }
        let ask = Ask::read(request).expect("a good request");
        trace::note(&self.world, || format!("### {text} is {}", ask.key().name()));
        let issued = Issued {
            token: token.clone(),
            run: visit.run.clone(),
            redrive,
            visit: visit.number,
            key: ask.key(),
            ask,
            standing: Standing::Waiting,
            closed: None,
        };
        self.tokens.borrow_mut().insert(text, issued);
        token
    }

    /// One attempt of the state.
    async fn attempt(self: &Rc<Self>, visit: &Visit, redrive: u32, token: &TaskToken) -> Got {
        let world = &self.world;
        let ask = self.issued(token).expect("it was issued").ask;
        let began = world.now();
        let invocation = self.launch_for(&ask);
        if self.mishap(self.knobs.doubled) {
            // Lambda calls again, whatever became of the first.
            let (model, ask) = (Rc::clone(self), ask.clone());
            self.world.spawn(async move {
                let most = if model.world.chance(0.7) { 3 } else { 120 };
                model.world.sleep(model.world.up_to(Duration::from_secs(most))).await;
                model.launch_for(&ask);
            });
        }
        // An invocation of which nothing is heard any more goes on.
        let given_up = self
            .mishap(self.knobs.zombies)
            .then(|| began.after(world.up_to(Duration::from_secs(6))));
        let times_out = visit.state_timeout.map(|timeout| began.after(timeout));
        let mut heard = false;
        let mut pause = Duration::from_millis(50);
        loop {
            if !self.goes_on(visit, redrive) {
                return Got::Over;
            }
            match self.standing(token) {
                Standing::Answered(Answer::Success(_)) => return Got::Success,
                Standing::Answered(Answer::Failure(_)) | Standing::Void => return Got::Failure,
                Standing::Waiting => {}
            }
            let now = world.now();
            if times_out.is_some_and(|at| now > at) || given_up.is_some_and(|at| now > at && !heard) {
                trace::note(world, || format!("### {} is given up", token.secret()));
                return Got::Failure;
            }
            if invocation.is_over() && !heard {
                heard = true;
                match invocation.answer() {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => {
                        self.refuses(began, &error);
                        return Got::Failure;
                    }
                    None => return Got::Failure,
                }
            }
            world.sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// A launch failed, and with it the attempt.
    fn refuses(&self, began: Timestamp, error: &Error) {
        trace::note(&self.world, || format!("### a launch fails: {error}"));
        if !Self::is_wait(error) && (self.scenario == Scenario::NoSweep || self.is_calm_since(began)) {
            self.breaks(format!("a launch failed without trouble: {error}"));
        }
    }

    /// Whether an attempt has to wait for an earlier one: trouble may have been, and need not be.
    pub(super) fn is_wait(error: &Error) -> bool {
        let waits = ["has not ended yet", "has changed at this moment"];
        waits.iter().any(|text| error.to_string().contains(text))
    }
}
