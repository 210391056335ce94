//! Which content type an answer has.

/// The usual one.
pub(super) const JSON: &str = "application/json";
/// The one of the GraphQL-over-HTTP specification, which changes the status of refusals too.
pub(super) const GRAPHQL: &str = "application/graphql-response+json";

/// Chooses by the header `Accept`: the first entry that we know, in the client's order.
pub(super) fn content_type(accept: Option<&str>) -> &'static str {
    let Some(accept) = accept else { return JSON };
    for entry in accept.split(',') {
        let media = entry.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media.as_str() {
            GRAPHQL => return GRAPHQL,
            JSON | "*/*" | "application/*" => return JSON,
            _ => {}
        }
    }
    GRAPHQL
}

/// Whether a request's content type is JSON, parameters aside.
pub(super) fn is_json(content_type: Option<&str>) -> bool {
    let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    media.trim().eq_ignore_ascii_case(JSON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_type_wins() {
        for (accept, expected) in [
            (None, JSON),
            (Some(""), GRAPHQL),
            (Some("application/json"), JSON),
            (Some("*/*"), JSON),
            (Some("application/*;q=0.1"), JSON),
            (Some("text/html, application/graphql-response+json, application/json"), GRAPHQL),
            (Some("application/json; charset=utf-8, application/graphql-response+json"), JSON),
            (Some("text/html"), GRAPHQL),
            (Some("Application/JSON"), JSON),
        ] {
            assert_eq!(content_type(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn parameters_of_content_types_do_not_count() {
        for (given, expected) in [
            (Some("application/json"), true),
            (Some("application/json; charset=utf-8"), true),
            (Some("Application/Json;x=y"), true),
            (Some("text/plain"), false),
            (Some("application/jsonx"), false),
            (None, false),
        ] {
            assert_eq!(is_json(given), expected, "{given:?}");
        }
    }
}
