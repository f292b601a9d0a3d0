//! The command line: arguments to settings to a running server.

mod check;
mod demo;
mod explain;
mod fingerprint;
mod purge;
mod reference;
mod running;
mod serve;
mod settings_file;
mod warm;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::admin::reload::{Complaint, with_causes};

/// A caching reverse proxy and CDN edge.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the edge in front of your origins.
    Serve(serve::Arguments),
    /// Runs the edge in front of a sample platform, to try it with nothing else installed.
    Demo(demo::Arguments),
    /// Tells every fault of a settings file, without serving.
    Check(check::Arguments),
    /// Says what becomes of a request and of its answer, and why.
    Explain(explain::Arguments),
    /// Takes back what a running edge has stored.
    Purge(purge::Arguments),
    /// Asks a running edge for URLs, so that they are stored before people come.
    Warm(warm::Arguments),
    /// Prints the manual of all settings.
    Reference(reference::Arguments),
}

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    env_logger::Builder::from_env(
        env_logger::Env::default().default_filter_or("warn,forebay=info,pingora_core=error"),
    )
    .init();
    let done = match arguments.command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Purge(arguments) => purge::run(arguments),
        Command::Warm(arguments) => warm::run(&arguments),
        Command::Reference(arguments) => {
            reference::run(&arguments);
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say_to(&mut io::stderr(), &format!("forebay: {}\n", with_causes(error.as_ref())));
            ExitCode::FAILURE
        }
    }
}

/// Whatever keeps a command from its work: it is told, with its causes, and the program ends.
type Refusal = Complaint;

/// Prints `text` for the person, or the program, that started this one.
fn say(text: &str) {
    say_to(&mut io::stdout(), text);
}

fn say_to(out: &mut impl io::Write, text: &str) {
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        log::debug!("nobody reads what is printed: {error}");
    }
}
