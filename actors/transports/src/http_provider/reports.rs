//! The reports of one JSON body, which may hold several in its lists. Each is read by itself, and none is passed over in
//! silence.

use serde_json::Value;
use vumi_kit::webhook::Unreadable;

use crate::{json_body::plain, json_fields::flatten};

/// Reports of one JSON body.
const MOST_REPORTS: usize = 10_000;

/// The longest value that a report shares with others, in bytes.
const LONGEST_SHARED: usize = 1000;

/// One report of a JSON body.
pub(super) struct JsonReport<'a> {
    document: &'a Value,
    place: ReportPlace,
    /// There are others in the body.
    several: bool,
}

/// Where a report is: in the n-th element of these lists, the outermost first.
#[derive(Clone, Default)]
struct ReportPlace {
    lists: Vec<(String, usize)>,
    /// The element that the setting `each` names: its fields are named without the way to it.
    item: Option<String>,
}

impl ReportPlace {
    fn is_first(&self) -> bool {
        self.lists.iter().all(|(_, index)| *index == 0)
    }

    /// The way that a pointer with `0` for each list means for this report.
    fn rewritten(&self, pointer: &str) -> String {
        let step = |pointer: String, (list, index): &(String, usize)| {
            let rest = pointer.strip_prefix(list.as_str()).and_then(|rest| rest.strip_prefix("/0"));
            match rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
                Some(rest) => format!("{list}/{index}{rest}"),
                None => pointer,
            }
        };
        self.lists.iter().fold(pointer.to_owned(), step)
    }
}

/// The reports of a body, found by the list that `each` names, and by the lists that the fields' pointers lead through by
/// a `0`: `/results/0/id` means the id of each result.
pub(super) fn json_reports<'a>(
    document: &'a Value,
    each: Option<&str>,
    fields: &[&str],
) -> Result<Vec<JsonReport<'a>>, Unreadable> {
    let through_root = fields.iter().any(|field| field.starts_with("/0"));
    let each = each.or_else(|| (document.is_array() && !through_root).then_some(""));
    let mut pointers: Vec<String> =
        fields.iter().filter(|field| field.starts_with('/')).map(|f| (*f).to_owned()).collect();
    if let Some(each) = each {
        let list = document.pointer(each).and_then(Value::as_array);
        let name = if each.is_empty() { "body" } else { each };
        match list.ok_or_else(|| Unreadable::new(name, "is not a list"))?.len() {
            0 => return Err(Unreadable::new(name, "holds no report")),
            _ => pointers.insert(0, format!("{each}/0")),
        }
    }
    let mut places = Vec::new();
    expand(document, &pointers, &ReportPlace::default(), &mut places)?;
    let several = places.len() > 1;
    Ok(places
        .into_iter()
        .map(|mut place| {
            place.item = each.map(|each| place.rewritten(&format!("{each}/0")));
            JsonReport { document, place, several }
        })
        .collect())
}

fn expand(
    document: &Value,
    pointers: &[String],
    place: &ReportPlace,
    places: &mut Vec<ReportPlace>,
) -> Result<(), Unreadable> {
    let Some((list, length)) = next_list(document, pointers, place) else {
        places.push(place.clone());
        return Ok(());
    };
    if places.len() + length > MOST_REPORTS {
        return Err(Unreadable::new(
            list,
            format!("holds more than {MOST_REPORTS} reports: send them in several calls"),
        ));
    }
    for index in 0..length {
        let mut inner = place.clone();
        inner.lists.push((list.clone(), index));
        expand(document, pointers, &inner, places)?;
    }
    Ok(())
}

/// The first list that a pointer leads through and that is not part of the place yet.
fn next_list(document: &Value, pointers: &[String], place: &ReportPlace) -> Option<(String, usize)> {
    pointers.iter().find_map(|pointer| {
        let pointer = place.rewritten(pointer);
        let ends =
            pointer.match_indices("/0").filter(|(at, _)| matches!(pointer.as_bytes().get(at + 2), None | Some(b'/')));
        let prefixes = ends.filter_map(|(at, _)| pointer.get(..at));
        prefixes.filter(|prefix| place.lists.iter().all(|(list, _)| list != prefix)).find_map(|prefix| {
            let length = document.pointer(prefix)?.as_array()?.len();
            (length > 0).then(|| (prefix.to_owned(), length))
        })
    })
}

impl JsonReport<'_> {
    /// A field: a key, or a pointer that begins with `/`; looked for in the report first, then in the body.
    pub(super) fn get(&self, field: &str) -> Option<String> {
        if let Some(own) = self.item().and_then(|item| at(item, field)).and_then(plain) {
            return Some(own);
        }
        let pointer = self.place.rewritten(field);
        let is_shared = self.several && pointer == field && !self.place.is_first();
        let found = at(self.document, &pointer).and_then(plain)?;
        // Each of many reports would hold a copy.
        (!is_shared || found.len() <= LONGEST_SHARED).then_some(found)
    }

    fn item(&self) -> Option<&Value> {
        self.document.pointer(self.place.item.as_deref()?)
    }

    /// What the report says: of several, what each says by itself, and what the settings read.
    pub(super) fn fields(&self, read: &[&str]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        let Some((list, index)) = self.place.lists.last().filter(|_| self.several || self.place.item.is_some()) else {
            flatten(self.document, "", &mut fields);
            return fields;
        };
        match self.item() {
            Some(item) => flatten(item, "", &mut fields),
            None => {
                let element = self.document.pointer(&format!("{list}/{index}"));
                // Named as in the settings, whichever element it is.
                flatten(element.unwrap_or(&Value::Null), &self.named(list), &mut fields);
            }
        }
        for name in read {
            let known = fields.iter().any(|(field, _)| field == name);
            let value = self.get(name).filter(|value| !known && value.len() <= LONGEST_SHARED);
            fields.extend(value.map(|value| ((*name).to_owned(), value)));
        }
        fields
    }

    /// The way to the elements of a list with `0` for each index.
    fn named(&self, list: &str) -> String {
        let mut named = format!("{list}/0");
        for (outer, index) in self.place.lists.iter().rev().skip(1) {
            if let Some(rest) = named.strip_prefix(&format!("{outer}/{index}")) {
                named = format!("{outer}/0{rest}");
            }
        }
        named
    }
}

fn at<'a>(value: &'a Value, field: &str) -> Option<&'a Value> {
    if field.starts_with('/') { value.pointer(field) } else { value.get(field) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::json_reports;

    /// The fields of each report, read by these names.
    fn read(body: &Value, each: Option<&str>, fields: &[&str]) -> Result<Vec<Vec<Option<String>>>, String> {
        let reports = json_reports(body, each, fields).map_err(|refused| refused.to_string())?;
        Ok(reports.iter().map(|report| fields.iter().map(|field| report.get(field)).collect()).collect())
    }

    fn texts(reports: &[&[&str]]) -> Vec<Vec<Option<String>>> {
        let text = |text: &&str| (*text != "-").then(|| (*text).to_owned());
        reports.iter().map(|report| report.iter().map(text).collect()).collect()
    }

    #[test]
    fn each_report_of_a_body_is_found_by_pointers_or_by_its_list() {
        let two = json!({ "batch": 9, "results": [{ "id": "a", "s": { "n": 1 } }, { "id": "b", "s": { "n": 2 } }] });
        let one = json!({ "id": "a", "s": 1 });
        let deep = json!({ "e": [{ "v": { "x": [{ "id": 1 }, { "id": 2 }] } }, { "v": { "x": [{ "id": 3 }] } }] });
        let shared = json!({ "id": "a", "to": [{ "s": 1 }, { "s": 2 }] });
        for (body, each, fields, expected) in [
            (&two, None, &["/results/0/id", "/results/0/s/n"][..], &[&["a", "1"][..], &["b", "2"]][..]),
            (&two, Some("/results"), &["id", "/s/n", "/batch"], &[&["a", "1", "9"], &["b", "2", "9"]]),
            (&two, Some("/results"), &["/results/0/id", "nothing"], &[&["a", "-"], &["b", "-"]]),
            (&one, None, &["id", "s"], &[&["a", "1"]]),
            (&json!([one, { "id": "b", "s": 2 }]), None, &["id", "s"], &[&["a", "1"], &["b", "2"]]),
            (&json!([{ "id": "a" }, { "id": "b" }]), None, &["/0/id"], &[&["a"], &["b"]]),
            (&json!([{ "id": "a" }, { "id": "b" }]), Some(""), &["id"], &[&["a"], &["b"]]),
            (&deep, None, &["/e/0/v/x/0/id"], &[&["1"], &["2"], &["3"]]),
            (&deep, Some("/e/0/v/x"), &["id"], &[&["1"], &["2"], &["3"]]),
            (&shared, None, &["id", "/to/0/s"], &[&["a", "1"], &["a", "2"]]),
            (&json!({ "results": [] }), None, &["/results/0/id"], &[&["-"]]),
        ] {
            assert_eq!(read(body, each, fields), Ok(texts(expected)), "{each:?} {fields:?}");
        }
    }

    #[test]
    fn a_list_that_is_none_or_too_long_is_refused() {
        let many: Vec<u8> = vec![0; 10_001];
        for (body, named) in
            [(json!({}), "not a list"), (json!({ "r": [] }), "no report"), (json!({ "r": many }), "10000")]
        {
            let refused = read(&body, Some("/r"), &["id"]).unwrap_err();
            assert!(refused.starts_with("/r: ") && refused.contains(named), "{refused}");
        }
    }

    #[test]
    fn a_report_says_all_that_is_in_it_and_not_what_is_in_others() {
        let body = json!({ "batch": 9, "results": [{ "id": "a", "s": { "n": 1, "ok": true } }, { "id": "b" }] });
        let fields = |each, names: &[&str]| -> Vec<Vec<(String, String)>> {
            json_reports(&body, each, names).unwrap().iter().map(|report| report.fields(names)).collect()
        };
        let pairs = |fields: &[(&str, &str)]| -> Vec<(String, String)> {
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let listed = fields(Some("/results"), &["id", "/batch"]);
        assert_eq!(listed[0], pairs(&[("id", "a"), ("/s/n", "1"), ("/s/ok", "true"), ("/batch", "9")]));
        assert_eq!(listed[1], pairs(&[("id", "b"), ("/batch", "9")]));
        let pointed = fields(None, &["/results/0/id"]);
        assert_eq!(pointed[1], pairs(&[("/results/0/id", "b")]));
        let whole = json!({ "a": { "b": ["x"] }, "c": 1 });
        let report = &json_reports(&whole, None, &["c"]).unwrap()[0];
        assert_eq!(report.fields(&["c"]), pairs(&[("/a/b/0", "x"), ("c", "1")]));
    }

    #[test]
    fn names_and_shared_values_are_bounded_however_many_reports_there_are() {
        let long = "x".repeat(100_000);
        let body = json!({ "shared": long, "r": [{ "id": 1, (long.clone()): [0, 0, 0] }, { "id": 2 }] });
        for report in json_reports(&body, Some("/r"), &["id", "/shared"]).unwrap() {
            let bytes: usize = report.fields(&["id", "/shared"]).iter().map(|(n, v)| n.len() + v.len()).sum();
            assert!(bytes < 100, "{bytes}");
        }
    }

    proptest! {
        #[test]
        fn no_body_and_no_pointer_make_the_reader_panic(
            body in "[\\[\\]{}:,\"a0/1 ]{0,40}",
            each in proptest::option::of("(/[a0~]{0,3}){0,3}|a{0,2}"),
            field in "(/[a0~]{0,3}){0,4}|a{0,2}",
        ) {
            if let Ok(body) = serde_json::from_str::<Value>(&body)
                && let Ok(reports) = json_reports(&body, each.as_deref(), &[&field])
            {
                for report in reports {
                    let _read = (report.get(&field), report.fields(&[&field]));
                }
            }
        }
    }
}
