//! The API description against the API.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::janus::client::{Client, Janus};
use crate::support::{Site, TestNode, look_now, what_is_known};

/// The part of JSON Schema that the description uses. Says what does not fit, and where.
fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let schema = resolve(root, schema);
    let bad = |why: &str| Err(format!("{at}: {why}: {value}"));
    if let Some(wanted) = schema.get("const")
        && wanted != value
    {
        return bad("is not the constant");
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        return bad("is none of the allowed");
    }
    if let Some(kinds) = schema.get("type") {
        let kinds: Vec<_> = kinds.as_array().map_or_else(|| vec![kinds], |kinds| kinds.iter().collect());
        if !kinds.iter().any(|kind| is_a(value, kind.as_str().unwrap())) {
            return bad("has another type");
        }
    }
    if let (Some(most), Some(items)) = (schema.get("maxItems").and_then(Value::as_u64), value.as_array())
        && items.len() as u64 > most
    {
        return bad("has too many items");
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(root, &schema["items"], item, &format!("{at}/{index}"))?;
    }
    check_members(root, schema, value, at)
}

fn check_members(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let Some(members) = value.as_object() else { return Ok(()) };
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        if !members.contains_key(name.as_str().unwrap()) {
            return Err(format!("{at}: {name} is missing"));
        }
    }
    for (name, member) in members {
        let described = schema.pointer(&format!("/properties/{name}")).or_else(|| schema.get("additionalProperties"));
        let Some(described) = described else { return Err(format!("{at}: {name} is not described")) };
        check(root, described, member, &format!("{at}/{name}"))?;
    }
    Ok(())
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(path) => root.pointer(path.trim_start_matches('#')).unwrap_or_else(|| panic!("{path} leads nowhere")),
        None => schema,
    }
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is not a type that this test knows"),
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| match (name.as_str(), member.as_str()) {
            ("$ref", Some(path)) => drop(found.insert(path.to_owned())),
            _ => references(member, found),
        }),
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

async fn description(node: &TestNode) -> Value {
    let reply = node.get("/openapi.json").await;
    assert_eq!(reply.header("content-type"), "application/json");
    reply.json()
}

#[tokio::test]
async fn every_route_is_described_and_every_description_has_a_route() {
    let node = TestNode::start().await;
    let document = description(&node).await;
    assert_eq!(document["openapi"], "3.1.0");
    let described: BTreeSet<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    // The index page links every route of the router.
    let page = node.get("/").await.text();
    let linked: BTreeSet<_> =
        page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    assert_eq!(described, linked);
    for path in described {
        let reply = node.get(&path).await;
        let Some(described) = document["paths"][&path].get("get") else {
            assert_eq!(reply.status, 405, "{path} is not described for GET");
            continue;
        };
        let described = &described["responses"];
        let status = reply.status.as_str();
        assert!(described.get(status).is_some(), "{path} answers {status}, which is not described");
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let document = description(&TestNode::start().await).await;
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 10);
    for path in found {
        assert!(document.pointer(path.trim_start_matches('#')).is_some(), "{path}");
    }
}

#[tokio::test]
async fn what_a_janus_answers_is_as_described() {
    let janus = Janus::start().await;
    let document = description(&janus.test).await;
    let fits = |schema: &str, value: &Value| {
        let schema = &document["components"]["schemas"][schema];
        check(&document, schema, value, "").unwrap_or_else(|why| panic!("{why}"));
    };
    let ann = Client::new("ann@example.com");
    let reply = janus.order(&ann.order()).await;
    fits("OrderPlaced", &reply.json());
    let told = janus.certify(&ann).await;
    fits("Certificate", &serde_json::to_value(&told).unwrap());
    fits("Certificate", &janus.renew(&told).await.json());
    fits("OrderState", &janus.state(&janus.place(&ann).await).await.json());
    janus.revoke(&ann, crate::support::now()).await;
    fits("CaList", &janus.get("/v1/ca").await.json());
    fits("Problem", &janus.order(&ann.order()).await.json());
    fits("Order", &serde_json::to_value(ann.order()).unwrap());
}

#[tokio::test]
async fn real_answers_are_as_described() {
    let (node, site) = (TestNode::start().await, Site::start().await);
    let document = description(&node).await;
    let fits = |schema: &str, value: &Value| {
        let schema = &document["components"]["schemas"][schema];
        check(&document, schema, value, "").unwrap_or_else(|why| panic!("{why}"));
    };
    let seen = look_now(&site.service()).to_path();
    let known = what_is_known(&site.service()).to_path();
    let pending = format!("/v1/view?service={}&wait=0&max_age=0&address=127.0.0.1", site.service());
    let failed = "/v1/view?service=127.0.0.8:1&wait=15".to_owned();
    for path in [seen, known, pending, failed] {
        let reply = node.get(&path).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        fits("View", &reply.json());
    }
    fits("Descriptor", &node.get("/v1/vantage").await.json());
    fits("DnsReply", &node.get("/v1/dns?name=example.com&types=A,TLSA").await.json());
    let other = TestNode::start().await;
    let wrapped = other.get("/v1/vantage").await.signed();
    fits("Signed", &serde_json::to_value(&wrapped).unwrap());
    let request = http::Request::post("/v1/mirrors").body(serde_json::to_string(&wrapped).unwrap().into()).unwrap();
    fits("Joined", &crate::support::call(node.node.router(), request).await.json());
    let known = format!("/v1/mirrors/{}", other.node.vantage());
    crate::support::until(async || node.get(&known).await.status == 200).await;
    fits("Standing", &node.get(&known).await.json());
    fits("MirrorList", &node.get("/v1/mirrors").await.json());
    for path in ["/nowhere", "/v1/view?service=a..b"] {
        fits("Problem", &node.get(path).await.json());
    }
    // The checker is one that can say no.
    let mut view = node.get(&look_now(&site.service()).to_path()).await.json();
    view["now"]["outcome"] = "fine".into();
    assert!(check(&document, &document["components"]["schemas"]["View"], &view, "").is_err());
}
