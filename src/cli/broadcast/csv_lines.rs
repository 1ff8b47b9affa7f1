//! The lines of a CSV, handed to the router a hundred at a time: it checks each, and keeps them.

use std::path::Path;

use anyhow::Context;
use csv::{Reader, StringRecord, Writer};
use reqwest::{StatusCode, header::CONTENT_TYPE};
use serde_json::Value;

use super::{BroadcastApi, text};

/// As many errors as an answer names.
const LINES_OF_CALL: usize = 100;

/// What became of the lines.
#[derive(Debug, Default)]
pub(super) struct CheckedLines {
    /// How many there are.
    pub(super) lines: u64,
    /// What is wrong, each with its line in the file: `17: ...`.
    pub(super) errors: Vec<String>,
}

/// Hands in all lines of a file. Where some are wrong, none behind them is kept, and all are checked.
pub(super) async fn load(api: &BroadcastApi, name: &str, file: &Path) -> anyhow::Result<CheckedLines> {
    let mut csv = csv::ReaderBuilder::new()
        .flexible(true)
        .from_path(file)
        .with_context(|| format!("{} can't be read", file.display()))?;
    let columns = csv.headers().with_context(|| format!("{}: its first line", file.display()))?.clone();
    let mut checked = CheckedLines::default();
    loop {
        let (body, file_lines) = next_lines(&mut csv, &columns).with_context(|| file.display().to_string())?;
        if file_lines.is_empty() {
            return Ok(checked);
        }
        let first = checked.lines + 1;
        checked.lines += file_lines.len() as u64;
        let url = format!("{}/{name}/lines.csv?first={first}", api.base);
        let post = |client: &reqwest::Client| client.post(&url).header(CONTENT_TYPE, "text/csv").body(body.clone());
        let answer = api.call(post).await?;
        let errors = lines_errors(&answer.body, first, &file_lines);
        match answer.status {
            StatusCode::BAD_REQUEST if !errors.is_empty() => checked.errors.extend(errors),
            // They are good, and not kept, since lines before them are wrong.
            StatusCode::CONFLICT if !checked.errors.is_empty() => {}
            _ => drop(answer.success()?),
        }
    }
}

/// The next lines as a CSV of their own, and the line of the file at which each begins.
fn next_lines(csv: &mut Reader<std::fs::File>, columns: &StringRecord) -> anyhow::Result<(Vec<u8>, Vec<u64>)> {
    let mut body = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    body.write_record(columns)?;
    let (mut record, mut file_lines) = (StringRecord::new(), Vec::new());
    while file_lines.len() < LINES_OF_CALL && csv.read_record(&mut record)? {
        body.write_record(&record)?;
        file_lines.push(record.position().map_or(0, csv::Position::line));
    }
    Ok((Writer::into_inner(body).map_err(|error| error.into_error())?, file_lines))
}

/// What an answer says of lines: `field` is `lines.N`.
fn lines_errors(body: &Value, first: u64, file_lines: &[u64]) -> Vec<String> {
    let errors = body.get("errors").and_then(Value::as_array).into_iter().flatten();
    let said = errors.filter_map(|error| {
        let line: u64 = text(error, "field").strip_prefix("lines.")?.parse().ok()?;
        let at = file_lines.get(usize::try_from(line.checked_sub(first)?).ok()?)?;
        Some(format!("{at}: {}", text(error, "detail")))
    });
    said.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::lines_errors;

    #[test]
    fn an_error_names_the_line_of_the_file() {
        let body =
            json!({"errors": [{"field": "lines.102", "detail": "no number"}, {"field": "template", "detail": "x"}]});
        assert_eq!(lines_errors(&body, 101, &[140, 143]), ["143: no number"]);
        assert!(lines_errors(&json!({"detail": "it runs"}), 1, &[2]).is_empty());
    }
}
