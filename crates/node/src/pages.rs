//! What a person sees who opens the node in a browser, and the description of the API.

use parallax_core::VantageId;

use crate::router;

/// The API in OpenAPI 3.1.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");

/// The index page. Nothing in it comes from strangers.
pub(crate) fn index(vantage: VantageId) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let links: String = router::paths().map(|path| format!("<li><a href=\"{path}\">{path}</a></li>\n")).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Parallax node</title></head>\n<body>\n\
         <h1>Parallax node</h1>\n\
         <p>This is a vantage point of Parallax {version}. It looks at TLS services for whoever asks, tells what it saw \
         now and before, and signs what it tells. If it looked at yours: somebody asked it to; it connects, reads the \
         certificate and leaves.</p>\n\
         <p>Vantage id: <code>{vantage}</code></p>\n<ul>\n{links}</ul>\n</body>\n</html>\n"
    )
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
