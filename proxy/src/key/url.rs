//! URLs as people write them.

/// The parts of a URL as people write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// The scheme; `http` if none is written.
    pub scheme: String,
    /// Host and port; `localhost` if none is written.
    pub authority: String,
    /// Path and query, from the first slash.
    pub path: String,
}

impl Url {
    /// Splits `url`, which may be a path alone. The fragment is left out: no client sends it.
    #[must_use]
    pub fn split(url: &str) -> Self {
        let url = url.split('#').next().unwrap_or(url);
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) if !scheme.contains(['/', '?']) => (scheme, rest),
            Some(_) | None => ("http", url),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = if url.starts_with('/') { "localhost" } else { authority };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Self { scheme: scheme.to_owned(), authority: authority.to_owned(), path }
    }
}
