//! A snapshot as text, for golden tests and for people who ask what their manifests came to. Shows no secrets.

use std::fmt::{self, Display, Write};
use std::time::Duration;

use super::cost::Measure;
use super::{
    Aws, AwsSource, AzureApp, Backend, Candidate, Cost, Google, HeaderEdits, Listener, Roots, Rule,
    ServiceAccount, Snapshot, UpstreamTls,
};

impl Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for listener in &self.listeners {
            write_listener(f, listener)?;
        }
        for backend in &self.backends {
            write_backend(f, backend)?;
        }
        for rule in self.routes.rules() {
            write_rule(f, rule)?;
        }
        for (host, lines) in self.routes.patterns() {
            for line in lines {
                writeln!(f, "{host}: {line}")?;
            }
        }
        self.quota.fmt(f)
    }
}

fn write_listener(f: &mut fmt::Formatter<'_>, listener: &Listener) -> fmt::Result {
    let Listener { gateway, name, port, protocol, hostname, certificates, forward_proxy, body_bytes } =
        listener;
    write!(f, "listener {gateway} {name}: {protocol} on {port}")?;
    if let Some(host) = hostname {
        write!(f, " for {host}")?;
    }
    if !certificates.is_empty() {
        write!(f, ", {} certificate(s)", certificates.len())?;
    }
    if let Some(proxy) = forward_proxy {
        write!(f, ", by way of {proxy}")?;
    }
    if let Some(bytes) = body_bytes {
        write!(f, ", bodies of at most {bytes} bytes")?;
    }
    writeln!(f)
}

fn write_backend(f: &mut fmt::Formatter<'_>, backend: &Backend) -> fmt::Result {
    let Backend { name, schema, version, prefix, endpoints, tls, h2, .. } = backend;
    write!(f, "backend {name}: {schema:?}")?;
    if let Some(version) = version {
        write!(f, " version {version}")?;
    }
    if let Some(prefix) = prefix {
        write!(f, " prefix {prefix}")?;
    }
    f.write_str(" at")?;
    for endpoint in endpoints {
        write!(f, " {endpoint}")?;
    }
    if *h2 {
        f.write_str(", h2")?;
    }
    if let Some(tls) = tls {
        write_tls(f, tls)?;
    }
    if let Some(credential) = &backend.credential {
        write!(f, ", credential {:?} {}", credential.kind, credential.key)?;
    }
    if let Some(Google { project, region, account }) = &backend.google {
        write!(f, ", in {project} at {region}")?;
        match account {
            Some(ServiceAccount { client_email, private_key_id, private_key, token_uri }) => {
                let key_id = private_key_id.as_deref().unwrap_or("unnamed");
                write!(f, " as {client_email} by key {key_id} {private_key} of {token_uri}")?;
            }
            None => f.write_str(" by what the node finds")?,
        }
    }
    if let Some(AzureApp { tenant, client_id, client_secret }) = &backend.azure {
        write!(f, ", as {client_id} of {tenant} by {client_secret}")?;
    }
    if let Some(Aws { region, source }) = &backend.aws {
        write!(f, ", signed for {region}")?;
        match source {
            AwsSource::Keys(keys) => {
                let token = if keys.session_token.is_some() { " and its session" } else { "" };
                write!(f, " by {} {}{token}", keys.access_key_id, keys.secret_access_key)?;
            }
            AwsSource::Surroundings => f.write_str(" by what the node finds")?,
        }
    }
    if let Some(own) = &backend.credential_override {
        let missing = if own.fall_back { "or the configured one" } else { "or none" };
        write!(f, ", caller's credential from {} {missing}", own.header)?;
    }
    if let Some(proxy) = &backend.forward_proxy {
        write!(f, ", by way of {proxy}")?;
    }
    writeln!(f)
}

fn write_tls(f: &mut fmt::Formatter<'_>, tls: &UpstreamTls) -> fmt::Result {
    let UpstreamTls { server_name, roots, alt_names, skip_verify } = tls;
    write!(f, ", TLS as {}", server_name.as_deref().unwrap_or("the endpoint's name"))?;
    match roots {
        Roots::System => f.write_str(" by the system's roots")?,
        Roots::Pem(pem) => {
            write!(f, " by own roots ({} certificates)", pem.matches("BEGIN CERTIFICATE").count())?;
        }
    }
    if !alt_names.is_empty() {
        write!(f, " alt names {alt_names:?}")?;
    }
    if *skip_verify {
        f.write_str(" UNVERIFIED")?;
    }
    Ok(())
}

fn write_rule(f: &mut fmt::Formatter<'_>, rule: &Rule) -> fmt::Result {
    write!(f, "rule {}: {}", rule.index, rule.route)?;
    if let Some(name) = &rule.name {
        write!(f, " {name}")?;
    }
    let bounds = [
        ("request", rule.request_timeout),
        ("attempt", rule.attempt_timeout),
        ("idle", rule.stream_idle_timeout),
    ];
    for (name, bound) in bounds {
        write!(f, ", {name} {}", shown(bound))?;
    }
    writeln!(f)?;
    if let Some(access) = &rule.access {
        writeln!(f, "  callers prove {access}")?;
    }
    for candidate in &rule.candidates {
        write_candidate(f, candidate)?;
    }
    for cost in &rule.costs {
        writeln!(f, "  cost {cost}")?;
    }
    Ok(())
}

fn shown(bound: Option<Duration>) -> String {
    bound.map_or_else(|| "none".to_owned(), |bound| format!("{bound:?}"))
}

fn write_candidate(f: &mut fmt::Formatter<'_>, candidate: &Candidate) -> fmt::Result {
    let Candidate { backend, model_override, weight, priority, headers, body } = candidate;
    write!(f, "  priority {priority} weight {weight}: {}", backend.name)?;
    if let Some(model) = model_override {
        write!(f, " as {model}")?;
    }
    let HeaderEdits { set, remove } = headers;
    for (name, value) in set {
        write!(f, ", set {name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
    }
    for name in remove {
        write!(f, ", remove {name}")?;
    }
    if !body.is_empty() {
        write!(f, ", {body:?}")?;
    }
    f.write_char('\n')
}

impl Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.measure {
            Measure::Input => "InputToken",
            Measure::Output => "OutputToken",
            Measure::Total => "TotalToken",
            Measure::CachedInput => "CachedInputToken",
            Measure::CacheCreationInput => "CacheCreationInputToken",
            Measure::Reasoning => "ReasoningToken",
            Measure::Cel(expression) => &format!("CEL {}", expression.text),
        };
        write!(f, "{} = {name}", self.metadata_key)
    }
}
