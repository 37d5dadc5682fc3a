//! Small worlds, in which every schedule is run: every interleaving of all calls, with a crash at every point.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use signalbox::arn::ExecutionArn;
use signalbox::clock::{Clock, Timestamp};
use signalbox::executions::Status;
use signalbox::lock::acquire::{Acquire, OnBusy};
use signalbox::lock::key::{HoldName, LockKey, Priority};
use signalbox::lock::record::{Attempt, Hold, Wish};
use signalbox::lock::release::End;
use signalbox::lock::store::{Queue, Setting};
use signalbox::lock::{Error, Locks, Session};
use signalbox::simulation::{Explored, Fate, World, explore};
use signalbox::tasks::TaskToken;

use crate::tokens::{Standing, Tokens};
use crate::{MemoryTable, StepFunctions, Trouble};

/// A small world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Small {
    /// Three runs come at once to one slot; nobody sweeps.
    ThreeRuns,
    /// Three runs come at once to two slots; nobody sweeps.
    TwoSlots,
    /// Two runs come at once, and any one invocation crashes, at any point.
    Crash,
    /// Two runs come at once, and one's state gives its invocation up at any point, while that goes on.
    GivesUp,
    /// While one run holds, another one comes, which is stopped at any point; everybody hears of it.
    Stopped,
    /// A run that may not wait asks by two invocations at once, while the one that holds releases.
    Doubled,
    /// A run that holds fails, and is redriven, while another one waits; the events come in any order.
    Redrive,
    /// A run that asks and waits is released by somebody else, at any point, and any one invocation crashes.
    Released,
}

impl Small {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ThreeRuns,
        Self::TwoSlots,
        Self::Crash,
        Self::GivesUp,
        Self::Stopped,
        Self::Doubled,
        Self::Redrive,
        Self::Released,
    ];

    fn crashes(self) -> u32 {
        u32::from(matches!(self, Self::Crash | Self::Released))
    }

    fn slots(self) -> u32 {
        if self == Self::TwoSlots { 2 } else { 1 }
    }
}

impl fmt::Display for Small {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ThreeRuns => "three-runs",
            Self::TwoSlots => "two-slots",
            Self::Crash => "crash",
            Self::GivesUp => "gives-up",
            Self::Stopped => "stopped",
            Self::Doubled => "doubled",
            Self::Redrive => "redrive",
            Self::Released => "released",
        })
    }
}

/// More states than any of these worlds has.
const MOST_STATES: usize = 20_000_000;

/// Runs every schedule of a small world; an error says what was broken.
pub fn run_all(small: Small) -> Result<Explored, String> {
    let start = Timestamp::from_millis(1_800_000_000_000);
    explore(start, small.crashes(), MOST_STATES, |world| {
        let model = Rc::new(Model::new(world));
        model.spawn(small);
        let looked = Rc::clone(&model);
        let look = move || looked.state();
        let end = move |pruned: bool| model.check(pruned);
        (look, end)
    })
}

struct Model {
    world: World,
    sfn: StepFunctions,
    tokens: Tokens,
    table: MemoryTable,
    slots: Cell<u32>,
    inside: RefCell<BTreeSet<ExecutionArn>>,
    /// Runs that have done what they were there for.
    done: Cell<usize>,
    runs: Cell<usize>,
    broken: RefCell<Option<String>>,
}

type Protocol = Locks<MemoryTable, Tokens, StepFunctions, World>;
type Call<'a> = Session<'a, MemoryTable, Tokens, StepFunctions, World>;
type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// How one attempt to acquire ends.
#[derive(PartialEq)]
enum Attempted {
    Inside,
    GivenUp,
    Over,
}

impl Model {
    fn new(world: &World) -> Self {
        let sfn = StepFunctions::new(world.clone(), Duration::ZERO, Trouble::NONE);
        Self {
            tokens: Tokens::new(world.clone(), sfn.clone(), Duration::ZERO, Trouble::NONE),
            table: MemoryTable::new(world.clone(), Trouble::NONE),
            sfn,
            slots: Cell::new(1),
            inside: RefCell::default(),
            done: Cell::new(0),
            runs: Cell::new(0),
            broken: RefCell::default(),
            world: world.clone(),
        }
    }

    fn spawn(self: &Rc<Self>, small: Small) {
        self.slots.set(small.slots());
        let model = Rc::clone(self);
        self.world.spawn(async move {
            let lock = lock();
            let setting = Setting::Slots(small.slots());
            let configured = model.table.configure(&lock, setting, model.world.now()).await;
            configured.expect("no trouble");
            match small {
                Small::ThreeRuns | Small::TwoSlots => model.spawn_runs(3),
                Small::Crash => {
                    model.spawn_runs(2);
                    model.spawn_sweeps();
                }
                Small::GivesUp => {
                    model.spawn_runs(2);
                    model.spawn_impatience();
                    model.spawn_sweeps();
                }
                Small::Stopped => {
                    model.spawn_runs(2);
                    model.spawn_stop();
                }
                Small::Doubled => {
                    model.spawn_runs(1);
                    model.spawn_doubled();
                    model.spawn_sweeps();
                }
                Small::Redrive => model.spawn_redrive(),
                Small::Released => model.spawn_released(),
            }
        });
    }

    fn spawn_runs(self: &Rc<Self>, count: usize) {
        self.runs.set(count);
        for n in 0..count {
            self.sfn.start(&run(n));
            let model = Rc::clone(self);
            self.world.spawn(async move {
                model.live(&run(n)).await;
                model.done.set(model.done.get() + 1);
            });
        }
    }

    /// Acquires, is inside for a step, releases, ends.
    async fn live(self: &Rc<Self>, run: &ExecutionArn) {
        if !self.acquire(run).await {
            return;
        }
        self.world.step().await;
        self.inside.borrow_mut().remove(run);
        let hold = hold(run);
        // Entered later than the state that acquired.
        self.world.sleep(Duration::from_millis(1)).await;
        let entered = self.world.now();
        loop {
            let hold = hold.clone();
            let released =
                self.call(move |session| Box::pin(async move { session.release(&hold, Some(entered)).await }));
            if released.await.is_some() {
                break;
            }
        }
        self.sfn.end(run, Status::Over);
    }

    /// The state that acquires, with its Retry.
    async fn acquire(self: &Rc<Self>, run: &ExecutionArn) -> bool {
        let entered = self.world.now();
        for retry in 0..4 {
            match self.attempt(run, entered, retry).await {
                Attempted::Inside => return true,
                Attempted::GivenUp => {}
                Attempted::Over => return false,
            }
        }
        self.breaks("it was tried again and again");
        false
    }

    /// Lambda may invoke twice for one call of a Task state. Whichever answers first with an error fails the state; a run
    /// that goes on has the lock, for as long as it works.
    fn spawn_doubled(self: &Rc<Self>) {
        let second = run(1);
        self.sfn.start(&second);
        let token = self.tokens.issue(&second);
        let ask = ask(&second, &token, OnBusy::Fail, self.world.now(), 0);
        let refused = Rc::new(Cell::new(0));
        for _ in 0..2 {
            let (model, ask, token, refused) = (Rc::clone(self), ask.clone(), token.clone(), Rc::clone(&refused));
            self.world.spawn(async move {
                // When the other run releases.
                model.world.sleep(Duration::from_millis(1)).await;
                let answer = model.call(move |session| Box::pin(async move { session.acquire(&ask).await }));
                if !matches!(answer.await, Some(Ok(_))) {
                    refused.set(refused.get() + 1);
                    if model.tokens.standing(&token) == Standing::Waiting {
                        model.tokens.void(&token);
                    }
                }
            });
        }
        let model = Rc::clone(self);
        self.world.spawn(async move {
            let (waits, looked) = (token.clone(), Rc::clone(&model));
            model
                .world
                .until(move || refused.get() == 2 || looked.tokens.standing(&waits) != Standing::Waiting)
                .await;
            let standing = model.tokens.standing(&token);
            model.world.observe(&standing);
            if !matches!(standing, Standing::Succeeded(_)) {
                model.sfn.end(&second, Status::Over);
                return;
            }
            model.enters(&second);
            // Longer than the sweeps take to mend what looks left over.
            model.world.sleep(Duration::from_mins(7)).await;
            let held = model.table.peek(|items| {
                let head = items.heads.get(&lock());
                head.is_some_and(|head| head.holders.values().any(|holder| holder.is_of(&hold(&second))))
            });
            if !held {
                model.breaks("it works without the lock");
            }
            model.inside.borrow_mut().remove(&second);
            model.sfn.end(&second, Status::Over);
        });
    }

    async fn attempt(self: &Rc<Self>, run: &ExecutionArn, entered: Timestamp, retry: u32) -> Attempted {
        let token = self.tokens.issue(run);
        let ask = ask(run, &token, OnBusy::Wait, entered, retry);
        // Failed, and so no longer to be waited for.
        let failed = Rc::new(Cell::new(false));
        let (model, flag) = (Rc::clone(self), Rc::clone(&failed));
        self.world.spawn(async move {
            let answer = model.call(move |session| Box::pin(async move { session.acquire(&ask).await }));
            match answer.await {
                Some(Ok(_)) => {}
                Some(Err(Error::HoldInUse { .. } | Error::Over { .. })) | None => flag.set(true),
                Some(Err(error)) => model.breaks(format!("acquire failed: {error}")),
            }
        });
        let (model, waits, arn) = (Rc::clone(self), token.clone(), run.clone());
        self.world
            .until(move || failed.get() || !model.sfn.runs(&arn) || model.tokens.standing(&waits) != Standing::Waiting)
            .await;
        let standing = self.tokens.standing(&token);
        self.world.observe(&standing);
        if !self.sfn.runs(run) {
            return Attempted::Over;
        }
        if matches!(standing, Standing::Succeeded(_)) {
            self.enters(run);
            return Attempted::Inside;
        }
        self.tokens.void(&token);
        Attempted::GivenUp
    }

    fn enters(&self, run: &ExecutionArn) {
        let mut inside = self.inside.borrow_mut();
        inside.insert(run.clone());
        inside.retain(|run| self.sfn.runs(run));
        if inside.len() > self.slots.get() as usize {
            self.breaks(format!("{} are inside at once", inside.len()));
        }
    }

    /// The state of the first run gives its first attempt up at any point.
    fn spawn_impatience(self: &Rc<Self>) {
        let model = Rc::clone(self);
        self.world.spawn(async move {
            model.world.step().await;
            let token = TaskToken::parse("r0/0").expect("a short text");
            if model.tokens.is_known(&token) {
                model.tokens.void(&token);
            }
        });
    }

    /// The second run is stopped at any point, and everybody hears of it.
    fn spawn_stop(self: &Rc<Self>) {
        let model = Rc::clone(self);
        self.world.spawn(async move {
            model.world.step().await;
            model.fail(&run(1)).await;
        });
    }

    async fn fail(self: &Rc<Self>, run: &ExecutionArn) {
        if !self.sfn.runs(run) {
            return;
        }
        self.sfn.fail(run);
        let end = End {
            redrive: self.sfn.now(run).redrive,
            stopped: Some(self.world.now()),
            redrivable: true,
        };
        let run = run.clone();
        self.call(move |session| Box::pin(async move { session.ended(&run, end).await }))
            .await;
    }

    fn spawn_redrive(self: &Rc<Self>) {
        self.runs.set(2);
        let model = Rc::clone(self);
        self.world.spawn(async move {
            let (first, second) = (run(0), run(1));
            model.sfn.start(&first);
            assert!(model.acquire(&first).await, "nobody else is there");
            model.world.sleep(Duration::from_millis(1)).await;
            model.sfn.start(&second);
            let (other, arn) = (Rc::clone(&model), second.clone());
            model.world.spawn(async move {
                other.live(&arn).await;
                other.done.set(other.done.get() + 1);
            });
            let (failing, arn) = (Rc::clone(&model), first.clone());
            model.world.spawn(async move { failing.fail(&arn).await });
            let (redriving, arn) = (Rc::clone(&model), first.clone());
            model.world.until(move || !redriving.sfn.runs(&arn)).await;
            model.inside.borrow_mut().remove(&first);
            model.world.sleep(Duration::from_millis(1)).await;
            model.sfn.redrive(&first);
            let (since, arn) = (model.world.now(), first.clone());
            model
                .call(move |session| Box::pin(async move { session.redriven(&arn, 1, since).await }))
                .await;
            // It holds again, or it was stopped, or its end was not heard of yet and it holds on.
            let held = model.table.peek(|items| {
                let head = items.heads.get(&lock());
                head.is_some_and(|head| head.holders.values().any(|holder| holder.execution == first))
            });
            if model.sfn.runs(&first) {
                if !held {
                    model.breaks("redriven, it works on without the lock");
                }
                model.enters(&first);
                model.world.step().await;
                model.inside.borrow_mut().remove(&first);
                let arn = first.clone();
                model
                    .call(move |session| Box::pin(async move { session.release(&hold(&arn), None).await }))
                    .await;
            }
            model.done.set(model.done.get() + 1);
        });
    }

    /// The lock is paused, so that a run that asks can only wait. Whoever releases it does so again after a crash; then the
    /// run has been told, or had not asked yet.
    fn spawn_released(self: &Rc<Self>) {
        self.runs.set(1);
        let model = Rc::clone(self);
        self.world.spawn(async move {
            let now = model.world.now();
            let paused = model.table.configure(&lock(), Setting::Paused(true), now).await;
            paused.expect("no trouble");
            let waits = run(0);
            model.sfn.start(&waits);
            let token = model.tokens.issue(&waits);
            let ask = ask(&waits, &token, OnBusy::Wait, now, 0);
            let asking = Rc::clone(&model);
            model.world.spawn(async move {
                asking
                    .call(move |session| Box::pin(async move { session.acquire(&ask).await }))
                    .await;
            });
            loop {
                let hold = hold(&waits);
                let released = model.call(move |session| Box::pin(async move { session.release(&hold, None).await }));
                if matches!(released.await, Some(Ok(_))) {
                    break;
                }
            }
            let released = model.table.peek(|items| {
                let owner = items.owners.get(&hold(&waits));
                owner.is_some_and(|owner| owner.wish == Wish::Released)
            });
            if released && model.tokens.is_open(&token) {
                model.breaks("it was released, and waits for ever");
            }
            model.done.set(model.done.get() + 1);
        });
    }

    /// Two sweeps, when nothing else happens any more.
    fn spawn_sweeps(self: &Rc<Self>) {
        let model = Rc::clone(self);
        self.world.spawn(async move {
            for _ in 0..4 {
                model.world.sleep(Duration::from_mins(2)).await;
                model
                    .call(move |session| Box::pin(async move { session.sweep().await }))
                    .await;
            }
        });
    }

    /// One invocation. `None` if it crashed.
    async fn call<T: 'static>(
        self: &Rc<Self>,
        work: impl for<'a> FnOnce(&'a Call<'a>) -> Local<'a, Result<T, Error>> + 'static,
    ) -> Option<Result<T, Error>> {
        let locks: Protocol = Locks {
            store: self.table.clone(),
            tasks: self.tokens.clone(),
            executions: self.sfn.clone(),
            clock: self.world.clone(),
            may_stop: true,
        };
        let slot = Rc::new(RefCell::new(None));
        let answer = Rc::clone(&slot);
        let deadline = self.world.now().after(Duration::from_secs(30));
        let fate = Fate { crash: 1.0, dies: None };
        self.world.spawn_fated(fate, async move {
            let session = locks.session(deadline);
            let result = work(&session).await;
            answer.replace(Some(result));
        });
        let waits = Rc::downgrade(&slot);
        self.world.until(move || waits.strong_count() <= 1).await;
        let answer = slot.take();
        self.world.observe(&answer.is_some());
        answer
    }

    fn breaks(&self, what: impl Into<String>) {
        self.broken.borrow_mut().get_or_insert(what.into());
    }

    /// Everything that decides what happens next, beside what the tasks have seen.
    fn state(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.table.peek(|items| items.hash(&mut hasher));
        self.tokens.digest(&mut hasher);
        self.sfn.digest(&mut hasher);
        self.done.get().hash(&mut hasher);
        self.inside.borrow().hash(&mut hasher);
        hasher.finish()
    }

    fn check(&self, pruned: bool) -> Result<(), String> {
        if let Some(broken) = self.broken.take() {
            return Err(broken);
        }
        if pruned {
            return Ok(());
        }
        if self.done.get() < self.runs.get() {
            return Err(format!("{} of {} runs were served", self.done.get(), self.runs.get()));
        }
        self.table.peek(|items| match items.heads.get(&lock()) {
            Some(head) if !head.holders.is_empty() => Err(format!("somebody dead holds: {head:?}")),
            _ => Ok(()),
        })
    }
}

fn ask(run: &ExecutionArn, token: &TaskToken, on_busy: OnBusy, entered: Timestamp, retry: u32) -> Acquire {
    Acquire {
        hold: hold(run),
        token: token.clone(),
        redrive_known: true,
        attempt: Attempt {
            redrive: 0,
            entered,
            retry,
        },
        priority: Priority::default(),
        on_busy,
        max_queue: None,
        max_wait: None,
    }
}

fn lock() -> LockKey {
    LockKey::parse("warehouse").expect("a good name")
}

fn run(n: usize) -> ExecutionArn {
    let arn = format!("arn:aws:states:us-east-1:123456789012:execution:m:r{n}");
    ExecutionArn::parse(&arn).expect("a good ARN")
}

fn hold(run: &ExecutionArn) -> Hold {
    Hold {
        execution: run.clone(),
        lock: lock(),
        name: HoldName::default(),
    }
}
