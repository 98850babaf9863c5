//! Files of the results folder, and of no other: whatever the path says, and whatever a link points to.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path};

use super::http::Answer;

/// A long campaign's report has 20 MB; what is larger is looked at without a browser.
const BYTES_MAX: u64 = 256 << 20;

/// The file at this path below the folder.
pub(super) fn file(root: &Path, name: &str) -> Answer {
    let Some(kind) = kind(name) else { return Answer::refused(404) };
    let path = Path::new(name);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || name.contains('\0') {
        return Answer::refused(404);
    }
    let Ok(found) = root.join(path).canonicalize() else { return Answer::refused(404) };
    if !found.starts_with(root) || !fs::metadata(&found).is_ok_and(|found| found.is_file()) {
        return Answer::refused(404);
    }
    let mut bytes = Vec::new();
    let read = File::open(&found).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > BYTES_MAX => Answer::refused(413),
        Ok(_) => Answer::file(kind, bytes),
        Err(_) => Answer::refused(404),
    }
}

/// What reports and records are made of; nothing else is shown.
fn kind(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending {
        "html" => "text/html; charset=utf-8",
        "png" => "image/png",
        "json" => "application/json",
        "csv" | "md" | "jsonl" | "hlog" | "hgrm" | "log" | "txt" => "text/plain; charset=utf-8",
        "xml" => "application/xml",
        "zst" => "application/zstd",
        _ => return None,
    })
}
