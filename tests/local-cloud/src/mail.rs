//! Mails of SNS, which nobody sends.

use serde::Deserialize;

/// What a subscriber by e-mail would have got.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    /// The topic.
    pub topic_arn: String,
    /// The address.
    pub endpoint: String,
    /// The subject; `AWS Notification Message` if the message has none.
    pub subject: String,
    /// The text: of `email` if the message has one by protocol, or the default. AWS adds how to unsubscribe.
    pub body: String,
    /// When, in Unix milliseconds.
    pub at: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_mail_is_read_as_the_local_cloud_writes_it() {
        let written = json!({
            "topicArn": "arn:aws:sns:us-east-1:000000000001:alerts",
            "endpoint": "a@example.com",
            "subject": "[FAILED] orders-nightly",
            "body": "It failed.",
            "at": 1_795_304_042_643_i64,
        });
        let expected = Mail {
            topic_arn: "arn:aws:sns:us-east-1:000000000001:alerts".into(),
            endpoint: "a@example.com".into(),
            subject: "[FAILED] orders-nightly".into(),
            body: "It failed.".into(),
            at: 1_795_304_042_643,
        };
        assert_eq!(serde_json::from_value::<Mail>(written).unwrap(), expected);
    }
}
