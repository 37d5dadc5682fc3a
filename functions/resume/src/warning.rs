//! What a plan warns of: codes that stay, and sentences for people.

/// A warning of a plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    /// What it is about.
    pub code: Code,
    /// The state that it is about, if it is about one.
    pub state: Option<String>,
    /// What may be wrong, and what to do.
    pub text: String,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident,)*) => {
        /// What a warning is about. The names are stable: scripts look for them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $code,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$code => stringify!($code),)*
                }
            }
        }
    };
}

codes! {
    /// The role's trust policy may name the original state machine by `aws:SourceArn`.
    TrustPolicy,
    /// The machine's KMS key may be bound to it by its encryption context.
    KmsEncryptionContext,
    /// The role may start the children of a Distributed Map only on the original state machine.
    DistributedMapRole,
    /// A Distributed Map begins again as a whole: its children are executions of their own.
    DistributedMapRunsAgain,
    /// A Map of which some could have been kept begins again as a whole: the clone would be too large.
    MapRunsAgain,
    /// Rules, alarms and dashboards that name the original state machine do not see the clone.
    OthersDoNotSee,
    /// Data of the run stands in the clone's definition, which `states:DescribeStateMachine` shows.
    DataInDefinition,
    /// The state uses the context object, which is another one in the clone.
    ContextDiffers,
    /// A task token that was handed out is dead: whoever has it answers nobody.
    DeadToken,
    /// A job that a `.sync` state has started may still be running.
    JobMayRun,
    /// The state was open or failed: it may have done its work, or a part of it.
    MayHaveRun,
    /// The state waits its whole time again.
    WaitsInFull,
    /// A nested execution is started anew.
    NestedStartsAgain,
    /// A container's Retry goes on from what is kept, and not from its beginning.
    RetryKeeps,
    /// The new fence of a lock is not in the data of the states that follow.
    FenceNotInData,
    /// A lock or a claim is asked for again in a way that fails, where the original would have been told that it is taken.
    HoldFails,
    /// What a state took in a branch or an iteration that has ended, and did not give back, is not taken again.
    HoldLost,
    /// A lock is waited for without the limit that the original works out from its input.
    HoldWithoutLimit,
    /// What a Map iterates over is worked out again, and may be something else this time.
    ItemsMayDiffer,
    /// A number is not kept to its last digit.
    NumberRounded,
    /// The definition to go on with is not the one that ran.
    DefinitionDiffers,
}
