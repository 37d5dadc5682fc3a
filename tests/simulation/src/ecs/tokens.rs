//! Step Functions: executions, and one token for each attempt of a state, void once it is answered, given up, or its run
//! is over.

use ecs_launch::request::Ask;
use signalbox::arn::ExecutionArn;
use signalbox::clock::{Clock, Timestamp};
use signalbox::ecs::key::TaskKey;
use signalbox::tasks::TaskToken;

use super::Model;
use crate::trace;

/// What a state is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It succeeds with this.
    Success(String),
    /// It fails with this error.
    Failure(String),
}

/// How the state stands that waits with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It waits.
    Waiting,
    /// It was answered.
    Answered(Answer),
    /// Its attempt was given up.
    Void,
}

/// An attempt of a state.
#[derive(Debug, Clone)]
pub(super) struct Issued {
    pub(super) token: TaskToken,
    pub(super) run: ExecutionArn,
    pub(super) redrive: u32,
    /// Which visit of a state, of all there are: iterations of a Map are told apart by it.
    pub(super) visit: usize,
    /// What the state asks for,
    pub(super) ask: Ask,
    /// and its record's key.
    pub(super) key: TaskKey,
    pub(super) standing: Standing,
    pub(super) closed: Option<Timestamp>,
}

/// An execution.
#[derive(Debug, Clone)]
pub(super) struct Execution {
    pub(super) running: bool,
    pub(super) redrive: u32,
    ended: Timestamp,
}

impl Model {
    pub(super) fn starts(&self, run: &ExecutionArn) {
        let execution = Execution {
            running: true,
            redrive: 0,
            ended: self.world.now(),
        };
        self.runs.borrow_mut().insert(run.clone(), execution);
    }

    /// The run ends, unless it has. Whether it ran.
    pub(super) fn ends(&self, run: &ExecutionArn) -> bool {
        trace::note(&self.world, || format!("### {} ends", run.name()));
        let mut runs = self.runs.borrow_mut();
        let Some(execution) = runs.get_mut(run) else {
            return false;
        };
        if execution.running {
            execution.ended = self.world.now();
        }
        std::mem::replace(&mut execution.running, false)
    }

    pub(super) fn redrives(&self, run: &ExecutionArn) {
        trace::note(&self.world, || format!("### {} is redriven", run.name()));
        if let Some(execution) = self.runs.borrow_mut().get_mut(run) {
            execution.running = true;
            execution.redrive += 1;
        }
    }

    pub(super) fn execution(&self, run: &ExecutionArn) -> Execution {
        self.runs.borrow()[run].clone()
    }

    /// Whether a state waits for the token.
    pub(super) fn is_open(&self, token: &TaskToken) -> bool {
        self.issued(token).is_some_and(|issued| self.waits(&issued))
    }

    pub(super) fn waits(&self, issued: &Issued) -> bool {
        let run = self.execution(&issued.run);
        issued.standing == Standing::Waiting && run.running && run.redrive == issued.redrive
    }

    /// Since when nobody waits for it, if nobody does.
    pub(super) fn closed_since(&self, issued: &Issued) -> Option<Timestamp> {
        match self.waits(issued) {
            true => None,
            false => Some(issued.closed.unwrap_or(self.execution(&issued.run).ended)),
        }
    }

    pub(super) fn issued(&self, token: &TaskToken) -> Option<Issued> {
        self.tokens.borrow().get(token.secret()).cloned()
    }

    /// The attempt with this key.
    pub(super) fn attempt_of(&self, key: &TaskKey) -> Option<Issued> {
        let tokens = self.tokens.borrow();
        tokens.values().find(|issued| issued.key == *key).cloned()
    }

    pub(super) fn standing(&self, token: &TaskToken) -> Standing {
        self.issued(token).map_or(Standing::Void, |issued| issued.standing)
    }

    /// The state is answered, if it waits. Whether it did.
    pub(super) fn answers(&self, token: &TaskToken, answer: &Answer) -> bool {
        let open = self.is_open(token);
        trace::note(&self.world, || {
            format!("### {} is told {answer:?} open {open}", token.secret())
        });
        if open {
            self.check_answer(token, answer);
            self.close(token, Standing::Answered(answer.clone()));
        }
        open
    }

    /// The attempt is given up, unless it has ended.
    pub(super) fn gives_up(&self, token: &TaskToken) {
        self.close(token, Standing::Void);
    }

    fn close(&self, token: &TaskToken, standing: Standing) {
        if let Some(issued) = self.tokens.borrow_mut().get_mut(token.secret())
            && issued.standing == Standing::Waiting
        {
            issued.standing = standing;
            issued.closed = Some(self.world.now());
        }
    }
}
