#![doc = include_str!("../README.md")]

pub mod answer;
pub mod request;

use signalbox::clock::Clock;
use signalbox::lock::admin::Idle;
use signalbox::lock::record::Head;
use signalbox::lock::store::Heads;
use signalbox::lock::{AwsLocks, Error};
use signalbox::runtime::{Handler, Invocation, within};

use crate::answer::{All, Answer, Done, One, Summary};
use crate::request::{Ask, Change, Request};

/// The function as it runs on Lambda.
#[derive(Debug)]
pub struct LockAdmin(pub AwsLocks);

impl Handler for LockAdmin {
    type Request = Request;
    type Answer = Answer;
    type Failure = Error;

    async fn handle(&self, request: Request, invocation: &Invocation) -> Result<Answer, Error> {
        let ask = Ask::try_from(request)?;
        let answer = within(invocation, self.answer(ask, invocation)).await;
        answer.unwrap_or_else(|| Err(Error::slow()))
    }
}

impl LockAdmin {
    async fn answer(&self, ask: Ask, invocation: &Invocation) -> Result<Answer, Error> {
        let session = self.0.session(invocation.deadline);
        match ask {
            Ask::ListAll { limit, after } => self.all(limit, after, invocation).await.map(Answer::All),
            Ask::List { lock, limit, after } => {
                let view = session.view(&lock, after.as_ref(), limit).await?;
                let one = One::of(&lock, view, limit, self.0.clock.now());
                Ok(Answer::One(Box::new(one)))
            }
            Ask::Change { change, order } => {
                let done = match change {
                    Change::ForceRelease(hold) => {
                        let taken = session.force_release(&hold, &order).await?;
                        done(taken.map(|fence| Done {
                            fence: Some(fence),
                            ..DONE
                        }))
                    }
                    Change::Remove(hold) => done(session.remove(&hold, &order).await?.map(|()| DONE)),
                    Change::Move(hold, edge) => done(session.move_waiter(&hold, edge, &order).await?.map(|()| DONE)),
                    Change::Configure(lock, setting) => configured(&session.configure(&lock, setting, &order).await?),
                };
                invocation.outcome(if done.done { order.action } else { "nothing" });
                Ok(Answer::Done(done))
            }
        }
    }

    async fn all(&self, limit: u32, after: Option<String>, invocation: &Invocation) -> Result<All, Error> {
        let session = self.0.session(invocation.deadline);
        let locks = session.in_use().await?;
        let mut rest = locks
            .into_iter()
            .filter(|lock| after.as_deref().is_none_or(|after| lock.as_str() > after));
        let mut all = All {
            locks: Vec::new(),
            next: None,
        };
        for lock in rest.by_ref().take(limit as usize) {
            // It may have been forgotten since.
            if let Some(head) = self.0.store.head(&lock).await? {
                all.locks.push(Summary::of(&lock, &head));
            }
            all.next = Some(lock.to_string());
        }
        if rest.next().is_none() {
            all.next = None;
        }
        Ok(all)
    }
}

const DONE: Done = Done {
    done: true,
    why: None,
    fence: None,
    slots: None,
    paused: None,
};

fn done(result: Result<Done, Idle>) -> Done {
    result.unwrap_or_else(|why| Done {
        done: false,
        why: Some(why),
        ..DONE
    })
}

fn configured(head: &Head) -> Done {
    Done {
        slots: Some(head.slots),
        paused: Some(head.paused),
        ..DONE
    }
}
