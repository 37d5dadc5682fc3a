//! Which roles clones may be given.

/// Whether a text is what a pattern says, in which `*` stands for anything: as IAM takes it.
pub(super) fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_named_or_matched_as_iam_does() {
        const ROLE: &str = "arn:aws:iam::123456789012:role/orders-run";
        for (pattern, matches) in [
            (ROLE, true),
            ("arn:aws:iam::123456789012:role/orders-*", true),
            ("arn:aws:iam::123456789012:role/*-run", true),
            ("arn:aws:iam::*:role/orders-*un", true),
            ("*", true),
            ("arn:aws:iam::123456789012:role/orders", false),
            ("arn:aws:iam::123456789012:role/orders-run*run", false),
            ("arn:aws:iam::123456789012:role/stock-*", false),
            ("", false),
        ] {
            assert_eq!(is_like(ROLE, pattern), matches, "{pattern}");
        }
    }
}
