//! Routes made from the environment, for a start without a file: the same manifests that a user would write, so that
//! nothing here works in a way of its own. Keys stay in the environment and are substituted like in any file.

use std::fmt::Write as _;
use std::net::SocketAddr;

use http::Uri;

/// The built-in model.
pub(crate) const DEMO_MODEL: &str = "tollgate-demo";

/// Answers for a variable; the process's environment, or a test's.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Which providers the environment names, for the line that a start prints.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) manifest: String,
    pub(crate) providers: Vec<&'static str>,
}

struct Provider {
    name: &'static str,
    schema: &'static str,
    version: Option<String>,
    key: (&'static str, &'static str, &'static str),
    base: Base,
    headers: Vec<(&'static str, &'static str)>,
}

struct Base {
    https: bool,
    host: String,
    port: u16,
    prefix: String,
}

/// The manifests for what the environment names, and the demo model at `demo`.
pub(crate) fn manifests(variable: Lookup<'_>, demo: SocketAddr) -> Result<Made, String> {
    let openai = openai(variable)?;
    let azure = azure(variable)?;
    let anthropic = anthropic(variable)?;

    let mut text = String::from(GATEWAY);
    let mut rules = rule(&exact(DEMO_MODEL), &["demo"]);
    text.push_str(&backend(
        "demo",
        &Base { https: false, host: demo.ip().to_string(), port: demo.port(), prefix: String::new() },
    ));
    text.push_str(&service(
        "demo",
        "OpenAI",
        None,
        &Base { https: false, host: String::new(), port: 0, prefix: "/v1".to_owned() },
        &[],
    ));

    // Claude models go to Anthropic where it is there; all others to the first of the rest, with the next as fall-back.
    let rest: Vec<&str> = [&openai, &azure].into_iter().flatten().map(|provider| provider.name).collect();
    if let Some(anthropic) = &anthropic {
        rules.push_str(&rule(&matching("claude-.*"), &[anthropic.name]));
        if rest.is_empty() {
            rules.push_str(&rule(&matching(".+"), &[anthropic.name]));
        }
    }
    if !rest.is_empty() {
        rules.push_str(&rule(&matching(".+"), &rest));
    }

    let mut providers = Vec::new();
    for provider in [openai, azure, anthropic].into_iter().flatten() {
        let Provider { name, schema, version, key, base, headers } = provider;
        providers.push(name);
        text.push_str(&backend(name, &base));
        text.push_str(&service(name, schema, version.as_deref(), &base, &headers));
        text.push_str(&secret(name, key));
    }
    text.push_str(ROUTE);
    text.push_str(&rules);
    Ok(Made { manifest: text, providers })
}

fn openai(variable: Lookup<'_>) -> Result<Option<Provider>, String> {
    if set(variable, "OPENAI_API_KEY").is_none() {
        return Ok(None);
    }
    let mut headers = Vec::new();
    for (name, value) in [("OpenAI-Organization", "OPENAI_ORG_ID"), ("OpenAI-Project", "OPENAI_PROJECT_ID")] {
        if set(variable, value).is_some() {
            headers.push((name, value));
        }
    }
    let base = base(variable, "OPENAI_BASE_URL", "https://api.openai.com/v1")?;
    let key = ("APIKey", "apiKey", "OPENAI_API_KEY");
    Ok(Some(Provider { name: "openai", schema: "OpenAI", version: None, key, base, headers }))
}

fn azure(variable: Lookup<'_>) -> Result<Option<Provider>, String> {
    let names = ["AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "OPENAI_API_VERSION"];
    let missing: Vec<&str> = names.into_iter().filter(|name| set(variable, name).is_none()).collect();
    if set(variable, "AZURE_OPENAI_API_KEY").is_none() && set(variable, "AZURE_OPENAI_ENDPOINT").is_none() {
        return Ok(None);
    }
    if !missing.is_empty() {
        return Err(format!("Azure OpenAI needs {}; not set: {}", names.join(", "), missing.join(", ")));
    }
    let base = base(variable, "AZURE_OPENAI_ENDPOINT", "")?;
    let version = set(variable, "OPENAI_API_VERSION").map(|_| "${OPENAI_API_VERSION}".to_owned());
    let key = ("AzureAPIKey", "azureAPIKey", "AZURE_OPENAI_API_KEY");
    Ok(Some(Provider {
        name: "azure-openai",
        schema: "AzureOpenAI",
        version,
        key,
        base,
        headers: Vec::new(),
    }))
}

fn anthropic(variable: Lookup<'_>) -> Result<Option<Provider>, String> {
    if set(variable, "ANTHROPIC_API_KEY").is_none() {
        return Ok(None);
    }
    let mut base = base(variable, "ANTHROPIC_BASE_URL", "https://api.anthropic.com")?;
    base.prefix.push_str("/v1"); // Anthropic's base URLs end before the version.
    let key = ("AnthropicAPIKey", "anthropicAPIKey", "ANTHROPIC_API_KEY");
    Ok(Some(Provider {
        name: "anthropic",
        schema: "Anthropic",
        version: None,
        key,
        base,
        headers: Vec::new(),
    }))
}

fn set(variable: Lookup<'_>, name: &str) -> Option<String> {
    variable(name).filter(|value| !value.is_empty())
}

fn base(variable: Lookup<'_>, name: &str, default: &str) -> Result<Base, String> {
    let text = set(variable, name).unwrap_or_else(|| default.to_owned());
    let wrong = |why: &str| format!("{name}: expected an http:// or https:// URL, got `{text}` ({why})");
    let uri: Uri = text.parse().map_err(|error| wrong(&format!("{error}")))?;
    let https = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        Some(_) | None => return Err(wrong("no such scheme")),
    };
    let host = uri.host().ok_or_else(|| wrong("no host"))?.trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    let prefix = uri.path().trim_end_matches('/').to_owned();
    Ok(Base { https, host, port, prefix })
}

const GATEWAY: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: tollgate}
spec: {controllerName: tollgate.dev/gateway}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: tollgate}
spec:
  gatewayClassName: tollgate
  listeners: [{name: http, protocol: HTTP, port: 1975}]
";

const ROUTE: &str = "\
---
apiVersion: aigateway.envoyproxy.io/v1beta1
kind: AIGatewayRoute
metadata: {name: environment}
spec:
  parentRefs: [{name: tollgate}]
  rules:
";

fn exact(model: &str) -> String {
    format!("{{type: Exact, name: x-ai-eg-model, value: {model}}}")
}

fn matching(pattern: &str) -> String {
    format!("{{type: RegularExpression, name: x-ai-eg-model, value: \"{pattern}\"}}")
}

/// The first backend is asked first; the next ones when it fails. Long answers are normal: 10 minutes in all.
fn rule(header: &str, backends: &[&str]) -> String {
    let mut text =
        format!("  - matches: [{{headers: [{header}]}}]\n    timeouts: {{request: 10m}}\n    backendRefs:\n");
    for (priority, name) in backends.iter().enumerate() {
        writeln!(text, "    - {{name: {name}, priority: {priority}}}")
            .expect("writing to a string cannot fail");
    }
    text
}

fn backend(name: &str, base: &Base) -> String {
    let Base { https, host, port, prefix: _ } = base;
    let address = match host.parse::<std::net::IpAddr>() {
        Ok(_) => format!("ip: {{address: \"{host}\", port: {port}}}"),
        Err(_) => format!("fqdn: {{hostname: \"{host}\", port: {port}}}"),
    };
    let mut text = format!(
        "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: Backend\nmetadata: {{name: {name}}}\nspec:\n  endpoints: [{{{address}}}]\n"
    );
    if *https {
        write!(
            text,
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {{name: {name}}}\nspec:\n  targetRefs: [{{group: gateway.envoyproxy.io, kind: Backend, name: {name}}}]\n  validation: {{wellKnownCACertificates: System, hostname: \"{host}\"}}\n"
        )
        .expect("writing to a string cannot fail");
    }
    text
}

fn service(name: &str, schema: &str, version: Option<&str>, base: &Base, headers: &[(&str, &str)]) -> String {
    let mut text = format!(
        "---\napiVersion: aigateway.envoyproxy.io/v1beta1\nkind: AIServiceBackend\nmetadata: {{name: {name}}}\nspec:\n  backendRef: {{group: gateway.envoyproxy.io, kind: Backend, name: {name}}}\n  schema:\n    name: {schema}\n"
    );
    if let Some(version) = version {
        writeln!(text, "    version: \"{version}\"").expect("writing to a string cannot fail");
    } else {
        let prefix = if base.prefix.is_empty() { "/" } else { &base.prefix };
        writeln!(text, "    prefix: \"{prefix}\"").expect("writing to a string cannot fail");
    }
    if !headers.is_empty() {
        text.push_str("  headerMutation:\n    set:\n");
        for (name, variable) in headers {
            writeln!(text, "    - {{name: {name}, value: \"${{{variable}}}\"}}")
                .expect("writing to a string cannot fail");
        }
    }
    text
}

fn secret(name: &str, (kind, field, variable): (&str, &str, &str)) -> String {
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{apiKey: \"${{{variable}}}\"}}\n\
         ---\napiVersion: aigateway.envoyproxy.io/v1beta1\nkind: BackendSecurityPolicy\nmetadata: {{name: {name}}}\nspec:\n  targetRefs: [{{group: aigateway.envoyproxy.io, kind: AIServiceBackend, name: {name}}}]\n  type: {kind}\n  {field}: {{secretRef: {{name: {name}}}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables<'a> = &'a [(&'a str, &'a str)];

    fn made(variables: Variables<'_>) -> Result<Made, String> {
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        manifests(&lookup, SocketAddr::from(([127, 0, 0, 1], 9)))
    }

    #[test]
    fn manifests_compile_without_a_problem_and_name_the_right_addresses() {
        let openai = [
            ("OPENAI_API_KEY", "sk"),
            ("OPENAI_BASE_URL", "http://[::1]:8080/openai/v1/"),
            ("OPENAI_ORG_ID", "org"),
        ];
        let anthropic = [("ANTHROPIC_API_KEY", "sk"), ("ANTHROPIC_BASE_URL", "http://localhost:11434")];
        let azure = [
            ("AZURE_OPENAI_ENDPOINT", "https://acme.openai.azure.com/"),
            ("AZURE_OPENAI_API_KEY", "k"),
            ("OPENAI_API_VERSION", "2026-03-01"),
        ];
        let all = [openai.as_slice(), &anthropic, &azure].concat();
        #[rustfmt::skip]
        let cases: [(Variables, &[&str], &str, &str); 5] = [
            (&[],        &[],                                      "nobody",       "demo"),
            (&openai,    &["openai"],                              "gpt-5",        "openai"),
            (&anthropic, &["anthropic"],                           "gpt-5",        "anthropic"),
            (&azure,     &["azure-openai"],                        "my-deployment", "azure-openai"),
            (&all,       &["openai", "azure-openai", "anthropic"], "claude-x",     "anthropic"),
        ];
        for (variables, providers, model, backend) in cases {
            let made = made(variables).unwrap();
            assert_eq!(made.providers, providers);
            let lookup = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            let (loaded, problems) = tollgate_crds::parse("environment", &made.manifest, &lookup);
            assert_eq!(problems, [], "{}", made.manifest);
            let (snapshot, problems) = tollgate_crds::compile(&loaded);
            assert_eq!(problems, [], "{}", made.manifest);
            let find = |model: &str| snapshot.routes.find("localhost", None, model, &headers(model)).cloned();
            assert_eq!(find(DEMO_MODEL).unwrap().candidates[0].backend.name.name, "demo");
            let found = find(model).map(|rule| rule.candidates[0].backend.name.name.clone());
            assert_eq!(found.as_deref(), Some(backend).filter(|_| !variables.is_empty()), "{model}");
        }
    }

    fn headers(model: &str) -> http::HeaderMap {
        [(crate::request::accept::MODEL_HEADER, model.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn half_set_or_wrong_variables_are_told() {
        let cases: [(&[(&str, &str)], &str); 3] = [
            (&[("AZURE_OPENAI_API_KEY", "k")], "not set: AZURE_OPENAI_ENDPOINT, OPENAI_API_VERSION"),
            (
                &[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "localhost:80")],
                "OPENAI_BASE_URL: expected an http://",
            ),
            (
                &[("ANTHROPIC_API_KEY", "k"), ("ANTHROPIC_BASE_URL", "ftp://x")],
                "ANTHROPIC_BASE_URL: expected an http://",
            ),
        ];
        for (variables, expected) in cases {
            let reason = made(variables).unwrap_err();
            assert!(reason.contains(expected), "{reason}");
        }
    }
}
