//! The page's files, and what it asks beside the control pages: which providers there are, and what happened.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
    web::{self, Data, Path, Query, ServiceConfig},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    behaviour::Misbehaviour,
    control::{ControlPages, ControlProblem},
    http::json_answer,
    provider_core::is_msisdn,
    sandbox_provider::InboundOrder,
};

/// How many handsets a page can show.
const MAX_SHOWN: usize = 4;
/// The page runs its own files only, and loads nothing from anywhere else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The files below `/phone/`: name, type, content.
const FILES: [(&str, &str, &str); 12] = [
    ("page.css", CSS, include_str!("assets/page.css")),
    ("handset.css", CSS, include_str!("assets/handset.css")),
    ("behind.css", CSS, include_str!("assets/behind.css")),
    ("icon.svg", SVG, include_str!("assets/icon.svg")),
    ("main.js", JAVASCRIPT, include_str!("assets/main.js")),
    ("sandbox.js", JAVASCRIPT, include_str!("assets/sandbox.js")),
    ("handset.js", JAVASCRIPT, include_str!("assets/handset.js")),
    ("messages.js", JAVASCRIPT, include_str!("assets/messages.js")),
    ("behind.js", JAVASCRIPT, include_str!("assets/behind.js")),
    ("alphabet.js", JAVASCRIPT, include_str!("assets/alphabet.js")),
    ("saved_test.js", JAVASCRIPT, include_str!("assets/saved_test.js")),
    ("misbehaviour.js", JAVASCRIPT, include_str!("assets/misbehaviour.js")),
];

/// Adds the routes of the page.
pub(crate) fn mount(config: &mut ServiceConfig) {
    config
        .route("/phone", web::get().to(show))
        .route("/phone/setup.json", web::get().to(setup))
        .route("/phone/events.json", web::get().to(events))
        .route("/phone/{file}", web::get().to(file));
}

async fn show() -> HttpResponse {
    page_file(HTML, include_str!("assets/phone.html"))
}

async fn file(name: Path<String>) -> Result<HttpResponse, ControlProblem> {
    let found = FILES.iter().find(|(file, ..)| *file == *name);
    let (_, content_type, content) =
        found.ok_or_else(|| ControlProblem::new(StatusCode::NOT_FOUND, "the phone has no such file"))?;
    Ok(page_file(content_type, content))
}

fn page_file(content_type: &'static str, content: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, content_type))
        // Another version's files must not mix with this one's.
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .body(content)
}

/// The providers, in the order in which the page offers them.
async fn setup(pages: Data<ControlPages>) -> HttpResponse {
    // What a provider does with it says whether it delivers SMS from people at all; nothing is sent.
    let order = InboundOrder { from: "27830000001".to_owned(), to: "1".to_owned(), text: String::new(), method: None };
    let beside = [&pages.network.core, &pages.smsc.core].map(|core| (core, true));
    let http = pages.providers.iter().map(|provider| (provider.core(), provider.inbound(&order).is_some()));
    let providers: Vec<Value> = beside
        .into_iter()
        .chain(http)
        .map(|(core, inbound)| {
            let misbehaves = *core.behaviour.rules() != Misbehaviour::default();
            json!({"name": core.name, "inbound": inbound, "misbehaves": misbehaves})
        })
        .collect();
    json_answer(StatusCode::OK, &json!({"handsets": MAX_SHOWN, "providers": providers}))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    /// Numbers, a comma between them.
    msisdn: String,
    /// The last event that the page knows.
    #[serde(default)]
    after: i64,
    /// Whether to wait for one, if there is none.
    #[serde(default)]
    wait: bool,
    /// How many routers the page knows to be logged in: another number is worth an answer, too.
    #[serde(default)]
    routers: usize,
}

/// What happened on some handsets; without anything new, waits a while for it.
async fn events(pages: Data<ControlPages>, query: Query<EventsQuery>) -> Result<HttpResponse, ControlProblem> {
    let EventsQuery { msisdn, after, wait, routers: known } = query.into_inner();
    let msisdns: Vec<String> = msisdn.split(',').take(MAX_SHOWN + 1).map(str::to_owned).collect();
    if msisdns.len() > MAX_SHOWN || !msisdns.iter().all(|msisdn| is_msisdn(msisdn)) {
        let what = format!("give `msisdn` as 1 to {MAX_SHOWN} numbers of 3 to 15 digits, a comma between them");
        return Err(ControlProblem::new(StatusCode::BAD_REQUEST, what));
    }
    let journal = &pages.network.core.journal;
    journal.watch(&msisdns);
    let something = || !journal.since(&msisdns, after).0.is_empty() || pages.network.routers() != known;
    let live = if wait { pages.polls.wait(journal.changes(), something).await } else { true };
    let (events, last) = journal.since(&msisdns, after);
    let sessions: Vec<&String> = msisdns.iter().filter(|msisdn| pages.network.has_session(msisdn)).collect();
    let routers = pages.network.routers();
    Ok(json_answer(
        StatusCode::OK,
        &json!({"events": events, "last": last, "sessions": sessions, "routers": routers, "live": live}),
    ))
}
