//! Events and messages on their way: lost, late, doubled; delivered again up to five times where they are not handled.

use std::rc::Rc;
use std::time::Duration;

use ecs_settle::stops::End;
use signalbox::clock::Clock;
use signalbox::ecs::key::TaskKey;
use signalbox::ecs::task::Task;

use super::{Model, Part, Scenario};
use crate::trace;

/// Something for one of the functions.
#[derive(Debug, Clone)]
pub(super) enum Mail {
    /// A task has changed.
    Task(Task),
    /// An execution has ended.
    Ended(End),
    /// A launch is to be gone on with.
    Launch(TaskKey),
}

/// How often SQS delivers a message until it is a dead letter.
const RECEIVED_MOST: u32 = 5;

/// Until it delivers one again.
const INVISIBLE: Duration = Duration::from_mins(3);

impl Model {
    /// Sends it on its way.
    pub(super) fn post(self: &Rc<Self>, mail: &Mail) {
        if self.mishap(self.knobs.lost) {
            trace::note(&self.world, || format!("### lost: {mail:?}"));
            return;
        }
        let times = if self.mishap(self.knobs.late) { 2 } else { 1 };
        for _ in 0..times {
            let most = match () {
                () if self.mishap(self.knobs.late) => Duration::from_mins(5),
                () => Duration::from_secs(2),
            };
            self.busy.set(self.busy.get() + 1);
            let (model, mail) = (Rc::clone(self), mail.clone());
            self.world.spawn(async move {
                model.world.sleep(model.world.up_to(most)).await;
                model.deliver(&mail).await;
                model.busy.set(model.busy.get() - 1);
            });
        }
    }

    async fn deliver(self: &Rc<Self>, mail: &Mail) {
        for _ in 0..RECEIVED_MOST {
            let began = self.world.now();
            trace::note(&self.world, || format!("deliver {mail:?}"));
            let handled = match mail.clone() {
                Mail::Task(task) => {
                    let settling = self.settle(Part::Event, move |settles| {
                        Box::pin(async move { settles.task(&task).await.map(drop) })
                    });
                    settling.finished(&self.world).await
                }
                Mail::Ended(end) => {
                    let settling = self.settle(Part::Event, move |settles| {
                        Box::pin(async move { settles.execution_ended(&end).await.map(drop) })
                    });
                    settling.finished(&self.world).await
                }
                Mail::Launch(key) => {
                    let launching = self.launch(move |launches, deadline| {
                        Box::pin(async move { launches.handed_over(&key, deadline).await })
                    });
                    launching.finished(&self.world).await.map(|done| done.map(drop))
                }
            };
            match handled {
                Some(Ok(())) => return,
                Some(Err(error)) => {
                    trace::note(&self.world, || format!("not handled: {error}"));
                    if !Self::is_wait(&error) && (self.scenario == Scenario::NoSweep || self.is_calm_since(began)) {
                        self.breaks(format!("{mail:?} was not handled without trouble: {error}"));
                    }
                }
                None => {}
            }
            self.world.sleep(INVISIBLE).await;
        }
        trace::note(&self.world, || format!("### a dead letter: {mail:?}"));
    }
}
