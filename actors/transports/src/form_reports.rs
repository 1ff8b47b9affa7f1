//! The reports of one form, which may say each field several times. Each is read by itself, and none is passed over in
//! silence.

use std::collections::HashMap;

use vumi_kit::webhook::Unreadable;

/// Reports of one form: to read each of them takes a look at all fields.
const MOST_IN_FORM: usize = 100;

/// The fields of each report of a form: where the fields that are read stand n times, the k-th values are those of the k-th
/// report. A field that stands once is of all; one that says the same each time says it once.
pub(crate) fn form_reports(
    fields: Vec<(String, String)>,
    read: &[&str],
) -> Result<Vec<Vec<(String, String)>>, Unreadable> {
    let values =
        |name: &str| fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value).collect::<Vec<_>>();
    let mut said_often = read
        .iter()
        .map(|name| (*name, values(name)))
        .filter(|(_, values)| values.iter().any(|value| values.first() != Some(value)));
    let Some((first, count)) = said_often.next().map(|(name, values)| (name, values.len())) else {
        return Ok(vec![fields]);
    };
    if let Some((other, values)) = said_often.find(|(_, values)| values.len() != count) {
        let what =
            format!("stands {} times and {first} {count} times: which belongs to which can't be told", values.len());
        return Err(Unreadable::new(other, what));
    }
    if count > MOST_IN_FORM {
        return Err(Unreadable::new(
            first,
            format!("stands {count} times: {MOST_IN_FORM} reports are read from one form"),
        ));
    }
    Ok((0..count).map(|index| nth(&fields, count, index)).collect())
}

/// The fields with the `index`-th value of each that stands `count` times.
fn nth(fields: &[(String, String)], count: usize, index: usize) -> Vec<(String, String)> {
    let mut seen: HashMap<&str, Vec<&str>> = HashMap::new();
    fields.iter().for_each(|(name, value)| seen.entry(name).or_default().push(value));
    let mut shown = HashMap::new();
    fields
        .iter()
        .filter(|(name, _)| {
            let position = shown.entry(name.as_str()).or_insert(0_usize);
            *position += 1;
            seen.get(name.as_str()).is_none_or(|values| values.len() != count) || *position == index + 1
        })
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::form_reports;

    fn form(text: &str) -> Vec<(String, String)> {
        form_urlencoded::parse(text.as_bytes()).into_owned().collect()
    }

    #[test]
    fn a_form_says_several_reports_by_saying_its_fields_several_times() {
        let read = |text: &str| form_reports(form(text), &["id", "status", "at"]);
        assert_eq!(read("id=1&status=a&x=1&x=2"), Ok(vec![form("id=1&status=a&x=1&x=2")]));
        assert_eq!(
            read("id=1&status=a&id=1"),
            Ok(vec![form("id=1&status=a&id=1")]),
            "once in the query, once in the body"
        );
        assert_eq!(
            read("id=1&id=2&status=a&status=b&at=7&x=1&x=2"),
            Ok(vec![form("id=1&status=a&at=7&x=1"), form("id=2&status=b&at=7&x=2")])
        );
        assert_eq!(read("id=1&status=a&status=b"), Ok(vec![form("id=1&status=a"), form("id=1&status=b")]));
        assert_eq!(read("id=1&id=2&status=a&status=b&status=c").unwrap_err().field, "status");
        let many: String = (0..101).map(|n| format!("id={n}&")).collect();
        assert_eq!(read(&many).unwrap_err().field, "id");
    }
}
