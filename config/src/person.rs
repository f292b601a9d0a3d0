//! Tells by their names which cookies and header fields tell one person from all others.

/// Whether a cookie does; `name` may be a pattern.
pub(crate) fn is_of_session(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = || name.split(|c: char| !c.is_ascii_alphanumeric());
    let has = |part: &str| name.contains(part);
    // An author is no authorisation.
    let auth = has("authori") || (has("auth") && !has("author"));
    name.chars().all(|c| c == '*')
        || auth
        || has("sess")
        || has("token")
        || has("jwt")
        || words().any(|word| matches!(word, "sid" | "login" | "logged" | "remember"))
}

/// Whether a header field does. `Cookie` is judged by the names in it.
pub(crate) fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    is_of_session(&name) || name.contains("api-key") || name.contains("apikey")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_field_of_a_person_by_its_name() {
        for name in ["Authorization", "X-Api-Key", "X-Auth-User", "X-Session", "X-ApiKey", "Token"]
        {
            assert!(is_credential(name), "{name}");
        }
        for name in ["Cookie", "X-Tenant", "Accept", "X-Key"] {
            assert!(!is_credential(name), "{name}");
        }
    }

    #[test]
    fn knows_the_cookie_of_a_session_by_its_name() {
        for name in [
            "sessionid",
            "PHPSESSID",
            "JSESSIONID",
            "connect.sid",
            "sid",
            "auth_token",
            "wordpress_logged_in_*",
            "jwt",
            "XSRF-TOKEN",
            "Authorization",
            "*",
        ] {
            assert!(is_of_session(name), "{name}");
        }
        for name in ["theme", "lang", "author", "inside", "sidebar", "cart_open", "_ga"] {
            assert!(!is_of_session(name), "{name}");
        }
    }
}
