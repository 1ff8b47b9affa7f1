//! The API's description (OpenAPI 3.1), gathered from the handlers, and the page to browse and try it. Both are public:
//! they hold no secret.

use actix_web::{
    HttpResponse,
    http::header::{CONTENT_TYPE, HeaderValue},
    web,
};
use bytes::Bytes;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Required, ResponseBuilder, Schema, Type,
        path::{HttpMethod, Operation, Parameter, ParameterBuilder, ParameterIn, PathItem},
        request_body::{RequestBody, RequestBodyBuilder},
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_swagger_ui::{Config, SwaggerUi};
use vumi_kit::name::Name;

use crate::{
    api::{account, broadcasts, callbacks, consent, conversations, preview, received, routed, send, status, ussd_push},
    response::{error, views},
    webhooks,
};

/// The tag of the calls that need no log-in.
const PUBLIC: &str = "description";

/// The tag of the webhooks.
const PROVIDERS: &str = "providers";

/// The path of the description.
const DOCUMENT_PATH: &str = "/api/v1/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Vumi",
        description = "Sends SMS, tells what became of them, and takes receipts and SMS from providers.",
        contact(name = "Whoever runs this router"),
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "This router")),
    tags(
        (name = "sending", description = "SMS to people"),
        (name = "routed", description = "SMS whose transport the routes of the settings choose"),
        (name = "broadcasts", description = "A text for many people, line by line from a CSV"),
        (name = "status", description = "What became of them"),
        (name = "account", description = "The account that is logged in"),
        (name = "consent", description = "Who wants no SMS"),
        (name = "callbacks", description = "URLs to which the router posts what happens"),
        (name = "conversations", description = "Menus that run as soon as they are posted"),
        (name = "providers", description = "What providers post to the router"),
        (name = "description", description = "This document"),
    ),
    paths(
        send::send,
        send::template_send,
        routed::send,
        routed::template_send,
        routed::explain,
        routed::one,
        routed::cancel,
        routed::events,
        routed::list,
        preview::preview,
        ussd_push::push,
        status::one,
        status::cancel,
        status::events,
        status::list,
        account::show,
        consent::show,
        consent::change,
        received::list,
        broadcasts::create,
        broadcasts::list,
        broadcasts::read,
        broadcasts::add_lines,
        broadcasts::start,
        broadcasts::pause,
        broadcasts::resume,
        broadcasts::cancel,
        callbacks::create,
        callbacks::list,
        callbacks::read,
        callbacks::change,
        callbacks::delete,
        conversations::create,
        conversations::list,
        conversations::read,
        conversations::replace,
        conversations::delete,
        webhooks::receipt_json,
        webhooks::receive_json,
        webhooks::receive_xml,
        webhooks::ussd::ussd,
        document,
    ),
    components(schemas(error::ProblemDocument, error::FieldErrorView, views::SmsView, send::MsisdnField)),
    modifiers(&CommonParts),
)]
struct ApiDescription;

/// Adds what the calls have in common: the log-in, and the errors.
struct CommonParts;

impl Modify for CommonParts {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        let basic = SecurityScheme::Http(Http::new(HttpAuthScheme::Basic));
        components.add_security_scheme("basic", basic);
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        api.security = Some(["basic", "bearer"].map(|scheme| SecurityRequirement::new(scheme, [""; 0])).into());
        add_hooks(api);
        for item in api.paths.paths.values_mut() {
            for (method, operation) in operations(item) {
                add_errors(operation);
                if method == HttpMethod::Post && has_tag(operation, PROVIDERS) {
                    operation.request_body = Some(provider_body().into());
                }
                set_id(&method, operation);
                if operation.description.is_none() {
                    operation.description.clone_from(&operation.summary);
                }
            }
        }
    }
}

/// The path of a webhook for an account of role carrier, and for a provider with a token: the same calls.
const BY_ACCOUNT: &str = "/api/v1/sms/{transport}/";
const BY_TOKEN: &str = "/api/v1/hooks/{transport}/{token}/";

/// What tells the callers of a webhook.
const ACCOUNT_TELLS: &str = "By HTTP Basic, with an account of role carrier. Where `[transports.NAME.webhooks]` has a signature \
                             or networks, and no token, a call is let in by these, without a log-in.";
const TOKEN_TELLS: &str = "The token in the path lets in, with the signature and from the networks that \
                           `[transports.NAME.webhooks]` has beside it. There is no log-in.";

/// Adds the webhooks' other paths.
fn add_hooks(api: &mut utoipa::openapi::OpenApi) {
    let mut hooks = Vec::new();
    for (path, item) in &mut api.paths.paths {
        let Some(webhook) = path.strip_prefix(BY_ACCOUNT) else { continue };
        let is_webhook = operations(item).iter().any(|(_, operation)| has_tag(operation, PROVIDERS));
        if !is_webhook {
            continue;
        }
        let mut hook = item.clone();
        for (_, operation) in operations(item) {
            describe(operation, ACCOUNT_TELLS);
        }
        for (_, operation) in operations(&mut hook) {
            describe(operation, TOKEN_TELLS);
            operation.parameters.get_or_insert_default().push(token().into());
            operation.operation_id = operation.operation_id.take().map(|id| format!("{id}_by_token"));
            operation.security = Some(vec![SecurityRequirement::default()]);
        }
        hooks.push((format!("{BY_TOKEN}{webhook}"), hook));
    }
    api.paths.paths.extend(hooks);
}

fn describe(operation: &mut Operation, who: &str) {
    let summary = operation.summary.clone().unwrap_or_default();
    operation.description = Some(format!("{summary}\n\n{who}"));
}

/// The provider's token, as a part of the path.
fn token() -> Parameter {
    ParameterBuilder::new()
        .name("token")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("`token` in `[transports.NAME.webhooks]`"))
        .schema(Some(Schema::from(ObjectBuilder::new().schema_type(Type::String))))
        .build()
}

fn operations(item: &mut PathItem) -> Vec<(HttpMethod, &mut Operation)> {
    let PathItem { get, put, post, delete, .. } = item;
    [(HttpMethod::Get, get), (HttpMethod::Put, put), (HttpMethod::Post, post), (HttpMethod::Delete, delete)]
        .into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
        .collect()
}

fn has_tag(operation: &Operation, tag: &str) -> bool {
    operation.tags.iter().flatten().any(|given| given == tag)
}

/// What a provider posts: the fields of its own protocol, which its transport reads. A `GET` has the same fields in its
/// query.
fn provider_body() -> RequestBody {
    let text = || Schema::from(ObjectBuilder::new().schema_type(Type::String));
    let fields = Schema::from(ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(text())));
    let any = Schema::from(ObjectBuilder::new().schema_type(Type::Object));
    let mut body = RequestBodyBuilder::new().description(Some("The fields of the provider's own protocol"));
    for (media_type, schema) in [
        ("application/x-www-form-urlencoded", fields.clone()),
        ("multipart/form-data", fields),
        ("application/json", any),
        ("application/xml", text()),
        ("text/xml", text()),
        ("text/plain", text()),
    ] {
        body = body.content(media_type, ContentBuilder::new().schema(Some(schema)).build());
    }
    body.build()
}

/// Makes the ids unique: handlers of different groups share names, and a webhook's handler serves two methods.
fn set_id(method: &HttpMethod, operation: &mut Operation) {
    let group = operation.tags.iter().flatten().next().cloned().unwrap_or_default();
    let handler = operation.operation_id.take().unwrap_or_default();
    let suffix = if group == PROVIDERS && *method == HttpMethod::Get { "_get" } else { "" };
    operation.operation_id = Some(format!("{group}_{handler}{suffix}"));
}

/// Adds the errors that a call can be answered with; a public one has fewer.
fn add_errors(operation: &mut Operation) {
    let public = has_tag(operation, PUBLIC);
    let logs_in = operation.security.is_none();
    for (status, when, header) in [
        (400, "Something is wrong: `errors` names every field and value; nothing was done", None),
        (401, "No credentials, or wrong ones", Some("WWW-Authenticate")),
        (402, "The account's budget has not enough; nothing was kept", None),
        (
            403,
            "The account has no role for this, is locked, stopped or has expired, or may not call from this address or \
             over this transport; or a page of another site makes a browser call",
            None,
        ),
        (404, "There is no such thing, or it is another account's", None),
        (405, "Not with this method, or not with this transport", Some("Allow")),
        (408, "The body did not arrive in time", None),
        (409, "It is in conflict with what there is, or the request with this Idempotency-Key is in progress", None),
        (413, "The body is too large", None),
        (415, "A body of a type that is not understood", None),
        (422, "The Idempotency-Key was used for another request", None),
        (429, "Too many calls, recipients or waiting SMS of the account", Some("Retry-After")),
        (503, "Not now; nothing was done", Some("Retry-After")),
    ]
    .into_iter()
    .filter(|(status, ..)| !public || [405, 429].contains(status))
    .filter(|(status, ..)| logs_in || *status != 401)
    {
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let mut response = ResponseBuilder::new().description(when).content("application/problem+json", problem);
        if let Some(header) = header {
            response = response.header(header, HeaderBuilder::new().build());
        }
        operation.responses.responses.insert(status.to_string(), response.build().into());
    }
}

/// The description as it is served: written once, because anybody may ask for it.
pub(crate) struct ApiDocument(Bytes);

impl ApiDocument {
    pub(crate) fn new<'a>(transports: impl Iterator<Item = &'a Name>) -> Self {
        let mut api = ApiDescription::openapi();
        name_transports(&mut api, transports.map(Name::as_str));
        Self(api.to_json().unwrap_or_default().into())
    }
}

/// This description.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "description",
    security(()),
    responses((status = 200, description = "The description of the API, in OpenAPI 3.1", body = Object)),
)]
pub(crate) async fn document(document: web::Data<ApiDocument>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")));
    response.body(document.0.clone())
}

/// Lists the transports of the settings wherever a path takes one.
fn name_transports<'a>(api: &mut utoipa::openapi::OpenApi, names: impl Iterator<Item = &'a str>) {
    let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build();
    for item in api.paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            for parameter in operation.parameters.iter_mut().flatten() {
                if let RefOr::T(parameter) = parameter
                    && parameter.name == "transport"
                {
                    parameter.schema = Some(schema.clone().into());
                }
            }
        }
    }
}

/// The page below `/api/docs`, to be mounted there; all of it is in the binary.
pub(crate) fn pages() -> SwaggerUi {
    // By default, Swagger sends the description to a validator on the internet.
    SwaggerUi::new("/{_:.*}").config(Config::from(DOCUMENT_PATH).validator_url("none"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::{Value, json};
    use utoipa::OpenApi;

    use super::{ApiDescription, name_transports};

    /// So many visible ASCII characters, and spaces between them.
    const KEY_PATTERN: &str = "^[!-~]([ -~]{0,253}[!-~])?$";

    #[test]
    fn the_description_is_openapi_3_1_and_names_no_operation_twice() {
        let api: Value = serde_json::from_str(&ApiDescription::openapi().to_json().unwrap()).unwrap();
        assert_eq!(api["openapi"], "3.1.0");
        let operations: Vec<&Value> =
            api["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values()).collect();
        assert_eq!(operations.len(), 52);
        let ids: HashSet<&str> = operations.iter().map(|o| o["operationId"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), operations.len(), "{ids:?}");
        for operation in operations.iter().filter(|operation| operation["security"].is_null()) {
            assert!(operation["responses"]["401"]["content"]["application/problem+json"].is_object());
        }
    }

    #[test]
    fn only_the_description_and_webhooks_with_a_token_need_no_log_in() {
        let api: Value = serde_json::from_str(&ApiDescription::openapi().to_json().unwrap()).unwrap();
        assert_eq!(api["security"], json!([{"basic": []}, {"bearer": []}]));
        let paths = api["paths"].as_object().unwrap().iter();
        let open = paths.flat_map(|(path, item)| item.as_object().unwrap().values().map(move |of| (path.as_str(), of)));
        let open: Vec<_> = open.filter(|(_, operation)| !operation["security"].is_null()).collect();
        let (hooks, open): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|(path, _)| path.starts_with("/api/v1/hooks/"));
        assert_eq!(open.iter().map(|(path, _)| *path).collect::<Vec<_>>(), ["/api/v1/openapi.json"]);
        assert_eq!(hooks.len(), 6, "three webhooks, by GET and POST");
        for (path, hook) in hooks {
            assert_eq!(hook["security"], json!([{}]), "{path}");
            let names: Vec<_> = hook["parameters"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
            assert_eq!(names, [&json!("transport"), &json!("token")], "{path}");
            assert!(hook["responses"]["403"].is_object() && hook["responses"]["401"].is_null(), "{path}");
            assert!(hook["description"].as_str().unwrap().contains("token in the path"), "{path}");
        }
        let (security, responses) = (&open[0].1["security"], open[0].1["responses"].as_object().unwrap());
        assert_eq!(security, &json!([{}]));
        assert_eq!(responses.keys().collect::<Vec<_>>(), ["200", "405", "429"]);
    }

    #[test]
    fn the_transports_of_the_settings_are_listed_wherever_a_path_takes_one() {
        let mut api = ApiDescription::openapi();
        name_transports(&mut api, ["a", "b"].into_iter());
        let api: Value = serde_json::from_str(&api.to_json().unwrap()).unwrap();
        for (path, item) in api["paths"].as_object().unwrap().iter().filter(|(path, _)| path.contains("{transport}")) {
            for operation in item.as_object().unwrap().values() {
                assert_eq!(operation["parameters"][0]["schema"]["enum"], json!(["a", "b"]), "{path}");
            }
        }
    }

    #[test]
    fn what_a_provider_posts_is_described_and_its_get_has_no_body() {
        let api: Value = serde_json::from_str(&ApiDescription::openapi().to_json().unwrap()).unwrap();
        for path in ["receipt.json", "receive.json", "receive.xml"] {
            let item = &api["paths"][format!("/api/v1/sms/{{transport}}/{path}")];
            let hook = &api["paths"][format!("/api/v1/hooks/{{transport}}/{{token}}/{path}")];
            assert_eq!(item["post"]["requestBody"], hook["post"]["requestBody"], "{path}");
            let content = item["post"]["requestBody"]["content"].as_object().unwrap();
            for taken in [
                "application/x-www-form-urlencoded",
                "multipart/form-data",
                "application/json",
                "text/xml",
                "text/plain",
            ] {
                assert!(content.contains_key(taken), "{path}: {taken}");
            }
            assert!(item["get"]["requestBody"].is_null(), "{path}");
        }
    }

    #[test]
    fn the_description_says_where_the_api_is_and_what_a_key_looks_like() {
        let api: Value = serde_json::from_str(&ApiDescription::openapi().to_json().unwrap()).unwrap();
        assert_eq!(api["servers"][0]["url"], "/");
        let tags: Vec<&Value> = api["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
        for item in api["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values()) {
            assert!(item["description"].is_string(), "{item}");
            assert!(item["tags"].as_array().unwrap().iter().all(|tag| tags.contains(&tag)), "{item}");
        }
        for path in ["send.json", "template_send.json"] {
            let parameters = &api["paths"][format!("/api/v1/sms/{{transport}}/{path}")]["post"]["parameters"];
            let keys = parameters.as_array().unwrap().iter();
            let key = keys.map(|parameter| (&parameter["name"], &parameter["schema"]["pattern"]));
            assert!(key.into_iter().any(|key| key == (&json!("Idempotency-Key"), &json!(KEY_PATTERN))), "{parameters}");
        }
        assert_eq!(api["paths"]["/api/v1/account/callbacks/{id}.json"]["put"]["requestBody"]["required"], true);
    }

    #[test]
    fn every_schema_that_is_named_is_there() {
        let text = ApiDescription::openapi().to_json().unwrap();
        let api: Value = serde_json::from_str(&text).unwrap();
        for name in text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(api["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}
