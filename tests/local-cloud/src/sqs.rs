//! Messages of SQS, as [`Account::take_messages`](crate::Account::take_messages) takes them.

use serde::Deserialize;
use serde_json::Value;

use crate::{Error, Notification};

/// A message that was taken out of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// Its body.
    pub body: String,
    /// How often it was received, this time included.
    pub receives: u64,
    pub(crate) handle: String,
}

impl Message {
    /// The notification of SNS in it, unless the subscription delivers the text alone.
    #[must_use]
    pub fn notification(&self) -> Option<Notification> {
        serde_json::from_str(&self.body).ok()
    }
}

/// The messages in an answer of `ReceiveMessage`.
pub(crate) fn received(answer: Value) -> Result<Vec<Message>, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        #[serde(default)]
        messages: Vec<Received>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Received {
        message_id: String,
        receipt_handle: String,
        body: String,
        #[serde(default)]
        attributes: Attributes,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Attributes {
        approximate_receive_count: String,
    }
    let answer: Answer =
        serde_json::from_value(answer).map_err(|error| Error::unexpected("SQS.ReceiveMessage", error))?;
    Ok(answer
        .messages
        .into_iter()
        .map(|message| Message {
            id: message.message_id,
            body: message.body,
            receives: message.attributes.approximate_receive_count.parse().unwrap_or(1),
            handle: message.receipt_handle,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_are_read_as_sqs_answers_them() {
        let message = json!({
            "MessageId": "m", "ReceiptHandle": "h", "MD5OfBody": "?",
            "Body": json!({"Type": "Notification", "MessageId": "n", "TopicArn": "t", "Message": "text"}).to_string(),
            "Attributes": {"ApproximateReceiveCount": "3"},
        });
        let messages = received(json!({"Messages": [message]})).unwrap();
        assert_eq!((messages.len(), messages[0].receives), (1, 3));
        let notification = messages[0].notification().unwrap();
        assert_eq!((notification.message.as_str(), notification.subject), ("text", None));
        assert_eq!(received(json!({})).unwrap(), []);
    }
}
