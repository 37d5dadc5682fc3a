//! A scheduler for protocol code: the real code, under random interleavings, crashes and a clock of its own.
//!
//! Everything follows from one seed, so that a schedule that broke something can be run again. Tasks run on one thread;
//! at each [`World::step`] any other task may go on, and a task that was spawned to crash may do so.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// The world of one schedule: its time, its randomness and its tasks. Cheap to clone; all clones are the same world.
#[derive(Clone)]
pub struct World(Rc<Inner>);

struct Inner {
    now: Cell<Timestamp>,
    random: RefCell<fastrand::Rng>,
    tasks: RefCell<Vec<Slot>>,
    /// When the task that is being polled wants to go on.
    wake: Cell<Timestamp>,
    /// Longest that one step takes; one of [`SLOW`] takes up to [`SLOWER`] times as long.
    latency: Duration,
}

/// Of so many steps one is slow.
const SLOW: usize = 25;

/// So much slower it may be.
const SLOWER: u32 = 50;

struct Slot {
    task: Task,
    wake: Timestamp,
    /// Chance to crash each time that it is scheduled.
    crash: f64,
}

impl World {
    /// A world that follows from `seed`, starting at `start`; most steps take up to `latency`, some far longer.
    #[must_use]
    pub fn new(seed: u64, start: Timestamp, latency: Duration) -> Self {
        Self(Rc::new(Inner {
            now: Cell::new(start),
            random: RefCell::new(fastrand::Rng::with_seed(seed)),
            tasks: RefCell::default(),
            wake: Cell::new(start),
            latency,
        }))
    }

    /// Adds a task. It may be called by a running task.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.spawn_crashing(0.0, task);
    }

    /// Adds a task that is dropped, each time that it would go on, with the chance `crash`.
    pub fn spawn_crashing(&self, crash: f64, task: impl Future<Output = ()> + 'static) {
        self.0.tasks.borrow_mut().push(Slot {
            task: Box::pin(task),
            wake: self.now(),
            crash,
        });
    }

    /// Lets others go on. What is done between two steps is atomic.
    pub async fn step(&self) {
        let slow = self.number(1..=SLOW) == 1;
        let most = if slow { self.0.latency * SLOWER } else { self.0.latency };
        self.sleep(self.up_to(most)).await;
    }

    /// `true` with the given chance.
    #[must_use]
    pub fn chance(&self, chance: f64) -> bool {
        self.0.random.borrow_mut().f64() < chance
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

    /// Runs all tasks to their end. `false` if `most` steps were not enough.
    #[must_use]
    pub fn run(&self, most: u64) -> bool {
        for _ in 0..most {
            let Some(mut slot) = self.next() else { return true };
            if slot.crash > 0.0 && self.chance(slot.crash) {
                continue;
            }
            self.0.wake.set(self.now());
            let mut context = Context::from_waker(Waker::noop());
            if slot.task.as_mut().poll(&mut context) == Poll::Pending {
                slot.wake = self.0.wake.get();
                self.0.tasks.borrow_mut().push(slot);
            }
        }
        self.0.tasks.borrow().is_empty()
    }

    /// Takes out one of the tasks that can go on now; if none can, lets time pass until one can.
    fn next(&self) -> Option<Slot> {
        let mut tasks = self.0.tasks.borrow_mut();
        let first = tasks.iter().map(|slot| slot.wake).min()?;
        self.0.now.set(self.now().max(first));
        let ready: Vec<usize> = (0..tasks.len()).filter(|at| tasks[*at].wake <= self.now()).collect();
        let at = ready[self.0.random.borrow_mut().usize(0..ready.len())];
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
        self.up_to(most)
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
