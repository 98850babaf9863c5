//! The tables of kinds in the documents, made from what the kinds say of themselves:
//! `UPDATE_DOCS=1 cargo test -p faults document` writes them.

use super::kind::{Facts, Lasts, Targets};
use super::kinds::{ALL, Sort};

/// Makes the documents instead of comparing them.
const UPDATE: &str = "UPDATE_DOCS";

/// What there is, a row each: docs/scenarios.md.
fn kinds() -> String {
    let head = "| kind | harms | what happens | parameters | needs |\n\
                | --- | --- | --- | --- | --- |\n";
    head.to_owned() + &ALL.iter().map(row).collect::<String>()
}

fn row(Sort { facts, keys, .. }: &Sort) -> String {
    let Facts { name, about, needs, .. } = facts;
    let harms = match facts.targets {
        Targets::Role => "a role".to_owned(),
        Targets::Only(role, _) => format!("`{role}`"),
        Targets::Link => "`link:NAME`".to_owned(),
        Targets::Disk => "`disk`".to_owned(),
    };
    let lasts = match facts.lasts {
        Lasts::Must => Some("`for`".to_owned()),
        Lasts::May => Some("perhaps `for`".to_owned()),
        Lasts::Never => None,
    };
    let keys = keys().iter().map(|key| format!("`{key}`"));
    let parameters: Vec<String> = lasts.into_iter().chain(keys).collect();
    let needs = needs.map_or("", |need| need.words);
    format!("| `{name}` | {harms} | {about} | {} | {needs} |\n", parameters.join(", "))
}

/// In what they are seen, those that are seen in the same together: docs/methodology/faults.md.
fn proofs() -> String {
    let mut rows: Vec<(Vec<&str>, &str, &str)> = Vec::new();
    for Facts { name, seen, healed, .. } in ALL.iter().map(|sort| &sort.facts) {
        match rows.iter_mut().find(|(_, s, h)| (s, h) == (seen, healed)) {
            Some((names, ..)) => names.push(name),
            None => rows.push((vec![name], seen, healed)),
        }
    }
    let row = |(names, seen, healed): (Vec<&str>, &str, &str)| {
        format!("| {} | {seen} | {healed} |\n", names.join(", "))
    };
    let head = "| fault | its effect is seen in | its healing is seen in |\n| --- | --- | --- |\n";
    head.to_owned() + &rows.into_iter().map(row).collect::<String>()
}

/// The table that begins with the same line, up to the next empty one.
#[track_caller]
fn check(document: &str, table: &str) {
    let path = format!("{}/../../docs/{document}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(table.lines().next().unwrap()).unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    let wanted = format!("{before}{table}\n{after}");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &wanted).unwrap();
    } else {
        assert!(text == wanted, "docs/{document} is old: {UPDATE}=1 cargo test -p faults document");
    }
}

#[test]
fn the_document_has_every_kind_as_it_says() {
    check("scenarios.md", &kinds());
}

#[test]
fn the_document_has_the_proofs_of_every_kind() {
    check("methodology/faults.md", &proofs());
}
