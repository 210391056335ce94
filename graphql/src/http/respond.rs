//! One HTTP request to one HTTP response.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use http::header::{ACCEPT, ALLOW, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Body;

use super::negotiate::{self, GRAPHQL};
use super::{BODY_LIMIT, Executor, RequestContext, Token, Unavailable};
use crate::error::{ErrorEntry, RequestError, write_errors};
use crate::prepare::{Prepared, Request, prepare};
use crate::sdl::SchemaModel;

/// Bodies from this size on are parsed where they do not hold up other connections.
const LARGE: usize = 256 << 10;

/// What answers the requests of one session.
pub(super) struct Door {
    pub(super) token: Token,
    pub(super) executor: Arc<dyn Executor>,
}

type Answer = Response<Full<Bytes>>;

impl Door {
    /// Answers a request; a panic on the way is an answer too.
    pub(super) async fn answer<B>(&self, request: http::Request<B>) -> Answer
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // Sound: a request owns its state; what it shares with others, they can use whatever became of it.
        match AssertUnwindSafe(self.route(request)).catch_unwind().await {
            Ok(answer) => answer,
            Err(_) => text_error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal error: answering this request panicked",
            ),
        }
    }

    async fn route<B>(&self, request: http::Request<B>) -> Answer
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if !self.token.admits(request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes)) {
            let mut answer = empty(StatusCode::UNAUTHORIZED);
            answer
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Treenail session\""));
            return answer;
        }
        match (request.uri().path(), request.method()) {
            ("/query", _) => self.query(request).await,
            ("/init", _) => empty(StatusCode::NO_CONTENT),
            ("/shutdown", &Method::POST) => {
                self.executor.shutdown().await;
                empty(StatusCode::OK)
            }
            _ => empty(StatusCode::NOT_FOUND),
        }
    }

    async fn query<B>(&self, request: http::Request<B>) -> Answer
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let schema = match self.executor.schema() {
            Ok(schema) => schema,
            Err(unavailable) => return refused(&unavailable),
        };
        let content_type = negotiate::content_type(header(&parts.headers, ACCEPT.as_str()));
        let prepared = match parts.method {
            Method::OPTIONS => {
                let mut answer = empty(StatusCode::OK);
                answer.headers_mut().insert(ALLOW, HeaderValue::from_static("OPTIONS, GET, POST"));
                return answer;
            }
            Method::HEAD => return empty(StatusCode::METHOD_NOT_ALLOWED),
            // The query string is not read, so there is never an operation.
            Method::GET => prepare(schema, &Request::default()),
            Method::POST if negotiate::is_json(header(&parts.headers, CONTENT_TYPE.as_str())) => {
                match read(body).await {
                    Ok(body) => prepare_body(schema, body).await,
                    Err(answer) => return answer,
                }
            }
            _ => return text_error(StatusCode::BAD_REQUEST, "transport not supported"),
        };
        match prepared {
            Ok(prepared) => {
                let context = RequestContext {
                    traceparent: owned(&parts.headers, "traceparent"),
                    tracestate: owned(&parts.headers, "tracestate"),
                    baggage: owned(&parts.headers, "baggage"),
                };
                let body = self.executor.execute(prepared, context).await;
                json(StatusCode::OK, content_type, body.into_bytes())
            }
            Err(error) => json(status(&error, content_type), content_type, write_errors(error.entries())),
        }
    }
}

/// The status of a refusal.
fn status(error: &RequestError, content_type: &str) -> StatusCode {
    match error {
        RequestError::Argument(_) => StatusCode::OK,
        RequestError::Body(_) => StatusCode::BAD_REQUEST,
        RequestError::Parse(_) | RequestError::Invalid(_) if content_type == GRAPHQL => {
            StatusCode::BAD_REQUEST
        }
        RequestError::Parse(_) | RequestError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

async fn read<B>(body: B) -> Result<Bytes, Answer>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let too_large = || {
        text_error(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("request body is too large: the limit is {BODY_LIMIT} bytes"),
        )
    };
    // What announces itself as too large is not waited for.
    if body.size_hint().lower() > BODY_LIMIT as u64 {
        return Err(too_large());
    }
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(text_error(StatusCode::BAD_REQUEST, "request body ended early")),
    }
}

async fn prepare_body(schema: Arc<SchemaModel>, body: Bytes) -> Result<Prepared, RequestError> {
    let size = body.len();
    let work = move || {
        let request = Request::from_json(&body)?;
        drop(body);
        prepare(schema, &request)
    };
    if size < LARGE {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(prepared) => prepared,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(RequestError::Body(ErrorEntry::new("the service is shutting down"))),
        },
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn owned(headers: &HeaderMap, name: &str) -> Option<String> {
    header(headers, name).map(str::to_owned)
}

fn refused(unavailable: &Unavailable) -> Answer {
    match unavailable {
        Unavailable::Setup(_) => text_error(unavailable.status(), &unavailable.to_string()),
        Unavailable::Backend(_) => text(unavailable.status(), unavailable.to_string().into_bytes()),
    }
}

/// A GraphQL error, sent as text: that is how 0.19 says that a request never got as far as GraphQL.
fn text_error(status: StatusCode, message: &str) -> Answer {
    text(status, write_errors(&[ErrorEntry::new(message)]))
}

fn text(status: StatusCode, body: Vec<u8>) -> Answer {
    with_type(status, "text/plain; charset=utf-8", body)
}

fn json(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Answer {
    with_type(status, content_type, body)
}

fn with_type(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}
