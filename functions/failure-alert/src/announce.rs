//! From an end to its announcement, and from a success to the word that it works again.
//!
//! An end is claimed, then counted in its group or announced, then marked: a crash in between leaves it claimed, and
//! whoever finds it so after a minute does it again. An announcement may be doubled by that, but is not lost.

use signalbox::arn::StateMachineArn;
use signalbox::clock::Clock;
use signalbox::pipeline::{Clones, pipeline_of};

use crate::alert::{Alert, End, Status};
use crate::error::Error;
use crate::events::Success;
use crate::evidence::{Locks, Of, Source, gather, locate};
use crate::mail::{Options, Recovered, Summary};
use crate::outbox::{Message, Outbox};
use crate::redact::redact;
use crate::store::{Begun, Group, Joined, Store};
use crate::{Alerts, chat, group, mail, subject};

/// What Signalbox fails runs with to keep them apart: nothing is wrong with the pipeline. By exact name: an error like
/// `Lock.Unavailable` is a failure.
pub const REFUSALS: [&str; 4] = [
    "Lock.Busy",
    "Lock.QueueFull",
    "Lock.Superseded",
    "OverlapGuard.Overlapping",
];

/// Attempts to find a place in a group, which others change at the same time.
const TRIES: u32 = 8;

/// What came of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was announced.
    Announced,
    /// It is counted, and announced with others when the window closes.
    Counted,
    /// It was announced or counted before.
    Known,
    /// It is none of those that are announced.
    Ignored,
}

impl Outcome {
    /// In one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Announced => "announced",
            Self::Counted => "counted",
            Self::Known => "known",
            Self::Ignored => "ignored",
        }
    }
}

impl<S, O, E, L, K, C> Alerts<S, O, E, L, K, C>
where
    S: Store,
    O: Outbox,
    E: Source,
    L: Locks,
    K: Clones,
    C: Clock,
{
    /// An execution did not succeed.
    ///
    /// `insists`: if the table cannot be used, it is announced all the same. It is better to say a thing twice than not at
    /// all, and worse to flood people: so the first attempts do not insist.
    pub async fn failed(&self, end: End, input: Option<String>, insists: bool) -> Result<Outcome, Error> {
        // A Distributed Map may tolerate them; if it does not, its own execution fails.
        if end.execution.is_map_child() {
            return Ok(Outcome::Ignored);
        }
        if !self.settings.announce_refusals
            && let Some(error) = end.error.as_deref()
            && REFUSALS.contains(&error)
        {
            return Ok(Outcome::Ignored);
        }
        let mut forgetful = None;
        match self.store.begin(&end, self.clock.now()).await {
            Ok(Begun::Mine) => {}
            Ok(Begun::Done) => return Ok(Outcome::Known),
            Ok(Begun::Busy) => return Err(Error::busy()),
            Err(error) if insists => forgetful = Some(error.to_string()),
            Err(error) => return Err(error.into()),
        }
        let pipeline = match pipeline_of(&self.clones, end.execution.machine()).await {
            Ok(pipeline) => pipeline,
            Err(error) if insists => {
                forgetful = Some(error.to_string());
                end.execution.machine().clone()
            }
            Err(error) => return Err(error.into()),
        };
        let located = locate(&self.source, &end).await;
        let group = self.group_of(&pipeline, &end, located.state());
        let is_first = match forgetful {
            None => self.is_first(&group).await,
            Some(_) => Ok(true),
        };
        match is_first {
            Ok(true) => {}
            Ok(false) => {
                // It is counted already; all that this decides is which success comes later.
                if end.is_alarm()
                    && let Err(error) = self.store.fails(&pipeline, &end, false).await
                {
                    tracing::warn!(executionArn = %end.execution, %error, "counted, but not in the pipeline's incident");
                }
                return Ok(Outcome::Counted);
            }
            Err(error) if insists => forgetful = Some(error.to_string()),
            Err(error) => return Err(error),
        }
        let input = input.filter(|_| self.settings.show_input);
        let resumed = match forgetful {
            None => self.store.last_resumed(&pipeline).await,
            Some(_) => Ok(None),
        };
        let of = Of { pipeline, resumed };
        let mut alert = gather(&self.source, &self.locks, of, end, located, input).await;
        // Before it is announced: a success that comes right then must find it.
        if alert.end.is_alarm()
            && forgetful.is_none()
            && let Err(error) = self.store.fails(&alert.pipeline, &alert.end, true).await
        {
            match insists {
                true => forgetful = Some(error.to_string()),
                false => return Err(error.into()),
            }
        }
        if let Some(why) = forgetful {
            let unknown = format!("whether this was announced before, or is one of many: {why}");
            alert.missing.push(unknown);
        }
        self.outbox.publish(&self.message(&alert, &group.key)).await?;
        // Whoever finds it pending announces it again: no reason to fail now.
        if let Err(error) = self.store.sent(&alert.end, self.clock.now()).await {
            tracing::error!(executionArn = %alert.end.execution, %error, "announced, which could not be noted");
        }
        Ok(Outcome::Announced)
    }

    fn group_of(&self, pipeline: &StateMachineArn, end: &End, state: Option<&str>) -> Group {
        let now = self.clock.now();
        Group {
            machine: pipeline.clone(),
            key: group::key(pipeline, state, end.error.as_deref(), end.cause.as_deref()),
            state: state.map(str::to_owned),
            error: end.error.clone(),
            first: end.clone(),
            opened: now,
            until: now.after(self.settings.window),
            count: 0,
            last: None,
        }
    }

    /// Whether the end is the first of its kind; else it is counted.
    async fn is_first(&self, group: &Group) -> Result<bool, Error> {
        for _ in 0..TRIES {
            match self.store.join(group, self.clock.now()).await? {
                Joined::First => return Ok(true),
                Joined::Counted => return Ok(false),
                Joined::Closed(closed) => self.close(&closed).await?,
                Joined::Changed => {
                    let pause = self.clock.jitter(std::time::Duration::from_millis(200));
                    self.clock.sleep(pause).await;
                }
            }
        }
        Err(Error::Unavailable(
            "others count failures of the same kind all the time".to_owned(),
        ))
    }

    fn message(&self, alert: &Alert, key: &str) -> Message {
        let options = Options {
            window: Some(self.settings.window).filter(|window| !window.is_zero()),
            resume: self.settings.resume.clone(),
        };
        Message {
            subject: subject::subject(alert),
            text: mail::text(alert, &options),
            chat: chat::custom(alert, &options, key),
        }
    }

    /// A window has closed: what it counted is announced, in one.
    pub async fn close(&self, group: &Group) -> Result<(), Error> {
        if let Some(last) = group.last.as_ref().filter(|_| group.count > 0) {
            // It works again and failed again since the alert: then this is the alert, and what ends it is to be told.
            if last.is_alarm() && self.store.incident(&group.machine).await?.is_none() {
                self.store.fails(&group.machine, last, true).await?;
            }
            let summary = Summary {
                machine: group.machine.clone(),
                status: last.status,
                state: group.state.clone(),
                error: group.error.as_deref().map(redact),
                count: group.count,
                from: group.opened,
                to: group.until,
                executions: vec![(last.execution.clone(), last.stopped)],
            };
            let message = Message {
                subject: subject::summary(&summary),
                text: mail::summary(&summary),
                chat: chat::summary(&summary, &group.key),
            };
            self.outbox.publish(&message).await?;
        }
        Ok(self.store.close(group).await?)
    }

    /// An execution succeeded: if its pipeline's failures were announced, so is that it works again, once.
    pub async fn succeeded(&self, success: &Success) -> Result<Outcome, Error> {
        // It is a part of the run that started it.
        if success.execution.is_map_child() {
            return Ok(Outcome::Ignored);
        }
        let pipeline = pipeline_of(&self.clones, success.execution.machine()).await?;
        let is_resumed = pipeline != *success.execution.machine();
        if is_resumed {
            self.store.resumed(&pipeline, success).await?;
        }
        let incident = self.store.incident(&pipeline).await?;
        let Some(incident) = incident.filter(|incident| incident.last < success.stopped) else {
            return Ok(Outcome::Ignored);
        };
        match self.store.recovers(&pipeline, success, self.clock.now()).await? {
            Begun::Mine => {}
            Begun::Done => return Ok(Outcome::Known),
            Begun::Busy => return Err(Error::busy()),
        }
        let recovered = Recovered {
            pipeline: pipeline.clone(),
            execution: success.execution.clone(),
            at: success.stopped,
            redrive: success.redrive,
            is_resumed,
            failing_since: incident.since,
            failures: incident.failures,
        };
        let message = Message {
            subject: subject::recovered(&recovered),
            text: mail::recovered(&recovered),
            chat: chat::recovered(&recovered, incident.machine.as_str()),
        };
        self.outbox.publish(&message).await?;
        self.store.recovered(&pipeline, success).await?;
        Ok(Outcome::Announced)
    }
}

impl End {
    /// Whether it asks for somebody to act: not if somebody stopped it by hand.
    #[must_use]
    pub fn is_alarm(&self) -> bool {
        self.status != Status::Aborted || self.error.as_deref() == Some(signalbox::lock::error::LOST_ON_REDRIVE)
    }
}
