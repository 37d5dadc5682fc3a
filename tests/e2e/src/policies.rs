//! The permissions that the template gives its functions, one by one, and the template without one of them.

use std::error::Error;
use std::path::Path;

use futures_util::future::try_join_all;
use local_cloud::Stack;

const TEMPLATE: &str = include_str!("../../../template.yaml");

/// What nothing of the fleet ever does.
const HARMLESS: &str = "states:ListActivities";

/// The services whose actions are permissions of their own. The rest comes with what a function is deployed as.
const SERVICES: [&str; 8] = ["states:", "dynamodb:", "sqs:", "sns:", "ecs:", "s3:", "logs:", "iam:"];

/// What `ecs-result` has. Where there is less, the template is not read as it is meant.
const FEWEST: usize = 2;

/// What comes of a permission that is missing: an error if nothing does.
pub type Seen = Result<(), Box<dyn Error>>;

/// A permission: as it stands in the template, in the part about one function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// What the names of the function's resources begin with.
    pub function: &'static str,
    /// The line of the template: `- dynamodb:GetItem` in a list of actions, `Action: dynamodb:Query` if it is the only one.
    pub line: &'static str,
}

impl Permission {
    /// The action: `dynamodb:GetItem`.
    #[must_use]
    pub fn action(self) -> &'static str {
        action(self.line)
    }

    /// The name of the test that takes it away.
    #[must_use]
    pub fn test(self) -> String {
        format!("{} without {}", self.function, self.line)
    }

    /// The fleet without it. Its template is written into `folder`.
    pub fn taken_away(self, folder: &str) -> std::io::Result<Stack> {
        let mut kept = String::new();
        for (resource, line) in with_resources() {
            let hit = resource.starts_with(self.function) && line.trim() == self.line;
            kept.push_str(&if hit {
                line.replace(self.action(), HARMLESS)
            } else {
                line.to_owned()
            });
            kept.push('\n');
        }
        let file = self.test().replace([' ', ':'], "-");
        let template = Path::new(folder).join(format!("{file}.yaml"));
        std::fs::write(&template, kept)?;
        Ok(Stack::new("signalbox", template))
    }
}

fn action(line: &'static str) -> &'static str {
    line.trim_start_matches("- ").trim_start_matches("Action: ")
}

/// The lines of the template, each with the resource that it is about.
#[must_use]
pub fn with_resources() -> Vec<(&'static str, &'static str)> {
    let mut resource = "";
    TEMPLATE
        .lines()
        .map(|line| {
            if line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':') {
                resource = line.trim().trim_end_matches(':');
            }
            (resource, line)
        })
        .collect()
}

/// What the template gives a function, whose resources' names begin with `function`.
#[must_use]
pub fn granted(function: &'static str) -> Vec<Permission> {
    let lines = with_resources()
        .into_iter()
        .filter(|(resource, _)| resource.starts_with(function));
    let lines = lines.map(|(_, line)| line.trim()).filter(|line| {
        let action = action(line);
        SERVICES.iter().any(|service| action.starts_with(service)) && !action.contains(' ')
    });
    lines.map(|line| Permission { function, line }).collect()
}

/// Takes each permission of a function away, all at the same time, and sees what comes of it.
pub async fn each_is_needed(function: &'static str, see: impl AsyncFn(Permission) -> Seen) -> Seen {
    let granted = granted(function);
    if granted.len() < FEWEST {
        return Err(format!("{function} has only {granted:?}").into());
    }
    try_join_all(granted.iter().map(|permission| async {
        let seen = see(*permission).await;
        seen.map_err(|error| format!("{}: {error}", permission.test()).into()) as Seen
    }))
    .await?;
    Ok(())
}
