//! Task tokens of Step Functions: one for each attempt, void once it is answered, given up, or its run is over.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::time::Duration;

use signalbox::arn::ExecutionArn;
use signalbox::aws::CallError;
use signalbox::clock::{Clock, Timestamp};
use signalbox::simulation::World;
use signalbox::tasks::TaskToken;
use signalbox::tasks::{Outcome, Sent, Tasks};

use crate::{StepFunctions, Trouble, trace};

/// How the task with a token stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It waits.
    Waiting,
    /// It succeeded with this output.
    Succeeded(String),
    /// It failed with this error.
    Failed(String),
    /// Its attempt was given up.
    Void,
}

#[derive(Debug, Hash)]
struct Issued {
    run: ExecutionArn,
    redrive: u32,
    standing: Standing,
    since: Timestamp,
}

/// All tokens that were issued. Sending to one may be throttled, or its answer get lost, as `trouble` says.
#[derive(Clone)]
pub struct Tokens {
    world: World,
    sfn: StepFunctions,
    lag: Duration,
    trouble: Trouble,
    issued: Rc<RefCell<BTreeMap<String, Issued>>>,
    watch: Rc<RefCell<Option<Watch>>>,
}

type Watch = Box<dyn Fn(&TaskToken)>;

impl Tokens {
    /// Without any token. Histories lag by up to `lag`.
    #[must_use]
    pub fn new(world: World, sfn: StepFunctions, lag: Duration, trouble: Trouble) -> Self {
        Self {
            world,
            sfn,
            lag,
            trouble,
            issued: Rc::default(),
            watch: Rc::default(),
        }
    }

    /// Calls `watch` before a task succeeds.
    pub fn watch(&self, watch: impl Fn(&TaskToken) + 'static) {
        self.watch.replace(Some(Box::new(watch)));
    }

    /// A token for a new attempt of a task of `run`.
    ///
    /// # Panics
    ///
    /// Never: the token's text is short.
    #[must_use]
    pub fn issue(&self, run: &ExecutionArn) -> TaskToken {
        let mut issued = self.issued.borrow_mut();
        let of_run = issued.values().filter(|token| token.run == *run).count();
        let text = format!("{}/{of_run}", run.name());
        issued.insert(
            text.clone(),
            Issued {
                run: run.clone(),
                redrive: self.sfn.now(run).redrive,
                standing: Standing::Waiting,
                since: self.world.now(),
            },
        );
        TaskToken::parse(&text).expect("a short text")
    }

    /// How the task stands.
    #[must_use]
    pub fn standing(&self, token: &TaskToken) -> Standing {
        self.issued.borrow()[token.secret()].standing.clone()
    }

    /// Whether somebody waits for the token.
    #[must_use]
    pub fn is_open(&self, token: &TaskToken) -> bool {
        let issued = self.issued.borrow();
        let Some(task) = issued.get(token.secret()) else {
            return false;
        };
        let run = self.sfn.now(&task.run);
        task.standing == Standing::Waiting && self.sfn.runs(&task.run) && run.redrive == task.redrive
    }

    /// Whether the token was ever issued.
    #[must_use]
    pub fn is_known(&self, token: &TaskToken) -> bool {
        self.issued.borrow().contains_key(token.secret())
    }

    /// The attempt is given up, unless it has ended.
    pub fn void(&self, token: &TaskToken) {
        self.end(token, Standing::Void);
    }

    /// Everything, for the comparison of states.
    pub fn digest(&self, hasher: &mut impl Hasher) {
        self.issued.borrow().hash(hasher);
    }

    fn end(&self, token: &TaskToken, standing: Standing) -> bool {
        let open = self.is_open(token);
        if let Some(task) = self.issued.borrow_mut().get_mut(token.secret())
            && task.standing == Standing::Waiting
        {
            task.standing = if open { standing } else { Standing::Void };
            task.since = self.world.now();
        }
        open
    }

    async fn send(&self, token: &TaskToken, standing: Option<Standing>) -> Result<Sent, CallError> {
        self.world.step().await;
        let lost = |what: &str| CallError::malformed("states:Simulated", what);
        if self.trouble.strikes(&self.world) {
            // Before its effect: a definite no, or nobody knows.
            let mut error = lost("throttled, or lost on the way");
            if self.world.chance(0.5) {
                return Ok(Sent::Unknown(error));
            }
            error.code = Some("ThrottlingException".to_owned());
            return Err(error);
        }
        let open = match standing {
            None => self.is_open(token),
            Some(standing) => {
                // Not one that goes on without the lock.
                if matches!(&standing, Standing::Succeeded(output) if output.contains("\"acquired\":true"))
                    && self.is_open(token)
                    && let Some(watch) = &*self.watch.borrow()
                {
                    watch(token);
                }
                self.end(token, standing)
            }
        };
        trace::note(&self.world, || format!("send {} -> open: {open}", token.secret()));
        self.world.observe(&open);
        self.world.linger().await;
        if self.trouble.strikes(&self.world) {
            return Ok(Sent::Unknown(lost("the answer was lost")));
        }
        Ok(if open { Sent::Accepted } else { Sent::Closed })
    }
}

impl Tasks for Tokens {
    async fn succeed(&self, token: &TaskToken, output: &str) -> Result<Sent, CallError> {
        self.send(token, Some(Standing::Succeeded(output.to_owned()))).await
    }

    async fn fail(&self, token: &TaskToken, error: &str, _cause: &str) -> Result<Sent, CallError> {
        self.send(token, Some(Standing::Failed(error.to_owned()))).await
    }

    async fn beat(&self, token: &TaskToken) -> Result<Sent, CallError> {
        self.send(token, None).await
    }

    async fn outcome(&self, _run: &ExecutionArn, token: &TaskToken) -> Result<Outcome, CallError> {
        self.world.step().await;
        let outcome = {
            let issued = self.issued.borrow();
            let task = &issued[token.secret()];
            let shown = self.world.now().since(task.since) >= self.world.up_to(self.lag);
            match (&task.standing, self.is_open(token)) {
                _ if !shown => Outcome::Unclear,
                (Standing::Succeeded(_), _) => Outcome::Succeeded,
                (Standing::Failed(_) | Standing::Void, _) | (Standing::Waiting, false) => Outcome::Failed,
                (Standing::Waiting, true) => Outcome::Unclear,
            }
        };
        self.world.observe(&outcome);
        self.world.linger().await;
        Ok(outcome)
    }
}
