//! Where another service is.

use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

/// The address of a service, `http://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base(Authority);

/// An address that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected http://HOST:PORT, found {0:?}")]
pub struct BaseError(String);

impl Base {
    pub(crate) fn at(&self, path: &'static str) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.0.clone());
        parts.path_and_query = Some(PathAndQuery::from_static(path));
        // Scheme, authority and path together always make a URI.
        Uri::from_parts(parts).unwrap_or_default()
    }

    /// Whether this leads to the same server.
    pub(crate) fn holds(&self, uri: &Uri) -> bool {
        uri.scheme() == Some(&Scheme::HTTP) && uri.authority() == Some(&self.0)
    }
}

impl FromStr for Base {
    type Err = BaseError;

    fn from_str(text: &str) -> Result<Self, BaseError> {
        let error = || BaseError(text.to_owned());
        let uri = text.parse::<Uri>().map_err(|_| error())?;
        let plain =
            uri.scheme() == Some(&Scheme::HTTP) && uri.path() == "/" && uri.query().is_none();
        let authority = uri.authority().filter(|a| plain && a.port_u16().is_some());
        authority.cloned().map(Self).ok_or_else(error)
    }
}

impl std::fmt::Display for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_a_host_and_a_port_and_no_more() {
        let base: Base = "http://127.0.0.1:80".parse().unwrap();
        assert_eq!(base.at("/charges").to_string(), "http://127.0.0.1:80/charges");
        assert_eq!("http://a:1/".parse::<Base>().unwrap().to_string(), "http://a:1");
        for wrong in ["127.0.0.1:80", "https://a:1", "http://a", "http://a:1/b", "http://a:1?b", ""]
        {
            assert_eq!(wrong.parse::<Base>(), Err(BaseError(wrong.to_owned())));
        }
    }

    #[test]
    fn a_url_is_of_a_server_only_with_all_of_its_address() {
        let base: Base = "http://c:80".parse().unwrap();
        let holds = |url: &str| url.parse::<Uri>().is_ok_and(|uri| base.holds(&uri));
        assert!(holds("http://c:80/hooks/1?a=b") && holds("http://c:80"));
        for elsewhere in [
            "http://c:81/",
            "http://c/",
            "https://c:80/",
            "http://u@c:80/",
            "http://c:80.evil/",
            "/c",
        ] {
            assert!(!holds(elsewhere), "{elsewhere}");
        }
    }
}
