//! Links into the AWS console, for messages that people read.

use crate::arn::ExecutionArn;

/// The console's page of an execution, in the partition's own console.
#[must_use]
pub fn execution_url(execution: &ExecutionArn) -> String {
    let region = execution.machine().region();
    let host = match execution.machine().partition() {
        "aws-cn" => "console.amazonaws.cn".to_owned(),
        "aws-us-gov" => "console.amazonaws-us-gov.com".to_owned(),
        _ => format!("{region}.console.aws.amazon.com"),
    };
    format!("https://{host}/states/home?region={region}#/v2/executions/details/{execution}")
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
}
