//! Why a task was not started, by the reasons that ECS gives.
//!
//! Of most reasons there is no list: they are told apart by what is known of their wording. Sources: ECS developer guide,
//! "Stopped tasks error codes", "API failure reasons", "Troubleshooting `TaskFailedToStart` errors"; AWS re:Post, "Capacity
//! is unavailable"; what users of `RunTask` quote in public issues (`dask-cloudprovider` 56 and 328, `dagster` 33439,
//! `boto3` 2862, `aws-sdk-ruby` 3047). What nobody knows is [`Kind::Other`].

/// Why a task was not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartFailure {
    /// What kind of failure it is.
    pub kind: Kind,
    /// What ECS said.
    pub reason: String,
}

/// What kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// There is no room for it now.
    Capacity,
    /// Its image cannot be had.
    Image,
    /// It has no network, or cannot reach what it needs.
    Network,
    /// Something that it needs cannot be set up: secrets, logs, volumes.
    Resources,
    /// Anything else.
    Other,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Capacity, Self::Image, Self::Network, Self::Resources, Self::Other];

    /// The name that an ASL `ErrorEquals` matches.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Capacity => "Ecs.StartFailed.Capacity",
            Self::Image => "Ecs.StartFailed.Image",
            Self::Network => "Ecs.StartFailed.Network",
            Self::Resources => "Ecs.StartFailed.Resources",
            Self::Other => "Ecs.StartFailed.Other",
        }
    }

    /// What to do, in one sentence.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Capacity => {
                "There is no room for it now: retry after a pause, offer more Availability Zones or another capacity \
                 provider, add container instances, or have the quota raised."
            }
            Self::Image => {
                "Check the image's name, tag and architecture, that the execution role may pull it, and that the subnets \
                 reach its registry."
            }
            Self::Network => {
                "Check the subnets' free addresses and routes (a NAT gateway, VPC endpoints or a public address), the \
                 security groups and the DNS; if it comes and goes, retry."
            }
            Self::Resources => {
                "Check what the task definition asks for: secrets and parameters, log groups, volumes, and that the \
                 execution role may use them."
            }
            Self::Other => "See the reason; a retry helps only if it is one that passes.",
        }
    }

    /// The first row that holds decides.
    fn of(reason: &str) -> Self {
        let text = plain(reason);
        let text = text.strip_prefix("taskfailedtostart: ").unwrap_or(&text);
        let has = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
        if has(IMAGE) {
            return Self::Image;
        }
        if text.starts_with("resource:") || is_just(text, "agent") || has(CAPACITY) {
            return Self::Capacity;
        }
        if has(NETWORK) {
            return Self::Network;
        }
        if has(&["resourceinitializationerror"]) {
            return match has(UNREACHABLE) && !has(REFUSED) {
                true => Self::Network,
                false => Self::Resources,
            };
        }
        match has(RESOURCES) {
            true => Self::Resources,
            false => Self::Other,
        }
    }
}

/// `CannotPullContainerError`, `CannotPullECRContainerError`, `CannotPullImageManifestError`: also those that could not
/// reach the registry.
const IMAGE: &[&str] = &["cannotpull", "manifest unknown", "invalid reference format"];

/// "You’ve reached the limit on the number of vCPUs you can run concurrently" (also of tasks), "The requested CPU
/// configuration is above your limit", "Tasks provisioning capacity limit exceeded.", "No Container Instances were found in
/// your cluster."
const CAPACITY: &[&str] = &[
    "capacity is unavailable",
    "capacity limit exceeded",
    "insufficientinstancecapacity",
    "you can run concurrently",
    "configuration is above your limit",
    "no container instances were found",
    "empty capacity provider",
    "no active instances",
];

/// "Unexpected EC2 error while attempting to Create Network Interface", "Timeout waiting for network interface provisioning
/// to complete.", "Error retrieving subnet information for [subnet-…]", "Network Configuration must be provided when
/// networkMode 'awsvpc' is specified."
const NETWORK: &[&str] = &[
    "network interface",
    "network configuration must",
    "insufficientfreeaddresses",
    "invalidsubnetid",
    "error retrieving subnet",
    "error retrieving security group",
    "configure eni",
    "setup regular eni",
    "eni attachment",
];

/// In a `ResourceInitializationError`: it did not get through to Secrets Manager, Systems Manager, ECR, CloudWatch Logs or
/// EFS. "failed to validate logger args: : signal: killed" is what comes of a log service that does not answer.
const UNREACHABLE: &[&str] = &[
    "dial tcp",
    "dial udp",
    "i/o timeout",
    "timed out",
    "timeout",
    "deadline exceeded",
    "connection refused",
    "connection reset",
    "connection issue",
    "no route to host",
    "network is unreachable",
    "no such host",
    "failed to resolve",
    "send request failed",
    "request canceled",
    "task network configuration",
    "logger args: : signal: killed",
];

/// It did get through.
const REFUSED: &[&str] = &["accessdenied", "access denied", "not authorized"];

/// `CannotCreateVolumeError`, "Timeout waiting for `EphemeralStorage` provisioning to complete.", "failed to initialize logging
/// driver".
const RESOURCES: &[&str] = &[
    "cannotcreatevolume",
    "ephemeralstorage",
    "logging driver",
    "log driver",
    "efs utils",
    "efs volume",
    "ebs volume",
    "secretsmanager",
    "secrets manager",
];

/// In lower case, with the apostrophes that everybody can type.
fn plain(text: &str) -> String {
    text.trim().to_lowercase().replace('\u{2019}', "'")
}

/// Whether the text is this word, or this word and an explanation after it.
fn is_just(text: &str, word: &str) -> bool {
    text.strip_prefix(word)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

impl StartFailure {
    /// By the `stoppedReason` of a task, the `reason` of a container, or that of a failure of `RunTask`, with its detail.
    #[must_use]
    pub fn of_reason(reason: &str) -> Self {
        Self {
            kind: Kind::of(reason),
            reason: reason.trim().to_owned(),
        }
    }

    /// By an exception with which `RunTask` refused.
    ///
    /// Two are no refusals: `ConflictException` names the tasks that the client token has started already, and after a
    /// `ServerException` one may have been started.
    #[must_use]
    pub fn of_exception(code: Option<&str>, message: &str) -> Self {
        let kind = match code {
            Some("LimitExceededException") => Kind::Capacity,
            // Their texts say nothing more.
            Some(
                "ClusterNotFoundException"
                | "PlatformUnknownException"
                | "PlatformTaskDefinitionIncompatibilityException"
                | "UnsupportedFeatureException"
                | "BlockedException"
                | "AccessDeniedException",
            ) => Kind::Other,
            _ => Kind::of(message),
        };
        let message = message.trim();
        let reason = match code {
            Some(code) if message.is_empty() => code.to_owned(),
            Some(code) => format!("{code}: {message}"),
            None => message.to_owned(),
        };
        Self { kind, reason }
    }

    /// What happened and what to do: the cause of the state's failure.
    #[must_use]
    pub fn cause(&self) -> String {
        let reason = self.reason.trim_end_matches('.');
        match reason.is_empty() {
            true => format!("The task was not started; ECS gives no reason. {}", self.kind.advice()),
            false => format!("The task was not started: {reason}. {}", self.kind.advice()),
        }
    }
}

/// Whether `RunTask` was refused because there were too many calls: then it is to be repeated, and no failure.
///
/// ECS passes the throttling of the calls that it makes to EC2 itself on as an `InvalidParameterException`: "Error
/// retrieving subnet information for [subnet-…]: Rate exceeded (`ErrorCode`: Throttling)". Source: public issues, `dagster`
/// 33439, `dask-cloudprovider` 56.
#[must_use]
pub fn is_rate_limit(code: Option<&str>, message: &str) -> bool {
    let by_code = code.is_some_and(crate::aws::is_throttling_code);
    let text = plain(message);
    by_code
        || [
            "rate exceeded",
            "request limit exceeded",
            "requestlimitexceeded",
            "errorcode: throttl",
            "throttlingexception",
            "too many requests",
            "too many concurrent attempts",
        ]
        .iter()
        .any(|known| text.contains(known))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Kind::{Capacity, Image, Network, Other, Resources};
    use super::*;

    /// As AWS writes them.
    const REASONS: [(Kind, &str); 46] = [
        // RunTask's failures.
        (Capacity, "RESOURCE:CPU"),
        (Capacity, "RESOURCE:MEMORY"),
        (Capacity, "RESOURCE:ENI"),
        (Capacity, "RESOURCE:GPU: no instance has one"),
        (Capacity, "TaskFailedToStart: RESOURCE:MEMORY"),
        (Capacity, "AGENT"),
        (Capacity, "TaskFailedToStart: AGENT"),
        (Capacity, "TaskFailedToStart: EMPTY CAPACITY PROVIDER"),
        (Capacity, "TaskFailedToStart: NO ACTIVE INSTANCES"),
        (
            Capacity,
            "Capacity is unavailable at this time. Please try again later or in a different availability zone",
        ),
        (
            Capacity,
            "You\u{2019}ve reached the limit on the number of vCPUs you can run concurrently",
        ),
        (
            Capacity,
            "You've reached the limit on the number of tasks you can run concurrently",
        ),
        (Capacity, "The requested CPU configuration is above your limit"),
        (Capacity, "The requested MEMORY configuration is above your limit"),
        (Other, "ATTRIBUTE"),
        (Other, "LOCATION"),
        (Other, "MISSING"),
        (Other, "INACTIVE"),
        (Other, "TaskFailedToStart: MemberOf placement constraint unsatisfied"),
        // Images.
        (
            Image,
            "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref \
             docker.io/library/nope:latest: not found",
        ),
        (
            Image,
            "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref \
             docker.io/tryretool/backend:2.110.5: failed to do request: Head \
             \"https://registry-1.docker.io/v2/tryretool/backend/manifests/2.110.5\": dial tcp 34.205.13.154:443: i/o timeout",
        ),
        (
            Image,
            "CannotPullImageManifestError: Error response from daemon: manifest unknown: manifest unknown",
        ),
        (Image, "CannotPullECRContainerError: ThrottlingException: Rate exceeded"),
        // The network.
        (
            Network,
            "Timeout waiting for network interface provisioning to complete.",
        ),
        (
            Network,
            "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment enabled in subnet \
             'subnet-1': InsufficientFreeAddressesInSubnet",
        ),
        (
            Network,
            "Unexpected EC2 error while attempting to tag the network interface: TagPolicyViolation",
        ),
        (Network, "Unable to attach network interface to unused device index"),
        (
            Network,
            "ResourceInitializationError: failed to configure ENI: failed to setup regular eni: netplugin failed with no \
             error message",
        ),
        (
            Network,
            "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: \
             unable to retrieve ecr registry auth: service call has been retried 3 time(s): RequestError: send request \
             failed caused by: Post \"https://api.ecr.us-east-1.amazonaws.com/\": dial tcp 52.46.146.144:443: i/o timeout",
        ),
        (
            Network,
            "ResourceInitializationError: unable to pull secrets or registry auth: The task cannot pull registry auth from \
             Amazon ECR: There is a connection issue between the task and Amazon ECR. Check your task network configuration.",
        ),
        (
            Network,
            "ResourceInitializationError: failed to validate logger args: : signal: killed",
        ),
        (
            Network,
            "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: Failed to \
             resolve \"fs-1.efs.us-east-1.amazonaws.com\" - check that your file system ID is correct",
        ),
        // What it needs.
        (
            Resources,
            "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: \
             unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret \
             arn:aws:secretsmanager:us-east-1:111122223333:secret:db from secrets manager: AccessDeniedException: not \
             authorized to perform: secretsmanager:GetSecretValue",
        ),
        // It got through: the timeout is a name.
        (
            Resources,
            "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secret from ssm: \
             AccessDeniedException: /etl/timeout",
        ),
        (
            Resources,
            "ResourceInitializationError: failed to create new container runtime task: \
             ResourceNotFoundException: The specified log group does not exist.",
        ),
        (
            Resources,
            "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: b'mount.nfs4: \
             mounting fs-1.efs.eu-west-1.amazonaws.com:/grafana failed, reason given by server: No such file or directory' \
             : unsuccessful EFS utils command execution; code: 32",
        ),
        (
            Resources,
            "Timeout waiting for EphemeralStorage provisioning to complete.",
        ),
        (Resources, "CannotCreateVolumeError: a volume of that name is there"),
        (
            Resources,
            "CannotStartContainerError: Error response from daemon: failed to initialize logging driver: \
             CredentialsEndpointError: failed to load credentials",
        ),
        // Anything else.
        (
            Other,
            "CannotStartContainerError: failed to get container status: <reason>",
        ),
        (
            Other,
            "CannotStartContainerError: Error response from daemon: OCI runtime create failed: exec: \"run.sh\": executable \
             file not found in $PATH: unknown",
        ),
        (Other, "InternalError: it is not known"),
        (Other, "ContainerRuntimeError: agents are gone"),
        (Other, "Task failed to start"),
        (Other, "AGENTS OF CHANGE"),
        (Other, ""),
    ];

    #[test]
    fn each_reason_has_its_kind() {
        for (kind, reason) in REASONS {
            assert_eq!(StartFailure::of_reason(reason).kind, kind, "{reason}");
        }
    }

    #[test]
    fn each_exception_has_its_kind_and_says_its_name() {
        for (kind, code, message, reason) in [
            (
                Capacity,
                Some("InvalidParameterException"),
                "No Container Instances were found in your cluster.",
                "InvalidParameterException: No Container Instances were found in your cluster.",
            ),
            (
                Capacity,
                Some("ClientException"),
                "You've reached the limit on the number of vCPUs you can run concurrently",
                "ClientException: You've reached the limit on the number of vCPUs you can run concurrently",
            ),
            (
                Capacity,
                Some("ClientException"),
                "Tasks provisioning capacity limit exceeded.",
                "ClientException: Tasks provisioning capacity limit exceeded.",
            ),
            (
                Capacity,
                Some("LimitExceededException"),
                "The limit for the resource was exceeded.",
                "LimitExceededException: The limit for the resource was exceeded.",
            ),
            (
                Network,
                Some("InvalidParameterException"),
                "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
                "InvalidParameterException: Network Configuration must be provided when networkMode 'awsvpc' is specified.",
            ),
            (
                Network,
                Some("InvalidParameterException"),
                "Error retrieving subnet information for [subnet-1]: The subnet ID 'subnet-1' does not exist (ErrorCode: \
                 InvalidSubnetID.NotFound)",
                "InvalidParameterException: Error retrieving subnet information for [subnet-1]: The subnet ID 'subnet-1' \
                 does not exist (ErrorCode: InvalidSubnetID.NotFound)",
            ),
            (
                Other,
                Some("InvalidParameterException"),
                "The specified capacity provider strategy cannot contain a capacity provider that is not associated with \
                 the cluster. Associate the capacity provider with the cluster or specify a valid capacity provider and try \
                 again.",
                "InvalidParameterException: The specified capacity provider strategy cannot contain a capacity provider \
                 that is not associated with the cluster. Associate the capacity provider with the cluster or specify a \
                 valid capacity provider and try again.",
            ),
            (
                Other,
                Some("ClusterNotFoundException"),
                "Cluster not found.",
                "ClusterNotFoundException: Cluster not found.",
            ),
            (Other, Some("PlatformUnknownException"), "", "PlatformUnknownException"),
            // Whatever its text reminds of.
            (
                Other,
                Some("BlockedException"),
                "Your network interface is blocked",
                "BlockedException: Your network interface is blocked",
            ),
            (Other, None, "who knows", "who knows"),
        ] {
            let failure = StartFailure::of_exception(code, message);
            assert_eq!((failure.kind, failure.reason.as_str()), (kind, reason));
        }
    }

    #[test]
    fn the_cause_is_what_happened_and_what_to_do() {
        let failure = StartFailure::of_reason(" Timeout waiting for network interface provisioning to complete. ");
        let advice = Network.advice();
        assert_eq!(
            failure.cause(),
            format!(
                "The task was not started: Timeout waiting for network interface provisioning to complete. {advice}"
            )
        );
        let nothing = StartFailure::of_reason("").cause();
        assert!(
            nothing.starts_with("The task was not started; ECS gives no reason. See"),
            "{nothing}"
        );
    }

    #[test]
    fn each_kind_has_a_name_and_one_sentence_of_its_own() {
        let names: BTreeSet<&str> = Kind::ALL.map(Kind::name).into();
        let advice: BTreeSet<&str> = Kind::ALL.map(Kind::advice).into();
        assert_eq!((names.len(), advice.len()), (5, 5));
        for kind in Kind::ALL {
            assert_eq!(kind.name(), format!("Ecs.StartFailed.{kind:?}"));
            let advice = kind.advice();
            assert!(advice.ends_with('.') && !advice.contains(". "), "{advice}");
        }
    }

    #[test]
    fn too_many_calls_are_told_from_failures() {
        for (is, code, message) in [
            (true, Some("ThrottlingException"), "Rate exceeded"),
            (true, Some("RequestLimitExceeded"), ""),
            (true, Some("TooManyRequestsException"), ""),
            (true, Some("ClientException"), "Rate exceeded"),
            (
                true,
                Some("InvalidParameterException"),
                "Error retrieving subnet information for [subnet-1]: Rate exceeded (ErrorCode: Throttling)",
            ),
            (
                true,
                Some("InvalidParameterException"),
                "Error retrieving security group information for [sg-1]: Request limit exceeded. (ErrorCode: \
                 RequestLimitExceeded)",
            ),
            (true, None, "Too many requests"),
            (
                false,
                Some("InvalidParameterException"),
                "No Container Instances were found in your cluster.",
            ),
            (
                false,
                Some("ClientException"),
                "You've reached the limit on the number of vCPUs you can run concurrently",
            ),
            (
                false,
                Some("ClientException"),
                "Tasks provisioning capacity limit exceeded.",
            ),
            (
                false,
                Some("InvalidParameterException"),
                "Error retrieving subnet information for [subnet-1]: The subnet ID 'subnet-1' does not exist",
            ),
            (false, None, ""),
        ] {
            assert_eq!(is_rate_limit(code, message), is, "{code:?} {message}");
        }
    }
}
