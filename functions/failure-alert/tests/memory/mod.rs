//! Alerts over a store in memory, with the semantics that the DynamoDB adapter gives it, and invocations that die.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use failure_alert::alert::{End, Lock, Redrive, Status};
use failure_alert::dynamo::CLAIM_LIFE;
use failure_alert::events::Success;
use failure_alert::evidence::{Described, Listed, Locks, Page, Source};
use failure_alert::outbox::{Message, Outbox};
use failure_alert::store::{Begun, Group, Incident, Joined, Store, Watch};
use failure_alert::sweep::Swept;
use failure_alert::{Alerts, Settings};
use signalbox::arn::{ExecutionArn, StateMachineArn};
use signalbox::aws::CallError;
use signalbox::clock::{Clock, Timestamp};
use signalbox::history::Failure;
use signalbox::pipeline::{CloneOf, Clones};

const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:orders";

pub(crate) fn pipeline() -> StateMachineArn {
    StateMachineArn::parse(MACHINE).expect("a good ARN")
}

pub(crate) fn run(name: &str) -> ExecutionArn {
    ExecutionArn::parse(&format!(
        "arn:aws:states:us-east-1:123456789012:execution:orders:{name}"
    ))
    .expect("a good ARN")
}

/// A failure, so many milliseconds after the beginning.
pub(crate) fn end(name: &str, after: usize) -> End {
    End {
        execution: run(name),
        status: Status::Failed,
        redrive: 0,
        started: None,
        stopped: Timestamp::from_millis(1_800_000_000_000 + i64::try_from(after).expect("a short time")),
        error: Some("Card.Declined".to_owned()),
        cause: Some("the card was declined".to_owned()),
    }
}

/// More calls than any invocation makes that is to die.
pub(crate) const CALLS_MOST: usize = 40;

/// When an invocation dies.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dies {
    /// Before its call of this number takes effect.
    Before(usize),
    /// After it did.
    After(usize),
}

/// What happens to calls.
#[derive(Debug, Default)]
struct Fate {
    dies: Cell<Option<Dies>>,
    calls: Cell<usize>,
    dead: Cell<bool>,
    fails: Cell<Option<usize>>,
}

impl Fate {
    fn call<T>(&self, effect: impl FnOnce() -> T) -> Result<T, CallError> {
        let died = || Err(CallError::malformed("test:Call", "the invocation has died"));
        if self.dead.get() {
            return died();
        }
        let call = self.calls.replace(self.calls.get() + 1);
        assert!(
            self.dies.get().is_none() || call < CALLS_MOST,
            "an invocation may die at its call {call}, and none is tried that does"
        );
        if self.fails.get() == Some(call) {
            return Err(CallError::malformed("test:Call", "it failed"));
        }
        match self.dies.get() {
            Some(Dies::Before(at)) if at == call => {
                self.dead.set(true);
                died()
            }
            Some(Dies::After(at)) if at == call => {
                self.dead.set(true);
                effect();
                died()
            }
            _ => Ok(effect()),
        }
    }
}

/// A clock that is set by hand.
#[derive(Debug, Clone)]
pub(crate) struct Hand(Rc<Cell<Timestamp>>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        self.0.get()
    }

    async fn sleep(&self, span: Duration) {
        self.0.set(self.now().after(span));
    }

    fn jitter(&self, most: Duration) -> Duration {
        most / 2
    }

    fn nonce(&self) -> u64 {
        7
    }
}

#[derive(Debug, Default)]
struct Items {
    ends: BTreeMap<String, (End, &'static str, Timestamp)>,
    groups: BTreeMap<String, Group>,
    incidents: BTreeMap<StateMachineArn, (Incident, Option<Timestamp>)>,
    resumed: BTreeMap<StateMachineArn, Timestamp>,
    swept: BTreeMap<StateMachineArn, Timestamp>,
    watch: Option<Watch>,
}

/// The store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    items: Rc<RefCell<Items>>,
    fate: Rc<Fate>,
}

fn id(end: &End) -> String {
    format!("{} {} {}", end.execution, end.status.name(), end.redrive)
}

impl Memory {
    fn call<T>(&self, effect: impl FnOnce(&mut Items) -> T) -> Result<T, CallError> {
        self.fate.call(|| effect(&mut self.items.borrow_mut()))
    }
}

impl Store for Memory {
    async fn begin(&self, end: &End, now: Timestamp) -> Result<Begun, CallError> {
        self.call(|items| match items.ends.get(&id(end)) {
            Some((_, "pending", at)) if now.since(*at) < CLAIM_LIFE => Begun::Busy,
            Some((_, "sent" | "counted", _)) => Begun::Done,
            _ => {
                items.ends.insert(id(end), (end.clone(), "pending", now));
                Begun::Mine
            }
        })
    }

    async fn is_known(&self, end: &End) -> Result<bool, CallError> {
        self.call(|items| items.ends.contains_key(&id(end)))
    }

    async fn join(&self, group: &Group, now: Timestamp) -> Result<Joined, CallError> {
        self.call(|items| {
            let Some(found) = items.groups.get_mut(&group.key) else {
                items.groups.insert(group.key.clone(), group.clone());
                return Joined::First;
            };
            if id(&found.first) == id(&group.first) {
                return Joined::First;
            }
            if found.until <= now {
                if found.count > 0 {
                    return Joined::Closed(Box::new(found.clone()));
                }
                *found = group.clone();
                return Joined::First;
            }
            let Some((_, state @ "pending", _)) = items.ends.get_mut(&id(&group.first)) else {
                return Joined::Counted;
            };
            *state = "counted";
            found.count += 1;
            found.last = Some(group.first.clone());
            Joined::Counted
        })
    }

    async fn sent(&self, end: &End, _: Timestamp) -> Result<(), CallError> {
        self.call(|items| {
            if let Some((_, state @ "pending", _)) = items.ends.get_mut(&id(end)) {
                *state = "sent";
            }
        })
    }

    async fn close(&self, group: &Group) -> Result<(), CallError> {
        self.call(|items| {
            let same = |found: &Group| (found.opened, found.count) == (group.opened, group.count);
            if items.groups.get(&group.key).is_some_and(same) {
                items.groups.remove(&group.key);
            }
        })
    }

    async fn fails(&self, machine: &StateMachineArn, end: &End, opens: bool) -> Result<(), CallError> {
        self.call(|items| {
            if let Some((incident, _)) = items.incidents.get_mut(machine) {
                incident.failures += 1;
                incident.last = incident.last.max(end.stopped);
            } else if opens {
                let incident = Incident {
                    machine: machine.clone(),
                    since: end.stopped,
                    last: end.stopped,
                    failures: 1,
                };
                items.incidents.insert(machine.clone(), (incident, None));
            }
        })
    }

    async fn incident(&self, machine: &StateMachineArn) -> Result<Option<Incident>, CallError> {
        self.call(|items| items.incidents.get(machine).map(|(incident, _)| incident.clone()))
    }

    async fn recovers(&self, machine: &StateMachineArn, success: &Success, now: Timestamp) -> Result<Begun, CallError> {
        self.call(|items| match items.incidents.get_mut(machine) {
            Some((incident, claimed)) if incident.last < success.stopped => match claimed {
                Some(at) if now.since(*at) < CLAIM_LIFE => Begun::Busy,
                _ => {
                    *claimed = Some(now);
                    Begun::Mine
                }
            },
            _ => Begun::Done,
        })
    }

    async fn recovered(&self, machine: &StateMachineArn, success: &Success) -> Result<(), CallError> {
        self.call(|items| {
            if items
                .incidents
                .get(machine)
                .is_some_and(|(incident, _)| incident.last < success.stopped)
            {
                items.incidents.remove(machine);
            }
        })
    }

    async fn resumed(&self, machine: &StateMachineArn, success: &Success) -> Result<(), CallError> {
        self.call(|items| {
            let at = items.resumed.entry(machine.clone()).or_insert(success.stopped);
            *at = success.stopped.max(*at);
        })
    }

    async fn last_resumed(&self, machine: &StateMachineArn) -> Result<Option<Timestamp>, CallError> {
        self.call(|items| items.resumed.get(machine).copied())
    }

    async fn pending(&self, now: Timestamp) -> Result<Vec<End>, CallError> {
        self.call(|items| {
            let all = items.ends.values();
            let old = all.filter(|(_, state, at)| *state == "pending" && now.since(*at) >= CLAIM_LIFE);
            old.map(|(end, ..)| end.clone()).collect()
        })
    }

    async fn closed(&self, now: Timestamp) -> Result<Vec<Group>, CallError> {
        self.call(|items| {
            items
                .groups
                .values()
                .filter(|group| group.until <= now)
                .cloned()
                .collect()
        })
    }

    async fn incidents(&self) -> Result<Vec<Incident>, CallError> {
        self.call(|items| items.incidents.values().map(|(incident, _)| incident.clone()).collect())
    }

    async fn swept(&self, machine: &StateMachineArn) -> Result<Option<Timestamp>, CallError> {
        self.call(|items| items.swept.get(machine).copied())
    }

    async fn sweeps(&self, machine: &StateMachineArn, at: Timestamp) -> Result<(), CallError> {
        self.call(|items| {
            items.swept.insert(machine.clone(), at);
        })
    }

    async fn watch(&self) -> Result<Option<Watch>, CallError> {
        self.call(|items| items.watch.clone())
    }

    async fn set_watch(&self, watch: &Watch, _: Timestamp) -> Result<(), CallError> {
        self.call(|items| items.watch = Some(watch.clone()))
    }
}

/// Who is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    messages: Rc<RefCell<Vec<Message>>>,
    fate: Rc<Fate>,
}

impl Outbox for Told {
    async fn publish(&self, message: &Message) -> Result<(), CallError> {
        self.fate.call(|| self.messages.borrow_mut().push(message.clone()))
    }
}

/// Step Functions, which lists what it is told, and knows no more of it than the events; and what is recorded of clones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Whether executions cannot be described now.
    pub(crate) is_busy: Rc<Cell<bool>>,
    /// How many executions a page of a list has, if not all.
    pub(crate) page: Rc<Cell<Option<usize>>>,
    listed: Rc<RefCell<Vec<Listed>>>,
    others: Rc<RefCell<Vec<StateMachineArn>>>,
    clones: Rc<RefCell<Vec<CloneOf>>>,
    fate: Rc<Fate>,
}

impl Known {
    /// A run that ended: `None`, it succeeded.
    pub(crate) fn ended(&self, execution: &ExecutionArn, status: Option<Status>, stopped: Timestamp) {
        self.listed.borrow_mut().push(Listed {
            execution: execution.clone(),
            status,
            succeeded: status.is_none(),
            started: stopped,
            stopped: Some(stopped),
            redrive: 0,
        });
    }

    /// Another pipeline.
    pub(crate) fn created(&self, machine: &StateMachineArn) {
        self.others.borrow_mut().push(machine.clone());
    }

    /// A clone of the pipeline.
    pub(crate) fn cloned(&self, machine: &StateMachineArn, made: Timestamp) {
        self.clones.borrow_mut().push(CloneOf {
            machine: machine.clone(),
            pipeline: pipeline(),
            made,
        });
    }
}

impl Source for Known {
    async fn failure(&self, _: &ExecutionArn) -> Result<Option<Failure>, CallError> {
        Ok(None)
    }

    async fn describe(&self, _: &ExecutionArn) -> Result<Option<Described>, CallError> {
        if self.is_busy.get() {
            return Err(CallError::malformed("states:DescribeExecution", "it is busy"));
        }
        Ok(Some(Described {
            end: None,
            redrive: Redrive::Unknown,
        }))
    }

    async fn list(
        &self,
        machine: &StateMachineArn,
        status: Option<&'static str>,
        _: i32,
        from: Option<String>,
    ) -> Result<Page<Listed>, CallError> {
        let is_asked = |listed: &&Listed| {
            let own = listed.status.map_or("SUCCEEDED", Status::name);
            listed.execution.machine() == machine && status.is_none_or(|asked| asked == own)
        };
        let mut entries: Vec<Listed> = self.listed.borrow().iter().rev().filter(is_asked).cloned().collect();
        let from = from.map_or(0, |from| from.parse().expect("a token of this list"));
        let mut left = entries.split_off(from);
        let size = self.page.get().unwrap_or(usize::MAX).min(left.len());
        let next = (size < left.len()).then(|| (from + size).to_string());
        left.truncate(size);
        Ok(Page { entries: left, next })
    }

    async fn machines(&self, _: Option<String>) -> Result<Page<StateMachineArn>, CallError> {
        let clones = self.clones.borrow().clone().into_iter();
        let others = self.others.borrow().clone();
        Ok(Page {
            entries: [pipeline()]
                .into_iter()
                .chain(others)
                .chain(clones.map(|clone| clone.machine))
                .collect(),
            next: None,
        })
    }
}

impl Clones for Known {
    async fn find(&self, machine: &StateMachineArn) -> Result<Option<CloneOf>, CallError> {
        let clones = self.clones.borrow();
        let found = || clones.iter().find(|clone| clone.machine == *machine).cloned();
        self.fate.call(found)
    }

    async fn of(&self, pipeline: &StateMachineArn) -> Result<Vec<CloneOf>, CallError> {
        let clones = self.clones.borrow();
        let of = |clone: &&CloneOf| clone.pipeline == *pipeline;
        self.fate.call(|| clones.iter().rev().filter(of).cloned().collect())
    }
}

impl Locks for Known {
    async fn of(&self, _: &ExecutionArn) -> Result<Vec<Lock>, CallError> {
        Ok(Vec::new())
    }
}

/// The alerts of a fleet.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) alerts: Alerts<Memory, Told, Known, Known, Known, Hand>,
    pub(crate) clock: Hand,
    fate: Rc<Fate>,
}

impl Default for Fleet {
    fn default() -> Self {
        let fate = Rc::<Fate>::default();
        let known = Known {
            fate: Rc::clone(&fate),
            ..Known::default()
        };
        let clock = Hand(Rc::new(Cell::new(Timestamp::from_millis(1_800_000_000_000))));
        Self {
            alerts: Alerts {
                store: Memory {
                    items: Rc::default(),
                    fate: Rc::clone(&fate),
                },
                outbox: Told {
                    messages: Rc::default(),
                    fate: Rc::clone(&fate),
                },
                source: known.clone(),
                locks: known.clone(),
                clones: known,
                clock: clock.clone(),
                settings: Settings {
                    window: Duration::from_mins(15),
                    prefix: String::new(),
                    show_input: false,
                    announce_refusals: false,
                    resume: None,
                },
            },
            clock,
            fate,
        }
    }
}

impl Fleet {
    /// The next invocation dies then.
    pub(crate) fn dies(&self, dies: Dies) {
        self.fate.calls.set(0);
        self.fate.dies.set(Some(dies));
    }

    /// The call of this number of the next invocation fails, and those after it do not.
    pub(crate) fn fails_once(&self, call: usize) {
        self.fate.calls.set(0);
        self.fate.fails.set(Some(call));
    }

    /// From now on no invocation dies.
    pub(crate) fn lives(&self) {
        self.fate.dies.set(None);
        self.fate.dead.set(false);
    }

    pub(crate) fn passes(&self, span: Duration) {
        self.clock.0.set(self.clock.now().after(span));
    }

    pub(crate) async fn sweep(&self) -> Swept {
        let deadline = self.clock.now().after(Duration::from_secs(30));
        self.alerts.sweep(deadline).await.expect("each kind of work is begun")
    }

    /// A sweep that may die: then nobody hears its answer.
    pub(crate) async fn sweep_that_dies(&self) {
        let deadline = self.clock.now().after(Duration::from_secs(30));
        self.alerts.sweep(deadline).await.ok();
    }

    /// What was published so far.
    pub(crate) fn subjects(&self) -> Vec<String> {
        let messages = self.alerts.outbox.messages.borrow();
        messages.iter().map(|message| message.subject.clone()).collect()
    }

    /// The text of the last mail.
    pub(crate) fn last_text(&self) -> String {
        let messages = self.alerts.outbox.messages.borrow();
        messages.last().map(|message| message.text.clone()).unwrap_or_default()
    }

    /// How many failures are counted.
    pub(crate) fn counted(&self) -> u32 {
        let items = self.alerts.store.items.borrow();
        items.groups.values().map(|group| group.count).sum()
    }
}
