//! Tells settings from others by a hash of all that they are made of.

use std::collections::BTreeSet;

use forebay_config::TOKEN_VARIABLE;
use ring::digest::{Context, SHA256};

/// A hash of `texts`, in their order, and of the variables that they name: 16 digits, the same for
/// the same in every process.
///
/// It is cut from SHA-256, so that it gives no secret away that is in the texts.
pub(super) fn fingerprint<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> String {
    let mut context = Context::new(&SHA256);
    // With the length before it, no text can pass for two.
    let mut add = |text: &str| {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    };
    // This one counts though no text names it.
    let mut names = BTreeSet::from([TOKEN_VARIABLE]);
    for text in texts {
        add(text);
        names.extend(named(text));
    }
    for name in names {
        add(name);
        match variable(name) {
            Some(value) => add(&format!("={value}")),
            None => add(""),
        }
    }
    let digest = context.finish();
    digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The names in `${}` in `text`.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let behind = text.split("${").skip(1);
    behind.filter_map(|behind| behind.split_once('}').map(|(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str], variables: &[(&str, &str)]) -> String {
        let value = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        fingerprint(texts.iter().copied(), &value)
    }

    #[test]
    fn is_the_same_for_the_same_text_for_ever() {
        assert_eq!(of(&["version = 1\n"], &[]), "4f86981b9d2107c4");
    }

    #[test]
    fn differs_with_text_order_and_number() {
        let all = [of(&["a", "b"], &[]), of(&["b", "a"], &[]), of(&["ab"], &[]), of(&["a"], &[])];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
    }

    #[test]
    fn differs_with_the_variables_that_the_text_names() {
        let text = "a = '${A}'";
        assert_ne!(of(&[text], &[]), of(&[text], &[("A", "")]));
        assert_ne!(of(&[text], &[("A", "1")]), of(&[text], &[("A", "2")]));
        assert_ne!(of(&[""], &[]), of(&[""], &[(TOKEN_VARIABLE, "secret")]));
        assert_eq!(of(&[text], &[("A", "1")]), of(&[text], &[("A", "1"), ("B", "2")]));
    }

    #[test]
    fn finds_the_names_of_variables() {
        assert_eq!(named("${A} $B ${C}${").collect::<Vec<_>>(), ["A", "C"]);
        assert_eq!(named("}${${A}").collect::<Vec<_>>(), ["A"]);
    }
}
