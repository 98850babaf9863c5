//! What `login` and `signup` have in common.

use std::io::Write as _;

/// Writes the request that sends an account's credentials.
pub(super) fn post(out: &mut Vec<u8>, host: &str, path: &str, email: &str, password: &str) {
    let body = serde_json::json!({"email": email, "password": password}).to_string();
    // Writing to memory cannot fail.
    let _ = write!(
        out,
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
}
