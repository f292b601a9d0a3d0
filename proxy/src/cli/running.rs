//! Asks a running edge on its admin listener.

use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use serde::Serialize;

use super::{Refusal, settings_file};

/// What to do where there is no settings file.
pub(super) const REMEDY: &str = "name a settings file with --config";
/// How long a running edge may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The variable whose value is the token of the admin listener.
const TOKEN_VARIABLE: &str = "FOREBAY_ADMIN_TOKEN";

/// A running edge.
pub(super) struct Running {
    base: String,
    token: Option<String>,
}

impl Running {
    /// The one whose admin listener is at `admin`, or else where the settings file `config` says.
    ///
    /// # Errors
    ///
    /// If there is no settings file, or a fault in it.
    pub(super) fn of(admin: Option<&str>, config: Option<&Path>) -> Result<Self, Refusal> {
        let (base, token) = match admin {
            Some(url) if url.contains("://") => (url.trim_end_matches('/').to_owned(), None),
            Some(address) => (format!("http://{}", address.trim_end_matches('/')), None),
            None => {
                let path = settings_file::path(config);
                let admin = settings_file::open(&path, REMEDY)?.parse()?.settings.admin;
                let token = admin.token.map(|token| token.reveal().to_owned());
                (format!("http://{}", admin.address), token)
            }
        };
        let token = token.or_else(|| settings_file::variable(TOKEN_VARIABLE));
        Ok(Self { base, token })
    }

    /// What it answers at `path` to `question`, in the media type `accept`.
    ///
    /// # Errors
    ///
    /// If it does not answer, or refuses.
    pub(super) fn post(
        &self,
        path: &str,
        accept: &str,
        question: &impl Serialize,
    ) -> Result<String, Refusal> {
        let url = format!("{}{path}", self.base);
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            // What a variable of the environment names need not reach this machine.
            .proxy(None)
            .build()
            .into();
        let mut request =
            agent.post(&url).header("Accept", accept).header("Content-Type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut answer = request
            .send(serde_json::to_string(question)?)
            .map_err(|error| format!("cannot ask {url}: {error}; is the edge running?"))?;
        let text = answer.body_mut().read_to_string()?;
        let status = answer.status();
        if status.is_success() {
            return Ok(text);
        }
        let remedy = match status {
            StatusCode::UNAUTHORIZED => format!("; {TOKEN_VARIABLE} has to hold it"),
            StatusCode::NOT_FOUND => "; that is no admin listener of this version".to_owned(),
            _ => String::new(),
        };
        Err(format!("{url} answered {status}: {}{remedy}", text.trim_end()).into())
    }
}
