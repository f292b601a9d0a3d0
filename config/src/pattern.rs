//! Matches paths against the patterns of a settings file, in time linear in their length.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use crate::text::Unread;

/// The largest count in a repeat such as `{8,}`.
const MOST_REPEATS: u32 = 256;

/// The most memory that one compiled pattern may take, in bytes.
const PATTERN_LIMIT: usize = 1 << 20;

/// The memory from which on one compiled pattern counts as large, in bytes.
const LARGE: usize = 32 << 10;

/// The most memory that all patterns compiled together may take, in bytes.
const SET_LIMIT: usize = 64 << 20;

/// The most memory that one pattern may take for what it has learnt of paths, in bytes and for each
/// thread; past it, matching begins to learn anew.
const LEARNT_LIMIT: usize = 64 << 10;

/// One path pattern; matching is case-sensitive.
#[derive(Debug, Clone)]
pub struct PathPattern {
    written: String,
    /// The regular expression of the whole.
    regex: String,
    form: Form,
}

/// How a path is held against a pattern, from cheap to dear.
#[derive(Debug, Clone)]
enum Form {
    /// Every path matches.
    Every,
    /// This path alone does.
    Exactly(String),
    /// This path does, and what is below it.
    Below(String),
    /// A path that begins and ends so does, if the expression says so too.
    Like { start: String, end: String, regex: Regex },
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// `**` stands for any number of whole segments, `*` for any characters but `/`, `?` for one
    /// of them, `[0-9a-f]` and `[!x]` for one character of a class, `{8}`, `{8,}` and `{8,16}`
    /// behind a class for its repeats, `{a,b}` for one of several. `/x/**` matches `/x` too, so
    /// that a rule for what is below a path never misses the path itself.
    pub(crate) fn read(text: &str) -> Result<Self, Unread> {
        let Translation { regex, start, end, wildcards, is_below } = translate(text)?;
        let form = match wildcards {
            _ if text == "**" => Form::Every,
            0 => Form::Exactly(start),
            1 if is_below => Form::Below(start),
            _ => Form::Like { start, end, regex: compiled(&regex)? },
        };
        Ok(Self { written: text.to_owned(), regex, form })
    }

    /// Whether it takes much memory when it is compiled.
    pub(crate) fn is_large(&self) -> bool {
        // What is long in a pattern but short as written is a repeat.
        let has_repeat = self.written.contains("]{");
        let mut builder = RegexBuilder::new(&self.regex);
        let built = builder.unicode(false).dot_matches_new_line(true).size_limit(LARGE).build();
        has_repeat && built.is_err()
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Whether it matches the whole of `path`, which must be normalised.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        match &self.form {
            Form::Every => true,
            Form::Exactly(text) => path == text,
            Form::Below(folder) => is_below(path, folder),
            Form::Like { start, end, regex } => {
                path.starts_with(start) && path.ends_with(end) && regex.is_match(path.as_bytes())
            }
        }
    }

    /// The text with which every path that matches begins.
    pub(crate) fn start(&self) -> &str {
        match &self.form {
            Form::Every => "",
            Form::Exactly(start) | Form::Below(start) | Form::Like { start, .. } => start,
        }
    }

    /// The text with which every path that matches ends.
    pub(crate) fn end(&self) -> &str {
        match &self.form {
            Form::Every | Form::Below(_) => "",
            Form::Exactly(end) | Form::Like { end, .. } => end,
        }
    }

    /// Whether it matches one path alone.
    pub(crate) const fn is_exact(&self) -> bool {
        matches!(self.form, Form::Exactly(_))
    }

    /// Whether it matches a path and all that is below it.
    pub(crate) const fn has_all_below(&self) -> bool {
        matches!(self.form, Form::Below(_))
    }

    /// Whether it needs an expression.
    pub(crate) const fn is_compiled(&self) -> bool {
        matches!(self.form, Form::Like { .. })
    }

    /// Whether it matches every path that begins with a slash, as a normalised one does.
    pub(crate) fn is_every(&self) -> bool {
        match &self.form {
            Form::Every => true,
            Form::Below(folder) => folder.is_empty(),
            Form::Exactly(_) | Form::Like { .. } => false,
        }
    }

    /// Whether every path that `other` matches surely matches this one; `false` tells nothing.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        if self.is_every() || self.written == other.written {
            return true;
        }
        match (&self.form, &other.form) {
            (_, Form::Exactly(path)) => self.matches(path),
            (Form::Below(folder), Form::Below(inner)) => is_below(inner, folder),
            (Form::Below(folder), Form::Like { start, .. }) => {
                start.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
            }
            (Form::Every | Form::Exactly(_) | Form::Below(_) | Form::Like { .. }, _) => false,
        }
    }
}

/// Whether `path` is `folder`, or below it.
fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Compiles the expression of one pattern.
fn compiled(regex: &str) -> Result<Regex, Unread> {
    RegexBuilder::new(regex)
        .unicode(false)
        .dot_matches_new_line(true)
        .size_limit(PATTERN_LIMIT)
        .dfa_size_limit(LEARNT_LIMIT)
        .build()
        .map_err(|error| Unread::because(format!("it cannot be compiled: {error}")))
}

/// Says whether patterns may be kept beside each other without taking too much memory.
pub(crate) fn fit_together<'a>(
    patterns: impl Iterator<Item = &'a PathPattern>,
) -> Result<(), Unread> {
    compile_set(patterns.filter(|pattern| pattern.is_compiled())).map(drop)
}

fn compile_set<'a>(patterns: impl Iterator<Item = &'a PathPattern>) -> Result<RegexSet, Unread> {
    RegexSetBuilder::new(patterns.map(|pattern| &pattern.regex))
        .unicode(false)
        .dot_matches_new_line(true)
        .size_limit(SET_LIMIT)
        .build()
        .map_err(|error| Unread::because(format!("they cannot be compiled: {error}")))
}

/// Path patterns that are matched together; matching is case-sensitive.
#[derive(Clone, Default)]
pub struct PathPatterns {
    written: Vec<String>,
    set: RegexSet,
}

impl PathPatterns {
    /// Compiles patterns as they are written in a settings file.
    ///
    /// # Errors
    ///
    /// [`Unread`] if one of them is not a pattern, or all together are too large.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, Unread> {
        let read: Result<Vec<_>, _> = patterns.into_iter().map(PathPattern::read).collect();
        Self::compile(&read?)
    }

    pub(crate) fn compile(patterns: &[PathPattern]) -> Result<Self, Unread> {
        let set = compile_set(patterns.iter())?;
        let written = patterns.iter().map(|pattern| pattern.written.clone()).collect();
        Ok(Self { written, set })
    }

    /// Whether one of the patterns matches the whole of `path`, which must be normalised.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        self.set.is_match(path.as_bytes())
    }

    /// The patterns as they were written.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.written.iter().map(String::as_str)
    }

    /// Whether there is no pattern, so that nothing matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }
}

impl fmt::Debug for PathPatterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.written).finish()
    }
}

/// A pattern in the terms of a regular expression.
struct Translation {
    regex: String,
    /// The text before the first wildcard.
    start: String,
    /// The text behind the last one.
    end: String,
    wildcards: usize,
    /// Whether it ends in `/**`.
    is_below: bool,
}

impl Translation {
    fn push(&mut self, piece: &Piece) {
        match piece {
            Piece::Text(text) => {
                let run = if self.wildcards == 0 { &mut self.start } else { &mut self.end };
                run.push_str(text);
                self.regex.push_str(&regex::escape(text));
            }
            Piece::Wildcard(regex) => {
                self.wildcards += 1;
                self.end.clear();
                self.regex.push_str(regex);
            }
        }
    }
}

/// A piece of a pattern.
enum Piece {
    /// What stands for itself, as a normalised path has it.
    Text(String),
    /// What stands for several texts, as an expression.
    Wildcard(String),
}

impl Piece {
    fn into_regex(self) -> String {
        match self {
            Self::Text(text) => regex::escape(&text),
            Self::Wildcard(regex) => regex,
        }
    }
}

/// Writes the regular expression that matches what the whole of `pattern` does.
fn translate(pattern: &str) -> Result<Translation, Unread> {
    if !(pattern.starts_with('/') || pattern == "**" || pattern.starts_with("**/")) {
        return Err(Unread::because("it does not begin with \"/\" or \"**/\""));
    }
    let is_below = pattern.ends_with("/**");
    let (start, end) = (String::new(), String::new());
    let mut whole = Translation { regex: "^".to_owned(), start, end, wildcards: 0, is_below };
    let mut rest = pattern;
    let mut at_segment = true;
    while !rest.is_empty() {
        let wildcard = |regex: &str| Piece::Wildcard(regex.to_owned());
        let (piece, after) = if rest == "/**" {
            (wildcard("(?:/.*)?"), "")
        } else if let Some(after) = rest.strip_prefix("/**/") {
            whole.push(&Piece::Text("/".to_owned()));
            (wildcard("(?:.*/)?"), after)
        } else if at_segment && rest == "**" {
            (wildcard(".*"), "")
        } else if let Some(after) = rest.strip_prefix("**/").filter(|_| at_segment) {
            (wildcard("(?:.*/)?"), after)
        } else {
            atom(rest)?
        };
        at_segment = match &piece {
            Piece::Text(text) => text == "/",
            Piece::Wildcard(regex) => regex.ends_with("/)?"),
        };
        whole.push(&piece);
        rest = after;
    }
    whole.regex.push('$');
    Ok(whole)
}

/// Translates the first atom of `rest`; gives it and what follows it.
fn atom(rest: &str) -> Result<(Piece, &str), Unread> {
    let mut chars = rest.chars();
    let Some(first) = chars.next() else {
        return Err(Unread::because("it ends too early"));
    };
    let after = chars.as_str();
    let wildcard = |(regex, after)| (Piece::Wildcard(regex), after);
    match first {
        '*' if after.starts_with('*') => {
            Err(Unread::because("\"**\" must be a whole segment, as in \"/x/**\""))
        }
        '*' => Ok(wildcard(("[^/]*".to_owned(), after))),
        '?' => Ok(wildcard(("[^/]".to_owned(), after))),
        '[' => class(after).map(wildcard),
        '{' => alternatives(after).map(wildcard),
        ']' | '}' => Err(Unread::because(format!("\"{first}\" closes nothing"))),
        '\\' => Err(Unread::because("it has a backslash; \"[*]\" means a star itself")),
        '%' => triplet(after).map(|(text, after)| (Piece::Text(text), after)),
        c if c.is_ascii_graphic() => Ok((Piece::Text(c.to_string()), after)),
        c if c.is_control() => Err(Unread::because(format!("it has {c:?}"))),
        // A normalised path has these only percent-encoded.
        c => {
            let encoded = c.encode_utf8(&mut [0; 4]).bytes().map(|b| format!("%{b:02X}")).collect();
            Ok((Piece::Text(encoded), after))
        }
    }
}

/// Translates `%41` or `%c3` to the normal form that it has in a path (RFC 3986 §6.2.2).
fn triplet(after: &str) -> Result<(String, &str), Unread> {
    let (hex, rest) = after.split_at_checked(2).unwrap_or(("", after));
    let digits = hex.len() == 2 && hex.chars().all(|c| c.is_ascii_hexdigit());
    match u8::from_str_radix(hex, 16) {
        Ok(byte) if digits && (byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)) => {
            Ok((char::from(byte).to_string(), rest))
        }
        Ok(byte) if digits => Ok((format!("%{byte:02X}"), rest)),
        Ok(_) | Err(_) => Err(Unread::because("\"%\" is not followed by two hexadecimal digits")),
    }
}

/// Translates a class behind its `[`, and the repeat that may follow it.
fn class(mut rest: &str) -> Result<(String, &str), Unread> {
    let mut negated = false;
    if let Some(after) = rest.strip_prefix(['!', '^']) {
        (negated, rest) = (true, after);
    }
    let mut members = String::new();
    loop {
        let (first, after) = member(rest)?;
        let Some(first) = first else {
            rest = after;
            break;
        };
        let last = match after.strip_prefix('-') {
            Some(end) if !end.starts_with(']') => {
                let (last, after) = member(end)?;
                rest = after;
                last.unwrap_or(first)
            }
            Some(_) | None => {
                rest = after;
                first
            }
        };
        if first > last {
            return Err(Unread::because(format!("its range \"{first}-{last}\" runs backwards")));
        }
        members.push_str(&format!("\\x{:02X}-\\x{:02X}", u32::from(first), u32::from(last)));
    }
    if members.is_empty() {
        return Err(Unread::because("it has an empty class"));
    }
    let class = if negated { format!("[^/{members}]") } else { format!("[{members}&&[^/]]") };
    let (count, rest) = repeat(rest)?;
    Ok((format!("{class}{count}"), rest))
}

/// The next member of a class, or nothing at its `]`.
fn member(rest: &str) -> Result<(Option<char>, &str), Unread> {
    let mut chars = rest.chars();
    match chars.next() {
        None => Err(Unread::because("its \"[\" is not closed")),
        Some(']') => Ok((None, chars.as_str())),
        Some(c) if c.is_ascii_graphic() && !matches!(c, '/' | '\\') => {
            Ok((Some(c), chars.as_str()))
        }
        Some(c) => Err(Unread::because(format!("its class has {c:?}"))),
    }
}

/// Translates `{8}`, `{8,}` or `{8,16}` if `rest` begins with one.
fn repeat(rest: &str) -> Result<(String, &str), Unread> {
    let Some(inner) = rest.strip_prefix('{').filter(|inner| inner.starts_with(digit)) else {
        return Ok((String::new(), rest));
    };
    let (counts, after) =
        inner.split_once('}').ok_or_else(|| Unread::because("its \"{\" is not closed"))?;
    let (least, most) = match counts.split_once(',') {
        Some((least, "")) => (count(least)?, None),
        Some((least, most)) => (count(least)?, Some(count(most)?)),
        None => (count(counts)?, Some(count(counts)?)),
    };
    if most.is_some_and(|most| most < least) {
        return Err(Unread::because(format!("its repeat \"{{{counts}}}\" runs backwards")));
    }
    let most = most.map_or_else(String::new, |most| most.to_string());
    Ok((format!("{{{least},{most}}}"), after))
}

fn digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn count(text: &str) -> Result<u32, Unread> {
    match text.parse() {
        Ok(count) if text.chars().all(digit) && count <= MOST_REPEATS => Ok(count),
        Ok(_) | Err(_) => Err(Unread::because(format!(
            "its repeat {text:?} is not a number up to {MOST_REPEATS}"
        ))),
    }
}

/// Translates `{a,b}` behind its `{`.
fn alternatives(mut rest: &str) -> Result<(String, &str), Unread> {
    let mut regex = String::from("(?:");
    let mut empty = true;
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            if empty {
                return Err(Unread::because("it has empty braces"));
            }
            regex.push(')');
            return Ok((regex, after));
        }
        if rest.starts_with('{') {
            return Err(Unread::because("it has braces within braces"));
        }
        if rest.is_empty() {
            return Err(Unread::because("its \"{\" is not closed"));
        }
        empty = false;
        if let Some(after) = rest.strip_prefix(',') {
            regex.push('|');
            rest = after;
            continue;
        }
        let (piece, after) = atom(rest)?;
        regex.push_str(&piece.into_regex());
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], other: &[&str]) {
        let patterns = PathPatterns::new([pattern]).unwrap();
        let alone = PathPattern::read(pattern).unwrap();
        for path in matching {
            assert!(patterns.matches(path) && alone.matches(path), "{pattern} matches {path}");
        }
        for path in other {
            let any = patterns.matches(path) || alone.matches(path);
            assert!(!any, "{pattern} does not match {path}");
        }
    }

    #[test]
    fn a_text_matches_itself_alone() {
        check("/", &["/"], &["", "/a", "//"]);
        check("/a.b", &["/a.b"], &["/axb", "/a.bc", "/A.b", "/a.b/", "x/a.b", "/a.b\n"]);
        check("/a+(b)|c$^", &["/a+(b)|c$^"], &["/aa(b)", "/c"]);
    }

    #[test]
    fn two_stars_stand_for_whole_segments() {
        check("/**", &["/", "/a", "/a/b/c", "/a/"], &["*"]);
        check("**", &["/", "/a", "/a/b/c"], &[]);
        check("/api/**", &["/api", "/api/", "/api/a", "/api/a/b"], &["/apis", "/a/api", "/AP"]);
        check("/a/**/b", &["/a/b", "/a/x/b", "/a/x/y/b"], &["/a/xb", "/a/x/y", "/ab"]);
        check("/a/**/", &["/a/", "/a/b/"], &["/a", "/a/b"]);
        check("**/x.js", &["/x.js", "/a/x.js", "/a/b/x.js"], &["/ax.js", "/x.js/a"]);
        check("/**/**/x", &["/x", "/a/x", "/a/b/x"], &["/ax"]);
    }

    #[test]
    fn one_star_and_a_question_mark_stay_within_a_segment() {
        check("/*", &["/", "/a", "/a.b"], &["/a/", "/a/b"]);
        check("/*.js", &["/.js", "/a.js", "/a.b.js"], &["/a/b.js", "/a.jsx"]);
        check("/a?c", &["/abc", "/a.c"], &["/ac", "/a/c", "/abbc"]);
    }

    #[test]
    fn a_class_stands_for_one_character_and_never_for_a_slash() {
        check("/[0-9a-f]", &["/0", "/f"], &["/g", "/F", "/", "/00"]);
        check("/a[!0-9]b", &["/axb"], &["/a0b", "/a/b", "/ab"]);
        check("/a[^x]b", &["/ayb"], &["/axb", "/a/b"]);
        check("/a[\"-~]b", &["/a~b", "/a.b"], &["/a/b", "/a!b"]);
        check("/a[*?{-]b", &["/a*b", "/a?b", "/a{b", "/a-b"], &["/axb"]);
        check("/[&&x-]", &["/&", "/-", "/x"], &["/a", "/."]);
    }

    #[test]
    fn a_class_repeats() {
        let hashed = "**/*.[0-9a-f]{8,}.*";
        check(
            hashed,
            &["/app.0123abcd.js", "/a/b/app.0123abcdef.css", "/.01234567."],
            &[
                "/app.0123abc.js",
                "/app.0123ABCD.js",
                "/app.js",
                "/app.0123abcd/x.js",
                "/app.0123abcd",
            ],
        );
        check("/[0-9]{2}", &["/12"], &["/1", "/123"]);
        check("/[0-9]{2,3}x", &["/12x", "/123x"], &["/1x", "/1234x"]);
        check("/[0-9]{0,}x", &["/x", "/1x"], &[]);
    }

    #[test]
    fn braces_stand_for_one_of_several() {
        check("/*.{js,css}", &["/a.js", "/a.css"], &["/a.jscss", "/a.", "/a.html"]);
        check("/{a,b/c}/**", &["/a", "/a/x", "/b/c", "/b/c/x"], &["/b", "/c"]);
        check("/a{,.min}.js", &["/a.js", "/a.min.js"], &["/a.max.js"]);
        check("/{*.js,[0-9]{2}}", &["/x.js", "/12"], &["/1", "/x"]);
    }

    #[test]
    fn what_a_normalised_path_encodes_is_encoded() {
        check("/café au lait", &["/caf%C3%A9%20au%20lait"], &["/cafe"]);
        check("/a%2fb%7e", &["/a%2Fb~"], &["/a/b~"]);
    }

    #[test]
    fn no_pattern_matches_nothing() {
        let none = PathPatterns::default();
        assert!(none.is_empty() && !none.matches("/"));
    }

    proptest! {
        #[test]
        fn a_class_has_its_members_alone(members in "[a-z&~|.,*?{}()]{1,8}", negated: bool, path: char) {
            let sign = if negated { "!" } else { "" };
            let patterns = PathPatterns::new([format!("/[{sign}{members}]").as_str()]).unwrap();
            let path = if path.is_ascii() { path } else { '/' };
            for c in members.chars().chain([path]) {
                let expected = members.contains(c) != negated && c != '/';
                prop_assert_eq!(patterns.matches(&format!("/{c}")), expected, "{}", c);
            }
        }

        #[test]
        fn any_text_is_a_pattern_or_refused_with_a_reason(text in r"/?[\PC/*?{}\[\],0-9!^-]{0,20}") {
            if let Err(unread) = PathPattern::read(&text) {
                // What a pattern translates to always compiles.
                prop_assert!(!unread.to_string().contains("compiled"), "{unread}");
            }
        }

        #[test]
        fn a_pattern_alone_matches_what_it_does_among_others(
            pattern in "(/(\\*\\*|[ab*?]|a\\*b|\\{a,b/a\\}|[\\[]ab\\]|%62|%2f){0,2}){1,4}|\\*\\*(/[ab*]){0,2}",
            paths in prop::collection::vec("(/(a|b|%2F){0,2}){0,4}", 8),
        ) {
            if let Ok(alone) = PathPattern::read(&pattern) {
                let set = PathPatterns::compile(std::slice::from_ref(&alone)).unwrap();
                for path in &paths {
                    prop_assert_eq!(alone.matches(path), set.matches(path), "{} {}", pattern, path);
                    let known = path.starts_with(alone.start()) && path.ends_with(alone.end());
                    prop_assert!(known || !alone.matches(path));
                }
            }
        }

        #[test]
        fn a_pattern_that_covers_another_matches_all_it_matches(
            earlier in "(/(\\*\\*|[ab*]|a\\*)){1,3}", later in "(/(\\*\\*|[ab*]|a\\*)){1,3}",
            paths in prop::collection::vec("(/[ab]{0,2}){1,4}", 8),
        ) {
            if let (Ok(earlier), Ok(later)) = (PathPattern::read(&earlier), PathPattern::read(&later)) {
                for path in paths.iter().filter(|path| earlier.covers(&later) && later.matches(path)) {
                    prop_assert!(earlier.matches(path), "{:?} {:?} {}", earlier, later, path);
                }
            }
        }

        #[test]
        fn a_plain_path_matches_itself(path in "(/[a-zA-Z0-9._~!$&'()+;=:@-]{0,8}){1,4}", tail: String) {
            let patterns = PathPatterns::new([path.as_str()]).unwrap();
            prop_assert!(patterns.matches(&path));
            prop_assert_eq!(patterns.matches(&format!("{path}{tail}")), tail.is_empty());
            prop_assert!(PathPatterns::new(["/**"]).unwrap().matches(&path));
        }
    }
}
