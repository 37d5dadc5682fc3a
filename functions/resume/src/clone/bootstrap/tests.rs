use super::*;

#[test]
fn a_literal_is_escaped_where_something_would_evaluate_it() {
    for (text, says) in [
        ("plain 100% { } %", "plain 100% { } %"),
        ("{% 1 %}", r#"{% "{\u0025 1 \u0025}" %}"#),
        ("a %} b", r#"{% "a \u0025} b" %}"#),
        ("{% ", r#"{% "{\u0025 " %}"#),
        ("", r#"{% "" %}"#),
        ("two\nlines\r", r#"{% "two\nlines\u000d" %}"#),
        (
            "{% \"\\ '`\u{0}\u{7f}\u{2028}\u{e9}\u{1f4e6} %}",
            "{% \"{\\u0025 \\\"\\\\ '`\\u0000\\u007f\\u2028\u{e9}\u{1f4e6} \\u0025}\" %}",
        ),
    ] {
        assert_eq!(literal(&json!(text)), json!(says), "{text:?}");
        assert_eq!(
            literal(&json!({"{% k %}": [[text]]})),
            json!({"{% k %}": [[says]]}),
            "{text:?}"
        );
    }
}

#[test]
fn an_output_that_is_no_object_is_an_expression_where_that_is_exact() {
    for (value, says) in [
        (json!("x"), json!(r#"{% "x" %}"#)),
        (json!(true), json!("{% true %}")),
        (json!(null), json!("{% null %}")),
        (json!(0), json!("{% 0 %}")),
        (json!(9_007_199_254_740_992_u64), json!("{% 9007199254740992 %}")),
        (json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_993_u64)),
        (json!(-1), json!(-1)),
        (json!(0.1), json!("{% 0.1 %}")),
        (json!(-0.0), json!(-0.0)),
        (json!([1, null]), json!([1, null])),
        (json!({"a": null}), json!({"a": null})),
    ] {
        let pass = giving(QueryLanguage::Jsonata, &value, "A", "the input").unwrap();
        assert_eq!(pass["Output"].to_string(), says.to_string(), "{value}");
    }
}

#[test]
fn a_length_is_that_of_the_text() {
    for value in [
        json!(null),
        json!({"\u{e9}": ["\n", 1.5, -0.0]}),
        json!([]),
        json!("\u{1f4e6}"),
    ] {
        assert_eq!(json_len(&value), value.to_string().len());
    }
}
