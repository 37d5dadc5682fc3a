//! AWS limits that Signalbox checks or stays under, each with its source.

/// Longest name of a state machine, an execution, an alias or a state, in characters.
///
/// Source: Step Functions API reference, `StartExecution` (`name`) and `CreateStateMachine` (`name`).
pub const NAME_CHARS: usize = 80;

/// Longest ARN that the Step Functions API takes, in characters.
///
/// Source: Step Functions API reference, `Arn` (1 to 256).
pub const ARN_CHARS: usize = 256;

/// Longest `error` of a failed task or a stopped execution, in characters.
///
/// Source: Step Functions API reference, `SensitiveError` (0 to 256).
pub const ERROR_CHARS: usize = 256;

/// Longest `cause` of a failed task or a stopped execution, in characters.
///
/// Source: Step Functions API reference, `SensitiveCause` (0 to 32,768).
pub const CAUSE_CHARS: usize = 32_768;

/// Most entries on one page of `ListExecutions`.
///
/// Source: Step Functions API reference, `PageSize` (0 to 1,000; 0 means the default of 100).
pub const LIST_PAGE: i32 = 1_000;

/// Most keys that one `BatchGetItem` takes.
///
/// Source: DynamoDB API reference, `BatchGetItem`.
pub const BATCH_GET_KEYS: usize = 100;

/// Longest that a standard execution may run, in days; with it ends the last use of what is recorded about the run.
///
/// Source: Step Functions service quotas, "Maximum execution time" (1 year).
pub const EXECUTION_DAYS: u32 = 366;

/// Most events on one page of `GetExecutionHistory`.
///
/// Source: Step Functions API reference, `PageSize` (0 to 1,000; 0 means the default of 100).
pub const HISTORY_PAGE: i32 = 1_000;

/// How long after its failure an execution can be redriven, in days, with a day to spare.
///
/// Source: Step Functions API reference, `RedriveExecution` (14 days).
pub const REDRIVABLE_DAYS: u32 = 15;

/// Most data that a state, an execution or a callback takes or gives, in bytes of its JSON as UTF-8.
///
/// Source: Step Functions service quotas, "Maximum input or output size for a task, state, or execution" (256 KiB).
pub const PAYLOAD_BYTES: usize = 262_144;
