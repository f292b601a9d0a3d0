//! `forebay demo`: the edge, a sample platform behind it, and what to try.

use std::net::SocketAddr;
use std::path::Path;

use clap::Args;

use super::fingerprint::fingerprint;
use super::{Refusal, say};
use crate::demo::Demo;
use crate::edge::Loaded;
use crate::server::{self, Addresses, Plan};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where browsers connect to.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the sample platform listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    origin_listen: SocketAddr,
    /// Where the admin listener is.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9900")]
    admin_listen: SocketAddr,
}

/// The settings of the demo, which are an example as well.
const SETTINGS: &str = include_str!("../../../config/examples/demo.toml");

pub(super) fn run(arguments: &Arguments) -> Result<(), Refusal> {
    let origin = server::bind("origin", arguments.origin_listen)?;
    let origin_address = origin.address();
    let variable = |name: &str| match name {
        "LISTEN" => Some(arguments.listen.to_string()),
        "ORIGIN" => Some(origin_address.to_string()),
        "ADMIN_LISTEN" => Some(arguments.admin_listen.to_string()),
        _ => None,
    };
    let settings = forebay_config::parse("demo.toml", SETTINGS, Path::new(""), &variable)?;
    let loaded = Loaded { settings, hash: fingerprint([SETTINGS], &variable) };
    let plan = Plan { loaded, reader: None, demo: Some(origin), upgrade: false };
    server::run(plan, &|addresses| say(&welcome(origin_address, addresses)))?;
    Ok(())
}

fn welcome(origin: SocketAddr, addresses: &Addresses) -> String {
    let edge = addresses.edge().map_or_else(String::new, ToString::to_string);
    let mut text = format!(
        "A sample manufacturing platform is at http://{origin},\n\
         and Forebay in front of it. Open\n\n    {edge}/\n\nin a browser, or try\n\n"
    );
    for (command, shows) in Demo::try_these(&edge) {
        text.push_str(&format!("    # {shows}\n    {command}\n\n"));
    }
    text.push_str("Stop it with Ctrl-C.\n\n");
    text.push_str(&addresses.to_string());
    text
}
