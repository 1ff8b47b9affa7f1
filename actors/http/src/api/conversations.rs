//! An account's conversations: menus that run as soon as they are kept.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CONTENT_TYPE, HeaderValue, LOCATION},
    web,
};
use serde::Serialize;
use vumi_kit::{
    conversation::{
        Conversation, ConversationCode, DeleteConversation, FindConversation, KeptConversation, ListConversations,
        MOST_CONVERSATION_BYTES, MOST_CONVERSATIONS, PutConversation,
    },
    name::Name,
    store::Ask,
};

use crate::{
    guard::{ApiCall, guarded},
    limits::call_rates::RateClass,
    request::{
        body::BufferedBody,
        fields::{KnownFields, RequestFields},
    },
    response::{
        error::ApiError,
        field_errors::{FieldError, FieldErrors},
        views::{UtcTime, json},
    },
};

/// What the query of a call may say.
const KNOWN_FIELDS: KnownFields = KnownFields {
    single: &[&["name", "ussd", "sms"]],
    lists: &[],
    numbers: &[],
    flags: &[],
    variables: None,
    max_values: 0,
};

/// The media types of YAML.
const YAML: [&str; 3] = ["application/yaml", "application/x-yaml", "text/yaml"];

/// A conversation as lists show it: its name, codes and version, not its text.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Conversation)]
pub(crate) struct ConversationView<'a> {
    name: &'a str,
    /// Counted from 1: new dialogues begin with it.
    version: i64,
    /// The code that people dial, such as `*120*663*79#`; it has to be granted to the account.
    ussd: Option<String>,
    /// What people write to, or the word that they begin with.
    sms: Option<String>,
    #[schema(value_type = String, example = "2010-07-22 21:27:24")]
    created_at: UtcTime,
    #[schema(value_type = String, example = "2010-07-22 21:27:24")]
    updated_at: UtcTime,
}

impl<'a> ConversationView<'a> {
    fn of(conversation: &'a Conversation) -> Self {
        Self {
            name: conversation.name.as_str(),
            version: conversation.version,
            ussd: conversation.ussd.as_ref().map(ToString::to_string),
            sms: conversation.sms.as_ref().map(ToString::to_string),
            created_at: UtcTime(conversation.created_at),
            updated_at: UtcTime(conversation.updated_at),
        }
    }
}

/// Keeps a conversation and runs it: a new one, or another version of the one of this name. Open dialogues finish with the
/// version that they began with.
#[utoipa::path(
    post,
    path = "/api/v1/conversation.yaml",
    tag = "conversations",
    params(
        ("name" = Option<String>, Query, description = "Its name; without one `conversation-<id>`, a new one"),
        ("ussd" = Option<String>, Query, description = "What people dial, such as `*120*663*81#`"),
        ("sms" = Option<String>, Query, description = "The short code that people write to, or the word that they begin with"),
    ),
    request_body(content((String = "application/yaml"), (String = "application/x-yaml"), (String = "text/yaml"))),
    responses((status = 201, description = "Kept: `Created`, and `Location` says where", body = String, content_type = "text/plain")),
)]
pub(crate) async fn create(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    guarded(&request, RateClass::Conversations, async |call| {
        let asked = asked(&call)?;
        let kept = keep(&call, payload, asked, false).await?;
        let mut response = HttpResponse::Created();
        if let Ok(location) = HeaderValue::try_from(format!("/api/v1/conversations/{}.yaml", kept.name)) {
            response.insert_header((LOCATION, location));
        }
        Ok(response.content_type("text/plain; charset=utf-8").body("Created"))
    })
    .await
}

/// The conversations of the account.
#[utoipa::path(
    get,
    path = "/api/v1/conversations.json",
    tag = "conversations",
    responses((status = 200, description = "The conversations, by name", body = Vec<ConversationView>)),
)]
pub(crate) async fn list(request: HttpRequest) -> HttpResponse {
    guarded(&request, RateClass::Callbacks, async |call| {
        let all = call.state.store.accounts.ask(ListConversations { account: Some(call.account) }).await?;
        let views: Vec<ConversationView<'_>> = all.iter().map(ConversationView::of).collect();
        Ok(json(&views, views.len() * 256))
    })
    .await
}

/// The present text of a conversation, as it was posted.
#[utoipa::path(
    get,
    path = "/api/v1/conversations/{name}.yaml",
    tag = "conversations",
    params(("name" = String, Path, description = "The conversation's name")),
    responses((status = 200, description = "The text", body = String, content_type = "application/yaml")),
)]
pub(crate) async fn read(request: HttpRequest) -> HttpResponse {
    guarded(&request, RateClass::Callbacks, async |call| {
        let find = FindConversation { account: call.account, name: named(&call)? };
        let (_, text) = call.state.store.accounts.ask(find).await?.ok_or_else(|| no_such(&call))?;
        let mut response = HttpResponse::Ok();
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/yaml; charset=utf-8")));
        Ok(response.body(text))
    })
    .await
}

/// Replaces a conversation by another version. Codes that the query does not name stay.
#[utoipa::path(
    put,
    path = "/api/v1/conversations/{name}.yaml",
    tag = "conversations",
    params(
        ("name" = String, Path, description = "The conversation's name"),
        ("ussd" = Option<String>, Query, description = "What people dial, such as `*120*663*81#`"),
        ("sms" = Option<String>, Query, description = "The short code that people write to, or the word that they begin with"),
    ),
    request_body(content((String = "application/yaml"), (String = "application/x-yaml"), (String = "text/yaml"))),
    responses((status = 200, description = "The conversation with its new version", body = ConversationView)),
)]
pub(crate) async fn replace(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    guarded(&request, RateClass::Conversations, async |call| {
        let asked = AskedConversation { name: Some(named(&call)?), ..asked(&call)? };
        let kept = keep(&call, payload, asked, true).await?;
        Ok(json(&ConversationView::of(&kept), 256))
    })
    .await
}

/// Removes a conversation with all its versions. Its open dialogues end with the person's next input.
#[utoipa::path(
    delete,
    path = "/api/v1/conversations/{name}.yaml",
    tag = "conversations",
    params(("name" = String, Path, description = "The conversation's name")),
    responses((status = 204, description = "Removed")),
)]
pub(crate) async fn delete(request: HttpRequest) -> HttpResponse {
    guarded(&request, RateClass::Callbacks, async |call| {
        let delete = DeleteConversation { account: call.account, name: named(&call)? };
        let deleted = call.state.store.accounts.ask(delete).await?;
        if deleted { Ok(HttpResponse::NoContent().finish()) } else { Err(no_such(&call)) }
    })
    .await
}

fn named(call: &ApiCall<'_>) -> Result<Name, ApiError> {
    Name::parse(call.segment("name")).map_err(|_| no_such(call))
}

fn no_such(call: &ApiCall<'_>) -> ApiError {
    let name: String = call.segment("name").chars().take(64).collect();
    ApiError::NotFound(format!("this account has no conversation `{name}`"))
}

/// What a call's query asks for.
struct AskedConversation {
    name: Option<Name>,
    ussd: Option<ConversationCode>,
    sms: Option<ConversationCode>,
}

fn asked(call: &ApiCall<'_>) -> Result<AskedConversation, ApiError> {
    let fields = RequestFields::of_form(call.request.query_string().as_bytes(), KNOWN_FIELDS)?;
    let mut errors = FieldErrors::default();
    let name = fields.one("name", &mut errors).and_then(|text| {
        let name = Name::parse(text);
        name.map_err(|wrong| errors.push(FieldError::new("name", text, wrong.to_string()))).ok()
    });
    let ussd = fields.one("ussd", &mut errors).and_then(|text| {
        let code = text.parse().ok().filter(|code| matches!(code, ConversationCode::Ussd(_)));
        usable(call, "ussd", text, code, &mut errors)
    });
    let sms = fields.one("sms", &mut errors).and_then(|text| {
        let code = text.parse().ok().filter(|code| !matches!(code, ConversationCode::Ussd(_)));
        usable(call, "sms", text, code, &mut errors)
    });
    if errors.is_empty() { Ok(AskedConversation { name, ussd, sms }) } else { Err(ApiError::InvalidFields(errors)) }
}

/// A code that the account may use, and that no route of the settings has.
fn usable(
    call: &ApiCall<'_>,
    field: &str,
    text: &str,
    code: Option<ConversationCode>,
    errors: &mut FieldErrors,
) -> Option<ConversationCode> {
    let wrong = match &code {
        None if field == "ussd" => Some("is no USSD code, such as *120*663*81#".to_owned()),
        None => Some("is neither a short code (38080) nor a keyword of one word (WATER)".to_owned()),
        Some(code) if !call.caller.codes.allow(code, call.caller.sandbox) => Some(format!(
            "the account may not use this code; the operator grants codes: `vumi account codes {} '{code}'`",
            call.caller.username
        )),
        Some(code) => call
            .state
            .conversations
            .route_of(code)
            .map(|campaign| format!("the settings lead this code to the campaign `{campaign}`")),
    };
    match wrong {
        None => code,
        Some(wrong) => {
            errors.push(FieldError::new(field, text, wrong));
            None
        }
    }
}

async fn keep(
    call: &ApiCall<'_>,
    payload: web::Payload,
    asked: AskedConversation,
    replace: bool,
) -> Result<Conversation, ApiError> {
    let text = text_of(&call.body(payload).await?)?;
    let rules = call.state.conversations.clone();
    let checked = tokio::task::spawn_blocking(move || {
        let problems = rules.problems(&text);
        (text, problems)
    });
    let failed = |_| ApiError::Unavailable(1, "the text could not be read now, nothing was kept");
    let (text, problems) = checked.await.map_err(failed)?;
    if !problems.is_empty() {
        return Err(ApiError::InvalidText(problems));
    }
    let AskedConversation { name, ussd, sms } = asked;
    let put = PutConversation { account: call.account, name, ussd, sms, text, replace };
    match call.state.store.accounts.ask(put).await? {
        KeptConversation::Kept(conversation, _) => Ok(conversation),
        KeptConversation::CodeTaken(code) => {
            Err(ApiError::Conflict(format!("another conversation has the code {code}: nothing was kept")))
        }
        KeptConversation::TooMany => Err(ApiError::Conflict(format!(
            "the account has {MOST_CONVERSATIONS} conversations, which is as many as it may: delete one of them"
        ))),
        KeptConversation::NotFound => Err(no_such(call)),
    }
}

fn text_of(body: &BufferedBody) -> Result<String, ApiError> {
    if !YAML.contains(&body.media_type.as_str()) {
        return Err(ApiError::NoYaml(body.media_type.chars().take(100).collect()));
    }
    if body.len() > MOST_CONVERSATION_BYTES {
        return Err(ApiError::BodyTooLarge(MOST_CONVERSATION_BYTES));
    }
    let bytes = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = std::str::from_utf8(bytes).map_err(|_| ApiError::Unreadable("the text is not UTF-8".to_owned()))?;
    if text.contains('\0') {
        return Err(ApiError::Unreadable("the text has a character U+0000".to_owned()));
    }
    Ok(text.to_owned())
}
