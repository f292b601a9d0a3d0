//! `forebay explain`: says what becomes of a request and of its answer, and why.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use forebay_config::Settings;
use http::StatusCode;

use super::{Refusal, say, settings_file};
use crate::explain::{Question, Written, WrittenResponse, explain};
use crate::time;

/// What stands below the options in the help.
const EXAMPLES: &str = "\
Examples:
  forebay explain https://shop.example/style.css
  forebay explain https://shop.example/cart -H 'Cookie: sessionid=1'
  curl -sI https://origin.example/a.css | forebay explain https://shop.example/a.css --response -
  forebay explain https://shop.example/style.css --live

Nothing is sent to an origin. Without --live nothing is asked of an edge either: nothing is taken to \
be stored then. With --live the settings that the edge runs with count, not those of the file.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The URL that is asked for; a path alone is one of http://localhost.
    #[arg(value_name = "URL")]
    url: String,
    /// The settings file [default: what FOREBAY_CONFIG names, or forebay.toml].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The method.
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET")]
    method: String,
    /// A field of the request, as in 'Cookie: a=b'; may be given several times.
    ///
    /// Host goes before the host of the URL.
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    fields: Vec<String>,
    /// A file with the head of the origin's answer, as `curl -sI` prints it; - is standard input.
    #[arg(long, value_name = "FILE")]
    response: Option<PathBuf>,
    /// Prints JSON instead of text.
    #[arg(long)]
    json: bool,
    /// Asks the running edge, which looks at what it has stored.
    ///
    /// The token of its admin listener is that of the settings or, with --admin, of the variable
    /// FOREBAY_ADMIN_TOKEN.
    #[arg(long)]
    live: bool,
    /// Where the running edge is asked [default: the admin listener of the settings].
    #[arg(long, value_name = "URL", requires = "live")]
    admin: Option<String>,
}

/// What to do where there is no settings file.
const REMEDY: &str = "name a settings file with --config";
/// How long a running edge may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The variable whose value is the token of the admin listener.
const TOKEN_VARIABLE: &str = "FOREBAY_ADMIN_TOKEN";

pub(super) fn run(arguments: &Arguments) -> Result<(), Refusal> {
    let written = written(arguments)?;
    if arguments.live {
        say(&ask(arguments, &written)?);
        return Ok(());
    }
    let settings = settings(arguments)?;
    let explanation = explain(&settings, &Question::try_from(written)?, None, time::now());
    say(&if arguments.json {
        serde_json::to_string_pretty(&explanation)? + "\n"
    } else {
        explanation.to_string()
    });
    Ok(())
}

fn settings(arguments: &Arguments) -> Result<Settings, Refusal> {
    let path = settings_file::path(arguments.config.as_deref());
    Ok(settings_file::open(&path, REMEDY)?.parse()?.settings)
}

fn written(arguments: &Arguments) -> Result<Written, Refusal> {
    let mut fields = Vec::new();
    for field in &arguments.fields {
        let (name, value) = field
            .split_once(':')
            .ok_or_else(|| format!("-H takes 'Name: value', and {field:?} has no colon"))?;
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
    let response = arguments.response.as_deref().map(read_head).transpose()?;
    Ok(Written {
        method: arguments.method.clone(),
        url: arguments.url.clone(),
        fields,
        response: response.map(|head| WrittenResponse::parse(&head)).transpose()?,
    })
}

fn read_head(path: &Path) -> Result<String, Refusal> {
    if path == Path::new("-") {
        let mut head = String::new();
        std::io::stdin().read_to_string(&mut head)?;
        return Ok(head);
    }
    Ok(std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?)
}

/// What the running edge answers.
fn ask(arguments: &Arguments, written: &Written) -> Result<String, Refusal> {
    let (base, token) = match &arguments.admin {
        Some(url) if url.contains("://") => (url.trim_end_matches('/').to_owned(), None),
        Some(address) => (format!("http://{}", address.trim_end_matches('/')), None),
        None => {
            let admin = settings(arguments)?.admin;
            (
                format!("http://{}", admin.address),
                admin.token.map(|token| token.reveal().to_owned()),
            )
        }
    };
    let token = token.or_else(|| settings_file::variable(TOKEN_VARIABLE));
    let url = format!("{base}/explain");
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .build()
        .into();
    let accept = if arguments.json { "application/json" } else { "text/plain" };
    let mut request =
        agent.post(&url).header("Accept", accept).header("Content-Type", "application/json");
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let mut answer = request
        .send(serde_json::to_string(written)?)
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
