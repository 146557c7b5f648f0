//! What a person sees who opens the node in a browser, and the description of the API.

use crate::app::App;
use crate::router;

/// The API in OpenAPI 3.1.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");

/// The index page. What the operator wrote is escaped; nothing in it comes from strangers.
pub(crate) fn index(app: &App) -> String {
    let (version, vantage) = (env!("CARGO_PKG_VERSION"), app.shared.identity.vantage());
    let links: String = router::paths().map(|path| format!("<li><a href=\"{path}\">{path}</a></li>\n")).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Parallax node</title></head>\n<body>\n\
         <h1>Parallax node</h1>\n\
         <p>This is a vantage point of Parallax {version}. It looks at TLS and SSH services for whoever asks, tells what it \
         saw now and before, and signs what it tells. If it looked at yours: somebody asked it to; it connects, reads the \
         certificate or the host keys, and leaves.</p>\n\
         <p>Vantage id: <code>{vantage}</code></p>\n<dl>\n{}</dl>\n<ul>\n{links}</ul>\n{}</body>\n</html>\n",
        options(app),
        legacy(app)
    )
}

/// The options in force that concern those who ask.
fn options(app: &App) -> String {
    let descriptor = app.description.descriptor();
    let none = || "not said".to_owned();
    [
        ("Region", descriptor.region.unwrap_or_else(none)),
        ("Operator", descriptor.operator.unwrap_or_else(none)),
        ("Domain", descriptor.domain.unwrap_or_else(none)),
        ("Perspectives interface", if app.legacy.is_some() { "on, over plain HTTP" } else { "off" }.to_owned()),
        ("Access log", "none".to_owned()),
    ]
    .map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>\n", escape(&value)))
    .concat()
}

/// For people with an old client: the key to configure it with, and a form.
fn legacy(app: &App) -> String {
    let Some(legacy) = &app.legacy else { return String::new() };
    let key = legacy.key().map_or_else(|| "It is being made; come back.".to_owned(), |key| escape(key.public_pem()));
    format!(
        "<h2>Perspectives</h2>\n\
         <p>Clients of Perspectives can ask this node, over plain HTTP. That format is weak (MD5, no time, no nonce): what \
         it says is no better than the way here. Its key is used for nothing else:</p>\n<pre>{key}</pre>\n\
         <form action=\"/\" method=\"get\">\n\
         <label>Host <input name=\"host\" required></label>\n\
         <label>Port <input name=\"port\" value=\"443\" required></label>\n\
         <label>Type <select name=\"service_type\"><option value=\"2\">ssl</option><option value=\"1\">ssh</option></select>\
         </label>\n<button>Ask</button>\n</form>\n"
    )
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, character| {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            character => escaped.push(character),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::problem::CODES;

    #[test]
    fn every_problem_code_is_described() {
        let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let described = document.pointer("/components/schemas/Problem/properties/code/enum").unwrap();
        let described: BTreeSet<_> = described.as_array().unwrap().iter().filter_map(|code| code.as_str()).collect();
        assert_eq!(described, CODES.into());
    }
}
