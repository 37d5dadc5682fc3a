//! Links into the AWS console, for messages that people read.

use crate::arn::ExecutionArn;

/// The console's page of an execution, in the partition's own console.
#[must_use]
pub fn execution_url(execution: &ExecutionArn) -> String {
    let region = execution.machine().region();
    let host = host(execution.machine().partition(), region);
    format!("https://{host}/states/home?region={region}#/v2/executions/details/{execution}")
}

/// The console's page of a stream of CloudWatch Logs.
#[must_use]
pub fn log_stream_url(partition: &str, region: &str, group: &str, stream: &str) -> String {
    let host = host(partition, region);
    let (group, stream) = (escaped(group), escaped(stream));
    format!("https://{host}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}/log-events/{stream}")
}

fn host(partition: &str, region: &str) -> String {
    match partition {
        "aws-cn" => "console.amazonaws.cn".to_owned(),
        "aws-us-gov" => "console.amazonaws-us-gov.com".to_owned(),
        _ => format!("{region}.console.aws.amazon.com"),
    }
}

/// As the console of CloudWatch escapes names: for URLs, then the percent sign of that once more, and `$` in its place.
fn escaped(name: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            other => {
                // Writing to a text does not fail.
                let _ = write!(text, "$25{other:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_own_console() {
        for (partition, region, host) in [
            ("aws", "eu-west-1", "eu-west-1.console.aws.amazon.com"),
            ("aws-cn", "cn-north-1", "console.amazonaws.cn"),
            ("aws-us-gov", "us-gov-west-1", "console.amazonaws-us-gov.com"),
        ] {
            let arn = format!("arn:{partition}:states:{region}:123456789012:execution:m:r");
            assert_eq!(
                execution_url(&ExecutionArn::parse(&arn).unwrap()),
                format!("https://{host}/states/home?region={region}#/v2/executions/details/{arn}")
            );
        }
    }
    #[test]
    fn names_in_links_to_logs_are_escaped_as_the_console_does() {
        for (partition, region, group, stream, expected) in [
            (
                "aws",
                "eu-west-1",
                "/ecs/etl",
                "etl/app/0123",
                "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/\
                 $252Fecs$252Fetl/log-events/etl$252Fapp$252F0123",
            ),
            (
                "aws-cn",
                "cn-north-1",
                "a-b_c.d",
                "$[#1] é",
                "https://console.amazonaws.cn/cloudwatch/home?region=cn-north-1#logsV2:log-groups/log-group/a-b_c.d/\
                 log-events/$2524$255B$25231$255D$2520$25C3$25A9",
            ),
        ] {
            assert_eq!(log_stream_url(partition, region, group, stream), expected);
        }
    }
}
