//! The table of kinds in docs/scenarios.md, made from what the kinds say of themselves.

use super::kind::{Facts, Harms, Lasts};
use super::kinds::{ALL, Sort};

/// Every kind, a row each.
#[must_use]
pub fn table() -> String {
    let rows: Vec<String> = ALL.iter().map(row).collect();
    let head =
        "| kind | harms | what happens | parameters | needs |\n| --- | --- | --- | --- | --- |\n";
    head.to_owned() + &rows.concat()
}

fn row(Sort { facts, keys, .. }: &Sort) -> String {
    let Facts { name, about, needs, .. } = facts;
    let harms = match facts.harms {
        Harms::Role => "a role".to_owned(),
        Harms::Only(role, _) => format!("`{role}`"),
        Harms::Link => "`link:NAME`".to_owned(),
        Harms::Disk => "`disk`".to_owned(),
    };
    let lasts = match facts.lasts {
        Lasts::Must => Some("`for`".to_owned()),
        Lasts::May => Some("perhaps `for`".to_owned()),
        Lasts::Never => None,
    };
    let keys = keys().iter().map(|key| format!("`{key}`"));
    let parameters: Vec<String> = lasts.into_iter().chain(keys).collect();
    let needs = needs.in_words();
    format!("| `{name}` | {harms} | {about} | {} | {needs} |\n", parameters.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_kind_as_it_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scenarios.md");
        let text = std::fs::read_to_string(path).unwrap();
        let found =
            text.split("| kind | harms |").nth(1).and_then(|rest| rest.split("\n\n").next());
        let found = format!("| kind | harms |{}\n", found.unwrap_or_default());
        assert_eq!(found, table(), "docs/scenarios.md has to hold this:\n{}", table());
    }
}
