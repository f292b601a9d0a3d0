//! `forebay explain`: says what becomes of a request and of its answer, and why.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::running::{REMEDY, Running};
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

pub(super) fn run(arguments: &Arguments) -> Result<(), Refusal> {
    let written = written(arguments)?;
    if arguments.live {
        let accept = if arguments.json { "application/json" } else { "text/plain" };
        let edge = Running::of(arguments.admin.as_deref(), arguments.config.as_deref())?;
        say(&edge.post("/explain", accept, &written)?);
        return Ok(());
    }
    let path = settings_file::path(arguments.config.as_deref());
    let settings = settings_file::open(&path, REMEDY)?.parse()?.settings;
    let explanation = explain(&settings, &Question::try_from(written)?, None, time::now());
    say(&if arguments.json {
        serde_json::to_string_pretty(&explanation)? + "\n"
    } else {
        explanation.to_string()
    });
    Ok(())
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
