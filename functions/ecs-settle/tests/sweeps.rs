//! Sweeps of a world in memory: what states are told whose results cannot be read, and who comes first.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use ecs_settle::logs::Logs;
use ecs_settle::results::{Results, Stored};
use ecs_settle::settle::READ_WITHIN;
use ecs_settle::sweep::{EVERY, LOST_AFTER, Swept};
use ecs_settle::{Outcome, Settles};
use signalbox::arn::ExecutionArn;
use signalbox::aws::CallError;
use signalbox::clock::{Clock, Timestamp};
use signalbox::ecs::cluster::WatchTasks;
use signalbox::ecs::handover::Queue;
use signalbox::ecs::key::{Attempt, Step, TaskKey};
use signalbox::ecs::plan::{Launch, LogStream, Overrides, Plan, ResultFrom};
use signalbox::ecs::record::{Record, Stage, Stop};
use signalbox::ecs::store::Records;
use signalbox::ecs::task::{Container, Task};
use signalbox::tasks::{Outcome as Ended, Sent, TaskToken, Tasks};

const RUN: &str = "arn:aws:states:us-east-1:123456789012:execution:etl:run-1";

/// How long an invocation has.
const INVOCATION: Duration = Duration::from_secs(30);

const START: Timestamp = Timestamp::from_millis(1_769_832_000_000);

/// What a state is told: an output, or an error and its cause.
type Told = Result<String, (String, String)>;

/// All that AWS keeps.
#[derive(Debug)]
struct World {
    now: Cell<Timestamp>,
    nonce: Cell<u64>,
    rows: RefCell<BTreeMap<TaskKey, Record>>,
    /// Tasks, which ECS knows for an hour after their ends,
    tasks: RefCell<Vec<Task>>,
    /// and how long it takes to tell of them.
    takes: Cell<Duration>,
    /// Clusters, as they were asked.
    asked: RefCell<Vec<String>>,
    /// What the states were told, by their tokens.
    told: RefCell<BTreeMap<String, Told>>,
    /// Tokens, as they were sent heartbeats.
    beats: RefCell<Vec<String>>,
    /// With which code results cannot be read.
    unreadable: Cell<Option<&'static str>>,
    /// How often records cannot be made done.
    undone: Cell<u32>,
}

#[derive(Debug, Clone)]
struct Aws(Rc<World>);

fn failed(api: &'static str, code: &str) -> CallError {
    let mut error = CallError::malformed(api, format!("{code}: told by the service"));
    error.code = Some(code.to_owned());
    error
}

impl Aws {
    fn new() -> Self {
        Self(Rc::new(World {
            now: Cell::new(START),
            nonce: Cell::new(0),
            rows: RefCell::default(),
            tasks: RefCell::default(),
            takes: Cell::new(Duration::ZERO),
            asked: RefCell::default(),
            told: RefCell::default(),
            beats: RefCell::default(),
            unreadable: Cell::new(None),
            undone: Cell::new(0),
        }))
    }

    fn settles(&self) -> Settles<Self, Self, Self, Self, Self, Self, Self> {
        Settles {
            records: self.clone(),
            cluster: self.clone(),
            tasks: self.clone(),
            results: self.clone(),
            logs: self.clone(),
            queue: self.clone(),
            clock: self.clone(),
            bucket: "bucket".to_owned(),
        }
    }

    async fn sweep(&self) -> Swept {
        let deadline = self.now().after(INVOCATION);
        self.settles().sweep(deadline).await.expect("it sweeps")
    }

    fn passes(&self, span: Duration) {
        self.0.now.set(self.now().after(span));
    }

    /// Sweeps each minute for so long.
    async fn sweeps_for(&self, span: Duration) {
        let until = self.now().after(span);
        while self.now() < until {
            self.passes(EVERY.min(until.since(self.now())));
            self.sweep().await;
        }
    }

    /// A record, and its task, which runs.
    fn runs(&self, cluster: &str) -> Record {
        let token = TaskToken::parse(&format!("token of {cluster}")).expect("a good token");
        let execution = ExecutionArn::parse(RUN).expect("a good ARN");
        let step = Step {
            execution: execution.clone(),
            state: cluster.to_owned(),
            entered: START,
            item: None,
        };
        let key = TaskKey::new(&step, Attempt { redrive: 0, retry: 0 }, &token);
        let arn = format!("arn:aws:ecs:us-east-1:123456789012:task/{cluster}/0123");
        let record = Record {
            key: key.clone(),
            execution,
            state: cluster.to_owned(),
            token,
            request: "5e".repeat(32),
            plan: plan(cluster),
            origin: key.clone(),
            at: self.now(),
            deadline: None,
            stage: Stage::Running,
            task: Some(arn.clone()),
            missing: None,
            ended: None,
        };
        self.0.rows.borrow_mut().insert(key.clone(), record.clone());
        self.0.tasks.borrow_mut().push(Task {
            task_arn: arn,
            last_status: "RUNNING".to_owned(),
            started_by: Some(key.started_by("5b918d10")),
            ..Task::default()
        });
        record
    }

    /// The same, but it has ended with 0 at this moment, and has until then.
    fn has_run(&self, deadline: Option<Duration>) -> Record {
        let mut record = self.runs("main");
        record.deadline = deadline.map(|span| self.now().after(span));
        self.0.rows.borrow_mut().insert(record.key.clone(), record.clone());
        if let Some(task) = self.0.tasks.borrow_mut().last_mut() {
            "STOPPED".clone_into(&mut task.last_status);
            task.stop_code = Some("EssentialContainerExited".to_owned());
            task.execution_stopped_at = Some(self.now());
            task.containers = vec![Container {
                name: "app".to_owned(),
                last_status: "STOPPED".to_owned(),
                exit_code: Some(0),
                reason: None,
            }];
        }
        record
    }

    fn row(&self, record: &Record) -> Record {
        self.0.rows.borrow()[&record.key].clone()
    }

    fn told(&self, record: &Record) -> Option<Told> {
        self.0.told.borrow().get(record.token.secret()).cloned()
    }

    /// The error and the cause that a state was told.
    fn failure(&self, record: &Record) -> (String, String) {
        self.told(record).expect("it was told").expect_err("a failure")
    }

    fn is_open(&self, token: &TaskToken) -> bool {
        !self.0.told.borrow().contains_key(token.secret())
    }

    fn tells(&self, token: &TaskToken, what: Told) -> Sent {
        if !self.is_open(token) {
            return Sent::Closed;
        }
        self.0.told.borrow_mut().insert(token.secret().to_owned(), what);
        Sent::Accepted
    }

    /// An update of a record that is open. Whether it is.
    fn update(&self, key: &TaskKey, change: impl FnOnce(&mut Record)) -> bool {
        let mut rows = self.0.rows.borrow_mut();
        let open = rows.get_mut(key).filter(|record| record.stage.is_open());
        open.map(change).is_some()
    }
}

fn plan(cluster: &str) -> Plan {
    Plan {
        cluster: cluster.to_owned(),
        task_definition: "arn:aws:ecs:us-east-1:123456789012:task-definition/etl:7".to_owned(),
        container: "app".to_owned(),
        launch: Launch::Cluster,
        network: None,
        overrides: Overrides::default(),
        platform_version: None,
        group: None,
        enable_execute_command: false,
        tags: BTreeMap::new(),
        result: ResultFrom::S3,
        result_key: Some("results/a.json".to_owned()),
        upload: None,
        on_exit: BTreeMap::new(),
        logs: None,
    }
}

impl Clock for Aws {
    fn now(&self) -> Timestamp {
        self.0.now.get()
    }

    async fn sleep(&self, span: Duration) {
        self.passes(span);
    }

    fn jitter(&self, most: Duration) -> Duration {
        most / 2
    }

    fn nonce(&self) -> u64 {
        self.0.nonce.get()
    }
}

impl Records for Aws {
    async fn put(&self, _: &Record) -> Result<Option<Record>, CallError> {
        unreachable!("nothing is launched")
    }

    async fn adopt(&self, _: &Record, _: &Record) -> Result<bool, CallError> {
        unreachable!("nothing is launched")
    }

    async fn get(&self, key: &TaskKey) -> Result<Option<Record>, CallError> {
        Ok(self.0.rows.borrow().get(key).cloned())
    }

    async fn of_step(&self, _: &TaskKey) -> Result<Vec<Record>, CallError> {
        unreachable!("nothing is launched")
    }

    async fn open_of_run(&self, _: &str) -> Result<Vec<Record>, CallError> {
        unreachable!("no execution ends")
    }

    async fn open(&self) -> Result<Vec<Record>, CallError> {
        let rows = self.0.rows.borrow();
        let open = rows.values().filter(|record| record.stage.is_open());
        Ok(open.cloned().collect())
    }

    async fn started(&self, _: &TaskKey, _: &str) -> Result<bool, CallError> {
        unreachable!("nothing is launched")
    }

    async fn refused(&self, _: &TaskKey, _: Timestamp) -> Result<bool, CallError> {
        unreachable!("nothing is launched")
    }

    async fn stopping(&self, key: &TaskKey, stop: Stop) -> Result<bool, CallError> {
        Ok(self.update(key, |record| record.stage = Stage::Stopping(stop)))
    }

    async fn missing(&self, key: &TaskKey, since: Option<Timestamp>) -> Result<(), CallError> {
        self.update(key, |record| {
            record.missing = since.map(|since| record.missing.unwrap_or(since));
        });
        Ok(())
    }

    async fn ended(&self, key: &TaskKey, task: &Task) -> Result<bool, CallError> {
        Ok(self.update(key, |record| record.ended = Some(task.clone())))
    }

    async fn done(&self, key: &TaskKey, delivered: bool, _: Option<&Task>, _: Timestamp) -> Result<bool, CallError> {
        if let Some(left) = self.0.undone.get().checked_sub(1) {
            self.0.undone.set(left);
            return Err(failed("dynamodb:UpdateItem", "InternalServerError"));
        }
        Ok(self.update(key, |record| record.stage = Stage::Done { delivered }))
    }
}

impl WatchTasks for Aws {
    async fn describe(&self, cluster: &str, tasks: &[String]) -> Result<Vec<Task>, CallError> {
        self.0.asked.borrow_mut().push(cluster.to_owned());
        self.passes(self.0.takes.get());
        let is_known = |task: &Task| task.ended_at().is_none_or(|at| self.now().since(at) < LOST_AFTER);
        let all = self.0.tasks.borrow();
        let asked = all.iter().filter(|task| tasks.contains(&task.task_arn));
        Ok(asked.filter(|task| is_known(task)).cloned().collect())
    }

    async fn find(&self, _: &str, _: &TaskKey) -> Result<Option<String>, CallError> {
        unreachable!("every task is noted")
    }

    async fn stop(&self, _: &str, _: &str, _: &str) -> Result<(), CallError> {
        unreachable!("no task is stopped")
    }
}

impl Tasks for Aws {
    async fn succeed(&self, token: &TaskToken, output: &str) -> Result<Sent, CallError> {
        Ok(self.tells(token, Ok(output.to_owned())))
    }

    async fn fail(&self, token: &TaskToken, error: &str, cause: &str) -> Result<Sent, CallError> {
        Ok(self.tells(token, Err((error.to_owned(), cause.to_owned()))))
    }

    async fn beat(&self, token: &TaskToken) -> Result<Sent, CallError> {
        self.0.beats.borrow_mut().push(token.secret().to_owned());
        Ok(match self.is_open(token) {
            true => Sent::Accepted,
            false => Sent::Closed,
        })
    }

    async fn outcome(&self, _: &ExecutionArn, _: &TaskToken) -> Result<Ended, CallError> {
        unreachable!("nobody asks")
    }
}

impl Results for Aws {
    async fn get(&self, _: &str) -> Result<Stored, CallError> {
        match self.0.unreadable.get() {
            Some(code) => Err(failed("s3:GetObject", code)),
            None => Ok(Stored::Small(b"{}".to_vec())),
        }
    }

    async fn forget_token(&self, _: &str) -> Result<(), CallError> {
        unreachable!("no container answers by itself")
    }
}

impl Logs for Aws {
    async fn last_lines(&self, _: &LogStream, _: &str, _: usize) -> Result<Vec<String>, CallError> {
        unreachable!("no container has a log")
    }

    async fn result(&self, _: &LogStream, _: &str) -> Result<Option<String>, CallError> {
        unreachable!("no container has a log")
    }
}

impl Queue for Aws {
    async fn hand_over(&self, _: &TaskKey) -> Result<(), CallError> {
        unreachable!("nothing is launched")
    }
}

/// The first sweep finds that the result cannot be read. Until it is told, the state hears that it is worked on.
async fn is_told_after(code: &'static str, timeout: Option<Duration>, after: Duration) {
    let aws = Aws::new();
    let record = aws.has_run(timeout);
    aws.0.unreadable.set(Some(code));
    let swept = aws.sweep().await;
    assert_eq!((swept.failed, swept.settled), (1, 0), "{swept:?}");
    aws.sweeps_for(after.saturating_sub(EVERY)).await;
    assert_eq!(aws.told(&record), None, "{code}");
    let sweeps = after.as_secs() / EVERY.as_secs();
    assert_eq!(u64::try_from(aws.0.beats.borrow().len()), Ok(sweeps), "{code}");

    aws.passes(EVERY);
    let swept = aws.sweep().await;
    assert_eq!((swept.failed, swept.settled), (0, 1), "{swept:?}");
    let (error, cause) = aws.failure(&record);
    assert_eq!(error, "Ecs.ResultUnreadable");
    let call = format!("s3:GetObject failed: {code}: told by the service (s3://bucket/results/a.json).");
    assert!(cause.contains(&call) && cause.contains("needs s3:GetObject"), "{cause}");
    assert_eq!(aws.row(&record).stage, Stage::Done { delivered: true });

    // What can be read later changes nothing.
    aws.0.unreadable.set(None);
    let task = aws.0.tasks.borrow()[0].clone();
    assert_eq!(aws.settles().task(&task).await.expect("it is known"), Outcome::Known);
    assert_eq!(aws.sweep().await, Swept::default());
    assert_eq!(aws.failure(&record), (error, cause));
}

#[tokio::test]
async fn a_state_whose_result_can_never_be_read_is_told_so() {
    is_told_after("AccessDenied", None, READ_WITHIN).await;
    // Whatever it is that does not end.
    is_told_after("SlowDown", None, READ_WITHIN).await;
    is_told_after("InternalError", None, READ_WITHIN).await;
}

#[tokio::test]
async fn time_that_a_state_has_is_used_and_does_not_outlast_it() {
    is_told_after("AccessDenied", Some(READ_WITHIN * 3), READ_WITHIN * 3).await;
    // ECS has forgotten the task by then.
    is_told_after("AccessDenied", Some(LOST_AFTER * 3), LOST_AFTER * 3).await;
    // One whose time is up has its result tried all the same.
    is_told_after("AccessDenied", Some(EVERY), READ_WITHIN).await;
}

#[tokio::test]
async fn what_can_be_read_in_time_is_the_answer() {
    for code in ["AccessDenied", "SlowDown"] {
        let aws = Aws::new();
        let record = aws.has_run(Some(EVERY));
        aws.0.unreadable.set(Some(code));
        aws.sweep().await;
        aws.sweeps_for(READ_WITHIN.saturating_sub(EVERY)).await;
        aws.0.unreadable.set(None);
        assert_eq!(aws.sweep().await.settled, 1);
        let output = aws.told(&record).expect("it was told").expect("a success");
        assert!(output.starts_with("{\"result\":{},"), "{output}");
    }
}

/// Whoever comes after an hour in which nobody looked has not tried: one failure of a service tells nothing.
#[tokio::test]
async fn a_result_that_is_looked_at_late_is_tried_as_long() {
    let aws = Aws::new();
    let record = aws.has_run(Some(EVERY));
    aws.passes(READ_WITHIN * 5);
    aws.0.unreadable.set(Some("SlowDown"));
    assert_eq!(aws.sweep().await.failed, 1);
    assert_eq!(aws.told(&record), None);
    assert_eq!(aws.row(&record).missing, Some(aws.now()));
}

/// Nor has whoever did not know the task before its end.
#[tokio::test]
async fn what_ecs_did_not_know_for_long_is_tried_as_long() {
    let aws = Aws::new();
    let mut record = aws.has_run(None);
    record.missing = Some(aws.now().before(READ_WITHIN));
    aws.0.rows.borrow_mut().insert(record.key.clone(), record.clone());
    aws.0.unreadable.set(Some("SlowDown"));
    assert_eq!(aws.sweep().await.failed, 1);
    assert_eq!(aws.told(&record), None);
}

/// The event of the end comes first, and ECS does not tell of the task any more.
#[tokio::test]
async fn an_end_that_only_an_event_told_of_is_not_waited_for_any_longer() {
    let aws = Aws::new();
    let record = aws.has_run(None);
    aws.0.unreadable.set(Some("AccessDenied"));
    let task = aws.0.tasks.borrow_mut().remove(0);
    let denied = aws.settles().task(&task).await.expect_err("it cannot be read");
    assert!(denied.to_string().contains("s3:GetObject"), "{denied}");
    aws.sweeps_for(READ_WITHIN.saturating_sub(EVERY)).await;
    assert_eq!(aws.told(&record), None);
    aws.sweeps_for(EVERY).await;
    assert_eq!(aws.failure(&record).0, "Ecs.ResultUnreadable");
}

/// The next one can read it, and finds that the state was told.
#[tokio::test]
async fn whoever_dies_between_telling_and_noting_it_has_the_last_word() {
    let aws = Aws::new();
    let record = aws.has_run(None);
    aws.0.unreadable.set(Some("AccessDenied"));
    aws.sweep().await;
    aws.0.undone.set(2);
    aws.sweeps_for(READ_WITHIN).await;
    let told = aws.failure(&record);
    assert!(aws.row(&record).stage.is_open());

    aws.0.unreadable.set(None);
    assert_eq!(aws.sweep().await.settled, 1);
    assert_eq!(aws.row(&record).stage, Stage::Done { delivered: false });
    assert_eq!(aws.failure(&record), told);
}

/// Its time is far, and nobody is there any more: a later attempt may take over what the task has done.
#[tokio::test]
async fn a_result_that_nobody_waits_for_is_not_tried_any_longer() {
    let aws = Aws::new();
    let record = aws.has_run(Some(LOST_AFTER));
    aws.0.unreadable.set(Some("AccessDenied"));
    aws.sweep().await;
    assert!(aws.row(&record).stage.is_open());
    let timeout = Err(("States.Timeout".to_owned(), String::new()));
    assert_eq!(aws.tells(&record.token, timeout), Sent::Accepted);
    assert_eq!(aws.sweep().await.settled, 1);
    assert_eq!(aws.row(&record).stage, Stage::Done { delivered: false });
}

/// There is time for one of three clusters in a sweep.
#[tokio::test]
async fn each_sweep_begins_with_another_cluster() {
    let aws = Aws::new();
    let tokens: BTreeSet<String> = ["a", "b", "c"]
        .map(|cluster| aws.runs(cluster).token.secret().to_owned())
        .into();
    aws.0.takes.set(INVOCATION * 2 / 3);
    for nonce in 0..3 {
        aws.0.nonce.set(nonce);
        aws.0.asked.borrow_mut().clear();
        let swept = aws.sweep().await;
        assert_eq!((swept.open, swept.beating, swept.left), (3, 1, 2), "{swept:?}");
        let first = ["a", "b", "c"][usize::try_from(nonce).expect("small")];
        assert_eq!(aws.0.asked.borrow().first().map(String::as_str), Some(first));
    }
    let beats: BTreeSet<String> = aws.0.beats.borrow().iter().cloned().collect();
    assert_eq!(beats, tokens);
}
