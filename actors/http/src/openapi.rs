//! The API's description (OpenAPI 3.1), gathered from the handlers, and a page to browse and try it.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header::CONTENT_TYPE},
};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, ResponseBuilder, Schema, Type,
        path::{HttpMethod, Operation, PathItem},
        request_body::{RequestBody, RequestBodyBuilder},
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_swagger_ui::{Config, SwaggerUi};
use vumi_kit::name::Name;

use super::{callbacks, entry::enter, preview, rates::Class, refusal, send, status, view, webhooks};

/// Where the description is.
const DOCUMENT: &str = "/api/v1/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Vumi",
        description = "Sends SMS, tells what became of them, and takes what carriers bring.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    paths(
        send::send,
        send::template_send,
        preview::preview,
        status::one,
        status::events,
        status::list,
        callbacks::create,
        callbacks::list,
        callbacks::read,
        callbacks::change,
        callbacks::delete,
        webhooks::receipt_json,
        webhooks::receive_json,
        webhooks::receive_xml,
    ),
    components(schemas(refusal::Problem, refusal::Wrong, view::SmsView, send::Recipient)),
    modifiers(&Refusals),
)]
struct Api;

/// What every call has in common: the password, and the ways in which it can be refused.
struct Refusals;

impl Modify for Refusals {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        let basic = SecurityScheme::Http(Http::new(HttpAuthScheme::Basic));
        components.add_security_scheme("basic", basic);
        api.security = Some(vec![SecurityRequirement::new("basic", [""; 0])]);
        for item in api.paths.paths.values_mut() {
            for (method, operation) in operations(item) {
                refusals(operation);
                if method == HttpMethod::Post && operation.tags.iter().flatten().any(|tag| *tag == "carriers") {
                    operation.request_body = Some(carriers_body().into());
                }
                name(&method, operation);
            }
        }
    }
}

fn operations(item: &mut PathItem) -> Vec<(HttpMethod, &mut Operation)> {
    let PathItem { get, put, post, delete, .. } = item;
    [(HttpMethod::Get, get), (HttpMethod::Put, put), (HttpMethod::Post, post), (HttpMethod::Delete, delete)]
        .into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
        .collect()
}

/// What a carrier posts: each in the form of its own protocol, which its transport reads. A `GET` has the same fields in
/// its query.
fn carriers_body() -> RequestBody {
    let text = || Schema::from(ObjectBuilder::new().schema_type(Type::String));
    let fields = Schema::from(ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(text())));
    let any = Schema::from(ObjectBuilder::new().schema_type(Type::Object));
    let mut body = RequestBodyBuilder::new().description(Some("As the transport's carrier posts it: its own fields"));
    for (media_type, schema) in [
        ("application/x-www-form-urlencoded", fields),
        ("application/json", any),
        ("application/xml", text()),
        ("text/xml", text()),
    ] {
        body = body.content(media_type, ContentBuilder::new().schema(Some(schema)).build());
    }
    body.build()
}

/// Handlers of different groups share names, and a carrier's handler serves two methods: ids tell them apart.
fn name(method: &HttpMethod, operation: &mut Operation) {
    let group = operation.tags.iter().flatten().next().cloned().unwrap_or_default();
    let handler = operation.operation_id.take().unwrap_or_default();
    let which = if group == "carriers" && *method == HttpMethod::Get { "_get" } else { "" };
    operation.operation_id = Some(format!("{group}_{handler}{which}"));
}

fn refusals(operation: &mut Operation) {
    for (status, when, header) in [
        (400, "Something is wrong: `errors` names every field and value; nothing was done", None),
        (401, "No credentials, or wrong ones", Some("WWW-Authenticate")),
        (404, "There is no such thing, or it is another account's", None),
        (405, "Not with this method, or not with this transport", Some("Allow")),
        (408, "The body did not arrive in time", None),
        (409, "The Idempotency-Key is in progress, or was used for another request", None),
        (413, "The body is too large", None),
        (415, "A body of a type that is not understood", None),
        (429, "Too many calls", Some("Retry-After")),
        (503, "Not now; nothing was done", Some("Retry-After")),
    ] {
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let mut response = ResponseBuilder::new().description(when).content("application/problem+json", problem);
        if let Some(header) = header {
            response = response.header(header, HeaderBuilder::new().build());
        }
        operation.responses.responses.insert(status.to_string(), response.build().into());
    }
}

/// `GET /api/v1/openapi.json`
pub(crate) async fn document(request: HttpRequest) -> HttpResponse {
    enter(&request, Class::Reading, async |caller| {
        let mut api = Api::openapi();
        name_transports(&mut api, caller.shared.doors.keys().map(Name::as_str));
        let mut response = HttpResponse::build(StatusCode::OK);
        response.insert_header((CONTENT_TYPE, "application/json"));
        Ok(response.body(api.to_json().unwrap_or_default()))
    })
    .await
}

/// The settings say which transports there are: wherever a path takes one, the description lists them.
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

/// The page, below `/api/docs/`: all of it is in the binary.
pub(crate) fn pages() -> SwaggerUi {
    // Swagger would send the description to a validator on the internet.
    SwaggerUi::new("/api/docs/{_:.*}").config(Config::from(DOCUMENT).validator_url("none"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;
    use utoipa::OpenApi;

    use super::{Api, name_transports};

    #[test]
    fn the_description_is_openapi_3_1_and_names_no_operation_twice() {
        let api: Value = serde_json::from_str(&Api::openapi().to_json().unwrap()).unwrap();
        assert_eq!(api["openapi"], "3.1.0");
        let operations: Vec<&Value> =
            api["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values()).collect();
        assert_eq!(operations.len(), 17);
        let ids: HashSet<&str> = operations.iter().map(|o| o["operationId"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), operations.len(), "{ids:?}");
        for operation in operations {
            assert!(operation["responses"]["401"]["content"]["application/problem+json"].is_object());
        }
    }

    #[test]
    fn the_transports_of_the_settings_are_listed_wherever_a_path_takes_one() {
        let mut api = Api::openapi();
        name_transports(&mut api, ["a", "b"].into_iter());
        let api: Value = serde_json::from_str(&api.to_json().unwrap()).unwrap();
        for (path, item) in api["paths"].as_object().unwrap().iter().filter(|(path, _)| path.contains("{transport}")) {
            for operation in item.as_object().unwrap().values() {
                assert_eq!(operation["parameters"][0]["schema"]["enum"], serde_json::json!(["a", "b"]), "{path}");
            }
        }
    }

    #[test]
    fn what_a_carrier_posts_is_described_and_what_it_gets_by_has_no_body() {
        let api: Value = serde_json::from_str(&Api::openapi().to_json().unwrap()).unwrap();
        for path in ["receipt.json", "receive.json", "receive.xml"] {
            let item = &api["paths"][format!("/api/v1/sms/{{transport}}/{path}")];
            let content = item["post"]["requestBody"]["content"].as_object().unwrap();
            assert!(content.contains_key("application/x-www-form-urlencoded") && content.contains_key("text/xml"));
            assert!(item["get"]["requestBody"].is_null(), "{path}");
        }
    }

    #[test]
    fn every_schema_that_is_named_is_there() {
        let text = Api::openapi().to_json().unwrap();
        let api: Value = serde_json::from_str(&text).unwrap();
        for name in text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(api["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}
