//! A scheduler for protocol code: the real code, under all kinds of interleavings and crashes and a clock of its own.
//!
//! Tasks run on one thread; at each [`World::step`] any other task may go on, and a task that was spawned to crash may do
//! so. Either one seed decides everything ([`World::new`]), so that a schedule that broke something can be run again; or
//! [`explore`] runs every schedule there is.

mod explore;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};

pub use explore::{Explored, explore};

use explore::Script;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// The world of one schedule: its time, its randomness and its tasks. Cheap to clone; all clones are the same world.
#[derive(Clone)]
pub struct World(Rc<Inner>);

struct Inner {
    now: Cell<Timestamp>,
    random: RefCell<fastrand::Rng>,
    /// Decides in the place of `random`, where every schedule is run.
    script: Option<RefCell<Script>>,
    tasks: RefCell<Vec<Slot>>,
    /// When the task that is being polled wants to go on,
    wake: Cell<Timestamp>,
    /// and what must be true then.
    gate: RefCell<Option<Gate>>,
    /// The task that is being polled.
    current: RefCell<Identity>,
    /// Longest that one step takes; one of [`SLOW`] takes up to [`SLOWER`] times as long.
    latency: Duration,
}

/// Of so many steps one is slow.
const SLOW: usize = 25;

/// So much slower it may be.
const SLOWER: u32 = 50;

type Gate = Box<dyn Fn() -> bool>;

struct Slot {
    task: Task,
    wake: Timestamp,
    gate: Option<Gate>,
    /// How it may come to a sudden end.
    fate: Fate,
    identity: Identity,
}

/// How a task may come to a sudden end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fate {
    /// Chance to crash each time that it is scheduled.
    pub crash: f64,
    /// When it is ended at the latest.
    pub dies: Option<Timestamp>,
}

impl Fate {
    /// It comes to its own end.
    pub const NONE: Self = Self { crash: 0.0, dies: None };
}

/// Tells a task, and how far it is, in every schedule alike.
#[derive(Debug, Clone, Default)]
struct Identity {
    /// By whom, and as which of its children, it was spawned.
    name: u64,
    children: u64,
    /// How often it went on, and what it has seen.
    steps: u64,
    seen: u64,
    /// How many nonces it drew.
    nonces: u64,
}

impl World {
    /// A world that follows from `seed`, starting at `start`; most steps take up to `latency`, some far longer.
    #[must_use]
    pub fn new(seed: u64, start: Timestamp, latency: Duration) -> Self {
        Self::of(seed, None, start, latency)
    }

    fn of(seed: u64, script: Option<Script>, start: Timestamp, latency: Duration) -> Self {
        Self(Rc::new(Inner {
            now: Cell::new(start),
            random: RefCell::new(fastrand::Rng::with_seed(seed)),
            script: script.map(RefCell::new),
            tasks: RefCell::default(),
            wake: Cell::new(start),
            gate: RefCell::default(),
            current: RefCell::default(),
            latency,
        }))
    }

    /// Adds a task. It may be called by a running task.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.spawn_fated(Fate::NONE, task);
    }

    /// Adds a task that is dropped, each time that it would go on, with the chance `crash`.
    pub fn spawn_crashing(&self, crash: f64, task: impl Future<Output = ()> + 'static) {
        self.spawn_fated(Fate { crash, dies: None }, task);
    }

    /// Adds a task that may come to a sudden end.
    pub fn spawn_fated(&self, fate: Fate, task: impl Future<Output = ()> + 'static) {
        let mut parent = self.0.current.borrow_mut();
        parent.children += 1;
        let identity = Identity {
            name: explore::mix(parent.name, parent.children),
            ..Identity::default()
        };
        self.0.tasks.borrow_mut().push(Slot {
            task: Box::pin(task),
            wake: self.now(),
            gate: None,
            fate,
            identity,
        });
    }

    /// Lets others go on. What is done between two steps is atomic.
    pub async fn step(&self) {
        if self.0.script.is_some() {
            return self.sleep(Duration::ZERO).await;
        }
        let slow = self.number(1..=SLOW) == 1;
        let most = if slow { self.0.latency * SLOWER } else { self.0.latency };
        self.sleep(self.up_to(most)).await;
    }

    /// The way back from a step, on which an answer may get lost. Where every schedule is run, it is one with the next
    /// step: there is nothing in between that others could see.
    pub async fn linger(&self) {
        if self.0.script.is_none() {
            self.step().await;
        }
    }

    /// Lets others go on until `gate` is true.
    pub async fn until(&self, gate: impl Fn() -> bool + 'static) {
        self.0.gate.replace(Some(Box::new(gate)));
        self.sleep(Duration::ZERO).await;
    }

    /// Notes what the running task has learnt: what it does next follows from all that it has.
    pub fn observe(&self, answer: &impl Hash) {
        if self.0.script.is_some() {
            let mut current = self.0.current.borrow_mut();
            current.seen = explore::mix(current.seen, explore::digest(answer));
        }
    }

    /// `true` with the given chance. Where every schedule is run: never; what may happen there is [chosen](Self::choose).
    #[must_use]
    pub fn chance(&self, chance: f64) -> bool {
        self.0.script.is_none() && self.0.random.borrow_mut().f64() < chance
    }

    /// One of so many ways to go on.
    #[must_use]
    pub fn choose(&self, of: usize) -> usize {
        match &self.0.script {
            Some(script) => script.borrow_mut().choose(of),
            None => self.0.random.borrow_mut().usize(0..of),
        }
    }

    /// A random time span up to `most`.
    #[must_use]
    pub fn up_to(&self, most: Duration) -> Duration {
        most.mul_f64(self.0.random.borrow_mut().f64())
    }

    /// A random number in `range`.
    #[must_use]
    pub fn number(&self, range: std::ops::RangeInclusive<usize>) -> usize {
        self.0.random.borrow_mut().usize(range)
    }

    /// A number for the running task.
    #[must_use]
    pub fn task(&self) -> u64 {
        self.0.current.borrow().name
    }

    /// Runs all tasks to their end. `false` if `most` steps were not enough, or the rest waits for what never comes.
    #[must_use]
    pub fn run(&self, most: u64) -> bool {
        for _ in 0..most {
            let Some(mut slot) = self.next() else { break };
            if self.is_ended(&slot) {
                continue;
            }
            self.0.wake.set(self.now());
            slot.identity.steps += 1;
            self.0.current.replace(slot.identity);
            let mut context = Context::from_waker(Waker::noop());
            let polled = slot.task.as_mut().poll(&mut context);
            slot.identity = self.0.current.take();
            if polled == Poll::Pending {
                slot.wake = self.0.wake.get();
                slot.gate = self.0.gate.take();
                self.0.tasks.borrow_mut().push(slot);
            }
        }
        self.0.tasks.borrow().is_empty()
    }

    fn is_ended(&self, slot: &Slot) -> bool {
        if slot.fate.dies.is_some_and(|dies| self.now() > dies) {
            return true;
        }
        match &self.0.script {
            Some(script) => slot.fate.crash > 0.0 && script.borrow_mut().crashes(),
            None => slot.fate.crash > 0.0 && self.chance(slot.fate.crash),
        }
    }

    /// Takes out one of the tasks that can go on now; if none can, lets time pass until one can.
    fn next(&self) -> Option<Slot> {
        let mut tasks = self.0.tasks.borrow_mut();
        let open: Vec<usize> = (0..tasks.len())
            .filter(|at| tasks[*at].gate.as_ref().is_none_or(|gate| gate()))
            .collect();
        let first = open.iter().map(|at| tasks[*at].wake).min()?;
        self.0.now.set(self.now().max(first));
        let mut ready: Vec<usize> = open.into_iter().filter(|at| tasks[*at].wake <= self.now()).collect();
        if let Some(script) = &self.0.script {
            // In an order of their own, so that the same choice means the same in the same state.
            ready.sort_by_key(|at| tasks[*at].identity.name);
            if script.borrow_mut().is_known(self.now(), &tasks) {
                tasks.clear();
                return None;
            }
        }
        let at = ready[self.choose(ready.len())];
        Some(tasks.swap_remove(at))
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        self.0.now.get()
    }

    async fn sleep(&self, span: Duration) {
        let until = self.now().after(span);
        let mut slept = false;
        std::future::poll_fn(|_| {
            if slept {
                return Poll::Ready(());
            }
            slept = true;
            self.0.wake.set(until);
            Poll::Pending
        })
        .await;
    }

    fn jitter(&self, most: Duration) -> Duration {
        match self.0.script {
            Some(_) => Duration::ZERO,
            None => self.up_to(most),
        }
    }

    fn nonce(&self) -> u64 {
        if self.0.script.is_none() {
            return self.0.random.borrow_mut().u64(..);
        }
        let mut current = self.0.current.borrow_mut();
        current.nonces += 1;
        explore::mix(current.name, current.nonces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(seed: u64) -> (Vec<(usize, i64)>, bool) {
        let world = World::new(seed, Timestamp::from_millis(0), Duration::from_millis(20));
        let steps = Rc::new(RefCell::new(Vec::new()));
        for task in 0..3 {
            let (world, steps) = (world.clone(), Rc::clone(&steps));
            world.clone().spawn(async move {
                for _ in 0..3 {
                    world.step().await;
                    steps.borrow_mut().push((task, world.now().as_millis()));
                }
            });
        }
        let ended = world.run(1_000);
        (steps.take(), ended)
    }

    #[test]
    fn a_seed_is_a_schedule() {
        let (one, ended) = trace(1);
        assert!(ended);
        assert_eq!(one.len(), 9);
        assert_eq!(trace(1).0, one);
        assert_ne!(trace(2).0, one);
        assert!(one.is_sorted_by_key(|(_, at)| *at), "time never goes back: {one:?}");
    }

    #[test]
    fn a_crash_drops_the_task() {
        let world = World::new(7, Timestamp::from_millis(0), Duration::from_millis(1));
        let reached = Rc::new(Cell::new(0));
        let (inner, count) = (world.clone(), Rc::clone(&reached));
        world.spawn_crashing(0.5, async move {
            loop {
                count.set(count.get() + 1);
                inner.step().await;
            }
        });
        assert!(world.run(10_000), "it ends by crashing");
        assert_eq!(Rc::strong_count(&reached), 1, "what it held is dropped");
    }

    #[test]
    fn a_schedule_without_an_end_is_said_to_be_one() {
        let world = World::new(7, Timestamp::from_millis(0), Duration::from_millis(1));
        let inner = world.clone();
        world.spawn(async move {
            loop {
                inner.step().await;
            }
        });
        assert!(!world.run(100));
    }
}
