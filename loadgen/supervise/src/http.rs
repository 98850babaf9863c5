//! The HTTP client of everything but the load: it never goes through a proxy of the environment, which
//! would see the operator's token and be a part of what is measured. It knows no request.

use std::time::Duration;

use anyhow::Context;

/// A client that gives a request up after this time.
///
/// # Errors
/// If it cannot be made.
#[expect(clippy::disallowed_methods, reason = "the one place that may, because it forbids proxies")]
pub fn client(within: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().timeout(within).build()
}

/// Variables for the processes of a system, so that what they say to each other on this machine goes
/// through no proxy either; what the environment excepts stays excepted.
pub fn direct() -> [(&'static str, String); 2] {
    ["no_proxy", "NO_PROXY"].map(|name| {
        let before = std::env::var(name).ok().filter(|before| !before.is_empty());
        let before = before.map(|before| before + ",").unwrap_or_default();
        (name, format!("{before}localhost,127.0.0.1,::1"))
    })
}

/// host:port of a URL.
pub fn address(url: &str) -> anyhow::Result<String> {
    let url = reqwest::Url::parse(url).with_context(|| format!("{url:?} is not a URL"))?;
    let host = url.host_str().context("a URL without a host")?;
    let port = url.port_or_known_default().with_context(|| format!("{url} names no port"))?;
    Ok(format!("{host}:{port}"))
}
