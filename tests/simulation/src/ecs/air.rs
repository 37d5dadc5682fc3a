//! What one invocation lives on: its clock, its timers, and the moment at which it dies.
//!
//! A sweep looks after many tasks at the same time within one invocation. Each of its parts sleeps for itself, where the
//! world knows but one sleep of a task: the timers are kept here.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use signalbox::clock::{Clock, Timestamp};
use signalbox::simulation::World;

/// When an invocation dies, counted in its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dies {
    /// Its call with this number, from 0, is not made any more.
    Before(usize),
    /// The call takes effect, and nobody hears of it.
    After(usize),
}

/// Shared by all parts of an invocation.
#[derive(Clone)]
pub(super) struct Air(Rc<Inner>);

struct Inner {
    world: World,
    skew: i64,
    latency: Duration,
    hangs: f64,
    timers: RefCell<Vec<(Timestamp, Waker)>>,
    dies: Option<Dies>,
    calls: Cell<usize>,
    dead: Cell<bool>,
}

/// Of so many steps one is slow,
const SLOW: usize = 25;

/// and so much slower.
const SLOWER: u32 = 50;

/// A call that hangs takes up to this.
const HANGS: Duration = Duration::from_secs(25);

impl Air {
    /// `hangs`: the chance that a step takes very long; its clock is off by `skew` milliseconds.
    pub(super) fn new(world: World, skew: i64, latency: Duration, hangs: f64, dies: Option<Dies>) -> Self {
        Self(Rc::new(Inner {
            world,
            skew,
            latency,
            hangs,
            timers: RefCell::default(),
            dies,
            calls: Cell::new(0),
            dead: Cell::new(false),
        }))
    }

    /// Does the work of the invocation. `None`: it died.
    pub(super) async fn breathe<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let Inner {
            world, timers, dead, ..
        } = &*self.0;
        let mut work = pin!(work);
        poll_fn(|context| {
            let now = world.now();
            timers.borrow_mut().retain(|(at, waker)| {
                if *at <= now {
                    waker.wake_by_ref();
                }
                *at > now
            });
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            if dead.get() {
                return Poll::Ready(None);
            }
            let next = timers.borrow().iter().map(|(at, _)| *at).min().unwrap_or(now);
            // The world is told when to go on; the sleep itself is of no use.
            let mut sleep = pin!(world.sleep(next.since(now)));
            let _ = sleep.as_mut().poll(context);
            Poll::Pending
        })
        .await
    }

    /// Lets others go on: before each call and after it.
    pub(super) async fn step(&self) {
        let Inner {
            world, latency, hangs, ..
        } = &*self.0;
        let most = match world.number(1..=SLOW) == 1 {
            _ if *hangs > 0.0 && world.chance(*hangs) => HANGS,
            true => *latency * SLOWER,
            false => *latency,
        };
        self.sleep(world.up_to(most)).await;
    }

    /// Another call is made, unless the invocation dies before it. Its number.
    pub(super) async fn calls_now(&self) -> usize {
        let call = self.0.calls.get();
        self.0.calls.set(call + 1);
        self.die_if(Dies::Before(call)).await;
        call
    }

    /// The call took effect: perhaps nobody hears of it.
    pub(super) async fn called(&self, call: usize) {
        self.die_if(Dies::After(call)).await;
    }

    async fn die_if(&self, moment: Dies) {
        if self.0.dies == Some(moment) {
            self.0.dead.set(true);
            std::future::pending::<()>().await;
        }
    }
}

impl Clock for Air {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.world.now().as_millis() + self.0.skew)
    }

    async fn sleep(&self, span: Duration) {
        let Inner { world, timers, .. } = &*self.0;
        let until = world.now().after(span);
        let mut slept = false;
        poll_fn(|context| {
            if slept && world.now() >= until {
                return Poll::Ready(());
            }
            slept = true;
            timers.borrow_mut().push((until, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    fn jitter(&self, most: Duration) -> Duration {
        self.0.world.jitter(most)
    }

    fn nonce(&self) -> u64 {
        self.0.world.nonce()
    }
}
