//! The topic that alerts are published to.

use std::future::Future;

use aws_sdk_sns::Client;
use serde_json::json;
use signalbox::aws::CallError;

/// A message for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The subject of the e-mail: at most 99 printable ASCII characters.
    pub subject: String,
    /// The text of the e-mail, and of whatever else has subscribed.
    pub text: String,
    /// The notification for Amazon Q in chat applications, JSON.
    pub chat: String,
}

/// Where messages go.
pub trait Outbox {
    /// Publishes a message.
    fn publish(&self, message: &Message) -> impl Future<Output = Result<(), CallError>>;
}

const PUBLISH: &str = "sns:Publish";

/// A topic of SNS.
#[derive(Debug, Clone)]
pub struct Topic {
    client: Client,
    arn: String,
    /// Whether Amazon Q in chat applications has subscribed.
    chat: bool,
}

impl Topic {
    /// Publishes to the topic `arn`; `chat`: with a notification for Amazon Q in chat applications.
    #[must_use]
    pub fn new(client: Client, arn: String, chat: bool) -> Self {
        Self { client, arn, chat }
    }
}

impl Outbox for Topic {
    async fn publish(&self, message: &Message) -> Result<(), CallError> {
        let mut bodies = json!({"default": message.text});
        if self.chat {
            // Amazon Q subscribes by HTTPS; a text in place of its JSON it drops without a word.
            bodies["https"] = message.chat.as_str().into();
        }
        let publish = self
            .client
            .publish()
            .topic_arn(&self.arn)
            .subject(&message.subject)
            .message(bodies.to_string())
            .message_structure("json");
        let sent = publish.send().await;
        sent.map(drop).map_err(|error| CallError::new(PUBLISH, &error))
    }
}
