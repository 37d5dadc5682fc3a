//! The FIFO lock: whatever happens, never more runs believe that they hold it than it has slots; they are served in the
//! order in which they came; and once the trouble ends, everybody who lives is served, and nobody who is dead holds.

mod runs;
pub mod small;
mod watch;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use signalbox::arn::ExecutionArn;
use signalbox::clock::{Clock, Timestamp};
use signalbox::lock::key::{HoldName, LockKey};
use signalbox::lock::record::Hold;
use signalbox::lock::{Error, Locks, Session};
use signalbox::simulation::{Fate, World};

use crate::tokens::Tokens;
use crate::{MemoryTable, StepFunctions, Trouble, trace};
use watch::Watch;

/// A kind of schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Nothing fails and no event is lost, but there is no sweep: handing over must do alone.
    NoSweep,
    /// Crashes, lost replies, lost, late and repeated events, attempts that overlap, runs that are stopped.
    Storm,
    /// Runs that fail while they hold, and are redriven.
    Redrive,
    /// Operators who change slots, pause, move and remove.
    Operators,
    /// Runs with several branches, each with a hold of its own, and branches that share one by mistake.
    Branches,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NoSweep,
        Self::Storm,
        Self::Redrive,
        Self::Operators,
        Self::Branches,
    ];
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoSweep => "no-sweep",
            Self::Storm => "storm",
            Self::Redrive => "redrive",
            Self::Operators => "operators",
            Self::Branches => "branches",
        })
    }
}

/// Steps after which a schedule is taken for one that never ends.
const MOST_STEPS: u64 = 3_000_000;

/// An invocation of a function lives this long: its `Timeout` in `template.yaml`.
const INVOCATION: Duration = Duration::from_secs(30);

/// Longest lag of `DescribeExecution`.
const LAG: Duration = Duration::from_secs(5);

/// A redrive that follows a failure so closely is visible before anybody believes the failure.
const PROMPT_REDRIVE: Duration = Duration::from_secs(4);

/// Clocks of invocations differ by so much.
const SKEW: u64 = 200;

/// From then on nothing fails any more.
const TROUBLE_ENDS: Duration = Duration::from_secs(150);

/// By then everything must have been served.
const PATIENCE: Duration = Duration::from_mins(30);

/// Runs the schedule that follows from `seed`; an error says what was broken.
pub fn run(scenario: Scenario, seed: u64) -> Result<(), String> {
    let start = Timestamp::from_millis(1_800_000_000_000);
    let world = World::new(seed, start, Duration::from_millis(40));
    let faults = scenario != Scenario::NoSweep;
    let some = |chance: f64, value: f64| if faults && world.chance(chance) { value } else { 0.0 };
    let knobs = Knobs {
        crash: some(0.5, 0.02),
        lost: some(0.5, 0.5),
        zombies: some(0.4, 0.25),
        late: if world.chance(0.5) { 0.3 } else { 0.0 },
        aborts: some(0.5, 0.25),
    };
    let trouble = Trouble {
        chance: some(0.4, 0.03),
        ends: start.after(TROUBLE_ENDS),
    };
    let lag = if faults && world.chance(0.6) {
        LAG
    } else {
        Duration::ZERO
    };
    let sfn = StepFunctions::new(world.clone(), lag, trouble);
    let slots = if world.chance(0.6) { 1 } else { 2 };
    let model = Rc::new(Model {
        scenario,
        table: MemoryTable::new(world.clone(), trouble),
        tokens: Tokens::new(world.clone(), sfn.clone(), lag, trouble),
        sfn,
        knobs,
        start,
        watch: Watch::new(slots),
        left: Cell::new(0),
        busy: Cell::new(0),
        broken: RefCell::default(),
        world,
    });
    model.observe();
    model.spawn_runs(slots);
    let ended = model.world.run(MOST_STEPS);
    if let Some(broken) = model.broken.take() {
        return Err(broken);
    }
    if !ended {
        return Err("it never ends".to_owned());
    }
    model.nothing_is_left()
}

/// How much goes wrong.
#[derive(Debug, Clone, Copy)]
struct Knobs {
    /// Chance that an invocation crashes, each time that it is scheduled.
    crash: f64,
    /// Chance that a status event is lost.
    lost: f64,
    /// Chance that a state gives an attempt up while its invocation goes on.
    zombies: f64,
    /// Chance that an event comes a minute late, or twice.
    late: f64,
    /// Chance that a run is stopped while it waits.
    aborts: f64,
}

struct Model {
    scenario: Scenario,
    world: World,
    sfn: StepFunctions,
    tokens: Tokens,
    table: MemoryTable,
    knobs: Knobs,
    start: Timestamp,
    watch: Watch,
    /// Runs that have not ended for good.
    left: Cell<usize>,
    /// Events on their way, and invocations that handle them.
    busy: Cell<usize>,
    broken: RefCell<Option<String>>,
}

type Local<T> = Pin<Box<dyn Future<Output = T>>>;

/// The clock of one invocation: a little off.
#[derive(Clone)]
struct Skewed {
    world: World,
    by: i64,
}

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.world.now().as_millis() + self.by)
    }

    async fn sleep(&self, span: Duration) {
        self.world.sleep(span).await;
    }

    fn jitter(&self, most: Duration) -> Duration {
        self.world.jitter(most)
    }

    fn nonce(&self) -> u64 {
        self.world.nonce()
    }
}

type Protocol = Locks<MemoryTable, Tokens, StepFunctions, Skewed>;
type Call<'a> = Session<'a, MemoryTable, Tokens, StepFunctions, Skewed>;

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
}

impl Model {
    fn is_calm(&self) -> bool {
        self.world.now().since(self.start) > TROUBLE_ENDS
    }

    /// `true` with this chance, as long as there is trouble.
    fn mishap(&self, chance: f64) -> bool {
        chance > 0.0 && !self.is_calm() && self.world.chance(chance)
    }

    fn lock() -> LockKey {
        LockKey::parse("warehouse").expect("a good name")
    }

    fn hold(run: &ExecutionArn, name: &str) -> Hold {
        Hold {
            execution: run.clone(),
            lock: Self::lock(),
            name: HoldName::parse(name).expect("a good name"),
        }
    }

    /// Starts one invocation of a function.
    fn invoke<T: 'static>(
        self: &Rc<Self>,
        work: impl for<'a> FnOnce(&'a Call<'a>) -> Pin<Box<dyn Future<Output = Result<T, Error>> + 'a>> + 'static,
    ) -> Invocation<T> {
        let slot = Rc::new(RefCell::new(None));
        let answer = Rc::clone(&slot);
        let skew = i64::try_from(self.world.number(0..=400)).expect("small") - SKEW.cast_signed();
        let locks: Protocol = Locks {
            store: self.table.clone(),
            tasks: self.tokens.clone(),
            executions: self.sfn.clone(),
            clock: Skewed {
                world: self.world.clone(),
                by: skew,
            },
            may_stop: true,
        };
        let now = self.world.now();
        trace::note(&self.world, || format!("invoke {}", std::any::type_name::<T>()));
        let deadline = now.after(INVOCATION);
        let fate = Fate {
            crash: if self.is_calm() { 0.0 } else { self.knobs.crash },
            // A request that is on its way when the sandbox is ended still takes effect.
            dies: Some(deadline.after(self.world.up_to(Duration::from_secs(3)))),
        };
        self.world.spawn_fated(fate, async move {
            let session = locks.session(deadline);
            let result = work(&session).await;
            answer.replace(Some(result));
        });
        Invocation { slot }
    }

    /// The same, awaited to its end.
    async fn call<T: 'static>(
        self: &Rc<Self>,
        work: impl for<'a> FnOnce(&'a Call<'a>) -> Pin<Box<dyn Future<Output = Result<T, Error>> + 'a>> + 'static,
    ) -> Option<Result<T, Error>> {
        let invocation = self.invoke(work);
        while !invocation.is_over() {
            self.world.sleep(Duration::from_millis(50)).await;
        }
        invocation.answer()
    }

    fn breaks(&self, what: impl Into<String>) {
        self.broken.borrow_mut().get_or_insert(what.into());
    }

    fn is_broken(&self) -> bool {
        self.broken.borrow().is_some()
    }

    /// The sweep, every minute; and the end of the world, when all is done or nothing happens any more.
    fn spawn_sweeps(self: &Rc<Self>) {
        let model = Rc::clone(self);
        self.world.spawn(async move {
            // After the last run has ended, what is left is swept up.
            let mut rounds_left = 4;
            while rounds_left > 0 && !model.is_broken() {
                if model.left.get() == 0 && model.busy.get() == 0 {
                    rounds_left -= 1;
                }
                if model.world.now().since(model.start) > PATIENCE {
                    model.breaks(format!("{} runs were never served", model.left.get()));
                    return;
                }
                model.world.sleep(Duration::from_mins(1)).await;
                if model.scenario == Scenario::NoSweep {
                    continue;
                }
                let model = Rc::clone(&model);
                model.world.clone().spawn(async move {
                    let answer = model
                        .call(|session| Box::pin(async move { session.sweep().await }))
                        .await;
                    let failed = match answer {
                        Some(Ok(swept)) => swept.failed > 0,
                        Some(Err(_)) => true,
                        None => false,
                    };
                    // Not by what began before: a history lags.
                    if failed && model.world.now().since(model.start) > TROUBLE_ENDS + LAG * 20 {
                        model.breaks("a sweep failed without trouble");
                    }
                });
            }
        });
    }

    fn nothing_is_left(&self) -> Result<(), String> {
        self.table.peek(|items| {
            let head = items.heads.get(&Self::lock());
            if let Some(head) = head
                && !head.holders.is_empty()
            {
                return Err(format!("somebody dead still holds: {head:?}"));
            }
            match items.waits.is_empty() {
                true => Ok(()),
                false => Err(format!("somebody dead still waits: {:?}", items.waits)),
            }
        })
    }
}
