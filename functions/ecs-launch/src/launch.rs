//! An attempt asks for its task.

use signalbox::clock::{Clock, Timestamp};
use signalbox::ecs::cluster::{StartTasks, WatchTasks};
use signalbox::ecs::error::Error;
use signalbox::ecs::handover::Queue;
use signalbox::ecs::key::TaskKey;
use signalbox::ecs::record::{Record, Stage};
use signalbox::ecs::store::Records;
use signalbox::request::BadRequest;
use signalbox::tasks::{Sent, TaskToken, Tasks};

use crate::places::{Places, settle_places};
use crate::request::Ask;
use crate::settings::plan;
use crate::{Launches, Outcome};

impl<R, E, T, P, Q, C> Launches<R, E, T, P, Q, C>
where
    R: Records,
    E: StartTasks + WatchTasks,
    T: Tasks,
    P: Places,
    Q: Queue,
    C: Clock,
{
    /// Launches the task of an attempt: a new one, or that of an earlier attempt that still runs.
    pub async fn launch(&self, ask: &Ask, deadline: Timestamp) -> Result<Outcome, Error> {
        let key = ask.key();
        let known = self.records.of_step(&key).await?;
        if let Some(own) = known.iter().find(|record| record.key == key) {
            return self.go_on(own, deadline).await;
        }
        match self.take_over(ask, known, deadline).await? {
            Some(outcome) => Ok(outcome),
            None => self.launch_anew(ask, key, deadline).await,
        }
    }

    /// Goes on with an attempt that has a record: Lambda called again, or the queue did.
    pub async fn go_on(&self, record: &Record, deadline: Timestamp) -> Result<Outcome, Error> {
        match record.stage {
            Stage::Launching => self.start(record, deadline).await,
            Stage::Running | Stage::Stopping(_) => Ok(Outcome::Launched),
            Stage::Done { .. } => Ok(Outcome::Settled),
            Stage::Adopted(_) => Ok(Outcome::Gone),
        }
    }

    async fn launch_anew(&self, ask: &Ask, key: TaskKey, deadline: Timestamp) -> Result<Outcome, Error> {
        let Some(definition) = self.cluster.definition(&ask.task).await? else {
            let problem = format!("is \"{}\": ECS has no such task definition that is active", ask.task);
            return Err(BadRequest::new("task", problem).into());
        };
        let (mut plan, timeout) = plan(ask, &definition, &self.defaults)?;
        settle_places(&self.places, &key, &ask.token, timeout, &mut plan).await?;
        let now = self.clock.now();
        let record = Record {
            origin: key.clone(),
            key,
            execution: ask.step.execution.clone(),
            state: ask.step.state.clone(),
            token: ask.token.clone(),
            request: ask.hash.clone(),
            plan,
            at: now,
            deadline: timeout.map(|timeout| now.after(timeout)),
            stage: Stage::Launching,
            task: None,
            missing: None,
            ended: None,
        };
        match self.records.put(&record).await? {
            None => self.start(&record, deadline).await,
            // Another invocation for the same attempt was quicker: what it wrote counts.
            Some(found) => self.go_on(&found, deadline).await,
        }
    }

    /// Whether a state waits for this token.
    pub(crate) async fn is_awaited(&self, token: &TaskToken) -> Result<bool, Error> {
        match self.tasks.beat(token).await? {
            Sent::Accepted => Ok(true),
            Sent::Closed => Ok(false),
            Sent::Unknown(error) => Err(error.into()),
        }
    }
}
