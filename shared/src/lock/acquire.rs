//! A run asks for the lock.

use std::ops::ControlFlow;
use std::time::Duration;

use super::error::Error;
use super::key::{Fence, Place, Priority, Ticket};
use super::record::{Attempt, Head, Hold, Holder, Owner, Waiter, Wish};
use super::redrive::Regained;
use super::store::{FreeIf, Freed, Gate, Granting, Recorded, Store};
use super::{MARGIN, Session, error};
use crate::clock::{Clock, Timestamp};
use crate::executions::Executions;
use crate::tasks::TaskToken;
use crate::tasks::{Outcome, Sent, Tasks};

/// What is done if the lock is not free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBusy {
    /// Queue.
    #[default]
    Wait,
    /// Fail with `Lock.Busy`.
    Fail,
    /// Go on without the lock, and say so.
    Skip,
    /// Queue, and fail those who came earlier and have no higher priority.
    ReplaceWaiting,
    /// Queue before all others, and stop the execution that has held the lock longest.
    CancelHolder,
}

/// A run that asks for a lock.
#[derive(Debug, Clone)]
pub struct Acquire {
    /// What it asks for.
    pub hold: Hold,
    /// The token of the task that waits for the lock.
    pub token: TaskToken,
    /// Whether the caller knows how often the run was redriven: `attempt.redrive` is 0 if not.
    pub redrive_known: bool,
    /// Which attempt this is.
    pub attempt: Attempt,
    /// Its rank.
    pub priority: Priority,
    /// What is done if the lock is not free.
    pub on_busy: OnBusy,
    /// How many may wait already, if it matters.
    pub max_queue: Option<u32>,
    /// How long it waits at most.
    pub max_wait: Option<Duration>,
}

/// How asking ended. Whoever waits for the token hears of it by the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acquired {
    /// The lock was granted, and the task told so.
    Granted,
    /// The run is in the queue.
    Queued,
    /// The run goes on without the lock.
    Skipped,
    /// The task that asked is over: nobody waits for the lock any more.
    Gone,
    /// The grant stands, and whether the task was told is not known; it will be found out.
    Unsettled,
}

/// Most holders whose end is looked for before a run is refused.
const LOOKED_AT: usize = 10;

/// Most waiters that are replaced in one round.
const REPLACED: u32 = 25;

impl<S, T, E, C> Session<'_, S, T, E, C>
where
    S: Store,
    T: Tasks,
    E: Executions,
    C: Clock,
{
    /// Asks for the lock.
    ///
    /// It may be repeated, after a crash at any point too: the same attempt, or a later one of the same visit, keeps its
    /// place, and is told again what it has been granted.
    pub async fn acquire(&self, ask: &Acquire) -> Result<Acquired, Error> {
        while self.has_time(MARGIN) {
            let owner = self.record(ask).await?;
            let step = match &owner.place {
                None => self.ask_freely(ask, &owner).await?,
                Some(place) => self.ask_again(ask, &owner, place).await?,
            };
            if let Some(acquired) = step {
                return Ok(acquired);
            }
        }
        Err(Error::Undecided(format!(
            "the lock {} changed hands again and again",
            ask.hold.lock
        )))
    }

    /// Writes down that this attempt asks.
    async fn record(&self, ask: &Acquire) -> Result<Owner, Error> {
        let store = &self.locks.store;
        let now = self.now();
        let mut fresh = Owner {
            hold: ask.hold.clone(),
            ticket: Ticket::draw(&self.locks.clock),
            attempt: ask.attempt,
            wish: Wish::Open,
            token: Some(ask.token.clone()),
            place: None,
            since: now,
        };
        loop {
            let found = match store.open(&fresh, now).await? {
                Recorded::Done => return Ok(fresh),
                Recorded::Found(found) => *found,
            };
            let mut attempt = ask.attempt;
            if !ask.redrive_known {
                attempt.redrive = match found.token.as_ref() == Some(&ask.token) {
                    true => found.attempt.redrive,
                    false => self.redrives(ask, &found).await?,
                };
            }
            let next = match self.relate(&found, attempt, &ask.token).await? {
                Relation::Same => return Ok(found),
                Relation::Reopens => {
                    fresh.attempt = attempt;
                    fresh.clone()
                }
                Relation::Retries => Owner {
                    attempt,
                    token: Some(ask.token.clone()),
                    // It keeps its place in the queue. Without one it has nothing to keep, and what a predecessor that
                    // goes on may still be granted is not its own.
                    ticket: match found.place {
                        Some(_) => found.ticket.clone(),
                        None => fresh.ticket.clone(),
                    },
                    ..found.clone()
                },
                Relation::Sibling if found.wish == Wish::Released && !ask.redrive_known => {
                    return Err(Error::Undecided(
                        "this visit of the state had its answer before. If the run was redriven since, that is not visible \
                         yet; with redriveCount ($$.Execution.RedriveCount) nobody has to look"
                            .to_owned(),
                    ));
                }
                Relation::Sibling if found.wish == Wish::Released => {
                    return Err(Error::Over {
                        run: ask.hold.execution.clone(),
                        lock: ask.hold.lock.clone(),
                    });
                }
                Relation::Sibling => {
                    return Err(Error::HoldInUse {
                        run: ask.hold.execution.clone(),
                        lock: ask.hold.lock.clone(),
                        name: ask.hold.name.as_str().to_owned(),
                    });
                }
            };
            if store.reown(&found, &next, now).await? {
                return Ok(next);
            }
            if !self.has_time(MARGIN) {
                return Err(Error::Undecided("other attempts ask at the same time".to_owned()));
            }
        }
    }

    /// How often the run was redriven, where its caller does not say: at least as often as is recorded.
    async fn redrives(&self, ask: &Acquire, found: &Owner) -> Result<u32, Error> {
        let run = self.locks.executions.describe(&ask.hold.execution).await?;
        Ok(run.map_or(0, |run| run.redrive).max(found.attempt.redrive))
    }

    /// What `attempt` is to what is recorded.
    async fn relate(&self, found: &Owner, attempt: Attempt, token: &TaskToken) -> Result<Relation, Error> {
        let same_token = found.token.as_ref() == Some(token);
        if found.attempt == attempt && same_token && found.wish == Wish::Open {
            return Ok(Relation::Same);
        }
        if found.attempt >= attempt {
            return Ok(Relation::Sibling);
        }
        // What is over is followed by a new acquisition.
        if found.wish != Wish::Open {
            return Ok(Relation::Reopens);
        }
        let Some(recorded) = &found.token else {
            return Ok(Relation::Sibling);
        };
        let retries = attempt.redrive > found.attempt.redrive || attempt.entered == found.attempt.entered;
        if retries && same_token {
            return Ok(Relation::Retries);
        }
        // A sibling that entered its state in the same millisecond looks like a retry, and so does its own retry: but
        // where the recorded attempt goes on, or has what it asked for, this is none.
        match self.locks.tasks.beat(recorded).await? {
            Sent::Accepted => return Ok(Relation::Sibling),
            Sent::Unknown(error) => return Err(error.into()),
            Sent::Closed => {}
        }
        let head = self.head_of(&found.hold.lock).await?;
        if !head.is_some_and(|head| head.holders.contains_key(&found.ticket)) {
            return Ok(if retries { Relation::Retries } else { Relation::Reopens });
        }
        match self.locks.tasks.outcome(&found.hold.execution, recorded).await? {
            Outcome::Failed | Outcome::Unreadable if retries => Ok(Relation::Retries),
            // It was granted the lock, and never told.
            Outcome::Failed => Ok(Relation::Reopens),
            Outcome::Succeeded | Outcome::Unreadable => Ok(Relation::Sibling),
            Outcome::Unclear => Err(Error::Undecided(
                "Step Functions does not show yet how the attempt before this one ended".to_owned(),
            )),
        }
    }

    /// The fast path: nobody waits, and a slot is free. `None`: start over.
    async fn ask_freely(&self, ask: &Acquire, owner: &Owner) -> Result<Option<Acquired>, Error> {
        let head = match self.take_free(owner).await? {
            ControlFlow::Break(acquired) => return Ok(acquired),
            ControlFlow::Continue(head) => head,
        };
        if self.clear_leftover(owner, &head).await? {
            return Ok(None);
        }
        match ask.on_busy {
            OnBusy::Wait | OnBusy::ReplaceWaiting | OnBusy::CancelHolder => self.queue_up(ask, owner, &head).await,
            OnBusy::Fail | OnBusy::Skip => self.refuse_unless_freed(ask, owner, &head, None).await,
        }
    }

    /// Takes a slot if one is free and nobody waits, or goes on with what it has been granted. Else: HEAD as it is.
    async fn take_free(&self, owner: &Owner) -> Result<ControlFlow<Option<Acquired>, Head>, Error> {
        let head = match self.try_grant(owner, Gate::Newcomer).await? {
            Granting::Granted(head) => return self.deliver_own(owner, &head).await.map(Some).map(ControlFlow::Break),
            Granting::Refused(head) => head,
        };
        match head.holders.get(&owner.ticket) {
            Some(holder) => self.take_over(owner, holder, &head).await.map(ControlFlow::Break),
            None => Ok(ControlFlow::Continue(head)),
        }
    }

    /// The attempt before this one had a place in the queue, or has been granted meanwhile.
    async fn ask_again(&self, ask: &Acquire, owner: &Owner, place: &Place) -> Result<Option<Acquired>, Error> {
        let head = self
            .head_of(&owner.hold.lock)
            .await?
            .unwrap_or_else(|| Head::new(self.now()));
        if let Some(holder) = head.holders.get(&owner.ticket) {
            return self.take_over(owner, holder, &head).await;
        }
        self.wait_in(ask, owner, place).await.map(Some)
    }

    pub(super) async fn try_grant(&self, owner: &Owner, gate: Gate) -> Result<Granting, Error> {
        let holder = self.holder(owner);
        Ok(self
            .locks
            .store
            .grant(&owner.hold.lock, &owner.ticket, &holder, gate)
            .await?)
    }

    /// The entry of a grant that this invocation makes now.
    pub(super) fn holder(&self, owner: &Owner) -> Holder {
        let now = self.now();
        Holder {
            execution: owner.hold.execution.clone(),
            name: owner.hold.name.clone(),
            redrive: owner.attempt.redrive,
            entered: owner.attempt.entered,
            since: now,
            by: self.me.clone(),
            at: now,
            // Nobody waits to be told: it is a reserved slot.
            confirmed: owner.token.is_none(),
            members: Vec::new(),
        }
    }

    /// An attempt before this one was granted the lock; this one is told. From now on a closed token proves nothing: the
    /// run may have been told before.
    async fn take_over(&self, owner: &Owner, seen: &Holder, head: &Head) -> Result<Option<Acquired>, Error> {
        let mine = self.signed(seen);
        if !self
            .locks
            .store
            .amend(&owner.hold.lock, &owner.ticket, seen, &mine)
            .await?
        {
            return Ok(None);
        }
        let Some(token) = &owner.token else {
            return Ok(Some(Acquired::Granted));
        };
        let fence = fence_of(head, &owner.ticket);
        let sent = self.tell(token, owner, fence, mine.since).await?;
        Ok(Some(match sent {
            Sent::Accepted => Acquired::Granted,
            Sent::Closed | Sent::Unknown(_) => Acquired::Unsettled,
        }))
    }

    /// Frees what an earlier acquisition of the same hold left: its release, or its end, crashed on the way.
    async fn clear_leftover(&self, owner: &Owner, head: &Head) -> Result<bool, Error> {
        let hold = &owner.hold;
        let leftover = head
            .holders
            .iter()
            .find(|(ticket, holder)| **ticket != owner.ticket && holder.is_of(hold));
        let Some((ticket, holder)) = leftover else {
            return Ok(false);
        };
        // If a later attempt has asked meanwhile, this one is the leftover.
        let now = self.locks.store.owner(hold).await?;
        if now.is_none_or(|now| now.ticket != owner.ticket) {
            return Ok(true);
        }
        let freed = self
            .locks
            .store
            .free(&hold.lock, ticket, FreeIf::Seen(holder), self.now())
            .await?;
        if let Freed::Freed(head) = freed
            && head.contended
        {
            self.promote(&hold.lock, Some(head)).await?;
        }
        Ok(true)
    }

    /// Draws a place, and waits in it.
    async fn queue_up(&self, ask: &Acquire, owner: &Owner, head: &Head) -> Result<Option<Acquired>, Error> {
        let (store, lock) = (&self.locks.store, &ask.hold.lock);
        if let Some(most) = ask.max_queue {
            let waiting = match most {
                0 => 0,
                most => store.count(lock, None, most).await?,
            };
            if waiting >= most {
                let full = Error::QueueFull {
                    lock: lock.clone(),
                    waiting,
                };
                return self.refuse_unless_freed(ask, owner, head, Some(full)).await;
            }
        }
        let arrival = store.arrive(lock, self.now()).await?;
        let place = match ask.on_busy {
            OnBusy::CancelHolder => Place::ahead(arrival),
            _ => Place::by_arrival(ask.priority, arrival),
        };
        let placed = Owner {
            place: Some(place.clone()),
            ..owner.clone()
        };
        // Before the place is taken: whoever releases must know of it.
        if !store.reown(owner, &placed, self.now()).await? {
            return Ok(None);
        }
        self.wait_in(ask, &placed, &place).await.map(Some)
    }

    /// Waits in a place that OWNER names.
    async fn wait_in(&self, ask: &Acquire, owner: &Owner, place: &Place) -> Result<Acquired, Error> {
        let (store, lock) = (&self.locks.store, &ask.hold.lock);
        let waiter = Waiter {
            hold: owner.hold.clone(),
            ticket: owner.ticket.clone(),
            place: place.clone(),
            since: owner.since,
            until: ask.max_wait.map(|most| owner.since.after(most)),
            by: self.me.clone(),
        };
        store.enqueue(&waiter).await?;
        // Only now: set earlier, a promoter that sees an empty queue clears it, and nobody wakes this waiter.
        store.contend(lock, self.now()).await?;
        match ask.on_busy {
            OnBusy::ReplaceWaiting => self.replace_waiting(ask, place).await?,
            OnBusy::CancelHolder => self.cancel_holder(ask, owner).await?,
            OnBusy::Wait | OnBusy::Fail | OnBusy::Skip => {}
        }
        let granted = self.promote(lock, None).await?;
        Ok(match granted.contains(&owner.ticket) {
            true => Acquired::Granted,
            false => Acquired::Queued,
        })
    }

    /// The run is not to wait. But a holder may have ended, and its event be on the way: look once, then refuse.
    async fn refuse_unless_freed(
        &self,
        ask: &Acquire,
        owner: &Owner,
        head: &Head,
        full: Option<Error>,
    ) -> Result<Option<Acquired>, Error> {
        let lock = &ask.hold.lock;
        for (_, holder) in head.by_age().into_iter().take(LOOKED_AT) {
            if self.end_if_over(lock, holder).await? {
                break;
            }
        }
        self.promote(lock, None).await?;
        let head = match self.take_free(owner).await? {
            ControlFlow::Break(acquired) => return Ok(acquired),
            ControlFlow::Continue(head) => head,
        };
        // OWNER stays as it is: another invocation of this very attempt may be granted the lock at this moment, and tell so.
        if let Some(full) = full {
            return Err(full);
        }
        if ask.on_busy == OnBusy::Skip {
            let sent = self
                .locks
                .tasks
                .succeed(&ask.token, &super::deliver::skipped(&ask.hold))
                .await?;
            return Ok(Some(match sent {
                Sent::Accepted => Acquired::Skipped,
                Sent::Closed => Acquired::Gone,
                Sent::Unknown(error) => return Err(error.into()),
            }));
        }
        if head.paused {
            return Err(Error::Paused { lock: lock.clone() });
        }
        Err(Error::Busy {
            lock: lock.clone(),
            slots: head.slots,
            holder: longest(&head).map(Box::new),
        })
    }

    /// If the holder's run has ended, gives back what it has.
    async fn end_if_over(&self, lock: &super::key::LockKey, holder: &Holder) -> Result<bool, Error> {
        let run = self.locks.executions.describe(&holder.execution).await?;
        let Some(end) = super::release::end_of(run.as_ref(), holder, self.now()) else {
            return Ok(false);
        };
        self.end_hold(&holder.hold(lock), end).await
    }

    /// Fails those who came earlier and have no higher priority, but not this run's own.
    async fn replace_waiting(&self, ask: &Acquire, place: &Place) -> Result<(), Error> {
        if !place.is_by_arrival() {
            // An operator has moved it since: it is before all of them.
            return Ok(());
        }
        let lowest = Place::by_arrival(ask.priority, 0);
        let mut after = Some(lowest);
        loop {
            let batch = self
                .locks
                .store
                .waiters(&ask.hold.lock, after.as_ref(), REPLACED)
                .await?;
            let Some(last) = batch.last() else { return Ok(()) };
            after = Some(last.place.clone());
            for waiter in &batch {
                if waiter.hold.execution == ask.hold.execution || waiter.place.number() >= place.number() {
                    continue;
                }
                let cause = format!(
                    "{} took its place in the queue of the lock {} (onBusy: replaceWaiting)",
                    ask.hold.execution.name(),
                    ask.hold.lock
                );
                self.fail_waiter(waiter, error::SUPERSEDED, &cause).await?;
                if !self.has_time(MARGIN) {
                    // The retry goes on with the rest.
                    return Err(Error::Undecided(
                        "too many runs waited to be replaced at once".to_owned(),
                    ));
                }
            }
        }
    }

    /// Stops the execution that has held the lock longest, unless a slot is free, or grants are paused, or it is this run
    /// itself. Only one that held it before this run first asked: a retry stops nobody else.
    async fn cancel_holder(&self, ask: &Acquire, owner: &Owner) -> Result<(), Error> {
        let Some(head) = self.head_of(&ask.hold.lock).await? else {
            return Ok(());
        };
        if head.has_room() || head.paused {
            return Ok(());
        }
        let oldest = head
            .by_age()
            .into_iter()
            .map(|(_, holder)| holder)
            .find(|holder| holder.execution != ask.hold.execution && holder.since < owner.since);
        let Some(holder) = oldest else { return Ok(()) };
        let cause = format!(
            "{} of {} took the lock {} from it (onBusy: cancelHolder).",
            ask.hold.execution.name(),
            ask.hold.execution.machine().name(),
            ask.hold.lock
        );
        self.locks
            .executions
            .stop(&holder.execution, error::CANCELLED, &cause)
            .await?;
        tracing::info!(executionArn = %ask.hold.execution, lock = %ask.hold.lock, stopped = %holder.execution, "stopped the holder");
        Ok(())
    }

    /// A run that was redriven into a section that the lock protects makes sure that it still holds it. `redrive`: how
    /// often it was redriven; `entered`: when it entered the state that asserts.
    ///
    /// It does, or is given the lock again; else it is an error. From then on no late word of an earlier failure frees it.
    pub async fn assert(
        &self,
        hold: &Hold,
        token: &TaskToken,
        redrive: u32,
        entered: Timestamp,
    ) -> Result<Acquired, Error> {
        let not_held = || Error::NotHeld {
            run: hold.execution.clone(),
            lock: hold.lock.clone(),
        };
        while self.has_time(MARGIN) {
            let owner = self.locks.store.owner(hold).await?.ok_or_else(not_held)?;
            if owner.wish == Wish::Released {
                return Err(not_held());
            }
            let head = self.head_of(&hold.lock).await?;
            let held = head
                .as_ref()
                .and_then(|head| Some((head, head.holders.get(&owner.ticket)?)));
            if owner.wish == Wish::Open && held.is_none() {
                // It waits, or its acquire failed.
                return Err(not_held());
            }
            let fence = match held {
                Some((head, holder)) if owner.wish == Wish::Open => {
                    if owner.attempt.redrive < redrive && !self.keep(&owner, holder, redrive, entered).await? {
                        continue;
                    }
                    fence_of(head, &owner.ticket)
                }
                _ => match self.regain(&owner, redrive, entered).await? {
                    Regained::Holds(fence) => fence,
                    Regained::Taken(head) => {
                        return Err(Error::LostOnRedrive {
                            run: hold.execution.clone(),
                            lock: hold.lock.clone(),
                            holder: longest(&head).map(Box::new),
                        });
                    }
                    Regained::Gone => continue,
                },
            };
            return match self.tell(token, &owner, fence, owner.since).await? {
                Sent::Accepted => Ok(Acquired::Granted),
                Sent::Closed => Ok(Acquired::Gone),
                Sent::Unknown(error) => Err(error.into()),
            };
        }
        Err(Error::Undecided(format!(
            "the lock {} changed hands again and again",
            hold.lock
        )))
    }
}

/// What an attempt is to the one that is recorded.
enum Relation {
    /// It is that one, repeated.
    Same,
    /// It comes after one that is over: a new acquisition.
    Reopens,
    /// It is a retry of it: it takes its place.
    Retries,
    /// It is another branch's, or comes late.
    Sibling,
}

/// Who has held the lock longest, and since when.
pub(super) fn longest(head: &Head) -> Option<(crate::arn::ExecutionArn, Timestamp)> {
    let (_, holder) = head.by_age().into_iter().next()?;
    Some((holder.execution.clone(), holder.since))
}

pub(super) fn fence_of(head: &Head, ticket: &Ticket) -> Fence {
    head.fences.get(ticket).copied().unwrap_or(head.fence)
}
