//! Numbers that are not kept to their last digit. They are read as 64-bit integers or doubles, as most of what a pipeline
//! calls reads them too; a number with more digits than these have is another one afterwards.

/// The numbers in a JSON text that are not kept, as they stand there: `12345678901234567890123`. Each stands for a
/// [`NumberRounded`](crate::warning::Code::NumberRounded).
#[must_use]
pub fn rounded(json: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = json;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        rest = &rest[at..];
        if rest.starts_with('"') {
            rest = after_string(rest);
        } else {
            let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
            let end = rest.find(|c| !is_of_number(c)).unwrap_or(rest.len());
            if !is_kept(&rest[..end]) {
                found.push(&rest[..end]);
            }
            rest = &rest[end..];
        }
    }
    found
}

fn after_string(text: &str) -> &str {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = !escaped && *c == '"';
        escaped = !escaped && *c == '\\';
        ends
    });
    end.map_or("", |(at, _)| &text[at + 1..])
}

fn is_kept(number: &str) -> bool {
    let read = serde_json::from_str::<serde_json::Number>(number);
    read.is_ok_and(|read| decimal(&read.to_string()) == decimal(number))
}

/// A decimal number as its sign, its digits without zeros around them, and the power of ten of the last of them.
fn decimal(number: &str) -> Option<(bool, String, i64)> {
    let (negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number),
    };
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let power = exponent.parse::<i64>().ok()? - i64::try_from(fraction.len()).ok()?
        + i64::try_from(digits.len() - significant.len()).ok()?;
    match significant.trim_start_matches('0') {
        "" => Some((false, String::new(), 0)),
        digits => Some((negative, digits.to_owned(), power)),
    }
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn what_a_double_or_an_integer_holds_is_kept() {
        for number in [
            "0",
            "-0",
            "-0.0",
            "1",
            "-1",
            "1.0",
            "0.10",
            "1e3",
            "1E+3",
            "1.5e-7",
            "18446744073709551615",
            "-9223372036854775808",
            "0.1",
            "0.30000000000000004",
            "123456789.125",
            "1e22",
            "5e-324",
            "1.7976931348623157e308",
            "100e-2",
        ] {
            assert_eq!(rounded(number), [""; 0], "{number}");
        }
    }

    #[test]
    fn a_number_with_more_digits_is_found_wherever_it_stands() {
        for number in [
            "18446744073709551616",
            "-9223372036854775809",
            "0.12345678901234567890",
            "1e400",
            "1e-400",
        ] {
            let text =
                format!(r#"{{"12": "1e400 \" 18446744073709551616", "x": [1, {number}], "y": {{"z": {number}}}}}"#);
            assert_eq!(rounded(&text), [number, number], "{number}");
        }
        assert_eq!(rounded("9007199254740993.0"), ["9007199254740993.0"]);
    }
}
