//! The local cloud's ECS: containers are processes of this machine, images are programs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::{Account, Error, http::Content};

/// What a container of an image runs.
#[derive(Debug, Clone)]
pub struct Image {
    name: String,
    entrypoint: Vec<String>,
    command: Vec<String>,
    environment: BTreeMap<String, String>,
}

impl Image {
    /// An image that runs a program of this machine; its command are the program's arguments.
    #[must_use]
    pub fn program(name: &str, program: &Path) -> Self {
        Self {
            name: name.to_owned(),
            entrypoint: vec![program.to_string_lossy().into_owned()],
            command: Vec::new(),
            environment: BTreeMap::new(),
        }
    }

    /// An image with a shell, which runs whatever its command says.
    #[must_use]
    pub fn shell(name: &str) -> Self {
        Self {
            entrypoint: vec!["/bin/sh".to_owned(), "-c".to_owned()],
            ..Self::program(name, Path::new(""))
        }
    }

    /// Its command, unless a task definition or a task has another.
    #[must_use]
    pub fn command(mut self, command: &[&str]) -> Self {
        self.command = command.iter().map(|&word| word.to_owned()).collect();
        self
    }
}

/// How long things take in the local cloud's ECS. AWS takes some seconds, or a minute, for each.
#[derive(Debug, Clone, Copy, Default)]
pub struct EcsTimes {
    /// From `RunTask` to running containers.
    pub start: Option<Duration>,
    /// From DEPROVISIONING to STOPPED.
    pub deprovisioning: Option<Duration>,
    /// From SIGTERM to SIGKILL.
    pub stop_timeout: Option<Duration>,
    /// From a line of output to its log stream.
    pub logs: Option<Duration>,
}

impl Account {
    /// Makes an image known. One that is not known cannot be pulled.
    pub async fn image(&self, image: &Image) -> Result<(), Error> {
        let request = json!({
            "account": self.id(),
            "image": image.name,
            "entrypoint": image.entrypoint,
            "command": image.command,
            "environment": image.environment,
        });
        self.cloud()
            .local(Method::POST, "/_local/images", Some(&request))
            .await
            .map(drop)
    }

    /// Sets how long things take in ECS.
    pub async fn ecs_times(&self, times: EcsTimes) -> Result<(), Error> {
        let mut request = json!({"account": self.id()});
        for (name, time) in [
            ("startSeconds", times.start),
            ("deprovisioningSeconds", times.deprovisioning),
            ("stopTimeoutSeconds", times.stop_timeout),
            ("logDelaySeconds", times.logs),
        ] {
            if let Some(time) = time {
                request[name] = json!(time.as_secs_f64());
            }
        }
        self.cloud()
            .local(Method::POST, "/_local/ecs", Some(&request))
            .await
            .map(drop)
    }

    /// All tasks that there ever were, as `DescribeTasks` tells, with the ids of their processes.
    pub async fn ecs_tasks(&self) -> Result<Vec<Value>, Error> {
        let answer = self
            .cloud()
            .local(Method::GET, &format!("/_local/ecs?account={}", self.id()), None)
            .await?;
        let tasks = answer["tasks"].as_array().cloned();
        tasks.ok_or_else(|| Error::unexpected("GET /_local/ecs", answer))
    }

    /// Ends a task as AWS does of its own accord: for `SpotInterruption` and so on.
    pub async fn interrupt_task(&self, task: &str, stop_code: &str, reason: &str) -> Result<(), Error> {
        let request = json!({"account": self.id(), "task": task, "stopCode": stop_code, "reason": reason});
        self.cloud()
            .local(Method::POST, "/_local/ecs/stop", Some(&request))
            .await
            .map(drop)
    }

    /// Sends a signal to a container from outside. `reason`: what ECS says of it, such as that it had no memory left.
    pub async fn kill_container(
        &self,
        task: &str,
        container: &str,
        signal: i32,
        reason: Option<&str>,
    ) -> Result<(), Error> {
        let request = json!({
            "account": self.id(), "task": task, "container": container, "signal": signal, "reason": reason,
        });
        self.cloud()
            .local(Method::POST, "/_local/ecs/kill", Some(&request))
            .await
            .map(drop)
    }

    /// Every line in the log groups whose names begin with `prefix`, with their groups' names.
    pub async fn log_lines(&self, prefix: &str) -> Result<Vec<(String, String)>, Error> {
        let call = async |operation: &str, arguments: &Value| {
            let target = format!("Logs_20140328.{operation}");
            let call = format!("Logs.{operation}");
            let reply = self
                .service("logs", &call, Content::Operation(&target, arguments))
                .await;
            reply.map(|reply| reply.json())
        };
        let groups = call("DescribeLogGroups", &json!({"logGroupNamePrefix": prefix})).await?;
        let groups = groups["logGroups"].as_array().into_iter().flatten();
        let names: Vec<&str> = groups.filter_map(|group| group["logGroupName"].as_str()).collect();
        let mut lines = Vec::new();
        for name in names {
            let mut arguments = json!({"logGroupName": name});
            loop {
                let page = call("FilterLogEvents", &arguments).await?;
                let messages = page["events"].as_array().into_iter().flatten();
                let messages = messages.filter_map(|event| event["message"].as_str());
                lines.extend(messages.map(|message| (name.to_owned(), message.to_owned())));
                match page["nextToken"].as_str() {
                    Some(token) => arguments["nextToken"] = json!(token),
                    None => break,
                }
            }
        }
        Ok(lines)
    }

    /// An object of S3; `None` if there is none.
    pub async fn object(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = format!("/{bucket}/{key}");
        let reply = self
            .cloud()
            .call(Method::GET, &path, Some((self.id(), "s3")), Content::None)
            .await?;
        match reply.status {
            200 => Ok(Some(reply.body.to_vec())),
            404 => Ok(None),
            status => Err(Error::unexpected(
                "S3.GetObject",
                format!("{status}: {}", String::from_utf8_lossy(&reply.body)),
            )),
        }
    }
}
