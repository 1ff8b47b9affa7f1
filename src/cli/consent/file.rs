//! The ledger of consent as CSV (RFC 4180), out and in.

use std::fmt::Write as _;

use vumi_kit::{
    address::Msisdn,
    clock::Timestamp,
    consent::{ConsentChange, ConsentRecord, ConsentScope, ConsentState},
};

/// The columns that an export has.
pub(super) const HEAD: &str = "msisdn,sender,consent,at,by,words";

/// Wrong lines of a file that are named.
const MOST_NAMED: usize = 20;

/// A line of the export, without its end.
pub(super) fn line(record: &ConsentRecord) -> String {
    let sender = record.scope.sender().map_or("", vumi_kit::address::Address::as_str);
    let cells = [
        record.msisdn.as_str(),
        sender,
        record.state.as_str(),
        &record.at.to_seconds_text(),
        &record.by.0,
        &record.words,
    ];
    cells.map(cell).join(",")
}

/// What a spreadsheet would take for a formula has a `'` before it, as OWASP has it.
fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { "'" } else { "" };
    if guard.is_empty() && !text.contains(['"', ',', '\r', '\n']) {
        text.to_owned()
    } else {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    }
}

/// The columns of a file, by their places.
struct Columns {
    msisdn: usize,
    consent: usize,
    sender: Option<usize>,
    at: Option<usize>,
    words: Option<usize>,
}

impl Columns {
    fn of(head: &[String]) -> Result<Self, String> {
        let place = |name: &str| head.iter().position(|column| column.trim().eq_ignore_ascii_case(name));
        let needed = |name: &str| {
            place(name).ok_or_else(|| format!("line 1: there is no column `{name}`; expected a header such as {HEAD}"))
        };
        Ok(Self {
            msisdn: needed("msisdn")?,
            consent: needed("consent")?,
            sender: place("sender"),
            at: place("at"),
            words: place("words"),
        })
    }

    fn read(&self, cells: &[String]) -> Result<ConsentChange, String> {
        let of = |place: usize| cells.get(place).map_or("", |cell| cell.trim());
        let may_be = |place: Option<usize>| place.map_or("", of);
        let msisdn = Msisdn::parse(of(self.msisdn)).map_err(|wrong| wrong.to_string())?;
        if msisdn.begins_with_zero() {
            return Err(format!("`{}` has no country code", of(self.msisdn)));
        }
        let state: ConsentState = of(self.consent).parse().map_err(|what| format!("`{}`: {what}", of(self.consent)))?;
        let scope = ConsentScope::parse(may_be(self.sender))?;
        let at = match may_be(self.at) {
            "" => None,
            text => Some(
                Timestamp::parse(text).ok_or_else(|| format!("`{text}` is no time, such as 2026-11-28 18:00:00"))?,
            ),
        };
        let words = match may_be(self.words) {
            "" => "imported",
            text => text,
        };
        Ok(ConsentChange { msisdn, scope, state, at, words: words.to_owned() })
    }
}

/// Reads a file, whose every line has to be right.
pub(super) fn read(text: &str) -> Result<Vec<ConsentChange>, String> {
    let mut lines = records(text.trim_start_matches('\u{feff}')).into_iter();
    let (_, head) = lines.next().ok_or_else(|| format!("is empty; expected a header such as {HEAD}"))?;
    let columns = Columns::of(&head)?;
    let (mut changes, mut wrong, mut more) = (Vec::new(), String::new(), 0_usize);
    for (number, cells) in lines.filter(|(_, cells)| cells.iter().any(|cell| !cell.trim().is_empty())) {
        match columns.read(&cells) {
            Ok(change) => changes.push(change),
            Err(_) if wrong.lines().count() >= MOST_NAMED => more += 1,
            Err(what) => {
                let _to_a_string = writeln!(wrong, "line {number}: {what}");
            }
        }
    }
    if wrong.is_empty() {
        return Ok(changes);
    }
    let more = if more > 0 { format!("and {more} more; ") } else { String::new() };
    Err(format!("nothing was written:\n{wrong}{more}mend them and import the file again"))
}

/// The records of a CSV text, each with the number of the line that it begins in.
fn records(text: &str) -> Vec<(usize, Vec<String>)> {
    let (mut records, mut cells, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let (mut line, mut begins) = (1, 1);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        line += usize::from(c == '\n');
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                rest.next();
                cell.push('"');
            }
            '"' if quoted || cell.is_empty() => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            '\r' if !quoted && rest.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                cells.push(std::mem::take(&mut cell));
                records.push((begins, std::mem::take(&mut cells)));
                begins = line;
            }
            other => cell.push(other),
        }
    }
    if !cell.is_empty() || !cells.is_empty() {
        cells.push(cell);
        records.push((begins, cells));
    }
    records
}

#[cfg(test)]
mod tests {
    use vumi_kit::{
        address::Msisdn,
        clock::Timestamp,
        consent::{ConsentRecord, ConsentScope, ConsentSource, ConsentState},
    };

    use super::{HEAD, line, read};

    fn record(words: &str) -> ConsentRecord {
        ConsentRecord {
            id: 1,
            msisdn: Msisdn::parse("27831234567").unwrap(),
            scope: ConsentScope::parse("38080").unwrap(),
            state: ConsentState::Out,
            at: Timestamp::parse("2026-11-28 12:00:00").unwrap(),
            by: ConsentSource("SMS 7".to_owned()),
            words: words.to_owned(),
        }
    }

    #[test]
    fn what_is_exported_is_read_again_and_no_spreadsheet_computes_it() {
        for words in ["STOP", "stop, \"please\"", "two\nlines"] {
            let read = read(&format!("{HEAD}\r\n{}\r\n", line(&record(words)))).unwrap();
            let one = record(words);
            assert_eq!(read.len(), 1);
            assert_eq!((&read[0].msisdn, &read[0].scope, read[0].state), (&one.msisdn, &one.scope, one.state));
            assert_eq!((read[0].at, read[0].words.as_str()), (Some(one.at), words));
        }
        assert!(line(&record("=1+1")).ends_with(",\"'=1+1\""));
    }

    #[test]
    fn a_file_needs_two_columns_and_every_wrong_line_is_named() {
        let read_again = read("\u{feff}Consent,MSISDN\nout,+27831234567\n\nin,27831234568\n").unwrap();
        assert_eq!(read_again.len(), 2);
        assert_eq!((&read_again[0].scope, read_again[0].at), (&ConsentScope::All, None));
        let wrong = read("msisdn,consent,at\n0831234567,out,\n27831234567,maybe,\n27831234567,out,soon\n").unwrap_err();
        for part in ["line 2: `0831234567` has no country code", "line 3: `maybe`", "line 4: `soon` is no time"] {
            assert!(wrong.contains(part), "{wrong}");
        }
        assert!(read("number\n1\n").unwrap_err().contains("no column `msisdn`"));
        assert!(read("").unwrap_err().contains("is empty"));
    }
}
