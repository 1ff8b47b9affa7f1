//! A receipt's status in the provider's words.

/// The words, with the code behind them where there is one. A code of zeros says that nothing failed.
pub(crate) fn with_code(words: &str, code: Option<&str>) -> String {
    match code.map(str::trim).filter(|code| says_something(code)) {
        Some(code) if code != words => format!("{words} ({code})"),
        _ => words.to_owned(),
    }
}

/// The code that providers usually give with a failure: the value of a field such as `ErrorCode`, `err-code` or
/// `failureReason`, or of an `id` or `code` within an `error`.
pub(crate) fn usual_code(fields: &[(String, String)]) -> Option<&str> {
    let is_code = |(name, value): &&(String, String)| {
        let plain =
            |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        let (way, last) = name.rsplit_once('/').unwrap_or(("", name));
        let in_error = way.split('/').any(|step| matches!(plain(step).as_str(), "error" | "errors"));
        let named = matches!(plain(last).as_str(), "errorcode" | "errcode" | "failurereason" | "failurecode");
        (named || in_error && matches!(last, "id" | "code")) && says_something(value)
    };
    fields.iter().find(is_code).map(|(_, value)| value.as_str())
}

fn says_something(code: &str) -> bool {
    code.trim().bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use super::{usual_code, with_code};

    #[test]
    fn a_code_is_found_by_the_names_that_providers_give_it() {
        for (name, value, found) in [
            ("ErrorCode", "30003", true),
            ("err-code", "6", true),
            ("err-code", "0", false),
            ("failureReason", "UserNotFound", true),
            ("/results/0/error/id", "27", true),
            ("/data/payload/errors/0/code", "40001", true),
            ("/error/name", "x", false),
            ("code", "1", false),
        ] {
            let fields = [("id".to_owned(), "9".to_owned()), (name.to_owned(), value.to_owned())];
            assert_eq!(usual_code(&fields), found.then_some(value), "{name}");
        }
    }

    #[test]
    fn a_code_stands_behind_the_words() {
        for (words, code, shown) in [
            ("failed", Some("30003"), "failed (30003)"),
            ("delivered", Some("000"), "delivered"),
            ("delivered", Some(" "), "delivered"),
            ("7", Some("7"), "7"),
            ("failed", None, "failed"),
        ] {
            assert_eq!(with_code(words, code), shown);
        }
    }
}
