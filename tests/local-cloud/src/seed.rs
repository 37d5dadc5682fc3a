//! What `cargo cloud` has ready: the fleet, the examples, and a few executions to look at.

use std::time::Duration;

use aws_sdk_sfn::types::HistoryEventType;
use serde_json::{Value, json};

use crate::{Account, Deployed, Error, Execution, Image, Stack, account::aws, wait, workspace};

/// The lock of the example `warehouse`.
pub const WAREHOUSE: &str = "warehouse";

/// How long a seeded execution may take to get where it should be.
const SEEDED_WITHIN: Duration = Duration::from_secs(30);

/// What was put into an account.
#[derive(Debug, Clone)]
pub struct Seeds {
    /// The fleet's stack.
    pub fleet: Deployed,
    /// The pipelines' stacks.
    pub examples: Examples,
    /// The executions, as they stand.
    pub executions: Vec<Execution>,
}

impl Seeds {
    /// All stacks.
    #[must_use]
    pub fn stacks(&self) -> [&Deployed; 5] {
        let Examples {
            orders_nightly,
            warehouse,
            nightly_etl,
            samples,
        } = &self.examples;
        [&self.fleet, orders_nightly, warehouse, nightly_etl, samples]
    }
}

/// The pipelines that use the fleet.
#[derive(Debug, Clone)]
pub struct Examples {
    /// The example `orders-nightly`.
    pub orders_nightly: Deployed,
    /// The example `warehouse`.
    pub warehouse: Deployed,
    /// The example `nightly-etl`.
    pub nightly_etl: Deployed,
    /// The pipelines, and the task definition, of which only the sample events speak.
    pub samples: Deployed,
}

/// Deploys the fleet, with all of its policies switched on, and a place for ECS tasks that name none.
pub async fn fleet(account: &Account) -> Result<Deployed, Error> {
    account
        .deploy(
            Stack::fleet()
                .parameter("AllowStopExecution", "true")
                .parameter("AlertEmail", ON_CALL)
                .parameter("EcsCluster", CLUSTER)
                .parameter("EcsSubnets", SUBNET)
                .parameter("EcsLaunchType", "FARGATE")
                .parameter("ResumeRoleArns", format!("arn:aws:iam::{}:role/*", account.id())),
        )
        .await
}

/// The cluster that `cargo cloud` has.
pub const CLUSTER: &str = "tasks";

/// A subnet. The local cloud's tasks need to name one, as on AWS, and it does not matter which.
const SUBNET: &str = "subnet-0a1b2c3d";

/// Who is mailed when a pipeline fails; on the local cloud the mails are kept, see [`Account::mails`].
pub const ON_CALL: &str = "on-call@example.com";

/// Deploys the example `orders-booking`.
pub async fn orders_booking(account: &Account) -> Result<Deployed, Error> {
    account.deploy(Stack::example("orders-booking")).await
}

/// The state machine of the example `orders-booking`.
pub fn orders_booking_machine(example: &Deployed) -> Result<&str, Error> {
    example.output("OrdersBookingStateMachineArn")
}

/// An input with which it fails: the third order is the second one again.
#[must_use]
pub fn orders_booked_twice() -> Value {
    let order = |order: &str, customer: &str| json!({"order": order, "customer": customer});
    json!({"orders": [order("1001", "ana"), order("1002", "bo"), order("1002", "bo")]})
}

/// Deploys the example `month-end`, with the fleet's lock.
pub async fn month_end(account: &Account, fleet: &Deployed) -> Result<Deployed, Error> {
    account.deploy(with_the_lock(Stack::example("month-end"), fleet)?).await
}

/// The state machine of the example `month-end`.
pub fn month_end_machine(example: &Deployed) -> Result<&str, Error> {
    example.output("MonthEndStateMachineArn")
}

/// The table of the example `month-end`.
pub fn month_end_ledger(example: &Deployed) -> Result<&str, Error> {
    example.output("LedgerTableName")
}

/// An input with which it fails: the invoice of index [`MISTAKEN`] is for an account that is not opened.
#[must_use]
pub fn month_end_input() -> Value {
    let invoice =
        |invoice: &str, account: &str, amount: u64| json!({"invoice": invoice, "account": account, "amount": amount});
    json!({
        "month": "2026-01",
        "accounts": ["ana", "bo", "cy", "assets"],
        "depreciation": 40,
        "invoices": [
            invoice("1001", "ana", 120),
            invoice("1002", "bo", 75),
            invoice("1003", "ana", 30),
            invoice("1004", "anna", 60),
            invoice("1005", "cy", 210),
        ],
    })
}

/// The iteration in which it fails.
pub const MISTAKEN: usize = 3;

/// What that iteration should have been given.
#[must_use]
pub fn month_end_invoice() -> Value {
    let mut invoice = month_end_input()["invoices"][MISTAKEN].take();
    invoice["account"] = json!("ana");
    invoice
}

/// Deploys the example `deliveries`, which uses all of the fleet; its container is the script of its image.
pub async fn deliveries(account: &Account, fleet: &Deployed) -> Result<Deployed, Error> {
    let script = workspace::root().join("examples/deliveries/image/weigh.sh");
    account.image(&Image::program("weigh", &script)).await?;
    let mut example = with_the_lock(Stack::example("deliveries"), fleet)?.parameter("Subnets", SUBNET);
    for function in [GUARD, LAUNCH] {
        example = example.parameter(function, fleet.output(function)?);
    }
    account.deploy(example).await
}

/// The state machine `deliveries` of the example of that name.
pub fn deliveries_machine(example: &Deployed) -> Result<&str, Error> {
    example.output("DeliveriesStateMachineArn")
}

/// The state machine `stocktaking` of the example `deliveries`.
pub fn stocktaking_machine(example: &Deployed) -> Result<&str, Error> {
    example.output("StocktakingStateMachineArn")
}

/// The table of the example `deliveries`.
pub fn deliveries_ledger(example: &Deployed) -> Result<&str, Error> {
    example.output("LedgerTableName")
}

/// An input of `deliveries`: so many parcels, which the container weighs for so long.
#[must_use]
pub fn delivery(number: &str, parcels: u64, seconds: u64) -> Value {
    json!({"delivery": number, "parcels": parcels, "seconds": seconds})
}

/// What the container of `deliveries` finds so many parcels to weigh.
#[must_use]
pub fn weight(parcels: u64) -> u64 {
    (1..=parcels).map(|parcel| parcel * 7 % 20 + 1).sum()
}

/// Deploys the example `orders-nightly`, with the fleet's guard.
pub async fn orders_nightly(account: &Account, fleet: &Deployed) -> Result<Deployed, Error> {
    account
        .deploy(Stack::example("orders-nightly").parameter(GUARD, fleet.output(GUARD)?))
        .await
}

/// The state machine of the example `orders-nightly`.
pub fn orders_nightly_machine(example: &Deployed) -> Result<&str, Error> {
    example.output("OrdersNightlyStateMachineArn")
}

/// The example's input.
#[must_use]
pub fn orders_nightly_input() -> Value {
    json!({"date": "2026-01-31"})
}

/// Deploys the example `warehouse`, with the fleet's lock.
pub async fn warehouse(account: &Account, fleet: &Deployed) -> Result<Deployed, Error> {
    account.deploy(with_the_lock(Stack::example("warehouse"), fleet)?).await
}

fn with_the_lock(mut example: Stack, fleet: &Deployed) -> Result<Stack, Error> {
    for function in [ACQUIRE, RELEASE] {
        example = example.parameter(function, fleet.output(function)?);
    }
    Ok(example)
}

/// The state machine `stock-import` of the example `warehouse`.
pub fn stock_import_machine(example: &Deployed) -> Result<&str, Error> {
    example.output("StockImportStateMachineArn")
}

/// The state machine `stock-report` of the example `warehouse`.
pub fn stock_report_machine(example: &Deployed) -> Result<&str, Error> {
    example.output("StockReportStateMachineArn")
}

const GUARD: &str = "OverlapGuardFunctionArn";
const ACQUIRE: &str = "LockAcquireFunctionArn";
const RELEASE: &str = "LockReleaseFunctionArn";
const LAUNCH: &str = "EcsLaunchFunctionArn";

/// Deploys the example `nightly-etl`, whose container is the script of its image.
pub async fn nightly_etl(account: &Account, fleet: &Deployed) -> Result<Deployed, Error> {
    nightly_etl_of(account, fleet, Stack::example("nightly-etl")).await
}

/// The same, from a copy of the example.
pub async fn nightly_etl_of(account: &Account, fleet: &Deployed, example: Stack) -> Result<Deployed, Error> {
    let script = workspace::root().join("examples/nightly-etl/image/etl.sh");
    // As the Dockerfile says.
    account
        .image(&Image::program("nightly-etl", &script).command(&["url"]))
        .await?;
    let example = example
        .parameter(LAUNCH, fleet.output(LAUNCH)?)
        .parameter("Subnets", SUBNET);
    account.deploy(example).await
}

/// The state machine `nightly-etl` of the example of that name: its container puts its result to a URL.
pub fn nightly_etl_machine(example: &Deployed) -> Result<&str, Error> {
    example.output("NightlyEtlStateMachineArn")
}

/// The state machine `nightly-etl-log` of the example `nightly-etl`: its container prints its result.
pub fn nightly_etl_log_machine(example: &Deployed) -> Result<&str, Error> {
    example.output("NightlyEtlLogStateMachineArn")
}

/// An input of both: so many orders, which take the container so long.
#[must_use]
pub fn nightly_etl_input(orders: u64, seconds: u64) -> Value {
    json!({"date": "2026-01-31", "orders": orders, "seconds": seconds})
}

/// Deploys the pipelines, and the task definition, of which only the sample events speak.
pub async fn samples(account: &Account, fleet: &Deployed) -> Result<Deployed, Error> {
    let script = workspace::root().join("tests/local-cloud/seeds/nightly-report.sh");
    account.image(&Image::program("nightly-report", &script)).await?;
    let stack = Stack::new("seeds", "tests/local-cloud/seeds/template.yaml");
    account
        .deploy(
            stack
                .parameter(ACQUIRE, fleet.output(ACQUIRE)?)
                .parameter("ClusterName", CLUSTER),
        )
        .await
}

/// Runs that do nothing by themselves, for a day: the sample events ask for them, for a lock or for the guard.
const QUIET: [(&str, &[&str]); 6] = [
    ("OrdersReportStateMachineArn", &["report-1", "report-2", "report-3"]),
    ("OrdersRestoreStateMachineArn", &["restore-1"]),
    ("OrdersImportStateMachineArn", &["import-1", "import-2"]),
    ("OrdersAuditStateMachineArn", &["audit-1"]),
    ("OrdersFamilyStateMachineArn", &["family-1", "family-2"]),
    (
        "DockVisitStateMachineArn",
        &[
            "free",
            "wait",
            "priority",
            "hold",
            "max-wait",
            "fail",
            "skip",
            "queue-full",
            "replace-waiting",
            "cancel-holder",
            "paused",
            "assert-not-held",
        ],
    ),
];

/// A lock of the sample events: each event that changes something has one of its own, so that they do not get into each
/// other's way.
struct Dock {
    lock: &'static str,
    /// The runs of `dock-shift` that ask for it, in this order: the first one has it then, for a day.
    shifts: &'static [&'static str],
}

const DOCKS: [Dock; 12] = [
    Dock::new("dock-replace", &["replace-holds", "replace-waits"]),
    Dock::new("dock-cancel", &["cancel-holds"]),
    Dock::new("dock-assert", &["assert-holds"]),
    Dock::new("dock-release", &["release-holds", "release-waits"]),
    Dock::new("dock-ended", &["ended-holds", "ended-waits"]),
    Dock::new("dock-redriven", &["redriven-holds"]),
    Dock::new("dock-batch", &["batch-holds", "batch-waits"]),
    Dock::new("dock-force", &["force-holds", "force-waits"]),
    Dock::new("dock-remove", &["remove-holds", "remove-waits"]),
    Dock::new("dock-move", &["move-holds", "move-1", "move-2"]),
    Dock::new("dock-slots", &["slots-holds", "slots-waits"]),
    Dock::new("dock-resume", &["resume-waits"]),
];

impl Dock {
    const fn new(lock: &'static str, shifts: &'static [&'static str]) -> Self {
        Self { lock, shifts }
    }
}

/// Locks that are paused before anybody asks for them.
const PAUSED: [&str; 2] = ["dock-paused", "dock-resume"];

/// The lock that one run had until it failed, and that another one has now.
const LOST: &str = "dock-lost";

/// Starts the executions that `events/` speaks of: of `orders-nightly` one that runs for an hour, and one that the guard
/// refuses because of it; of the quiet pipelines some that run for a day; of `stock-import` one that has the warehouse for
/// an hour, and of `stock-report` one that waits for it; of `dock-shift` those that hold the other locks and wait for them; of
/// `nightly-etl` one whose container works for most of an hour, and some whose containers have done their work.
pub async fn executions(account: &Account, fleet: &Deployed, stacks: &Examples) -> Result<Vec<Execution>, Error> {
    let locks = LockAdmin {
        account,
        function: fleet.output("LockAdminFunctionName")?,
    };
    let (guarded, quiet, warehouse, docks, lost, containers) = tokio::try_join!(
        guarded(account, &stacks.orders_nightly),
        self::quiet(account, &stacks.samples),
        in_the_warehouse(account, &stacks.warehouse, &locks),
        at_the_docks(account, &stacks.samples, &locks),
        lost(account, &stacks.samples, &locks),
        in_containers(account, &stacks.nightly_etl),
    )?;
    let mut executions = Vec::new();
    for run in [guarded, quiet, warehouse, docks, lost, containers].concat() {
        executions.push(account.execution(&run).await?);
    }
    Ok(executions)
}

/// One run that goes through the guard, and one that does not.
async fn guarded(account: &Account, orders_nightly: &Deployed) -> Result<Vec<String>, Error> {
    let machine = orders_nightly_machine(orders_nightly)?;
    let mut long = orders_nightly_input();
    long["seconds"] = json!(3600);
    let first = account.start_execution(machine, "first", &long).await?;
    past_the_guard(account, &first).await?;
    let second = account
        .start_execution(machine, "second", &orders_nightly_input())
        .await?;
    account.wait_for_execution_within(&second, SEEDED_WITHIN).await?;
    Ok(vec![first, second])
}

async fn quiet(account: &Account, samples: &Deployed) -> Result<Vec<String>, Error> {
    let mut runs = Vec::new();
    for (machine, names) in QUIET {
        for name in names {
            runs.push(
                account
                    .start_execution(samples.output(machine)?, name, &json!({}))
                    .await?,
            );
        }
    }
    Ok(runs)
}

/// One run that has the warehouse, and one that waits for it.
async fn in_the_warehouse(account: &Account, example: &Deployed, locks: &LockAdmin<'_>) -> Result<Vec<String>, Error> {
    let input = json!({"seconds": 3600});
    let import = stock_import_machine(example)?;
    let holds = account.start_execution(import, "delivery-1", &input).await?;
    locks.until(WAREHOUSE, 1).await?;
    let report = stock_report_machine(example)?;
    let waits = account.start_execution(report, "inventory-1", &json!({})).await?;
    locks.until(WAREHOUSE, 2).await?;
    Ok(vec![holds, waits])
}

async fn at_the_docks(account: &Account, samples: &Deployed, locks: &LockAdmin<'_>) -> Result<Vec<String>, Error> {
    let machine = samples.output(DOCK_SHIFT)?;
    for lock in PAUSED {
        locks.pause(lock).await?;
    }
    let mut runs = Vec::new();
    let longest = DOCKS.iter().map(|dock| dock.shifts.len()).max().unwrap_or(0);
    // All docks at once, but at each of them one after the other: they are to queue in this order.
    for round in 0..longest {
        let queueing = || DOCKS.iter().filter(|dock| dock.shifts.len() > round);
        for dock in queueing() {
            let input = json!({"lock": dock.lock, "fail": false});
            runs.push(account.start_execution(machine, dock.shifts[round], &input).await?);
        }
        for dock in queueing() {
            locks.until(dock.lock, round + 1).await?;
        }
    }
    Ok(runs)
}

/// A run that failed while it had its lock, and the one that has it since.
async fn lost(account: &Account, samples: &Deployed, locks: &LockAdmin<'_>) -> Result<Vec<String>, Error> {
    let machine = samples.output(DOCK_SHIFT)?;
    let input = |fail| json!({"lock": LOST, "fail": fail});
    let fails = account.start_execution(machine, "lost-fails", &input(true)).await?;
    account.wait_for_execution_within(&fails, SEEDED_WITHIN).await?;
    locks.until(LOST, 0).await?;
    let holds = account.start_execution(machine, "lost-holds", &input(false)).await?;
    locks.until(LOST, 1).await?;
    Ok(vec![fails, holds])
}

/// Runs whose containers have handed back what they did, by a URL and by a line of output, and one whose container works.
async fn in_containers(account: &Account, example: &Deployed) -> Result<Vec<String>, Error> {
    let (by_url, by_log) = (nightly_etl_machine(example)?, nightly_etl_log_machine(example)?);
    let start = async |machine, name, seconds| {
        let input = nightly_etl_input(120, seconds);
        account.start_execution(machine, name, &input).await
    };
    let put = start(by_url, "orders-put", 0).await?;
    let printed = start(by_log, "orders-printed", 0).await?;
    for run in [&put, &printed] {
        account.wait_for_execution_within(run, SEEDED_WITHIN).await?;
    }
    // Less than its timeoutSeconds.
    let works = start(by_url, "orders-at-work", 3000).await?;
    wait::until("the container of orders-at-work to work", SEEDED_WITHIN, async || {
        let tasks = account.ecs_tasks().await.map_err(|error| error.to_string())?;
        let states: Vec<_> = tasks.iter().map(|task| task["lastStatus"].to_string()).collect();
        match tasks.iter().any(|task| task["lastStatus"] == "RUNNING") {
            true => Ok(()),
            false => Err(states.join(", ")),
        }
    })
    .await?;
    Ok(vec![put, works, printed])
}

const DOCK_SHIFT: &str = "DockShiftStateMachineArn";

/// The function `lock-admin`, as it is deployed.
struct LockAdmin<'a> {
    account: &'a Account,
    function: &'a str,
}

impl LockAdmin<'_> {
    async fn ask(&self, request: &Value) -> Result<Value, Error> {
        let answer = self.account.invoke(self.function, request).await;
        answer.map_err(|error| Error::unexpected(self.function, error))
    }

    async fn pause(&self, lock: &str) -> Result<(), Error> {
        let order = json!({"action": "pause", "lock": lock, "by": "cargo cloud", "reason": "a lock to resume"});
        self.ask(&order).await.map(drop)
    }

    /// Waits until so many hold the lock, or wait for it.
    async fn until(&self, lock: &str, runs: usize) -> Result<(), Error> {
        let what = format!("{runs} runs that hold the lock {lock}, or wait for it");
        wait::until(&what, SEEDED_WITHIN, async || {
            let seen = self.ask(&json!({"action": "list", "lock": lock})).await;
            let seen = seen.map_err(|error| error.to_string())?;
            let there = [&seen["holders"], &seen["waiters"]].map(|list| list.as_array().map_or(0, Vec::len));
            match there.iter().sum::<usize>() == runs {
                true => Ok(()),
                false => Err(seen.to_string()),
            }
        })
        .await
    }
}

/// Waits until an execution has left its first state, which is the guard.
async fn past_the_guard(account: &Account, arn: &str) -> Result<(), Error> {
    wait::until(
        "the first seeded execution to pass the guard",
        SEEDED_WITHIN,
        async || {
            let history = account.sfn().get_execution_history().execution_arn(arn).send().await;
            let events = history
                .map_err(aws("States.GetExecutionHistory"))
                .map_err(|error| error.to_string())?
                .events;
            let last = events.last().map_or("no event", |event| event.r#type.as_str());
            let passed = events
                .iter()
                .any(|event| event.r#type == HistoryEventType::TaskStateExited);
            if passed {
                Ok(())
            } else {
                Err(format!("{} events, the last is {last}", events.len()))
            }
        },
    )
    .await
}

/// All of it.
pub async fn seed(account: &Account) -> Result<Seeds, Error> {
    let fleet = fleet(account).await?;
    let examples = Examples {
        orders_nightly: orders_nightly(account, &fleet).await?,
        warehouse: warehouse(account, &fleet).await?,
        // On the cluster that the sample events name as well: there is one place to look at.
        nightly_etl: nightly_etl_of(
            account,
            &fleet,
            Stack::example("nightly-etl").parameter("ClusterName", CLUSTER),
        )
        .await?,
        samples: samples(account, &fleet).await?,
    };
    let executions = executions(account, &fleet, &examples).await?;
    Ok(Seeds {
        fleet,
        examples,
        executions,
    })
}
