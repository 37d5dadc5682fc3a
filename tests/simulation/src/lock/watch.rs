//! What must be true, watched at every step.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use signalbox::arn::ExecutionArn;
use signalbox::clock::{Clock, Timestamp};
use signalbox::lock::record::{Head, Hold, Holder};
use signalbox::tasks::TaskToken;

use super::{Model, Scenario};
use crate::{Items, trace};

/// What is believed, and by whom.
pub(super) struct Watch {
    /// The most slots that there ever were.
    slots: Cell<u32>,
    /// Who believes that it holds.
    inside: RefCell<Vec<Inside>>,
    /// Who waits.
    waiting: RefCell<Vec<Waiting>>,
    /// From whom an operator took a slot.
    forced: RefCell<Vec<Hold>>,
    /// The highest fence that anybody entered with.
    fence: Cell<i64>,
}

/// The hold of branches that share one.
pub(super) const SHARED: &str = "same";

struct Inside {
    hold: Hold,
    /// Whether it counts: a run that was redriven after its hold was freed is inside without the lock, until it is given
    /// the lock again or stopped.
    counts: bool,
}

struct Waiting {
    hold: Hold,
    token: TaskToken,
    priority: u8,
    /// When it began to ask for the first time.
    began: Timestamp,
    /// When its attempt was in the queue.
    queued: Option<Timestamp>,
}

impl Watch {
    pub(super) fn new(slots: u32) -> Self {
        Self {
            slots: Cell::new(slots),
            inside: RefCell::default(),
            waiting: RefCell::default(),
            forced: RefCell::default(),
            fence: Cell::new(0),
        }
    }

    pub(super) fn raise_slots(&self, slots: u32) {
        self.slots.set(self.slots.get().max(slots));
    }

    pub(super) fn waits(&self, hold: &Hold, token: &TaskToken, priority: u8, began: Timestamp) {
        // Of siblings that share a hold by mistake one is refused, and its place in the order says nothing.
        if hold.name.as_str() == SHARED {
            return;
        }
        let mut waiting = self.waiting.borrow_mut();
        waiting.retain(|waiting| waiting.hold != *hold);
        waiting.push(Waiting {
            hold: hold.clone(),
            token: token.clone(),
            priority,
            began,
            queued: None,
        });
    }

    pub(super) fn queued(&self, token: &TaskToken, now: Timestamp) {
        for waiting in self.waiting.borrow_mut().iter_mut() {
            if waiting.token == *token {
                waiting.queued.get_or_insert(now);
            }
        }
    }

    pub(super) fn is_queued(&self, token: &TaskToken) -> bool {
        let waiting = self.waiting.borrow();
        waiting
            .iter()
            .any(|waiting| waiting.token == *token && waiting.queued.is_some())
    }

    pub(super) fn leaves(&self, hold: &Hold) {
        self.inside.borrow_mut().retain(|inside| inside.hold != *hold);
    }

    pub(super) fn leaves_all(&self, run: &ExecutionArn) {
        self.inside.borrow_mut().retain(|inside| inside.hold.execution != *run);
        self.waiting
            .borrow_mut()
            .retain(|waiting| waiting.hold.execution != *run);
    }

    /// Whether the run is inside, and holds the lock as far as the table goes.
    pub(super) fn is_covered(&self, hold: &Hold) -> Option<bool> {
        let inside = self.inside.borrow();
        inside
            .iter()
            .find(|inside| inside.hold == *hold)
            .map(|inside| inside.counts)
    }

    /// An operator takes the slot from it, perhaps before it hears of the grant.
    pub(super) fn discounts(&self, hold: &Hold) {
        self.forced.borrow_mut().push(hold.clone());
        for inside in self.inside.borrow_mut().iter_mut() {
            if inside.hold == *hold {
                inside.counts = false;
            }
        }
    }
}

/// The entry of a hold.
fn entry<'h>(head: &'h Head, hold: &Hold) -> Option<&'h Holder> {
    head.holders.values().find(|holder| holder.is_of(hold))
}

impl Model {
    /// Looks at every write to the table, and at every grant that is delivered.
    pub(super) fn observe(self: &Rc<Self>) {
        let model = Rc::downgrade(self);
        self.table.watch(move |items| {
            if let Some(model) = model.upgrade() {
                model.look_at(items);
            }
        });
        let model = Rc::downgrade(self);
        self.tokens.watch(move |token| {
            if let Some(model) = model.upgrade() {
                model.check_order(token);
            }
        });
    }

    /// The run believes from now on that it holds.
    pub(super) fn enters(&self, hold: &Hold, fence: Option<i64>, counts: bool) {
        trace::note(&self.world, || {
            format!("### {} enters {fence:?} counts {counts}", hold.execution.name())
        });
        if let Some(fence) = fence {
            let ordered = self.scenario != Scenario::Branches && self.watch.slots.get() == 1;
            if ordered && fence <= self.watch.fence.get() {
                self.breaks(format!(
                    "{} entered with the fence {fence}, after {}",
                    hold.execution.name(),
                    self.watch.fence.get()
                ));
            }
            self.watch.fence.set(self.watch.fence.get().max(fence));
        }
        self.watch.waiting.borrow_mut().retain(|waiting| waiting.hold != *hold);
        self.watch.inside.borrow_mut().push(Inside {
            hold: hold.clone(),
            counts: counts && !self.watch.forced.borrow().contains(hold),
        });
        self.check_room();
    }

    /// Its redrive was heard of: if it holds then, it holds on.
    pub(super) fn heard_of(&self, run: &ExecutionArn, redrive: u32) {
        let now = self.sfn.now(run);
        if now.redrive != redrive || !self.sfn.runs(run) {
            return;
        }
        self.table.peek(|items| {
            let Some(head) = items.heads.get(&Self::lock()) else {
                return;
            };
            for inside in self.watch.inside.borrow_mut().iter_mut() {
                let held = entry(head, &inside.hold).is_some_and(|holder| holder.redrive == redrive);
                inside.counts |= held && inside.hold.execution == *run;
            }
        });
        self.check_room();
    }

    fn check_room(&self) {
        let inside = self.watch.inside.borrow();
        let counted: Vec<String> = inside
            .iter()
            .filter(|inside| inside.counts && self.sfn.runs(&inside.hold.execution))
            .map(|inside| format!("{}/{}", inside.hold.execution.name(), inside.hold.name.as_str()))
            .collect();
        if counted.len() > self.watch.slots.get() as usize {
            self.breaks(format!(
                "{counted:?} believe that they hold, with {} slots",
                self.watch.slots.get()
            ));
        }
    }

    /// A redriven run that is a holder again, with its new count of redrives, counts from now on.
    fn look_at(&self, items: &Items) {
        let Some(head) = items.heads.get(&Self::lock()) else {
            return;
        };
        let mut found = false;
        for inside in self
            .watch
            .inside
            .borrow_mut()
            .iter_mut()
            .filter(|inside| !inside.counts)
        {
            let run = &inside.hold.execution;
            let now = self.sfn.now(run);
            // Not by what was reserved before, for another redrive: that may be taken back at this moment.
            let held = entry(head, &inside.hold).is_some_and(|holder| {
                holder.redrive == now.redrive && holder.at.after(Duration::from_millis(2 * super::SKEW)) >= now.since
            });
            if held && now.redrive > 0 && self.sfn.runs(run) {
                inside.counts = true;
                found = true;
            }
        }
        if found {
            self.check_room();
        }
    }

    /// Nobody is told that it has the lock while another waits who was in the queue before it began to ask.
    fn check_order(&self, token: &TaskToken) {
        if self.scenario == Scenario::Operators {
            return;
        }
        let waiting = self.watch.waiting.borrow();
        let Some(next) = waiting.iter().find(|waiting| waiting.token == *token) else {
            return;
        };
        let holds = |hold: &Hold| {
            self.table.peek(|items| {
                let head = items.heads.get(&Self::lock());
                head.is_some_and(|head| {
                    let mut holders = head.holders.values();
                    holders.any(|holder| holder.execution == hold.execution && holder.name == hold.name)
                })
            })
        };
        for other in waiting.iter().filter(|other| other.token != *token) {
            let was_first = other.queued.is_some_and(|queued| queued < next.began) && other.priority >= next.priority;
            if was_first && self.tokens.is_open(&other.token) && !holds(&other.hold) {
                self.breaks(format!(
                    "{} overtook {}, which was in the queue before it came ({} < {})",
                    next.hold.execution.name(),
                    other.hold.execution.name(),
                    other.queued.map_or(0, Timestamp::as_millis),
                    next.began.as_millis(),
                ));
            }
        }
    }

    /// Some time after a redrive the run holds again, or is stopped, or has left.
    pub(super) fn must_be_covered(self: &Rc<Self>, hold: &Hold, redrive: u32) {
        let (model, hold) = (Rc::clone(self), hold.clone());
        let left = model.world.now().max(model.start.after(super::TROUBLE_ENDS));
        let by = left.after(Duration::from_secs(200));
        self.world.spawn(async move {
            model.world.sleep(by.since(model.world.now())).await;
            let now = model.sfn.now(&hold.execution);
            let held = model.table.peek(|items| {
                let head = items.heads.get(&Self::lock());
                head.and_then(|head| entry(head, &hold))
                    .is_some_and(|holder| holder.redrive == redrive)
            });
            let lives = model.sfn.runs(&hold.execution) && now.redrive == redrive;
            if lives && !held && model.watch.is_covered(&hold) == Some(false) {
                model.breaks(format!(
                    "{} was redriven, and works on without the lock",
                    hold.execution.name()
                ));
            }
        });
    }
}
