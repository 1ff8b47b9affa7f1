//! Lines of a broadcast, from a CSV: each is checked and rendered as a call that sends would do it, or every one that is wrong is
//! named by its number.

use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord, Trim};
use vumi_front_kit::sms_text::text_error;
use vumi_kit::{
    account::Account,
    address::Address,
    broadcast::{BroadcastLine, BroadcastSpec, MAX_ADDED},
    mustache::{MustacheTemplate, TemplateError},
    name::Name,
    outbound::Routable,
    sms_options::Content,
};

use super::destination::Destination;
use crate::{
    guard::ApiCall,
    response::{
        error::ApiError,
        field_errors::{FieldError, FieldErrors},
    },
};

/// The column of the recipients.
const RECIPIENT: &str = "to_msisdn";
/// Columns of a CSV, the recipient included.
const MAX_COLUMNS: usize = 100;
/// The most parts that an SMS of a broadcast may take.
const MAX_SEGMENTS: u32 = 10;
/// The longest text that is rendered, in bytes: what takes more is longer than the most parts anyway.
const MAX_TEXT: usize = 8 * 1024;

/// Reads lines of one broadcast.
#[derive(Clone, Debug)]
pub(in crate::api) struct BroadcastReader {
    caller: Arc<Account>,
    destination: Destination,
    spec: BroadcastSpec,
    max_segments: u32,
}

/// Checks as whom a broadcast is to be sent, and over what.
pub(in crate::api) fn sender(call: &ApiCall<'_>, transport: Option<&Name>, from: &str) -> Result<Address, ApiError> {
    let destination = Destination::for_transport(call, transport)?;
    let sender = destination.addresses().sender(from);
    let refused = |sender: Address| call.caller.rights.sender_error(&sender).map_or(Ok(sender), Err);
    sender.map_err(str::to_owned).and_then(refused).map_err(|why| ApiError::field("from_msisdn", from, why))
}

impl BroadcastReader {
    /// For a broadcast of the caller's.
    pub(in crate::api) fn new(call: &ApiCall<'_>, spec: BroadcastSpec) -> Result<Self, ApiError> {
        let destination = Destination::for_transport(call, spec.transport.as_ref())?;
        let max_segments = call.state.limits.max_segments.min(MAX_SEGMENTS);
        Ok(Self { caller: Arc::clone(&call.caller), destination, spec, max_segments })
    }

    /// The lines of a CSV; its first one has the number `first`.
    pub(in crate::api) fn read(&self, first: u64, body: &[u8]) -> Result<Vec<BroadcastLine>, ApiError> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let mut csv = ReaderBuilder::new().flexible(true).trim(Trim::Headers).from_reader(body);
        let columns = csv.headers().map_err(|error| ApiError::Unreadable(format!("the CSV's first line: {error}")))?;
        let columns = columns.clone();
        let recipient = recipient_column(&columns)?;
        let names: Vec<&str> = columns.iter().collect();
        let template = MustacheTemplate::parse(&self.spec.template, &names).map_err(|error| {
            let what = match error {
                TemplateError::NotGiven(name) => format!("names `{name}`, and the CSV has no column `{name}`"),
                other => other.to_string(),
            };
            ApiError::field("template", &self.spec.template, what)
        })?;
        let (mut lines, mut errors) = (Vec::new(), FieldErrors::default());
        for (record, line) in csv.records().zip(first..) {
            if lines.len() >= MAX_ADDED || errors.len() + errors.more() >= MAX_ADDED {
                let what = format!("a call may have {MAX_ADDED} lines: send them in several, each with the first line");
                return Err(ApiError::Unreadable(what));
            }
            let record = record.map_err(|error| format!("can't be read: {error}"));
            match record.and_then(|record| self.line(line, &record, (&columns, recipient), &template)) {
                Ok(line) => lines.push(line),
                Err(why) => errors.push(FieldError::new(&format!("lines.{line}"), "", why)),
            }
        }
        if errors.is_empty() { Ok(lines) } else { Err(ApiError::InvalidFields(errors)) }
    }

    fn line(
        &self,
        line: u64,
        record: &StringRecord,
        (columns, recipient): (&StringRecord, usize),
        template: &MustacheTemplate<'_>,
    ) -> Result<BroadcastLine, String> {
        if record.len() != columns.len() {
            return Err(format!("has {} values for {} columns", record.len(), columns.len()));
        }
        let values: Vec<&str> = record.iter().collect();
        let given = values.get(recipient).copied().unwrap_or_default().trim();
        let text = template.render(&values, MAX_TEXT).map_err(|error| format!("the text: {error}"));
        let text = text.and_then(|text| text_error(&text, self.max_segments).map_or(Ok(text), Err));
        let rights = &self.caller.rights;
        let to = self.destination.addresses().recipient(given).map_err(str::to_owned);
        let to = to.and_then(|to| rights.recipient_error(&to).map_or(Ok(to), Err));
        let to = to.map_err(|why| format!("{RECIPIENT} `{}`: {why}", given.chars().take(100).collect::<String>()));
        match (to, text) {
            (Ok(to), Ok(text)) => {
                let (transports, content, from) = (&rights.transports, &Content::Text, &self.spec.from);
                let sms = Routable { account: "", transports, to: &to, from, text: &text, content, tag: None };
                if self.destination.transport(sms).is_none() {
                    return Err(
                        "no route takes this SMS: no line of [[outbound]] in the settings matches it".to_owned()
                    );
                }
                Ok(BroadcastLine { line, to: to.as_str().to_owned(), text })
            }
            (Err(why), Ok(_)) | (Ok(_), Err(why)) => Err(why),
            (Err(to), Err(text)) => Err(format!("{to}; {text}")),
        }
    }
}

/// Where the recipients are, in columns that can be used.
fn recipient_column(columns: &StringRecord) -> Result<usize, ApiError> {
    if columns.len() > MAX_COLUMNS {
        return Err(ApiError::Unreadable(format!("the CSV has {} columns: {MAX_COLUMNS} at the most", columns.len())));
    }
    let twice = columns.iter().enumerate().find(|(at, name)| columns.iter().take(*at).any(|other| other == *name));
    if let Some((_, name)) = twice {
        let name: String = name.chars().take(64).collect();
        return Err(ApiError::Unreadable(format!("the CSV has the column `{name}` twice")));
    }
    columns.iter().position(|name| name == RECIPIENT).ok_or_else(|| {
        let what =
            format!("the CSV's first line has no column `{RECIPIENT}`: it names the columns, a comma between them");
        ApiError::Unreadable(what)
    })
}
