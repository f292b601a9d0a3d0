//! Any target is normalised or refused, and is the same once normalised again.
#![no_main]

use forebay::key::{Key, Target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, &str)| {
    let (authority, path, reference) = input;
    let base = Target::parse("https", "a.example", "/b/c?d").expect("it is well-formed");
    let parsed = Target::parse("http", authority, path);
    for target in parsed.into_iter().chain(base.join(reference)) {
        let scheme = target.scheme().as_str();
        let again = Target::parse(scheme, target.authority(), target.path_and_query());
        assert_eq!(again.as_ref(), Ok(&target));
        assert_eq!(base.join(&target.to_string()).as_ref(), Some(&target));
        assert!(target.path().starts_with('/'));
        assert!(!target.path().split('/').any(|segment| segment == "." || segment == ".."));
        assert!(!target.to_string().bytes().any(|byte| byte.is_ascii_control() || byte == b' '));
        assert!(http::uri::PathAndQuery::try_from(target.path()).is_ok());
        // However loosely it is read, it stays a path, and reads the same the second time.
        if let Some(loose) = target.loose_path()
            && let Ok(again) = Target::parse(scheme, target.authority(), &loose)
        {
            assert!(loose.starts_with('/') || loose.is_empty());
            assert!(!again.path().contains("//"));
        }
        let key = Key::of(&target);
        assert_eq!(Key::from_bytes(key.as_bytes().clone()), Some(key));
    }
});
