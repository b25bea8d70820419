//! The CRDs: the same on every call, described throughout, and structural.

use serde_json::Value;

use super::*;

fn documents() -> Vec<Value> {
    definitions()
        .iter()
        .filter_map(|definition| Some(document(definition, definition.crd.as_ref()?)))
        .collect()
}

#[test]
fn the_text_is_the_same_on_every_call_and_reads_back() {
    let text = crd_yaml();
    assert_eq!(text, crd_yaml());
    let read: Vec<Value> = crate::load::documents_as_json(&text);
    assert_eq!(read, documents());
    assert_eq!(read.len(), 8);
}

#[test]
fn every_property_has_a_description_and_every_schema_is_structural() {
    for document in documents() {
        for version in document["spec"]["versions"].as_array().unwrap() {
            let mut path = format!("{} {}", document["metadata"]["name"], version["name"]);
            structural(&version["schema"]["openAPIV3Schema"], &mut path);
        }
    }
}

fn structural(schema: &Value, path: &mut String) {
    let fields = schema.as_object().unwrap_or_else(|| panic!("{path} is no schema"));
    for name in
        ["$ref", "oneOf", "anyOf", "allOf", "not", "nullable", "const", "title", "$defs", "definitions"]
    {
        assert!(!fields.contains_key(name), "{path} has {name}");
    }
    assert!(
        ["type", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"]
            .iter()
            .any(|name| fields.contains_key(*name)),
        "{path}: no type"
    );
    assert!(schema["type"].is_string() || schema["type"].is_null(), "{path}: {}", schema["type"]);
    let both = fields.contains_key("properties") && fields.contains_key("additionalProperties");
    assert!(!both, "{path} has properties and additionalProperties");
    if schema["x-kubernetes-list-type"] == "map" {
        for key in schema["x-kubernetes-list-map-keys"].as_array().unwrap() {
            let key = key.as_str().unwrap();
            let item = &schema["items"];
            let required =
                item["required"].as_array().is_some_and(|names| names.iter().any(|name| name == key));
            assert!(
                required || item["properties"][key].get("default").is_some(),
                "{path}: key {key} may be absent"
            );
        }
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let end = path.len();
        path.push('.');
        path.push_str(name);
        // Of metadata nothing may be said: API servers know what is in it.
        let described = property["description"].as_str().is_some_and(|text| !text.is_empty())
            || *property == json!({"type": "object"}) && path.ends_with(".metadata");
        assert!(described, "{path} has no description");
        structural(property, path);
        path.truncate(end);
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get(name) {
            structural(inner, path);
        }
    }
}

#[test]
fn limits_reach_the_schema() {
    let documents = documents();
    let spec = |kind: &str, version: usize| {
        let document = documents.iter().find(|document| document["spec"]["names"]["kind"] == kind).unwrap();
        document["spec"]["versions"][version]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
    };
    let route = spec("AIGatewayRoute", 0);
    let rules = &route["properties"]["rules"];
    let reference = &rules["items"]["properties"]["backendRefs"]["items"]["properties"];
    let policy = |version| spec("BackendSecurityPolicy", version);
    #[rustfmt::skip]
    let rows = [
        (&route["required"],                                      json!(["rules"]),  "rules are required"),
        (&route["properties"]["parentRefs"]["maxItems"],           json!(16),         "parents"),
        (&route["properties"]["parentRefs"]["items"]["properties"]["kind"]["default"], json!("Gateway"), "the parent's kind"),
        (&route["properties"]["hostnames"]["maxItems"],            json!(16),         "hosts"),
        (&route["properties"]["llmRequestCosts"]["maxItems"],      json!(36),         "costs"),
        (&rules["maxItems"],                                       json!(15),         "rules"),
        (&rules["items"]["properties"]["matches"]["maxItems"],     json!(128),        "matches"),
        (&rules["items"]["properties"]["backendRefs"]["maxItems"], json!(128),        "references"),
        (&reference["weight"]["default"],                          json!(1),          "a share by default"),
        (&reference["priority"]["maximum"],                        json!(4_294_967_295_u32), "32 bits"),
        (&reference["bodyMutation"]["properties"]["set"]["maxItems"], json!(16),      "changes"),
        (&policy(0)["maxProperties"],                              json!(4),          "with an override"),
        (&policy(1)["maxProperties"],                              json!(3),          "without one"),
        (&documents[3]["spec"]["names"]["shortNames"],             json!(["gwconfig"]), "the short name"),
    ];
    for (got, want, why) in rows {
        assert_eq!(*got, want, "{why}");
    }
}
