//! The overlap guard: whatever happens, at most one run of a pipeline is inside; of simultaneous ones, exactly one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use overlap_guard::error::Error;
use overlap_guard::guard::Guard;
use overlap_guard::request::{Ask, Policy};
use overlap_guard::store::Ruling;
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::clock::{Clock, Timestamp};
use signalbox::executions::Status;
use signalbox::pipeline::{CloneOf, clone_name};
use signalbox::simulation::World;

use crate::Trouble;
use crate::records::MemoryStore;
use crate::step_functions::StepFunctions;

/// A kind of schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Runs start at once, after a run that ended, that was redriven at once, or beside one that never asked.
    Simultaneous,
    /// Runs come and go, are killed while they ask, fail, are redriven, linger after a refusal, ask again.
    Churn,
    /// Pipelines that check each other, with runs that start at once.
    Neighbours,
    /// Runs that stop the older ones.
    CancelOlder,
    /// A run that starts children of its own pipeline and may end before them, and strangers.
    Family,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Simultaneous,
        Self::Churn,
        Self::Neighbours,
        Self::CancelOlder,
        Self::Family,
    ];
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Simultaneous => "simultaneous",
            Self::Churn => "churn",
            Self::Neighbours => "neighbours",
            Self::CancelOlder => "cancel-older",
            Self::Family => "family",
        })
    }
}

/// Steps after which a schedule is taken for one that never ends. They take some 10,000.
const MOST_STEPS: u64 = 2_000_000;

/// An invocation of the function lives this long: its `Timeout` in `template.yaml`.
const INVOCATION: Duration = Duration::from_secs(30);

/// Longest lag of `DescribeExecution`.
const LAG: Duration = Duration::from_secs(5);

/// Longest lag of `ListExecutions`.
const LIST_LAG: Duration = Duration::from_secs(10);

/// A redrive that follows a failure so closely may not be visible yet when the claim is up for being taken over.
const PROMPT_REDRIVE: Duration = Duration::from_millis(4_500);

/// Runs the schedule that follows from `seed`; an error says what was broken.
pub fn run(scenario: Scenario, seed: u64) -> Result<(), String> {
    // Not at the epoch: nothing may depend on where time starts.
    let start = Timestamp::from_millis(1_800_000_000_000);
    let world = World::new(seed, start, Duration::from_millis(40));
    let trouble = Trouble::always(if world.chance(0.5) { 0.05 } else { 0.0 });
    let lag = if world.chance(0.5) { LAG } else { Duration::ZERO };
    let clones = if world.chance(0.5) { 0.5 } else { 0.0 };
    let model = Rc::new(Model {
        sfn: StepFunctions::new(world.clone(), lag, trouble),
        store: MemoryStore::new(world.clone(), trouble),
        crash: if world.chance(0.5) { 0.03 } else { 0.0 },
        zombies: if world.chance(0.3) { 0.3 } else { 0.0 },
        clones,
        told: RefCell::default(),
        inside: RefCell::default(),
        broken: RefCell::default(),
        world,
    });
    let ending: Box<dyn FnOnce() -> Result<(), String>> = match scenario {
        Scenario::Simultaneous => model.simultaneous(),
        Scenario::Churn => model.churn(),
        Scenario::Neighbours => model.neighbours(),
        Scenario::CancelOlder => model.cancel_older(),
        Scenario::Family => model.family(),
    };
    let ended = model.world.run(MOST_STEPS);
    if let Some(broken) = model.broken.take() {
        return Err(broken);
    }
    if !ended {
        return Err("it never ends".to_owned());
    }
    ending()
}

struct Model {
    world: World,
    sfn: StepFunctions,
    store: MemoryStore,
    /// Chance that an invocation crashes, each time that it is scheduled.
    crash: f64,
    /// Chance that the state gives an invocation up while it goes on.
    zombies: f64,
    /// Chance that a run goes on in a clone of its state machine: it is a run of the pipeline like any other.
    clones: f64,
    /// What each question was answered.
    told: RefCell<HashMap<(ExecutionArn, u32, Timestamp), Ruling>>,
    /// The runs that went through, with their ancestors.
    inside: RefCell<Vec<Run>>,
    broken: RefCell<Option<String>>,
}

#[derive(Clone)]
struct Run {
    arn: ExecutionArn,
    policy: Policy,
    also_check: Vec<StateMachineArn>,
    ancestors: Vec<ExecutionArn>,
}

type Local<T> = Pin<Box<dyn Future<Output = T>>>;
type Ending = Box<dyn FnOnce() -> Result<(), String>>;

impl Model {
    fn simultaneous(self: &Rc<Self>) -> Ending {
        #[derive(Debug, Clone, Copy, PartialEq)]
        enum Before {
            Nobody,
            Ended,
            Redriven,
            RedrivenLate,
            NeverAsked,
        }
        let kinds = [
            Before::Nobody,
            Before::Ended,
            Before::Redriven,
            Before::RedrivenLate,
            Before::NeverAsked,
        ];
        let before = kinds[self.world.number(0..=4)];
        let policy = if self.world.chance(0.5) {
            Policy::FailNewer
        } else {
            Policy::Skip
        };
        let runs: Vec<Run> = (0..self.world.number(2..=8))
            .map(|n| self.run_of("m", &format!("r{n}"), policy))
            .collect();
        let first = self.run_of("m", "before", policy);
        let (model, all, earlier) = (Rc::clone(self), runs.clone(), first.clone());
        self.world.spawn(async move {
            let world = &model.world;
            match before {
                Before::Nobody => {}
                Before::NeverAsked => {
                    model.sfn.start(&earlier.arn);
                    // It is listed by the time that the others ask.
                    world.sleep(LIST_LAG).await;
                }
                Before::RedrivenLate => {
                    model.sfn.start(&earlier.arn);
                    model.go(&earlier).await;
                    model.sfn.fail(&earlier.arn);
                    // Long after its end, and after another run had the claim.
                    world.sleep(Duration::from_secs(30)).await;
                    model
                        .work_once(&model.run_of("m", "between", policy), Duration::from_secs(5))
                        .await;
                    world.sleep(LAG).await;
                    model.sfn.redrive(&earlier.arn);
                    model.enter(&earlier);
                    world.sleep(LIST_LAG).await;
                }
                Before::Ended | Before::Redriven => {
                    model.sfn.start(&earlier.arn);
                    model.go(&earlier).await;
                    if before == Before::Redriven || world.chance(0.5) {
                        model.sfn.fail(&earlier.arn);
                    } else {
                        model.sfn.end(&earlier.arn, Status::Over);
                    }
                    if before == Before::Ended {
                        // While its end is not visible, it counts.
                        world.sleep(LAG).await;
                    }
                }
            }
            for run in all {
                let model = Rc::clone(&model);
                model.world.clone().spawn(async move {
                    model.world.sleep(model.world.up_to(Duration::from_secs(2))).await;
                    model.sfn.start(&run.arn);
                    model.go(&run).await;
                    model.end_if_refused(&run);
                });
            }
            if before == Before::Redriven {
                world.sleep(world.up_to(PROMPT_REDRIVE)).await;
                model.sfn.redrive(&earlier.arn);
                model.enter(&earlier);
            }
        });
        let model = Rc::clone(self);
        Box::new(move || {
            let expected = usize::from(matches!(before, Before::Nobody | Before::Ended));
            let through = runs.iter().filter(|run| model.is_inside(run)).count();
            match through == expected {
                true => Ok(()),
                false => Err(format!(
                    "{through} of {} went through instead of {expected} ({before:?})",
                    runs.len()
                )),
            }
        })
    }

    fn churn(self: &Rc<Self>) -> Ending {
        for n in 0..self.world.number(4..=10) {
            let run = self.run_of("m", &format!("r{n}"), Policy::FailNewer);
            let model = Rc::clone(self);
            let killed = self.world.chance(0.2);
            let starts = self.world.up_to(Duration::from_secs(40));
            if killed {
                let (model, run) = (Rc::clone(self), run.clone());
                let after = starts + Duration::from_millis(1) + self.world.up_to(Duration::from_secs(6));
                self.world.spawn(async move {
                    model.world.sleep(after).await;
                    model.sfn.fail(&run.arn);
                });
            }
            self.world.spawn(async move {
                let world = &model.world;
                world.sleep(starts).await;
                model.sfn.start(&run.arn);
                loop {
                    if model.go(&run).await == Some(Ruling::Proceed) {
                        world.sleep(world.up_to(Duration::from_secs(10))).await;
                        if world.chance(0.5) {
                            model.sfn.fail(&run.arn);
                        } else {
                            model.sfn.end(&run.arn, Status::Over);
                        }
                        if killed || model.sfn.now(&run.arn).status == Status::Over || !world.chance(0.5) {
                            break;
                        }
                        // Redriven past the guard: it goes on inside without asking.
                        world.sleep(world.up_to(PROMPT_REDRIVE)).await;
                        model.sfn.redrive(&run.arn);
                        model.enter(&run);
                        world.sleep(world.up_to(Duration::from_secs(10))).await;
                        model.sfn.end(&run.arn, Status::Over);
                        break;
                    }
                    // Refused: it lives on in a Catch for a while, and may ask again, or be redriven at the guard.
                    world.sleep(world.up_to(Duration::from_secs(15))).await;
                    if model.sfn.runs(&run.arn) && world.chance(0.3) {
                        continue;
                    }
                    model.sfn.fail(&run.arn);
                    if killed || !world.chance(0.3) {
                        break;
                    }
                    world.sleep(world.up_to(Duration::from_secs(15))).await;
                    model.sfn.redrive(&run.arn);
                }
            });
        }
        Box::new(|| Ok(()))
    }

    fn neighbours(self: &Rc<Self>) -> Ending {
        let machines: Vec<String> = (0..self.world.number(2..=3)).map(|n| format!("m{n}")).collect();
        let mut runs = Vec::new();
        for machine in &machines {
            for n in 0..self.world.number(1..=3) {
                let mut run = self.run_of(machine, &format!("r{n}"), Policy::FailNewer);
                run.also_check = machines
                    .iter()
                    .filter(|other| *other != machine)
                    .map(|m| machine_of(m))
                    .collect();
                runs.push(run);
            }
        }
        for run in &runs {
            let (model, run) = (Rc::clone(self), run.clone());
            self.world.spawn(async move {
                model.world.sleep(model.world.up_to(Duration::from_secs(2))).await;
                model.sfn.start(&run.arn);
                model.go(&run).await;
                model.end_if_refused(&run);
            });
        }
        let model = Rc::clone(self);
        Box::new(move || match runs.iter().filter(|run| model.is_inside(run)).count() {
            1 => Ok(()),
            through => Err(format!("{through} of {} went through instead of 1", runs.len())),
        })
    }

    fn cancel_older(self: &Rc<Self>) -> Ending {
        let runs: Vec<Run> = (0..self.world.number(2..=6))
            .map(|n| self.run_of("m", &format!("r{n}"), Policy::CancelOlder))
            .collect();
        for run in &runs {
            let (model, run) = (Rc::clone(self), run.clone());
            self.world.spawn(async move {
                model.world.sleep(model.world.up_to(Duration::from_secs(6))).await;
                model.sfn.start(&run.arn);
                model.go(&run).await;
                model.end_if_refused(&run);
            });
        }
        let model = Rc::clone(self);
        Box::new(move || {
            let newest = runs
                .iter()
                .max_by_key(|run| (model.sfn.now(&run.arn).since, run.arn.clone()));
            let left: Vec<&str> = runs
                .iter()
                .filter(|run| model.is_inside(run))
                .map(|run| run.arn.name())
                .collect();
            match newest {
                Some(newest) if left == [newest.arn.name()] => Ok(()),
                _ => Err(format!("{left:?} are left instead of the newest")),
            }
        })
    }

    fn family(self: &Rc<Self>) -> Ending {
        let parent = self.run_of("m", "parent", Policy::FailNewer);
        let model = Rc::clone(self);
        self.world.spawn(async move {
            let world = &model.world;
            model.sfn.start(&parent.arn);
            if model.go(&parent).await != Some(Ruling::Proceed) {
                model.sfn.end(&parent.arn, Status::Over);
                return;
            }
            for n in 0..world.number(1..=3) {
                let mut child = model.run_of("m", &format!("child{n}"), Policy::FailNewer);
                child.ancestors = vec![parent.arn.clone()];
                let model = Rc::clone(&model);
                world.spawn(async move {
                    model.world.sleep(model.world.up_to(Duration::from_secs(2))).await;
                    model.work_once(&child, Duration::from_secs(25)).await;
                });
            }
            world.sleep(world.up_to(Duration::from_secs(5))).await;
            model.sfn.end(&parent.arn, Status::Over);
        });
        for n in 0..self.world.number(1..=4) {
            let stranger = self.run_of("m", &format!("stranger{n}"), Policy::FailNewer);
            let model = Rc::clone(self);
            self.world.spawn(async move {
                model.world.sleep(model.world.up_to(Duration::from_secs(20))).await;
                model.work_once(&stranger, Duration::from_secs(8)).await;
            });
        }
        Box::new(|| Ok(()))
    }

    /// A run of the pipeline `machine`: of its machine or, by chance, of one of two clones.
    fn run_of(&self, machine: &str, name: &str, policy: Policy) -> Run {
        let pipeline = machine_of(machine);
        let machine = match self.world.chance(self.clones) {
            false => machine.to_owned(),
            true => clone_name(machine, ["000000000000", "aaaaaaaaaaaa"][self.world.number(0..=1)]),
        };
        let arn = format!("arn:aws:states:us-east-1:123456789012:execution:{machine}:{name}");
        let arn = ExecutionArn::parse(&arn).expect("a good ARN");
        if *arn.machine() != pipeline {
            self.store.make_clone(CloneOf {
                machine: arn.machine().clone(),
                pipeline,
                made: self.world.now(),
            });
        }
        Run {
            arn,
            policy,
            also_check: Vec::new(),
            ancestors: Vec::new(),
        }
    }

    /// A whole run: starts, asks, works if it may, ends.
    async fn work_once(self: &Rc<Self>, run: &Run, most: Duration) {
        self.sfn.start(&run.arn);
        if self.go(run).await == Some(Ruling::Proceed) {
            self.world.sleep(self.world.up_to(most)).await;
        }
        self.sfn.end(&run.arn, Status::Over);
    }

    /// The state that asks, with its Retry. `None` if the run was stopped meanwhile.
    fn go(self: &Rc<Self>, run: &Run) -> Local<Option<Ruling>> {
        let (model, run) = (Rc::clone(self), run.clone());
        Box::pin(async move {
            let entered = model.world.now();
            for retry in 0.. {
                let answer = model.invoke(&run, entered, retry).await;
                if !model.sfn.runs(&run.arn) {
                    return None;
                }
                match answer {
                    Some(Ok(Ruling::Proceed)) => {
                        model.enter(&run);
                        return Some(Ruling::Proceed);
                    }
                    Some(Ok(Ruling::Refuse)) => return Some(Ruling::Refuse),
                    Some(Err(Error::Unavailable(_) | Error::Undecided(_))) | None => {}
                    Some(Err(other)) => model.breaks(format!("{} failed with {other}", run.arn.name())),
                }
                model.world.sleep(model.world.up_to(Duration::from_secs(3))).await;
            }
            None
        })
    }

    /// One invocation of the function. `None` if it crashed, or was given up while it goes on.
    async fn invoke(self: &Rc<Self>, run: &Run, entered: Timestamp, retry: u32) -> Option<Result<Ruling, Error>> {
        let redrives = self.sfn.now(&run.arn).redrive;
        let ask = Ask {
            run: run.arn.clone(),
            entered,
            retry,
            // Without its count, a run that was redriven a moment ago may be taken for its earlier self.
            redrive: (redrives > 0 || self.world.chance(0.5)).then_some(redrives),
            policy: run.policy,
            also_check: run.also_check.clone(),
            ignore_ancestors: run.ancestors.clone(),
        };
        let slot = Rc::new(RefCell::new(None));
        let (model, answer) = (Rc::clone(self), Rc::clone(&slot));
        self.world.spawn_crashing(self.crash, async move {
            let guard = Guard {
                records: model.store.clone(),
                claims: model.store.clone(),
                clones: model.store.clone(),
                executions: model.sfn.clone(),
                clock: model.world.clone(),
                may_stop: true,
            };
            let redrive = model.sfn.now(&ask.run).redrive;
            let result = guard.decide(&ask, model.world.now().after(INVOCATION)).await;
            let result = match result {
                Ok(answer) if answer.proceed => Ok(Ruling::Proceed),
                Ok(_) | Err(Error::Overlapping { .. }) => Ok(Ruling::Refuse),
                Err(error) => Err(error),
            };
            if let Ok(ruling) = result {
                model.tell(&ask, redrive, ruling);
            }
            answer.replace(Some(result));
        });
        let patience = match self.world.chance(self.zombies) {
            true => self.world.up_to(Duration::from_secs(4)),
            false => INVOCATION,
        };
        let began = self.world.now();
        while self.world.now().since(began) <= patience && Rc::strong_count(&slot) > 1 {
            self.world.sleep(Duration::from_millis(30)).await;
        }
        slot.take()
    }

    /// A question that was answered twice must have had the same answer.
    fn tell(&self, ask: &Ask, redrive: u32, ruling: Ruling) {
        let question = (ask.run.clone(), redrive, ask.entered);
        let told = *self.told.borrow_mut().entry(question).or_insert(ruling);
        if told != ruling {
            self.breaks(format!("{} was told both", ask.run.name()));
        }
    }

    /// The run is inside from now on.
    fn enter(&self, run: &Run) {
        let mut inside = self.inside.borrow_mut();
        for other in inside
            .iter()
            .filter(|other| other.arn != run.arn && self.sfn.runs(&other.arn))
        {
            let family = |a: &Run, b: &Run| a.ancestors.contains(&b.arn);
            let siblings = run.ancestors.iter().any(|ancestor| other.ancestors.contains(ancestor));
            if !family(run, other) && !family(other, run) && !siblings {
                self.breaks(format!(
                    "{} and {} are inside at once",
                    other.arn.name(),
                    run.arn.name()
                ));
            }
        }
        inside.push(run.clone());
    }

    fn is_inside(&self, run: &Run) -> bool {
        self.inside.borrow().iter().any(|inside| inside.arn == run.arn) && self.sfn.runs(&run.arn)
    }

    fn end_if_refused(&self, run: &Run) {
        if !self.is_inside(run) {
            self.sfn.fail(&run.arn);
        }
    }

    fn breaks(&self, what: String) {
        self.broken.borrow_mut().get_or_insert(what);
    }
}

fn machine_of(name: &str) -> StateMachineArn {
    StateMachineArn::parse(&format!("arn:aws:states:us-east-1:123456789012:stateMachine:{name}")).expect("a good ARN")
}
