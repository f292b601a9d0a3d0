//! Keeps the manual and the schema fresh, and shows what the schema accepts and refuses.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use forebay_config::reference::{EXAMPLES, manual, schema};
use forebay_config::{Field, declared, parse};
use jsonschema::Validator;
use serde_json::Value;

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Fails if the file `name` does not hold `fresh`; writes it instead if `UPDATE=1` is set.
#[track_caller]
fn check_fresh(name: &str, fresh: &str) {
    let file: PathBuf = folder().join(name);
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        fs::write(&file, fresh).expect("the file can be written");
        return;
    }
    let committed = fs::read_to_string(&file).unwrap_or_else(|error| error.to_string());
    assert!(committed == fresh, "config/{name} is not fresh: write it anew with `make docs`");
}

#[test]
fn the_manual_is_fresh() {
    check_fresh("REFERENCE.md", &manual());
}

#[test]
fn the_schema_is_fresh() {
    check_fresh("schema.json", &schema());
}

#[test]
fn the_manual_has_every_option() {
    fn check(manual: &str, fields: &[Field], path: &str) {
        for field in fields {
            let path = format!("{path}{}", field.name);
            let (plain, list) = (format!("\n## `[{path}]`\n"), format!("\n## `[[{path}]]`\n"));
            let (named, option) = (format!("\n## `[{path}.NAME]`\n"), format!("\n### `{path}`\n"));
            let headings = [plain, list, named, option];
            let found: Vec<_> =
                headings.iter().filter(|heading| manual.contains(*heading)).collect();
            assert_eq!(found.len(), 1, "{path}: {found:?}");
            let name = if manual.contains(&headings[2]) { ".NAME." } else { "." };
            check(manual, field.fields(), &format!("{path}{name}"));
        }
    }
    check(&manual(), declared(), "");
}

#[test]
fn the_manual_shows_every_example() {
    let entries = fs::read_dir(folder().join("examples")).expect("there are examples");
    let names: BTreeSet<_> =
        entries.map(|entry| entry.expect("it is listed").file_name()).collect();
    assert_eq!(names, EXAMPLES.iter().map(|(name, _)| (*name).into()).collect());
    let manual = manual();
    for (name, text) in EXAMPLES {
        assert!(manual.contains(&format!("### {name}\n\n```toml\n{text}```")), "{name}");
    }
}

fn validator() -> Validator {
    let schema: Value = serde_json::from_str(&schema()).expect("the schema is JSON");
    jsonschema::draft202012::meta::validate(&schema).expect("the schema is one of draft 2020-12");
    jsonschema::draft202012::new(&schema).expect("the schema can be used")
}

fn json(toml: &str) -> Value {
    toml::from_str(toml).expect("it is TOML")
}

#[test]
fn the_schema_accepts_every_example() {
    let validator = validator();
    for (name, text) in EXAMPLES {
        let errors: Vec<_> =
            validator.iter_errors(&json(text)).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

#[test]
fn the_schema_accepts_a_variable_wherever_a_string_may_stand() {
    let part = r#"
[server]
grace = "${GRACE}"
[cache]
memory = "${SIZE}GiB"
[policies.a]
strategy = "${STRATEGY}"
bypass_if = { cookies = ["${COOKIE}"] }
"#;
    let (_, minimal) = EXAMPLES[0];
    assert!(validator().is_valid(&json(&format!("{minimal}{part}"))));
}

/// Checks that both the schema and the reader refuse the smallest example with `part` added.
#[track_caller]
fn check_refused(part: &str) {
    let (_, minimal) = EXAMPLES[0];
    check_whole_refused(&format!("{minimal}\n{part}\n"));
}

#[track_caller]
fn check_whole_refused(text: &str) {
    let read = parse("f", text, Path::new(""), &|_| None);
    assert!(read.is_err(), "it has no fault: {text}");
    assert!(!validator().is_valid(&json(text)), "the schema accepts: {text}");
}

#[test]
fn the_schema_lets_included_files_have_what_is_required() {
    let including = json("version = 1\ninclude = [\"conf.d/*.toml\"]");
    assert!(validator().is_valid(&including));
    assert!(!validator().is_valid(&json("version = 1")));
    check_refused("[policies.a]\nlint_allow = [\"8\"]\nlint_reason = \"why\"");
}

#[test]
fn the_schema_refuses_unknown_keys() {
    check_refused("[policies.news]\ntll = \"5m\"");
    check_refused("[policy.news]\nttl = \"5m\"");
    check_refused("[cache]\ntape = { path = \"/dev/st0\" }");
    check_refused("[cache]\ndisk = { path = \"/var/cache/forebay\", sizes = \"20GiB\" }");
    check_refused("[policies.api]\nkey = { header = [\"Accept-Language\"] }");
    check_refused("[origins.b]\nservers = [\"http://a\"]\ntimeouts = { first_bite = \"5s\" }");
}

#[test]
fn the_schema_refuses_values_of_another_type() {
    check_refused("[policies.b]\nttl = 30");
    check_refused("[policies.a]\nheuristic = \"no\"");
    check_refused("[policies.b]\nttl_by_status = \"10s\"");
    check_refused("[policies.a]\nbypass_if = { headers = \"Cookie\" }");
    check_refused("[admin]\ntoken = 12345678");
    check_refused("[origins.b]\nservers = \"http://127.0.0.1:8000\"");
    check_refused("[server]\nthreads = 1.5");
    check_refused(
        "[[routes]]\nname = \"b\"\nmatch = { path = 1 }\norigin = \"api\"\npolicy = \"api\"",
    );
}

#[test]
fn the_schema_refuses_values_out_of_bounds() {
    check_refused("[server]\nthreads = 0");
    check_refused("[server]\nthreads = 100_000");
    check_refused("[cache]\ndisk = { path = \"d\", entries = 0 }");
    check_refused("[cache]\ndisk = { path = \"d\", entries = 100_000_001 }");
    check_refused("[origins.b]\nservers = []");
    check_refused(
        "[[routes]]\nname = \"b\"\nmatch = { path = [] }\norigin = \"api\"\npolicy = \"api\"",
    );
    check_refused("[policies.a]\nttl_by_status = { 600 = \"1m\" }");
    check_refused("[policies.\"no spaces\"]\nttl = \"1m\"");
}

#[test]
fn the_schema_refuses_strings_of_another_form() {
    check_refused("[policies.a]\nttl = \"30\"");
    check_refused("[policies.a]\nstale_while_revalidate = \"30m1h\"");
    check_refused("[server]\ngrace = \"\"");
    check_refused("[cache]\nmemory = \"64mb\"");
    check_refused("[cache]\nredis = { url = \"http://127.0.0.1\" }");
    check_refused("[cache]\nredis = { url = \"redis://h\", prefix = \"a{b}\" }");
    check_refused("[policies.a]\nstrategy = \"cache-frist\"");
    check_refused("[policies.a]\nimmutable = [\"x/*.js\"]");
    check_refused("[origins.b]\nservers = [\"127.0.0.1:8000\"]");
    check_refused("[listeners.b]\naddress = \"127.0.0.1\"");
}

#[test]
fn the_schema_knows_what_a_route_may_want() {
    let route = |matched: &str| {
        format!("[[routes]]\nname = \"b\"\norigin = \"api\"\npolicy = \"api\"\nmatch = {matched}")
    };
    let (_, minimal) = EXAMPLES[0];
    for matched in [
        "{}",
        "{ method = \"GET\", extension = [\"css\"] }",
        "{ header = { X-A = true, X-B = \"${B}\" }, query = { \"a b\" = \"*\" }, cookie = { a = false } }",
    ] {
        assert!(
            validator().is_valid(&json(&format!("{minimal}\n{}", route(matched)))),
            "{matched}"
        );
    }
    check_refused(&route("{ method = \"get\" }"));
    check_refused(&route("{ extension = \".css\" }"));
    check_refused(&route("{ header = { \"X A\" = true } }"));
    check_refused(&route("{ query = { a = 1 } }"));
    check_refused(&route("{ cookie = { a = \"\" } }"));
    let names: String = (0..17).map(|index| format!("a{index} = true, ")).collect();
    check_refused(&route(&format!("{{ cookie = {{ {names} }} }}")));
}

#[test]
fn the_schema_refuses_a_file_that_lacks_what_is_required() {
    check_whole_refused("");
    check_refused("[listeners.e]\ntls = { cert = \"tls.crt\", key = \"tls.key\" }");
    check_refused("[cache]\ndisk = { size = \"20GiB\" }");
    check_refused("[listeners.e]\naddress = \"127.0.0.1:1\"\ntls = { cert = \"tls.crt\" }");
    check_refused("[[routes]]");
    check_refused("[[routes]]\nname = \"b\"\norigin = \"api\"\npolicy = \"api\"");
    check_whole_refused("version = 1\nroutes = []\n[listeners]\n[origins]\n");
}
