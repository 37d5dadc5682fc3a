use super::*;

fn sentence(cause: &str) -> String {
    tell(None, Some(cause)).sentence()
}

/// JSON text as a JSON text.
fn wrapped(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

#[test]
fn each_kind_of_cause_tells() {
    let nested = r#"{"ExecutionArn":"arn:aws:states:eu-west-1:123456789012:execution:m:r","Status":"FAILED","Error":"Inner","Cause":"{\"errorType\":\"TypeError\",\"errorMessage\":\"x is undefined\"}","Input":"{\"message\":\"not this\"}"}"#;
    for (cause, expected) in [
        ("as it is", "as it is"),
        ("", ""),
        ("{}", ""),
        ("null", "null"),
        ("{broken", "{broken"),
        ("\"a text in quotes\"", "a text in quotes"),
        (r#"{"Value1":"HelloWorld"}"#, r#"{"Value1":"HelloWorld"}"#),
        (
            r#"{"errorType":"TypeError","errorMessage":"x is undefined"}"#,
            "TypeError: x is undefined",
        ),
        (r#"{"errorType":"Runtime.ExitError"}"#, "Runtime.ExitError"),
        (
            r#"{"errorMessage":"{\"message\":\"inner\",\"code\":\"E1\"}","errorType":"Error"}"#,
            "Error: E1: inner",
        ),
        (
            r#"{"errorMessage":"outer","errorType":"java.lang.RuntimeException","cause":{"errorMessage":"refused","errorType":"java.net.ConnectException"}}"#,
            "java.lang.RuntimeException: outer\nCaused by java.net.ConnectException: refused",
        ),
        (
            "The cause could not be determined because Lambda did not return an error type. Returned payload: {\"errorMessage\":\"Task timed out after 3.00 seconds\"}",
            "Task timed out after 3.00 seconds",
        ),
        (nested, "Inner: TypeError: x is undefined"),
        (
            r#"{"ExecutionArn":"arn:aws:states:eu-west-1:123456789012:execution:m:r","Status":"TIMED_OUT"}"#,
            "the nested execution TIMED_OUT",
        ),
        (
            r#"{"StopCode":"EssentialContainerExited","Containers":[{"Name":"app","ExitCode":1},{"Name":"log","ExitCode":0}]}"#,
            "Container \"app\" ended with exit code 1\nEssentialContainerExited",
        ),
        (
            r#"{"StoppedReason":"Task failed to start","Containers":[{"Name":"app","Reason":"CannotPullContainerError: not found"}]}"#,
            "Container \"app\" never started: CannotPullContainerError: not found\nTask failed to start",
        ),
        // Glue.
        (
            r#"{"AllocatedCapacity":10,"Attempt":0,"ErrorMessage":"NameError: name 'spark' is not defined","Id":"jr_1","JobName":"load","JobRunState":"FAILED"}"#,
            "NameError: name 'spark' is not defined",
        ),
        // Batch.
        (
            r#"{"Attempts":[{"Container":{"ExitCode":2,"LogStreamName":"job/default/1"},"StatusReason":"Essential container in task exited"}],"JobName":"load","Status":"FAILED","StatusReason":"Essential container in task exited"}"#,
            "Essential container in task exited\nIt ended with exit code 2",
        ),
        // EventBridge.
        (
            r#"{"Entries":[{"EventId":"1"},{"ErrorCode":"InvalidArgument","ErrorMessage":"Parameter Source is not valid."}],"FailedEntryCount":1}"#,
            "InvalidArgument: Parameter Source is not valid.",
        ),
        // CodeBuild.
        (
            r#"{"Build":{"BuildStatus":"FAILED","Phases":[{"Contexts":[{"Message":"","StatusCode":""}]},{"Contexts":[{"Message":"exit status 128","StatusCode":"COMMAND_EXECUTION_ERROR"}]}],"Logs":{"DeepLink":"https://example.org/log"}},"SdkHttpMetadata":{"message":"not this"}}"#,
            "COMMAND_EXECUTION_ERROR: exit status 128",
        ),
        (r#"{"error":{"message":"quota","code":429}}"#, "quota"),
        (r#"{"error":"invalid_grant"}"#, "invalid_grant"),
        (r#"["one","two"]"#, r#"["one","two"]"#),
    ] {
        assert_eq!(sentence(cause), expected, "{cause}");
        if cause.starts_with('{') && expected != cause {
            let twice = wrapped(&wrapped(cause));
            assert_eq!(sentence(&twice), expected, "in JSON in JSON");
        }
    }
}

#[test]
fn what_leads_further_is_kept() {
    let glue = r#"{"ErrorMessage":"no","JobName":"load","LogStreamName":"a/b","Id":"jr_1"}"#;
    assert_eq!(tell(None, Some(glue)).facts, ["log stream a/b", "job load"]);
}

#[test]
fn an_error_is_told_once() {
    let cause = r#"{"errorType":"PaymentError","errorMessage":"answered 503"}"#;
    assert_eq!(
        tell(Some("PaymentError"), Some(cause)).sentence(),
        "PaymentError: answered 503"
    );
    assert_eq!(
        tell(Some("States.TaskFailed"), Some(cause)).sentence(),
        "States.TaskFailed: PaymentError: answered 503"
    );
    assert_eq!(tell(Some("Error"), Some("Error: no")).sentence(), "Error: no");
    assert_eq!(tell(Some("States.Timeout"), None).sentence(), "States.Timeout");
    assert_eq!(tell(None, None), Told::default());
}

#[test]
fn nothing_secret_is_told() {
    let cause = r#"{"errorType":"DbError","errorMessage":"{\"message\":\"postgres://app:s3cr3t@db failed\",\"password\":\"s3cr3t\"}","trace":["at f (password=s3cr3t)"]}"#;
    let told = format!("{:?}", tell(Some("password=s3cr3t"), Some(cause)));
    assert!(!told.contains("s3cr3t"), "{told}");
    let data = r#"{"user":"app","password":"s3cr3t"}"#;
    assert_eq!(sentence(data), r#"{"password":"[redacted]","user":"app"}"#);
}

#[test]
fn a_stack_is_trimmed_to_ones_own_innermost_frames() {
    let node = r#"{"errorType":"E","errorMessage":"m","trace":["E: m","    at charge (/var/task/index.js:41:11)","    at process (node:internal/process:95:5)","    at Runtime.handleOnce (file:///var/runtime/index.mjs:1:1)"]}"#;
    let stack = tell(None, Some(node)).stack;
    assert_eq!(stack.lines, ["at charge (/var/task/index.js:41:11)"]);
    assert_eq!(stack.left_out, 2);
    let python = r#"{"errorType":"E","errorMessage":"m","stackTrace":["  File \"/var/task/a.py\", line 1, in a\n    b()\n","  File \"/var/task/b.py\", line 2, in b\n    c()\n"]}"#;
    let stack = tell(None, Some(python)).stack;
    assert_eq!(stack.lines[..2], ["File \"/var/task/b.py\", line 2, in b", "    c()"]);
    let old = r#"{"errorType":"E","errorMessage":"m","stackTrace":[["/var/task/a.py",1,"a","b()"]]}"#;
    assert_eq!(
        tell(None, Some(old)).stack.lines,
        ["File \"/var/task/a.py\", line 1, in a"]
    );
    let java: Vec<String> = (0..50).map(|n| format!("\"org.example.C.m{n}(C.java:{n})\"")).collect();
    let java = format!(
        r#"{{"errorType":"E","errorMessage":"m","stackTrace":[{}]}}"#,
        java.join(",")
    );
    let stack = tell(None, Some(&java)).stack;
    assert_eq!((stack.lines.len(), stack.left_out), (3, 47));
}

#[test]
fn depth_and_size_are_survived() {
    let deep = "[".repeat(100) + &"]".repeat(100);
    assert_eq!(sentence(&deep), deep);
    let mut texts = "innermost".to_owned();
    for _ in 0..12 {
        texts = wrapped(&texts);
    }
    assert!(sentence(&texts).contains("innermost"));
    assert!(sentence(&"[".repeat(30_000)).starts_with("[["));
}
