//! Records as CSV or as JSON Lines.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::{Serialize, Serializer as _};

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// A line of names, then a line for each record, by RFC 4180
    Csv,
    /// A JSON object a line
    Jsonl,
}

/// A value of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum ExportValue {
    /// What is not known: an empty field in CSV, `null` in JSON.
    None,
    /// Ids, counts and statuses: without quotes in JSON.
    Number(i64),
    /// What a person, a client or a provider wrote.
    Text(String),
}

impl<T: Into<Self>> From<Option<T>> for ExportValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

impl From<i64> for ExportValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for ExportValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for ExportValue {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<String> for ExportValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A record: its values, with their names, in order.
pub(crate) type Record = Vec<(&'static str, ExportValue)>;

/// Writes records one by one.
pub(crate) struct RecordWriter<'a> {
    out: &'a mut dyn Write,
    format: ExportFormat,
    records: u64,
}

impl<'a> RecordWriter<'a> {
    /// Begins, in CSV with the names.
    pub(crate) fn begin(out: &'a mut dyn Write, format: ExportFormat, names: &[&str]) -> io::Result<Self> {
        if format == ExportFormat::Csv {
            writeln!(out, "{}\r", names.join(","))?;
        }
        Ok(Self { out, format, records: 0 })
    }

    pub(crate) fn write(&mut self, record: &Record) -> io::Result<()> {
        match self.format {
            ExportFormat::Csv => {
                let cells: Vec<String> = record.iter().map(|(_, value)| cell(value)).collect();
                writeln!(self.out, "{}\r", cells.join(","))?;
            }
            ExportFormat::Jsonl => {
                let mut json = serde_json::Serializer::new(&mut *self.out);
                json.collect_map(record.iter().map(|(name, value)| (name, value)))?;
                writeln!(self.out)?;
            }
        }
        self.records += 1;
        Ok(())
    }

    /// How many were written.
    pub(crate) const fn records(&self) -> u64 {
        self.records
    }
}

/// What a spreadsheet takes for the beginning of a formula.
const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// A value of CSV. A text that a spreadsheet would take for a formula has a `'` before it, as OWASP has it.
fn cell(value: &ExportValue) -> String {
    match value {
        ExportValue::None => String::new(),
        ExportValue::Number(number) => number.to_string(),
        ExportValue::Text(text) => {
            let guard = if text.starts_with(FORMULA) { "'" } else { "" };
            if !guard.is_empty() || text.contains(['"', ',', '\r', '\n']) {
                format!("\"{guard}{}\"", text.replace('"', "\"\""))
            } else {
                text.clone()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ExportFormat, ExportValue, Record, RecordWriter};

    fn written(format: ExportFormat, record: &Record) -> String {
        let mut out = Vec::new();
        let mut writer = RecordWriter::begin(&mut out, format, &["id", "message", "reference"]).unwrap();
        writer.write(record).unwrap();
        assert_eq!(writer.records(), 1);
        String::from_utf8(out).unwrap()
    }

    fn record(message: &str) -> Record {
        vec![("id", 7.into()), ("message", message.into()), ("reference", ExportValue::None)]
    }

    #[test]
    fn no_text_becomes_a_formula_of_a_spreadsheet() {
        let formulas = [
            ("=1+1", "\"'=1+1\""),
            ("+27", "\"'+27\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("\r=1", "\"'\r=1\""),
            ("\n=1", "\"'\n=1\""),
            ("=HYPERLINK(\"http://x\";\"y\")", "\"'=HYPERLINK(\"\"http://x\"\";\"\"y\"\")\""),
        ];
        for (text, cell) in formulas {
            assert_eq!(written(ExportFormat::Csv, &record(text)), format!("id,message,reference\r\n7,{cell},\r\n"));
        }
        assert_eq!(written(ExportFormat::Csv, &record("1 = 1")), "id,message,reference\r\n7,1 = 1,\r\n");
        assert_eq!(
            written(ExportFormat::Csv, &record("a,b \"c\"\r\nd")),
            "id,message,reference\r\n7,\"a,b \"\"c\"\"\r\nd\",\r\n"
        );
    }

    #[test]
    fn json_lines_have_every_text_as_it_is() {
        let line = written(ExportFormat::Jsonl, &record("=1+1\n\"é\""));
        assert_eq!(line, "{\"id\":7,\"message\":\"=1+1\\n\\\"é\\\"\",\"reference\":null}\n");
    }
}
