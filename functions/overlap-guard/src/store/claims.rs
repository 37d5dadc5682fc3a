//! A claim is a hold on the lock `overlap:<state machine arn>`: one slot, no queue, no task that waits for it.
//!
//! The lock's sweep and status events leave it alone. The guard itself takes it from runs that have ended: only it knows
//! the members of a claim, and how long the end of a run that failed must have lasted.

use std::fmt;

use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::lock::key::{HoldName, LockKey, Nonce, Ticket};
use signalbox::lock::record::{self, Head};
use signalbox::lock::store::{FreeIf, Gate, Granting, Heads};

use super::{Claim, ClaimState, Claims, Holder, Question};

impl<H: Heads> Claims for H {
    async fn claim(&self, machine: &StateMachineArn, holder: &Holder, now: Timestamp) -> Result<Claim, CallError> {
        let claim = Claim::new(holder, now);
        let lock = LockKey::of_pipeline(machine);
        match self.grant(&lock, &ticket(), &held(&claim), Gate::Newcomer).await? {
            Granting::Granted(_) => Ok(claim),
            Granting::Refused(head) => {
                claim_in(&head)?.ok_or_else(|| unreadable("nobody holds it, and it is not free"))
            }
        }
    }

    async fn read(&self, machine: &StateMachineArn) -> Result<Option<Claim>, CallError> {
        let head = self.head(&LockKey::of_pipeline(machine)).await?;
        head.map_or(Ok(None), |head| claim_in(&head))
    }

    async fn replace(&self, machine: &StateMachineArn, seen: &Claim, claim: &Claim) -> Result<bool, CallError> {
        let lock = LockKey::of_pipeline(machine);
        self.amend(&lock, &ticket(), &held(seen), &held(claim)).await
    }

    async fn remove(&self, machine: &StateMachineArn, seen: &Claim) -> Result<(), CallError> {
        let lock = LockKey::of_pipeline(machine);
        let seen = held(seen);
        self.free(&lock, &ticket(), FreeIf::Seen(&seen), seen.at)
            .await
            .map(drop)
    }
}

/// The same for every claim: there is only one at a time.
fn ticket() -> Ticket {
    Ticket::of("claim")
}

fn held(claim: &Claim) -> record::Holder {
    record::Holder {
        execution: claim.holder.run.clone(),
        name: HoldName::default(),
        redrive: claim.holder.question.redrive,
        entered: claim.holder.question.entered,
        since: claim.changed,
        // In the place of an invocation: every change of a claim changes its entry.
        by: Nonce::of(claim.joins.to_string()),
        at: claim.changed,
        confirmed: claim.state == ClaimState::Confirmed,
        members: claim.members.iter().map(member_text).collect(),
    }
}

fn claim_in(head: &Head) -> Result<Option<Claim>, CallError> {
    let Some(held) = head.holders.get(&ticket()) else {
        return Ok(None);
    };
    let members = held.members.iter().map(|text| member(text).map_err(unreadable));
    Ok(Some(Claim {
        holder: Holder {
            run: held.execution.clone(),
            question: Question {
                redrive: held.redrive,
                entered: held.entered,
            },
        },
        state: match held.confirmed {
            true => ClaimState::Confirmed,
            false => ClaimState::Pending,
        },
        changed: held.at,
        members: members.collect::<Result<_, _>>()?,
        joins: held.by.as_str().parse().map_err(unreadable)?,
    }))
}

fn member_text(member: &Holder) -> String {
    let Question { redrive, entered } = member.question;
    format!("{redrive} {} {}", entered.as_millis(), member.run)
}

fn member(text: &str) -> Result<Holder, String> {
    let wrong = || format!("\"{text}\" is not a member");
    let [redrive, entered, run] = text.split(' ').collect::<Vec<_>>()[..] else {
        return Err(wrong());
    };
    Ok(Holder {
        run: ExecutionArn::parse(run).map_err(|error| error.to_string())?,
        question: Question {
            redrive: redrive.parse().map_err(|_| wrong())?,
            entered: Timestamp::from_millis(entered.parse().map_err(|_| wrong())?),
        },
    })
}

fn unreadable(why: impl fmt::Display) -> CallError {
    CallError::malformed("dynamodb:GetItem", format!("the claim cannot be read: {why}"))
}
