//! Stacks: a template, its parameters, and what comes of it.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::{Error, workspace};

/// A stack to deploy: the very template that goes to AWS.
#[derive(Debug, Clone)]
pub struct Stack {
    /// The stack's name.
    pub name: String,
    /// The template's path.
    pub template: PathBuf,
    /// The template's parameters; the others have their defaults.
    pub parameters: BTreeMap<String, String>,
}

impl Stack {
    /// The whole fleet: the workspace's `template.yaml`, as stack `signalbox`.
    #[must_use]
    pub fn fleet() -> Self {
        Self::new("signalbox", "template.yaml")
    }

    /// An example: `examples/<name>/template.yaml`, as a stack of the same name.
    #[must_use]
    pub fn example(name: &str) -> Self {
        Self::new(name, format!("examples/{name}/template.yaml"))
    }

    /// Any template; a relative path is one from the workspace's folder.
    #[must_use]
    pub fn new(name: &str, template: impl Into<PathBuf>) -> Self {
        let template = workspace::root().join(template.into());
        Self {
            name: name.to_owned(),
            template,
            parameters: BTreeMap::new(),
        }
    }

    /// The same stack under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The same stack with a parameter set.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: impl Into<String>) -> Self {
        self.parameters.insert(name.to_owned(), value.into());
        self
    }
}

/// A stack that is complete.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// The stack's name.
    pub stack: String,
    /// The template's outputs.
    pub outputs: BTreeMap<String, String>,
    /// The physical id of each resource, by its logical id.
    pub resources: BTreeMap<String, String>,
    /// How long it took.
    pub took: Duration,
}

impl Deployed {
    /// An output of the template.
    pub fn output(&self, name: &str) -> Result<&str, Error> {
        self.outputs
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| Error::NoOutput {
                stack: self.stack.clone(),
                output: name.to_owned(),
                present: match self.outputs.len() {
                    0 => "none".to_owned(),
                    _ => self.outputs.keys().cloned().collect::<Vec<_>>().join(", "),
                },
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_a_stack_of_its_own_name() {
        let stack = Stack::example("orders-nightly").parameter("A", "b");
        assert_eq!(stack.name, "orders-nightly");
        assert!(stack.template.ends_with("examples/orders-nightly/template.yaml"));
        assert_eq!(stack.parameters["A"], "b");
        assert_eq!(Stack::fleet().named("other").name, "other");
    }

    #[test]
    fn a_missing_output_says_which_there_are() {
        let outputs = [("B".to_owned(), "2".to_owned()), ("A".to_owned(), "1".to_owned())].into();
        let deployed = Deployed {
            stack: "s".into(),
            outputs,
            resources: BTreeMap::new(),
            took: Duration::ZERO,
        };
        assert_eq!(deployed.output("A").unwrap(), "1");
        assert_eq!(
            deployed.output("C").unwrap_err().to_string(),
            "the stack `s` has no output `C`; it has: A, B"
        );
    }
}
