//! The local cloud as a process: started, ready, ended.

use std::{
    env,
    fs::File,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use hyper::Method;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::{
    Account, Error, Progress, build,
    http::{Content, Http, Reply},
    setup,
    state_dir::StateDir,
    workspace::Workspace,
};

/// The region that everything is in.
pub const REGION: &str = "us-east-1";

/// The account that people use with `cargo cloud`; the tests' accounts are others.
pub const MAIN_ACCOUNT: &str = "000000000000";

/// How long the local cloud may take to become ready, on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How long it may take to end once its standard input is closed.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// How to start the local cloud.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port on 127.0.0.1; a free one if none is given.
    pub port: Option<u16>,
    /// Where the lines of progress go.
    pub progress: Progress,
}

/// A running local cloud. Cheap to clone; it ends when the last clone is dropped, or the process ends.
#[derive(Debug, Clone)]
pub struct Cloud {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    endpoint: String,
    port: u16,
    workspace: Workspace,
    binaries: PathBuf,
    http: Http,
    // In this order: the process ends before its folder goes.
    process: Process,
    state: StateDir,
}

impl Cloud {
    /// Installs the emulator if need be, builds the functions, and starts the local cloud. Scheduled rules are deployed and
    /// do not run: a test calls by itself what a schedule would call.
    pub async fn start(options: Options) -> Result<Self, Error> {
        Self::start_with(options, &[]).await
    }

    /// The same, but scheduled rules run.
    pub async fn start_with_schedules(options: Options) -> Result<Self, Error> {
        Self::start_with(options, &["--schedules"]).await
    }

    async fn start_with(options: Options, arguments: &[&str]) -> Result<Self, Error> {
        let progress = &options.progress;
        if let Some(port) = options.port {
            // Before anything slow. The local cloud binds it itself, a moment later.
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|_| Error::PortInUse { port })?;
        }
        let workspace = Workspace::find().await?;
        let python = setup::python(&workspace, progress).await?;
        let state = StateDir::create(&workspace.local_cloud_dir())?;
        let launch = async {
            let step = progress.step("local cloud", "starting");
            let (process, ready) = Process::launch(python, &workspace, &state, options.port, arguments).await?;
            step.done(&ready.endpoint);
            Ok::<_, Error>((process, ready))
        };
        let (binaries, launched) = tokio::join!(build::functions(&workspace, progress), launch);
        let ((process, ready), binaries) = (launched?, binaries?);
        let http = Http::new(ready.endpoint.clone());
        let inner = Inner {
            endpoint: ready.endpoint,
            port: ready.port,
            workspace,
            binaries,
            http,
            process,
            state,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The one local cloud of this process, started by whoever asks first: for tests, each with its own account.
    pub async fn shared() -> Result<&'static Self, Error> {
        static SHARED: OnceCell<Result<Cloud, Error>> = OnceCell::const_new();
        let options = || Options {
            port: None,
            progress: Progress::slow_only(),
        };
        SHARED
            .get_or_init(|| Self::start(options()))
            .await
            .as_ref()
            .map_err(Error::NoSharedCloud)
    }

    /// A new account, isolated from all others. The name says in an error whose it is.
    #[must_use]
    pub fn account(&self, name: &str) -> Account {
        static GIVEN: AtomicU64 = AtomicU64::new(0);
        let number = GIVEN.fetch_add(1, Ordering::Relaxed) + 1;
        Account::new(self.clone(), account_id(number), name)
    }

    /// The account that people use with `cargo cloud`.
    #[must_use]
    pub fn main_account(&self) -> Account {
        Account::new(self.clone(), MAIN_ACCOUNT.to_owned(), "main")
    }

    /// Where it listens, for example `http://127.0.0.1:40123`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.inner.endpoint
    }

    /// The port of the endpoint.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.inner.port
    }

    /// The workspace whose fleet it runs.
    #[must_use]
    pub fn workspace(&self) -> &Workspace {
        &self.inner.workspace
    }

    /// The folder of the functions' binaries.
    #[must_use]
    pub fn binaries(&self) -> &Path {
        &self.inner.binaries
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.inner.state.log()
    }

    /// Leaves the log and the state in place when the local cloud ends; the next start removes them.
    pub fn keep_state(&self) {
        self.inner.state.keep();
    }

    /// Resolves when the local cloud has ended by itself, which it should not.
    pub async fn ended(&self) -> Error {
        loop {
            if let Some(status) = self.inner.process.ended() {
                return Error::Ended {
                    call: None,
                    status,
                    log: self.inner.state.log_tail(),
                };
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// A call to the local cloud's own endpoints: the answer, or the reason that it gives.
    pub(crate) async fn local(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        let call = format!("{method} {path}");
        let content = body.map_or(Content::None, Content::Json);
        let reply = self.call(method, path, None, content).await?;
        let answer = reply.json();
        if (200..300).contains(&reply.status) {
            return Ok(answer);
        }
        let message = match &answer {
            Value::Object(fields) => fields.get("error").and_then(Value::as_str).map(str::to_owned),
            Value::String(text) => Some(text.clone()),
            _ => None,
        };
        let message = message.unwrap_or_else(|| format!("status {}: {answer}", reply.status));
        Err(Error::Refused { call, message })
    }

    /// Any call, signed for an account and a service where they are given.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        account: Option<(&str, &str)>,
        content: Content<'_>,
    ) -> Result<Reply, Error> {
        let call = format!("{method} {path}");
        self.inner
            .http
            .call(method, path, account, content)
            .await
            .map_err(|reason| match self.inner.process.ended() {
                Some(status) => Error::Ended {
                    call: Some(call),
                    status,
                    log: self.inner.state.log_tail(),
                },
                None => Error::Unreachable { call, reason },
            })
    }
}

/// The account's 12 digits; number 0 is [`MAIN_ACCOUNT`].
fn account_id(number: u64) -> String {
    format!("{number:012}")
}

/// The local cloud's first line.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Greeting {
    Ready(Ready),
    Failed { error: String },
}

/// What it says when it serves.
#[derive(Debug, Deserialize)]
struct Ready {
    port: u16,
    endpoint: String,
}

/// The process of the local cloud. It lives as long as its standard input is open: it ends with this process, even if
/// that is killed.
#[derive(Debug)]
struct Process {
    child: Mutex<Child>,
    stdin: Option<ChildStdin>,
    ready: bool,
}

impl Process {
    async fn launch(
        python: PathBuf,
        workspace: &Workspace,
        state: &StateDir,
        port: Option<u16>,
        arguments: &[&str],
    ) -> Result<(Self, Ready), Error> {
        let (mut process, lines) = Self::spawn(&python, workspace, state, port, arguments)?;
        let first = tokio::task::spawn_blocking(move || lines.recv_timeout(READY_WITHIN))
            .await
            .map_err(|error| Error::unexpected("the thread that reads the local cloud", error))?;
        let failed = |reason: String| {
            state.keep();
            Error::Start {
                reason,
                log: state.log_tail(),
            }
        };
        let line = first.map_err(|error| {
            failed(match error {
                mpsc::RecvTimeoutError::Timeout => format!("not ready after {READY_WITHIN:?}"),
                mpsc::RecvTimeoutError::Disconnected => {
                    // It has closed its output; a moment later its status is known.
                    let status = process.await_end(Duration::from_secs(1));
                    format!(
                        "it ended ({})",
                        status.as_deref().unwrap_or("it still runs, without an output")
                    )
                }
            })
        })?;
        match serde_json::from_str(&line) {
            Ok(Greeting::Ready(ready)) => {
                process.ready = true;
                Ok((process, ready))
            }
            Ok(Greeting::Failed { error }) => Err(failed(error)),
            Err(_) => Err(failed(format!("its first line is `{line}`"))),
        }
    }

    fn spawn(
        python: &Path,
        workspace: &Workspace,
        state: &StateDir,
        port: Option<u16>,
        arguments: &[&str],
    ) -> Result<(Self, mpsc::Receiver<String>), Error> {
        let stderr = File::create(state.stderr()).map_err(Error::file(state.stderr()))?;
        let mut command = Command::new(python);
        command
            .args(["-m", "signalbox_cloud", "--state-dir"])
            .arg(state.path())
            .args(arguments);
        if let Some(port) = port {
            command.args(["--port", &port.to_string()]);
        }
        // Nothing of the host's configuration reaches it: no AWS profile, no proxy, no home.
        command.env_clear().envs(
            ["PATH", "LANG"]
                .into_iter()
                .filter_map(|name| Some((name, env::var_os(name)?))),
        );
        let mut child = command
            .env("HOME", state.path())
            .env("TMPDIR", state.path().join("tmp"))
            .env("PYTHONPATH", workspace.python_dir())
            .current_dir(state.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            // A Ctrl-C is for this process, which then ends the local cloud in order.
            .process_group(0)
            .spawn()
            .map_err(Error::program(python.display().to_string()))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let process = Self {
            child: Mutex::new(child),
            ready: false,
            stdin,
        };
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            // To the end, so that a print can never block it.
            for line in stdout
                .into_iter()
                .flat_map(|stdout| BufReader::new(stdout).lines())
                .map_while(Result::ok)
            {
                let _ = send.send(line);
            }
        });
        Ok((process, lines))
    }

    /// How it ended, if it has.
    fn ended(&self) -> Option<String> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.try_wait().ok().flatten().map(|status| status.to_string())
    }

    /// How it ended, if it does so in time.
    fn await_end(&self, within: Duration) -> Option<String> {
        let deadline = Instant::now() + within;
        loop {
            let ended = self.ended();
            if ended.is_some() || Instant::now() > deadline {
                return ended;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // Before it serves it does not look at its standard input, and there is nothing yet that it should put in order.
        if !self.ready || self.await_end(ENDED_WITHIN).is_none() {
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_ids_have_twelve_digits() {
        assert_eq!(account_id(0), MAIN_ACCOUNT);
        assert_eq!(account_id(1), "000000000001");
        assert_eq!(account_id(123_456_789_012), "123456789012");
    }
}
