//! What runs do.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use signalbox::arn::ExecutionArn;
use signalbox::clock::{Clock, Timestamp};
use signalbox::executions::Status;
use signalbox::lock::Error;
use signalbox::lock::acquire::{Acquire, Acquired, OnBusy};
use signalbox::lock::admin::{Edge, Order};
use signalbox::lock::key::Priority;
use signalbox::lock::record::{Attempt, Hold};
use signalbox::lock::release::End;
use signalbox::lock::reserve::RESERVED;
use signalbox::lock::store::Setting;
use signalbox::tasks::TaskToken;

use super::watch::SHARED;
use super::{INVOCATION, Local, Model, PROMPT_REDRIVE, Scenario};
use crate::tokens::Standing;

/// A call to redrive takes effect by then.
const REDRIVE_TAKES: Duration = Duration::from_secs(12);

/// How a state that acquires ends.
enum Got {
    /// The run has the lock.
    Lock,
    /// It goes on without.
    Nothing,
    /// The execution is over.
    Over,
}

/// A visit of a state that acquires.
struct Visit {
    entered: Timestamp,
    redrive: u32,
}

/// A run of a pipeline.
#[derive(Clone)]
struct Run {
    arn: ExecutionArn,
    priority: u8,
    /// It says how often it was redriven.
    tells_redrives: bool,
    /// What it does if the lock is not free.
    on_busy: OnBusy,
    max_queue: Option<u32>,
}

impl Run {
    /// Its priority; a run whose holder is stopped for it goes before all.
    fn rank(&self) -> u8 {
        if self.on_busy == OnBusy::CancelHolder {
            10
        } else {
            self.priority
        }
    }
}

impl Model {
    pub(super) fn spawn_runs(self: &Rc<Self>, slots: u32) {
        let count = self.world.number(2..=7);
        self.left.set(count);
        self.spawn_sweeps();
        let priorities = self.world.chance(0.2);
        for n in 0..count {
            let arn = format!("arn:aws:states:us-east-1:123456789012:execution:m:r{n}");
            let run = Run {
                arn: ExecutionArn::parse(&arn).expect("a good ARN"),
                priority: if priorities {
                    u8::try_from(self.world.number(4..=6)).expect("small")
                } else {
                    5
                },
                tells_redrives: self.world.chance(0.5),
                on_busy: self.some_policy(),
                max_queue: (self.scenario == Scenario::Storm && self.world.chance(0.15)).then_some(1),
            };
            let model = Rc::clone(self);
            self.world.spawn(async move {
                if slots > 1 {
                    model.set_up(slots).await;
                }
                model.world.sleep(model.world.up_to(Duration::from_secs(40))).await;
                model.sfn.start(&run.arn);
                model.spawn_abort(&run);
                match model.scenario {
                    Scenario::Branches => model.live_in_branches(&run).await,
                    _ => model.live(&run).await,
                }
                model.finish(&run);
                model.left.set(model.left.get() - 1);
            });
        }
        if self.scenario == Scenario::Operators {
            self.spawn_operator(slots);
        }
    }

    fn some_policy(&self) -> OnBusy {
        if self.scenario != Scenario::Storm {
            return OnBusy::Wait;
        }
        match self.world.number(0..=9) {
            0 | 1 => OnBusy::Fail,
            2 => OnBusy::Skip,
            3 => OnBusy::ReplaceWaiting,
            4 => OnBusy::CancelHolder,
            _ => OnBusy::Wait,
        }
    }

    /// The lock has its slots before anybody comes.
    async fn set_up(self: &Rc<Self>, slots: u32) {
        while !matches!(
            self.call(move |session| Box::pin(async move {
                session.configure(&Self::lock(), Setting::Slots(slots), &order()).await
            }))
            .await,
            Some(Ok(_))
        ) {}
    }

    fn spawn_abort(self: &Rc<Self>, run: &Run) {
        if !self.mishap(self.knobs.aborts) {
            return;
        }
        let (model, run) = (Rc::clone(self), run.clone());
        self.world.spawn(async move {
            model.world.sleep(model.world.up_to(Duration::from_mins(1))).await;
            if model.sfn.runs(&run.arn) && !model.is_calm() {
                model.end(&run.arn, Status::Stopped(model.world.now()));
            }
        });
    }

    /// A pipeline: acquires, works, releases or just ends; and perhaps all that once more.
    async fn live(self: &Rc<Self>, run: &Run) {
        let hold = Self::hold(&run.arn, "");
        let sections = if self.world.chance(0.3) { 2 } else { 1 };
        for _ in 0..sections {
            match self.acquire_state(run, &hold).await {
                Got::Over => return,
                Got::Nothing => {
                    // Caught: it releases, as the documentation says, before it acquires again.
                    if !self.release_state(&hold).await {
                        return;
                    }
                    self.world.sleep(self.world.up_to(Duration::from_secs(5))).await;
                    continue;
                }
                Got::Lock => {}
            }
            self.world.sleep(self.world.up_to(Duration::from_secs(10))).await;
            if !self.sfn.runs(&run.arn) {
                return;
            }
            let redrives = self.scenario == Scenario::Redrive && self.world.chance(0.5);
            if redrives && !self.fail_and_redrive(run, &hold).await {
                return;
            }
            self.watch.leaves(&hold);
            if self.world.chance(0.3) {
                return;
            }
            if !self.release_state(&hold).await || !self.sfn.runs(&run.arn) {
                return;
            }
            self.world.sleep(self.world.up_to(Duration::from_secs(3))).await;
        }
    }

    /// The run fails inside, and is redriven into the section. Whether it lives on.
    async fn fail_and_redrive(self: &Rc<Self>, run: &Run, hold: &Hold) -> bool {
        let world = &self.world;
        let told = self.end(&run.arn, Status::Stopped(world.now()));
        let prompt = world.chance(0.5);
        let most = if prompt {
            PROMPT_REDRIVE
        } else {
            Duration::from_secs(150)
        };
        world
            .sleep(Duration::from_millis(500) + world.up_to(most.saturating_sub(Duration::from_millis(500))))
            .await;
        // Half of them are redriven by somebody who reserves first, and if that fails gives up, or redrives all the same.
        let reserves = world.chance(0.5);
        let reserved = reserves && self.reserve(run).await;
        if reserves && !reserved && world.chance(0.7) {
            return false;
        }
        self.sfn.redrive(&run.arn);
        let redrive = self.sfn.now(&run.arn).redrive;
        let since = world.now();
        // If nobody was told of the failure, nobody may have believed it yet.
        self.enters(hold, None, reserved || (prompt && !told && !reserves));
        self.emit_redriven(&run.arn, redrive, since);
        self.must_be_covered(hold, redrive);
        if world.chance(0.3) {
            // The safe way: it makes sure before it touches anything.
            self.watch.leaves(hold);
            if !self.assert_state(run, hold).await {
                return false;
            }
        }
        let most = if world.chance(0.3) { 400 } else { 20 };
        let until = world.now().after(world.up_to(Duration::from_secs(most)));
        while world.now() < until {
            world.sleep(Duration::from_millis(500)).await;
            if !self.sfn.runs(&run.arn) {
                return false;
            }
        }
        true
    }

    /// Reserves what the run held, for a redrive that follows. Whether it may be redriven: if not, what was reserved before a
    /// crash is left behind.
    async fn reserve(self: &Rc<Self>, run: &Run) -> bool {
        let world = &self.world;
        let redrive = self.sfn.now(&run.arn).redrive + 1;
        for _ in 0..world.number(1..=3) {
            // Two at once: each reserves for the same redrive, and either may make it.
            if world.chance(0.2) {
                let arn = run.arn.clone();
                self.invoke(move |session| Box::pin(async move { session.reserve(&arn, redrive).await }));
            }
            let arn = run.arn.clone();
            let by = world.now().after(RESERVED);
            let answer = self
                .call(move |session| Box::pin(async move { session.reserve(&arn, redrive).await }))
                .await;
            match answer {
                Some(Ok(None)) if world.now() < by && world.chance(0.9) => {
                    // As late as it may be, with the time that the call takes.
                    let most = by.since(world.now()) + REDRIVE_TAKES;
                    world.sleep(world.up_to(most)).await;
                    return true;
                }
                Some(Ok(Some(_))) => return false,
                _ => {}
            }
            world.sleep(world.up_to(Duration::from_secs(90))).await;
        }
        false
    }

    async fn live_in_branches(self: &Rc<Self>, run: &Run) {
        let branches = self.world.number(1..=3);
        let shared = self.world.chance(0.3);
        let done = Rc::new(std::cell::Cell::new(0));
        for branch in 0..branches {
            let (model, run, done) = (Rc::clone(self), run.clone(), Rc::clone(&done));
            let name = if shared {
                SHARED.to_owned()
            } else {
                format!("b{branch}")
            };
            self.world.spawn(async move {
                let hold = Self::hold(&run.arn, &name);
                if matches!(model.acquire_state(&run, &hold).await, Got::Lock) {
                    model.world.sleep(model.world.up_to(Duration::from_secs(5))).await;
                    model.watch.leaves(&hold);
                    // A branch that does not release holds until its run ends, which waits for the other branches.
                    while model.sfn.runs(&run.arn) && !model.release_state(&hold).await {}
                }
                done.set(done.get() + 1);
            });
        }
        while done.get() < branches {
            self.world.sleep(Duration::from_millis(200)).await;
        }
    }

    /// A Task state with `.waitForTaskToken`, with its Retry and its Catch.
    fn acquire_state(self: &Rc<Self>, run: &Run, hold: &Hold) -> Local<Got> {
        let (model, run, hold) = (Rc::clone(self), run.clone(), hold.clone());
        Box::pin(async move {
            let world = &model.world;
            let visit = Visit {
                entered: world.now(),
                redrive: model.sfn.now(&run.arn).redrive,
            };
            for retry in 0.. {
                let token = model.tokens.issue(&run.arn);
                if let Some(got) = model.attempt(&run, &hold, &visit, retry, &token).await {
                    return got;
                }
                model.tokens.void(&token);
                if !model.is_calm() && world.chance(0.15) {
                    return Got::Nothing;
                }
                world.sleep(world.up_to(Duration::from_secs(3))).await;
            }
            Got::Nothing
        })
    }

    /// One attempt of the state. `None`: it failed, and may be retried.
    async fn attempt(
        self: &Rc<Self>,
        run: &Run,
        hold: &Hold,
        visit: &Visit,
        retry: u32,
        token: &TaskToken,
    ) -> Option<Got> {
        let world = &self.world;
        self.watch.waits(hold, token, run.rank(), visit.entered);
        let ask = Acquire {
            hold: hold.clone(),
            token: token.clone(),
            redrive_known: run.tells_redrives,
            attempt: Attempt {
                redrive: if run.tells_redrives { visit.redrive } else { 0 },
                entered: visit.entered,
                retry,
            },
            priority: Priority::new(run.priority).expect("a priority"),
            on_busy: run.on_busy,
            max_queue: run.max_queue,
            max_wait: None,
        };
        let invocation = self.invoke(move |session| Box::pin(async move { session.acquire(&ask).await }));
        // An invocation that hangs is given up by its state, and goes on.
        let gives_up = self.mishap(self.knobs.zombies);
        let patience = match gives_up {
            true => world.up_to(Duration::from_secs(4)),
            false => INVOCATION * 2,
        };
        let began = world.now();
        let mut times_out = None;
        let mut pause = Duration::from_millis(20);
        loop {
            if !self.sfn.runs(&run.arn) || self.sfn.now(&run.arn).redrive != visit.redrive {
                return Some(Got::Over);
            }
            match self.tokens.standing(token) {
                Standing::Succeeded(output) => {
                    let output: Value = serde_json::from_str(&output).expect("JSON");
                    if output["acquired"] == false {
                        return Some(Got::Nothing);
                    }
                    self.enters(hold, output["fence"].as_i64(), true);
                    return Some(Got::Lock);
                }
                Standing::Failed(_) => return Some(Got::Nothing),
                Standing::Waiting | Standing::Void => {}
            }
            let waited = world.now().since(began);
            if !invocation.is_over() && waited > patience {
                return None;
            }
            if invocation.is_over() {
                match invocation.answer() {
                    Some(Ok(Acquired::Queued)) => {
                        self.watch.queued(token, world.now());
                        // The state may have a timeout of its own.
                        if self.mishap(0.1) {
                            times_out = Some(world.now().after(world.up_to(Duration::from_mins(1))));
                        }
                    }
                    Some(Err(error)) => return self.refused(run, began, token, &error),
                    // It crashed, and did not answer before.
                    None if waited > Duration::from_secs(2)
                        && times_out.is_none()
                        && self.tokens.standing(token) == Standing::Waiting
                        && !self.watch.is_queued(token) =>
                    {
                        return None;
                    }
                    Some(Ok(_)) | None => {}
                }
            }
            if times_out.is_some_and(|at| world.now() > at) {
                return None;
            }
            world.sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(400));
        }
    }

    /// The invocation failed, and with it the attempt.
    fn refused(&self, run: &Run, began: Timestamp, token: &TaskToken, error: &Error) -> Option<Got> {
        match error {
            Error::HoldInUse { .. } | Error::Over { .. } => {
                if self.scenario != Scenario::Branches {
                    self.breaks(format!("{} was told {error}", run.arn.name()));
                }
            }
            Error::Busy { .. } | Error::QueueFull { .. } | Error::Paused { .. } => {}
            // Step Functions' history lags.
            Error::Undecided(_) => return None,
            _ => {
                if self.is_calm() && began.since(self.start) > super::TROUBLE_ENDS {
                    self.breaks(format!("{} failed without trouble: {error}", run.arn.name()));
                }
                return None;
            }
        }
        self.tokens.void(token);
        Some(Got::Nothing)
    }

    /// A Task state that releases, with its Retry. Whether it succeeded; if not, the hold may still be there.
    async fn release_state(self: &Rc<Self>, hold: &Hold) -> bool {
        let entered = self.world.now();
        let most = if self.is_calm() { 10 } else { self.world.number(1..=5) };
        for _ in 0..most {
            let hold = hold.clone();
            let invocation =
                self.invoke(move |session| Box::pin(async move { session.release(&hold, Some(entered)).await }));
            let gives_up = self.mishap(self.knobs.zombies);
            let patience = if gives_up {
                self.world.up_to(Duration::from_secs(2))
            } else {
                INVOCATION * 2
            };
            let began = self.world.now();
            while !invocation.is_over() && self.world.now().since(began) < patience {
                self.world.sleep(Duration::from_millis(50)).await;
            }
            if let Some(Ok(_)) = invocation.answer() {
                return true;
            }
            self.world.sleep(self.world.up_to(Duration::from_secs(3))).await;
        }
        false
    }

    /// A Task state that asserts the hold. Whether the run goes on.
    async fn assert_state(self: &Rc<Self>, run: &Run, hold: &Hold) -> bool {
        for _ in 0..20 {
            let token = self.tokens.issue(&run.arn);
            let (asked, sent) = (hold.clone(), token.clone());
            let (redrive, entered) = (self.sfn.now(&run.arn).redrive, self.world.now());
            let answer = self
                .call(move |session| Box::pin(async move { session.assert(&asked, &sent, redrive, entered).await }))
                .await;
            if !self.sfn.runs(&run.arn) {
                return false;
            }
            match (self.tokens.standing(&token), answer) {
                (Standing::Succeeded(output), _) => {
                    let output: Value = serde_json::from_str(&output).expect("JSON");
                    // It may be the fence that it had, if nobody took the lock meanwhile.
                    let _ = output;
                    self.enters(hold, None, true);
                    return true;
                }
                (_, Some(Err(Error::LostOnRedrive { .. } | Error::NotHeld { .. }))) => return false,
                _ => {}
            }
            self.tokens.void(&token);
            self.world.sleep(self.world.up_to(Duration::from_secs(3))).await;
        }
        false
    }

    /// The execution ends, unless it has.
    fn finish(self: &Rc<Self>, run: &Run) {
        self.watch.leaves_all(&run.arn);
        if self.sfn.runs(&run.arn) {
            let status = match self.world.chance(0.5) {
                true => Status::Over,
                false => Status::Stopped(self.world.now()),
            };
            self.end(&run.arn, status);
        }
    }

    /// Ends the execution, and emits its event. Whether anybody will be told.
    fn end(self: &Rc<Self>, run: &ExecutionArn, status: Status) -> bool {
        self.watch.leaves_all(run);
        self.sfn.end(run, status);
        let end = End {
            redrive: self.sfn.now(run).redrive,
            stopped: Some(self.world.now()),
            redrivable: status != Status::Over,
        };
        let run = run.clone();
        self.emit(move |model| {
            let run = run.clone();
            Box::pin(async move {
                let answer = model
                    .call(move |session| Box::pin(async move { session.ended(&run, end).await }))
                    .await;
                matches!(answer, Some(Ok(())))
            })
        })
    }

    fn emit_redriven(self: &Rc<Self>, run: &ExecutionArn, redrive: u32, since: Timestamp) {
        let run = run.clone();
        self.emit(move |model| {
            let run = run.clone();
            Box::pin(async move {
                let (arn, handled) = (run.clone(), Rc::clone(&model));
                let answer = model
                    .call(move |session| {
                        Box::pin(async move {
                            let done = session.redriven(&run, redrive, since).await;
                            if done.is_ok() {
                                handled.heard_of(&arn, redrive);
                            }
                            done
                        })
                    })
                    .await;
                matches!(answer, Some(Ok(())))
            })
        });
    }

    /// A status event: lost, or delivered once or twice, soon or late, and again as long as its handler fails.
    fn emit(self: &Rc<Self>, handle: impl Fn(Rc<Self>) -> Local<bool> + Clone + 'static) -> bool {
        if self.mishap(self.knobs.lost) {
            return false;
        }
        let copies = if self.world.chance(self.knobs.late) { 2 } else { 1 };
        for _ in 0..copies {
            let most = match self.world.chance(self.knobs.late) {
                true => Duration::from_mins(1),
                false => Duration::from_millis(500),
            };
            let (model, handle) = (Rc::clone(self), handle.clone());
            self.busy.set(self.busy.get() + 1);
            self.world.spawn(async move {
                model.world.sleep(model.world.up_to(most)).await;
                // Five times, and then to the dead-letter queue.
                for _ in 0..5 {
                    if handle(Rc::clone(&model)).await {
                        break;
                    }
                    model.world.sleep(Duration::from_secs(35)).await;
                }
                model.busy.set(model.busy.get() - 1);
            });
        }
        true
    }

    fn spawn_operator(self: &Rc<Self>, slots: u32) {
        let model = Rc::clone(self);
        self.world.spawn(async move {
            let world = &model.world;
            while !model.is_calm() && model.left.get() > 0 {
                world.sleep(world.up_to(Duration::from_secs(20))).await;
                let lock = Self::lock();
                let waiting: Vec<Hold> = model
                    .table
                    .peek(|items| items.waits.values().map(|waiter| waiter.hold.clone()).collect());
                let any = (!waiting.is_empty()).then(|| waiting[world.number(0..=waiting.len() - 1)].clone());
                match (world.number(0..=4), any) {
                    (0, _) => {
                        let slots = u32::try_from(world.number(1..=3)).expect("small");
                        model.watch.raise_slots(slots);
                        model.configure(Setting::Slots(slots)).await;
                    }
                    (1, _) => {
                        model.configure(Setting::Paused(true)).await;
                        world.sleep(world.up_to(Duration::from_secs(20))).await;
                        model.configure(Setting::Paused(false)).await;
                    }
                    (2, Some(hold)) => {
                        let edge = if world.chance(0.5) { Edge::Front } else { Edge::Back };
                        model
                            .call(move |session| {
                                Box::pin(async move { session.move_waiter(&hold, edge, &order()).await.map(drop) })
                            })
                            .await;
                    }
                    (3, Some(hold)) => {
                        model
                            .call(move |session| {
                                Box::pin(async move { session.remove(&hold, &order()).await.map(drop) })
                            })
                            .await;
                    }
                    (4, _) => {
                        let holder = model.table.peek(|items| {
                            let head = items.heads.get(&lock)?;
                            head.holders.values().next().map(|holder| holder.execution.clone())
                        });
                        if let Some(holder) = holder
                            && world.chance(0.3)
                        {
                            let hold = Self::hold(&holder, "");
                            // Its run works on, and does not count any more.
                            model.watch.discounts(&hold);
                            model
                                .call(move |session| {
                                    Box::pin(async move { session.force_release(&hold, &order()).await.map(drop) })
                                })
                                .await;
                        }
                    }
                    _ => {}
                }
            }
            model.configure(Setting::Paused(false)).await;
            model.configure(Setting::Slots(slots)).await;
        });
    }

    /// Until it is done.
    async fn configure(self: &Rc<Self>, setting: Setting) {
        loop {
            let answer = self
                .call(move |session| Box::pin(async move { session.configure(&Self::lock(), setting, &order()).await }))
                .await;
            if matches!(answer, Some(Ok(_))) {
                return;
            }
        }
    }
}

fn order() -> Order {
    Order {
        by: "operator".to_owned(),
        reason: "simulated".to_owned(),
        action: "simulated",
    }
}
