//! The ECS relay: whatever happens, of one step one task lives; a state is told what its own task did, and nothing else;
//! and once the trouble ends, every state that waits is answered, and nothing runs on for nobody.

mod air;
mod caller;
pub mod cases;
mod fleet;
mod mail;
mod table;
mod tokens;
mod visits;
mod watch;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use ecs_launch::request::Ask;
use ecs_launch::settings::Defaults;
use ecs_launch::{Launches, Outcome};
use ecs_settle::Settles;
use signalbox::arn::ExecutionArn;
use signalbox::aws::CallError;
use signalbox::clock::{Clock, Timestamp};
use signalbox::ecs::error::Error;
use signalbox::ecs::key::TaskKey;
use signalbox::simulation::{Fate, World};
use signalbox::tasks::TaskToken;

use crate::trace;
use air::Air;
use caller::Caller;
use fleet::EcsTask;
use table::Row;
use tokens::{Execution, Issued};

pub use air::Dies;

/// What an invocation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It launches a task.
    Launch,
    /// It handles an event.
    Event,
    /// It sweeps.
    Sweep,
}

/// A kind of schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Nothing fails and no event is lost, but there is no sweep: events must do alone.
    NoSweep,
    /// Crashes, lost replies, throttling, refusals, lost, late and repeated events, attempts that overlap, executions that
    /// are stopped, tasks that are.
    Storm,
    /// The same, with executions that fail and are redriven.
    Redrive,
    /// The same, with iterations of a Map that enter in the same millisecond, with and without `item`.
    Maps,
    /// The same, with retries that ask for something else.
    Changes,
    /// Nothing works for hours, and ECS forgets.
    Outage,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::NoSweep,
        Self::Storm,
        Self::Redrive,
        Self::Maps,
        Self::Changes,
        Self::Outage,
    ];
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoSweep => "no-sweep",
            Self::Storm => "storm",
            Self::Redrive => "redrive",
            Self::Maps => "maps",
            Self::Changes => "changes",
            Self::Outage => "outage",
        })
    }
}

/// Steps after which a schedule is taken for one that never ends.
const MOST_STEPS: u64 = 3_000_000;

/// An invocation lives this long: the `Timeout` of both functions in `template.yaml`.
const INVOCATION: Duration = Duration::from_secs(30);

/// Most steps take up to this.
const LATENCY: Duration = Duration::from_millis(40);

/// Clocks of invocations differ by so much, in milliseconds.
const SKEW: i64 = 200;

/// Longer than two of them differ by: what is decided so shortly before a deadline may be decided either way.
const STEADY: Duration = Duration::from_millis(500);

/// From then on nothing fails any more.
const TROUBLE_ENDS: Duration = Duration::from_secs(200);

/// The same in an outage: ECS has forgotten by then what ended at the beginning.
const OUTAGE_ENDS: Duration = Duration::from_mins(80);

/// By then everything must have been answered.
const PATIENCE: Duration = Duration::from_hours(6);

/// How much goes wrong.
#[derive(Debug, Clone, Copy, Default)]
struct Knobs {
    /// Chance that an invocation crashes, each time that it is scheduled.
    crash: f64,
    /// Chance that a call fails, on either side of its effect.
    trouble: f64,
    /// Chance that a step takes very long.
    hangs: f64,
    /// Chance that an event or a message is lost,
    lost: f64,
    /// or comes late, or twice.
    late: f64,
    /// Chance that Lambda calls twice.
    doubled: f64,
    /// Chance that a state gives an attempt up while its invocation goes on.
    zombies: f64,
    /// Chance that a state has a short timeout.
    timeouts: f64,
    /// Chance that an execution is stopped.
    aborts: f64,
    /// Chance that ECS has no room, that it starts no more for now, that a task cannot be started.
    refused: f64,
    throttled: f64,
    fails: f64,
    /// Chance that a task is interrupted, or stopped by hand.
    spot: f64,
    people: f64,
    /// Chance that a sweep is left out.
    skipped: f64,
    /// How long ECS may not know a task that it has started.
    lag: Duration,
    /// How long a container works at most.
    longest: Duration,
    /// How much longer every container works.
    longer: Duration,
    /// Every task does its work within a minute and leaves its result; there is one state, which has a Retry.
    plain: bool,
    /// `timeoutSeconds` of the state, if it is plain.
    timeout_seconds: Option<u64>,
    /// `RunTask` is throttled until the launch was handed over.
    queued: bool,
}

/// A call that fails as long as there is trouble.
#[derive(Debug, Clone, Copy)]
struct Failing {
    api: &'static str,
    /// With which code,
    code: &'static str,
    /// and how often still.
    times: u32,
}

/// The world of one schedule, with all that AWS keeps.
struct Model {
    scenario: Scenario,
    world: World,
    knobs: Knobs,
    start: Timestamp,
    rows: RefCell<BTreeMap<TaskKey, Row>>,
    /// By their client tokens.
    tasks: RefCell<BTreeMap<String, EcsTask>>,
    /// Client tokens for which ECS had no room.
    refused: RefCell<BTreeSet<String>>,
    /// Those of launches that were handed over.
    handed_over: RefCell<BTreeSet<String>>,
    tokens: RefCell<BTreeMap<String, Issued>>,
    runs: RefCell<BTreeMap<ExecutionArn, Execution>>,
    /// Tokens in the bucket.
    kept: RefCell<BTreeMap<String, TaskToken>>,
    /// How many visits of states there were.
    numbered: Cell<usize>,
    /// Executions that have not ended for good.
    left: Cell<usize>,
    /// Events and messages on their way.
    busy: Cell<usize>,
    /// In the cases that are fixed: whose first invocation dies, and when.
    fatal: Cell<Option<(Part, Dies)>>,
    died: Cell<bool>,
    /// Or which call fails.
    failing: Cell<Option<Failing>>,
    broken: RefCell<Option<String>>,
}

type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;
type Launcher = Launches<Caller, Caller, Caller, Caller, Caller, Caller>;
type Settler = Settles<Caller, Caller, Caller, Caller, Caller, Caller, Caller>;

/// Runs the schedule that follows from `seed`; an error says what was broken.
pub fn run(scenario: Scenario, seed: u64) -> Result<(), String> {
    let world = World::new(seed, Timestamp::from_millis(1_800_000_000_000), LATENCY);
    let knobs = Knobs::some(scenario, &world);
    let model = Model::new(scenario, world, knobs);
    model.spawn_runs();
    model.result()
}

impl Knobs {
    /// Of each kind of trouble some schedules have none.
    fn some(scenario: Scenario, world: &World) -> Self {
        // Longer than anything that nobody wants may run on.
        let longest = Duration::from_mins(20);
        if scenario == Scenario::NoSweep {
            return Self {
                longest,
                fails: 0.05,
                ..Self::default()
            };
        }
        let some = |chance: f64, value: f64| if world.chance(chance) { value } else { 0.0 };
        let outage = scenario == Scenario::Outage;
        Self {
            crash: some(0.5, 0.02),
            trouble: some(0.6, 0.04),
            hangs: some(0.4, 0.01),
            lost: if outage { 0.9 } else { some(0.5, 0.5) },
            late: some(0.5, 0.3),
            doubled: some(0.5, 0.3),
            zombies: some(0.4, 0.25),
            timeouts: some(0.4, 0.4),
            aborts: some(0.4, 0.3),
            refused: some(0.3, 0.15),
            throttled: some(0.3, 0.6),
            fails: some(0.5, 0.1),
            spot: some(0.4, 0.2),
            people: some(0.3, 0.2),
            skipped: if outage { 0.97 } else { some(0.4, 0.5) },
            lag: Duration::from_secs(8).mul_f64(some(0.6, 1.0)),
            longest,
            ..Self::default()
        }
    }
}

/// An invocation that runs by itself.
struct Invocation<T> {
    slot: Rc<RefCell<Option<Result<T, Error>>>>,
}

impl<T> Invocation<T> {
    fn is_over(&self) -> bool {
        Rc::strong_count(&self.slot) == 1
    }

    /// Its answer; `None` if it crashed.
    fn answer(&self) -> Option<Result<T, Error>> {
        self.slot.take()
    }

    async fn finished(&self, world: &World) -> Option<Result<T, Error>> {
        let mut pause = Duration::from_millis(50);
        while !self.is_over() {
            world.sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
        self.answer()
    }
}

impl Model {
    fn new(scenario: Scenario, world: World, knobs: Knobs) -> Rc<Self> {
        Rc::new(Self {
            scenario,
            knobs,
            start: world.now(),
            world,
            rows: RefCell::default(),
            tasks: RefCell::default(),
            refused: RefCell::default(),
            handed_over: RefCell::default(),
            tokens: RefCell::default(),
            runs: RefCell::default(),
            kept: RefCell::default(),
            numbered: Cell::new(0),
            left: Cell::new(0),
            busy: Cell::new(0),
            fatal: Cell::new(None),
            died: Cell::new(false),
            failing: Cell::new(None),
            broken: RefCell::default(),
        })
    }

    /// Runs it to its end.
    fn result(&self) -> Result<(), String> {
        let ended = self.world.run(MOST_STEPS);
        if let Some(broken) = self.broken.take() {
            return Err(broken);
        }
        match ended {
            true => self.nothing_is_left(),
            false => Err("it never ends".to_owned()),
        }
    }

    /// When the trouble ends.
    fn calm(&self) -> Timestamp {
        self.start.after(match self.scenario {
            Scenario::Outage => OUTAGE_ENDS,
            _ => TROUBLE_ENDS,
        })
    }

    fn is_calm(&self) -> bool {
        self.world.now() > self.calm()
    }

    /// Whether what began then had no trouble at all.
    fn is_calm_since(&self, began: Timestamp) -> bool {
        began > self.calm()
    }

    /// `true` with this chance, as long as there is trouble.
    fn mishap(&self, chance: f64) -> bool {
        chance > 0.0 && !self.is_calm() && self.world.chance(chance)
    }

    fn strikes(&self) -> bool {
        self.mishap(self.knobs.trouble)
    }

    fn throttles(&self) -> bool {
        self.mishap(self.knobs.throttled)
    }

    fn is_failing(&self, api: &str) -> bool {
        self.failing.get().is_some_and(|failing| failing.api == api)
    }

    /// How this call fails, if it is the one that does.
    fn failure_of(&self, api: &'static str) -> Option<CallError> {
        let failing = self.failing.get().filter(|_| self.is_failing(api) && !self.is_calm())?;
        let times = failing.times.checked_sub(1)?;
        self.failing.set(Some(Failing { times, ..failing }));
        let mut error = CallError::malformed(api, failing.code);
        error.code = Some(failing.code.to_owned());
        Some(error)
    }

    fn breaks(&self, what: impl Into<String>) {
        let what = what.into();
        trace::note(&self.world, || format!("!!! {what}"));
        self.broken.borrow_mut().get_or_insert(what);
    }

    fn is_broken(&self) -> bool {
        self.broken.borrow().is_some()
    }

    fn caller(self: &Rc<Self>, part: Part) -> Caller {
        let skew = match self.knobs.trouble > 0.0 {
            true => i64::try_from(self.world.number(0..=400)).expect("small") - SKEW,
            false => 0,
        };
        let hangs = if self.is_calm() { 0.0 } else { self.knobs.hangs };
        let dies = self.fatal.get().filter(|(of, _)| *of == part).map(|(_, dies)| dies);
        if dies.is_some() {
            self.fatal.set(None);
        }
        Caller {
            model: Rc::clone(self),
            air: Air::new(self.world.clone(), skew, LATENCY, hangs, dies),
        }
    }

    /// Starts an invocation.
    fn invoke<T: 'static>(
        self: &Rc<Self>,
        air: Air,
        work: impl Future<Output = Result<T, Error>> + 'static,
    ) -> Invocation<T> {
        let slot = Rc::new(RefCell::new(None));
        let answer = Rc::clone(&slot);
        let fate = Fate {
            crash: if self.is_calm() { 0.0 } else { self.knobs.crash },
            // A request that is on its way when the sandbox is ended still takes effect.
            dies: Some(
                self.world
                    .now()
                    .after(INVOCATION + self.world.up_to(Duration::from_secs(3))),
            ),
        };
        let model = Rc::clone(self);
        self.world.spawn_fated(fate, async move {
            match air.breathe(work).await {
                Some(done) => drop(answer.replace(Some(done))),
                None => model.died.set(true),
            }
        });
        Invocation { slot }
    }

    fn launch<T: 'static>(
        self: &Rc<Self>,
        work: impl for<'a> FnOnce(&'a Launcher, Timestamp) -> Local<'a, Result<T, Error>> + 'static,
    ) -> Invocation<T> {
        let caller = self.caller(Part::Launch);
        let launches = Launches {
            records: caller.clone(),
            cluster: caller.clone(),
            tasks: caller.clone(),
            places: caller.clone(),
            queue: caller.clone(),
            clock: caller.clone(),
            defaults: Defaults::default(),
        };
        let deadline = caller.now().after(INVOCATION);
        self.invoke(caller.air, async move { work(&launches, deadline).await })
    }

    fn launch_for(self: &Rc<Self>, ask: &Ask) -> Invocation<Outcome> {
        let ask = ask.clone();
        trace::note(&self.world, || format!("launch {}", ask.key().name()));
        self.launch(move |launches, deadline| Box::pin(async move { launches.launch(&ask, deadline).await }))
    }

    fn settle<T: 'static>(
        self: &Rc<Self>,
        part: Part,
        work: impl for<'a> FnOnce(&'a Settler) -> Local<'a, Result<T, Error>> + 'static,
    ) -> Invocation<T> {
        let caller = self.caller(part);
        let settles = Settles {
            records: caller.clone(),
            cluster: caller.clone(),
            tasks: caller.clone(),
            results: caller.clone(),
            logs: caller.clone(),
            queue: caller.clone(),
            clock: caller.clone(),
            bucket: "bucket".to_owned(),
        };
        self.invoke(caller.air, async move { work(&settles).await })
    }

    /// The sweep, every minute; and the end of the world, when all is done or nothing happens any more.
    fn spawn_sweeps(self: &Rc<Self>) {
        let model = Rc::clone(self);
        self.world.spawn(async move {
            // After the last execution has ended, what is left is swept up.
            let mut rounds_left = 3;
            while rounds_left > 0 && !model.is_broken() {
                model.world.sleep(Duration::from_mins(1)).await;
                if model.is_calm() {
                    model.check_calm();
                }
                if model.left.get() == 0 && model.busy.get() == 0 && model.is_calm() && model.nothing_is_left().is_ok()
                {
                    rounds_left -= 1;
                }
                if model.world.now().since(model.start) > PATIENCE {
                    let left = model.nothing_is_left();
                    model.breaks(format!("{} executions never ended; {left:?}", model.left.get()));
                    return;
                }
                if model.scenario != Scenario::NoSweep && !model.mishap(model.knobs.skipped) {
                    model.spawn_sweep();
                }
            }
        });
    }

    fn spawn_sweep(self: &Rc<Self>) {
        let model = Rc::clone(self);
        self.world.spawn(async move {
            let began = model.world.now();
            let deadline = began.after(INVOCATION);
            let sweep = model.settle(Part::Sweep, move |settles| {
                Box::pin(async move { settles.sweep(deadline).await })
            });
            let answer = sweep.finished(&model.world).await;
            trace::note(&model.world, || format!("swept: {answer:?}"));
            let failed = match answer {
                Some(Ok(swept)) => swept.failed > 0,
                Some(Err(_)) => true,
                None => false,
            };
            if failed && model.is_calm_since(began) {
                model.breaks("a sweep failed without trouble");
            }
        });
    }
}
