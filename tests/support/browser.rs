//! Chromium without a window: it loads a page, and hands over what the page found out.

use std::io::ErrorKind;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::Mutex;

use super::{Answer, Origin};

/// How long a page may take, from the start of Chromium to its end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Several at once take so much of a small machine that all of them are late.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// What keeps it from asking anybody but the page, and from needing a screen.
const ARGUMENTS: [&str; 11] = [
    "--headless",
    // It only loads pages of these tests, and the sandbox cannot be had as root or in a container.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--dump-dom",
];

/// A Chromium with a cache and settings of its own, which it keeps from one page to the next.
pub(crate) struct Browser {
    folder: TempDir,
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder for the browser") }
    }

    /// Has `origin` answer `path` with a page that runs `script`, the body of an async function.
    ///
    /// What the function returns, or the error that it throws, is what [`Self::visit`] gives.
    pub(crate) fn write_page(origin: &Origin, path: &str, script: &str) {
        let answer = Answer::cached(&page(&origin.url(), script), "no-store");
        origin.answers(path, answer.field("Content-Type", "text/html; charset=utf-8"));
        origin.answers(HELD, Answer::silent());
    }

    /// Loads a page of [`Self::write_page`] and gives what its script returned.
    pub(crate) async fn visit(&self, url: &str) -> Value {
        self.visit_with(url, &[]).await
    }

    /// The same with further arguments for Chromium.
    pub(crate) async fn visit_with(&self, url: &str, arguments: &[&str]) -> Value {
        let output = self.run(url, arguments).await;
        let document = String::from_utf8_lossy(&output.stdout);
        let told = document
            .split_once("<pre id=\"verdict\">")
            .and_then(|(_, rest)| rest.split_once("</pre>"))
            .map(|(told, _)| told.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"));
        let log = || String::from_utf8_lossy(&output.stderr).into_owned();
        let told = told.unwrap_or_else(|| panic!("{url} said nothing: {document}\n{}", log()));
        let told: Value = serde_json::from_str(&told)
            .unwrap_or_else(|error| panic!("{error}: {url} said {told:?}\n{}", log()));
        assert_eq!(told.get("error"), None, "the script of {url} ends with an error");
        told
    }

    async fn run(&self, url: &str, arguments: &[&str]) -> Output {
        let program = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
        let mut command = Command::new(&program);
        command
            .args(ARGUMENTS)
            .arg(format!("--user-data-dir={}", self.folder.path().display()))
            .args(arguments)
            .arg(url)
            .stdin(Stdio::null())
            // The end of the deadline drops it.
            .kill_on_drop(true);
        let _alone = ONE_AT_A_TIME.lock().await;
        match tokio::time::timeout(PATIENCE, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) if error.kind() == ErrorKind::NotFound => panic!(
                "this test needs Chromium, and there is no {program}: apt-get install chromium, \
                 or say in the variable CHROMIUM where it is"
            ),
            Ok(Err(error)) => panic!("{program} does not run: {error}"),
            Err(_) => panic!("Chromium did not load {url} within {PATIENCE:?}"),
        }
    }
}

/// What the origin never answers, so that the page is not loaded before its script is done.
const HELD: &str = "/held-until-the-script-is-done";

/// A page that runs `script` and shows what it returns. Chromium hands over the document once it
/// is loaded, and waits for the picture until then; it comes from the origin itself, which the edge
/// would give up.
fn page(origin: &str, script: &str) -> String {
    format!(
        r#"<!doctype html>
<meta charset="utf-8"><title>A test</title><link rel="icon" href="data:,">
<img id="held" src="{origin}{HELD}" alt=""><pre id="verdict"></pre>
<script>
const run = async () => {{
{script}
}};
run().catch((error) => ({{ error: `${{error}} ${{error.stack}}` }})).then((told) => {{
  document.getElementById("verdict").textContent = JSON.stringify(told);
  document.getElementById("held").removeAttribute("src");
}});
</script>
"#
    )
}
