//! The calls of USSD aggregators: each waits for the screen that the transport of this process makes of it.

use actix_web::{HttpRequest, HttpResponse, http::Method, web};
use vumi_kit::{ussd_call::AnswerCall, webhook::Unreadable, webhook::WebhookRequest};

use super::{admission::admit, charset, read_body, response};
use crate::{
    guard::{admit_connection, answered, segment},
    request::body::content_type_charset,
    response::error::ApiError,
};

/// Answers a step of a person's USSD session, which an aggregator brings. Behind the transport's name may stand what the
/// aggregator puts into the path.
#[utoipa::path(
    method(get, post),
    path = "/api/v1/ussd/{transport}",
    tag = "providers",
    params(("transport" = String, Path, description = "The transport's name")),
    responses((status = 200, description = "The next screen, in the aggregator's form")),
)]
pub(crate) async fn ussd(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    answered(&request, async |state| {
        let caller = admit(state, &request).await?;
        let body = read_body(state, &request, payload, &caller).await?;
        admit_connection(&request);
        if !caller.protected.takes_calls {
            return Err(ApiError::MethodNotAllowed(String::new()));
        }
        if !matches!(*request.method(), Method::GET | Method::POST) {
            return Err(ApiError::MethodNotAllowed("GET, POST".to_owned()));
        }
        let away = || ApiError::Unavailable(1, "the transport does not run now");
        let calls = state.board.of(caller.transport).calls().ok_or_else(away)?;
        let call = AnswerCall {
            request: WebhookRequest {
                method: request.method().as_str().to_owned(),
                query: request.query_string().to_owned(),
                content_type: body.media_type.clone(),
                body: body.bytes.clone(),
                charset: charset(content_type_charset(&request), &caller.protected.settings),
                received_at: state.clock.now(),
            },
            path: segment(&request, "rest").to_owned(),
        };
        match calls.send(call).await {
            Ok(Ok(answer)) => Ok(response(answer)),
            Ok(Err(Unreadable { field, what, .. })) => Err(ApiError::field(&field, "", what)),
            Err(_) => Err(away()),
        }
    })
    .await
}
