//! The lock's store in memory, with the semantics that the DynamoDB adapter gives it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use signalbox::arn::ExecutionArn;
use signalbox::aws::CallError;
use signalbox::clock::{Clock, Timestamp};
use signalbox::lock::key::{Fence, LockKey, Nonce, Place, Ticket};
use signalbox::lock::record::{Head, Hold, Holder, Owner, Waiter, Wish};
use signalbox::lock::store::{
    Audit, Audits, Directory, FreeIf, Freed, Gate, Granting, Heads, Owners, Page, Queue, Recorded, Setting,
};
use signalbox::simulation::World;

use crate::{Trouble, trace};

/// The items in memory. Calls fail, before or after they took effect, as `trouble` says.
#[derive(Clone)]
pub struct MemoryTable {
    world: World,
    trouble: Trouble,
    items: Rc<RefCell<Items>>,
    watch: Rc<RefCell<Option<Watch>>>,
    refused: Rc<RefCell<Option<LockKey>>>,
}

type Watch = Box<dyn Fn(&Items)>;

/// An attempt of a call takes up to so long, before the SDK makes another one.
const RESENT: Duration = Duration::from_secs(5);

/// What is stored.
#[derive(Debug, Default, Hash)]
pub struct Items {
    /// HEAD of each lock.
    pub heads: BTreeMap<LockKey, Head>,
    /// The locks in the directory.
    pub active: BTreeSet<LockKey>,
    /// WAIT, in the order of the queue.
    pub waits: BTreeMap<(LockKey, Place), Waiter>,
    /// OWNER.
    pub owners: BTreeMap<Hold, Owner>,
    audits: Vec<(LockKey, Audit)>,
}

impl MemoryTable {
    /// An empty table.
    #[must_use]
    pub fn new(world: World, trouble: Trouble) -> Self {
        Self {
            world,
            trouble,
            items: Rc::default(),
            watch: Rc::default(),
            refused: Rc::default(),
        }
    }

    /// Calls `watch` after each call's effect.
    pub fn watch(&self, watch: impl Fn(&Items) + 'static) {
        self.watch.replace(Some(Box::new(watch)));
    }

    /// From now on nobody gets at HEAD of this lock: each call of [`Heads`] fails, without an effect.
    pub fn refuse(&self, lock: &LockKey) {
        self.refused.replace(Some(lock.clone()));
    }

    /// Looks at what is stored, without a call.
    pub fn peek<T>(&self, look: impl FnOnce(&Items) -> T) -> T {
        look(&self.items.borrow())
    }

    /// One call: others may go on before it and after it, and it may fail on either side of its effect.
    async fn call<T: std::fmt::Debug + std::hash::Hash>(
        &self,
        what: &str,
        effect: impl Fn(&mut Items) -> T,
    ) -> Result<T, CallError> {
        self.world.step().await;
        self.fail()?;
        let mut answer = effect(&mut self.items.borrow_mut());
        // The answer is lost, and the SDK makes the call again: it takes effect twice, and the second answer counts.
        while self.trouble.strikes(&self.world) {
            self.watched();
            self.world.sleep(self.world.up_to(RESENT)).await;
            answer = effect(&mut self.items.borrow_mut());
        }
        self.watched();
        trace::note(&self.world, || format!("{what} -> {answer:?}"));
        self.world.observe(&answer);
        self.world.linger().await;
        self.fail()?;
        Ok(answer)
    }

    fn watched(&self) {
        if let Some(watch) = &*self.watch.borrow() {
            watch(&self.items.borrow());
        }
    }

    fn reach(&self, lock: &LockKey) -> Result<(), CallError> {
        match self.refused.borrow().as_ref() == Some(lock) {
            true => Err(CallError::malformed("dynamodb:Simulated", "refused")),
            false => Ok(()),
        }
    }

    fn fail(&self) -> Result<(), CallError> {
        match self.trouble.strikes(&self.world) {
            true => Err(CallError::malformed(
                "dynamodb:Simulated",
                "throttled, or the reply was lost",
            )),
            false => Ok(()),
        }
    }
}

impl Items {
    /// HEAD for a write that takes effect in any case.
    fn touch(&mut self, lock: &LockKey, now: Timestamp) -> &mut Head {
        self.active.insert(lock.clone());
        let head = self.heads.entry(lock.clone()).or_insert_with(|| Head::new(now));
        head.changed = now;
        head
    }
}

impl Heads for MemoryTable {
    async fn head(&self, lock: &LockKey) -> Result<Option<Head>, CallError> {
        self.reach(lock)?;
        self.call("head", |items| items.heads.get(lock).cloned()).await
    }

    async fn grant(&self, lock: &LockKey, ticket: &Ticket, holder: &Holder, gate: Gate) -> Result<Granting, CallError> {
        self.reach(lock)?;
        self.call("grant", |items| {
            let fresh = !items.heads.contains_key(lock);
            let head = items.heads.entry(lock.clone()).or_insert_with(|| Head::new(holder.at));
            let gate_met = match gate {
                Gate::Newcomer => !head.contended,
                Gate::Promotion(fence) => head.fence == fence,
                Gate::Regain => true,
            };
            let met = head.has_room() && !head.paused && !head.holders.contains_key(ticket) && (gate_met || fresh);
            if !met {
                return match head.holders.get(ticket) == Some(holder) {
                    true => Granting::Granted(head.clone()),
                    false => Granting::Refused(head.clone()),
                };
            }
            head.fence = Fence(head.fence.0 + 1);
            head.holders.insert(ticket.clone(), holder.clone());
            head.fences.insert(ticket.clone(), head.fence);
            head.changed = holder.at;
            let granted = head.clone();
            if !lock.is_the_guards() {
                items.active.insert(lock.clone());
            }
            Granting::Granted(granted)
        })
        .await
    }

    async fn amend(&self, lock: &LockKey, ticket: &Ticket, seen: &Holder, holder: &Holder) -> Result<bool, CallError> {
        self.reach(lock)?;
        self.call("amend", |items| {
            let Some(head) = items.heads.get_mut(lock) else {
                return false;
            };
            let met = head.holders.get(ticket) == Some(seen);
            if met {
                head.holders.insert(ticket.clone(), holder.clone());
                head.changed = holder.at;
            }
            met
        })
        .await
    }

    async fn free(
        &self,
        lock: &LockKey,
        ticket: &Ticket,
        condition: FreeIf<'_>,
        now: Timestamp,
    ) -> Result<Freed, CallError> {
        self.reach(lock)?;
        self.call("free", |items| {
            let Some(head) = items.heads.get_mut(lock) else {
                return Freed::Kept(None);
            };
            let met = head.holders.get(ticket).is_some_and(|held| match condition {
                FreeIf::Any => true,
                FreeIf::Seen(seen) => held == seen,
                FreeIf::By(me) => held.by == *me,
                FreeIf::Ended { redrive, stopped } => held.redrive <= redrive && held.entered <= stopped,
            });
            if !met {
                return Freed::Kept(Some(head.clone()));
            }
            if let Some(held) = head.holders.remove(ticket) {
                head.last_hold_ms = Some(now.as_millis() - held.since.as_millis());
            }
            head.fences.remove(ticket);
            head.changed = now;
            Freed::Freed(head.clone())
        })
        .await
    }
}

impl Queue for MemoryTable {
    async fn arrive(&self, lock: &LockKey, now: Timestamp) -> Result<u64, CallError> {
        self.call("arrive", |items| {
            let head = items.touch(lock, now);
            head.arrivals += 1;
            head.arrivals
        })
        .await
    }

    async fn enqueue(&self, waiter: &Waiter) -> Result<(), CallError> {
        self.call("enqueue", |items| {
            let key = (waiter.hold.lock.clone(), waiter.place.clone());
            if items.waits.get(&key).is_none_or(|there| there.ticket == waiter.ticket) {
                items.waits.insert(key, waiter.clone());
            }
        })
        .await
    }

    async fn dequeue(&self, waiter: &Waiter) -> Result<(), CallError> {
        self.call("dequeue", |items| {
            let key = (waiter.hold.lock.clone(), waiter.place.clone());
            if items.waits.get(&key).is_some_and(|there| there.by == waiter.by) {
                items.waits.remove(&key);
            }
        })
        .await
    }

    async fn vacate(&self, lock: &LockKey, place: &Place) -> Result<(), CallError> {
        self.call("vacate", |items| {
            items.waits.remove(&(lock.clone(), place.clone()));
        })
        .await
    }

    async fn contend(&self, lock: &LockKey, now: Timestamp) -> Result<(), CallError> {
        self.call("contend", |items| {
            let head = items.touch(lock, now);
            head.contended = true;
            head.generation += 1;
        })
        .await
    }

    async fn calm(&self, lock: &LockKey, generation: u64) -> Result<bool, CallError> {
        self.call("calm", |items| match items.heads.get_mut(lock) {
            Some(head) if head.generation == generation => {
                head.contended = false;
                true
            }
            _ => false,
        })
        .await
    }

    async fn waiters(&self, lock: &LockKey, after: Option<&Place>, most: u32) -> Result<Vec<Waiter>, CallError> {
        self.call("waiters", |items| {
            let waits = items
                .waits
                .iter()
                .filter(|((of, place), _)| of == lock && after.is_none_or(|after| place > after));
            waits.take(most as usize).map(|(_, waiter)| waiter.clone()).collect()
        })
        .await
    }

    async fn waiter(&self, lock: &LockKey, place: &Place) -> Result<Option<Waiter>, CallError> {
        self.call("waiter", |items| {
            items.waits.get(&(lock.clone(), place.clone())).cloned()
        })
        .await
    }

    async fn count(&self, lock: &LockKey, until: Option<&Place>, most: u32) -> Result<u32, CallError> {
        self.call("count", |items| {
            let waits = items
                .waits
                .keys()
                .filter(|(of, place)| of == lock && until.is_none_or(|until| place <= until));
            u32::try_from(waits.take(most as usize).count()).unwrap_or(u32::MAX)
        })
        .await
    }

    async fn configure(&self, lock: &LockKey, setting: Setting, now: Timestamp) -> Result<Head, CallError> {
        self.call("configure", |items| {
            let head = items.touch(lock, now);
            match setting {
                Setting::Slots(slots) => head.slots = slots,
                Setting::Paused(paused) => head.paused = paused,
            }
            head.clone()
        })
        .await
    }

    async fn retire(&self, lock: &LockKey, seen: &Head, _now: Timestamp) -> Result<(), CallError> {
        self.call("retire", |items| {
            if items.heads.get(lock) == Some(seen) && seen.holders.is_empty() && !seen.contended {
                items.active.remove(lock);
            }
        })
        .await
    }
}

impl Owners for MemoryTable {
    async fn open(&self, owner: &Owner, _now: Timestamp) -> Result<Recorded, CallError> {
        self.call("open", |items| match items.owners.get(&owner.hold) {
            Some(found) if found.wish != Wish::Released || found.attempt >= owner.attempt => {
                Recorded::Found(Box::new(found.clone()))
            }
            _ => {
                items.owners.insert(owner.hold.clone(), stored(owner));
                Recorded::Done
            }
        })
        .await
    }

    async fn owner(&self, hold: &Hold) -> Result<Option<Owner>, CallError> {
        self.call("owner", |items| items.owners.get(hold).cloned()).await
    }

    async fn owned_by(&self, execution: &ExecutionArn) -> Result<Vec<Owner>, CallError> {
        self.call("owned_by", |items| {
            let owned = items.owners.values().filter(|owner| owner.hold.execution == *execution);
            owned.cloned().collect()
        })
        .await
    }

    async fn reown(&self, seen: &Owner, owner: &Owner, _now: Timestamp) -> Result<bool, CallError> {
        self.call("reown", |items| {
            let met = items.owners.get(&seen.hold).is_some_and(|now| {
                now.ticket == seen.ticket
                    && now.attempt == seen.attempt
                    && now.wish == seen.wish
                    && now.place == seen.place
            });
            if met {
                items.owners.insert(owner.hold.clone(), stored(owner));
            }
            met
        })
        .await
    }

    async fn close(
        &self,
        hold: &Hold,
        entered: Option<Timestamp>,
        _now: Timestamp,
    ) -> Result<Option<Owner>, CallError> {
        self.call("close", |items| {
            let owner = items.owners.get_mut(hold)?;
            if entered.is_some_and(|entered| owner.attempt.entered > entered) {
                return None;
            }
            let before = owner.clone();
            owner.wish = Wish::Released;
            if let Some(entered) = entered {
                (owner.attempt.entered, owner.attempt.retry) = (entered, 0);
            }
            Some(before)
        })
        .await
    }
}

/// As it is stored: what is released has no token any more.
fn stored(owner: &Owner) -> Owner {
    Owner {
        token: owner.token.clone().filter(|_| owner.wish != Wish::Released),
        ..owner.clone()
    }
}

impl Directory for MemoryTable {
    async fn active(&self, _from: Option<String>) -> Result<Page<LockKey>, CallError> {
        self.call("active", |items| page(items.active.iter().cloned().collect()))
            .await
    }

    async fn lost(&self, _from: Option<String>) -> Result<Page<Hold>, CallError> {
        self.call("lost", |items| {
            let lost = items.owners.values().filter(|owner| owner.wish == Wish::Lost);
            page(lost.map(|owner| owner.hold.clone()).collect())
        })
        .await
    }

    async fn overdue(&self, now: Timestamp, _from: Option<String>) -> Result<Page<(LockKey, Place)>, CallError> {
        self.call("overdue", |items| {
            let overdue = items
                .waits
                .iter()
                .filter(|(_, waiter)| waiter.until.is_some_and(|until| until <= now));
            page(overdue.map(|(key, _)| key.clone()).collect())
        })
        .await
    }
}

fn page<T>(entries: Vec<T>) -> Page<T> {
    Page { entries, next: None }
}

impl Audits for MemoryTable {
    async fn note(&self, lock: &LockKey, audit: &Audit, _id: &Nonce) -> Result<(), CallError> {
        self.call("note", |items| items.audits.push((lock.clone(), audit.clone())))
            .await
    }

    async fn noted(&self, lock: &LockKey, most: u32) -> Result<Vec<Audit>, CallError> {
        self.call("noted", |items| {
            let noted = items.audits.iter().rev().filter(|(of, _)| of == lock);
            noted.take(most as usize).map(|(_, audit)| audit.clone()).collect()
        })
        .await
    }
}
