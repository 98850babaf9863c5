//! Reads the card network's journal: which lines it wrote, and which somebody else.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail};
use serde::Deserialize;

use record::ledger::{ChargeRow, FORGED, UNREADABLE};
use supervise::witness::{Mark, Seals};

/// Far above any line: a key has 256 bytes at most.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// So many lines that are none of the network's are kept; whoever writes more has proved enough.
const STRANGE_MAX: u64 = 100_000;

#[derive(Deserialize)]
struct Line {
    n: Option<u64>,
    at_us: i64,
    event: String,
    key: String,
    #[serde(default)]
    amount_cents: i64,
    #[serde(default)]
    charge_id: Option<String>,
    #[serde(default)]
    seal: String,
}

/// Hands over every line in its order; a torn last line (a kill in mid-write) is left out, a line that
/// does not parse is an [`UNREADABLE`] one, and one without the network's seal is [`FORGED`]. Returns a
/// doubt for each mark whose line is not there as it was.
///
/// # Errors
/// If the file cannot be read, holds more than 100,000 such lines, or `take` fails.
pub fn read_journal(
    path: &Path,
    seals: &Seals,
    marks: &[Mark],
    mut take: impl FnMut(ChargeRow) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<String>> {
    let cannot = || format!("cannot read the provider's journal {}", path.display());
    let mut reader = BufReader::new(File::open(path).with_context(cannot)?);
    let (mut bytes, mut strange) = (Vec::new(), 0);
    let mut kept = vec![false; marks.len()];
    loop {
        bytes.clear();
        let mut line = reader.by_ref().take(LINE_BYTES_MAX);
        if line.read_until(b'\n', &mut bytes).with_context(cannot)? == 0 {
            break;
        }
        let Some((row, seal)) = row(&bytes, seals) else { break };
        strange += u64::from([FORGED, UNREADABLE].contains(&row.event.as_str()));
        if strange > STRANGE_MAX {
            bail!("{}: more than {STRANGE_MAX} lines are not the network's", path.display());
        }
        for (kept, mark) in kept.iter_mut().zip(marks) {
            *kept |= row.n == Some(mark.lines) && seal == mark.seal;
        }
        take(row)?;
    }
    let lost = marks.iter().zip(kept).filter(|(mark, kept)| mark.lines > 0 && !kept);
    let doubt = |(mark, _): (&Mark, bool)| {
        let n = mark.lines;
        format!("the provider's journal: its line {n} is not there as the network wrote it")
    };
    Ok(lost.map(doubt).collect())
}

/// A line and its seal; `None` if it is torn.
fn row(bytes: &[u8], seals: &Seals) -> Option<(ChargeRow, String)> {
    let is_torn = !bytes.ends_with(b"\n") && (bytes.len() as u64) < LINE_BYTES_MAX;
    let Ok(Line { n, at_us, event, key, amount_cents, charge_id, seal }) =
        serde_json::from_slice(bytes)
    else {
        let row = ChargeRow { event: UNREADABLE.to_owned(), ..ChargeRow::default() };
        return (!is_torn).then_some((row, String::new()));
    };
    let mut row = ChargeRow { at_us, event, key, amount_cents, charge_id, n };
    if seals.of(&row) != seal {
        FORGED.clone_into(&mut row.event);
    }
    Some((row, seal))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn seals() -> Seals {
        Seals::new("secret")
    }

    /// A line as the network writes it.
    pub(crate) fn sealed(n: u64, key: &str) -> String {
        let row = ChargeRow {
            at_us: 5,
            event: "captured".to_owned(),
            key: key.to_owned(),
            amount_cents: 900,
            charge_id: Some(format!("c{n}")),
            n: Some(n),
        };
        let seal = seals().of(&row);
        format!(
            r#"{{"n":{n},"at_us":5,"event":"captured","key":"{key}","amount_cents":900,"charge_id":"c{n}","seal":"{seal}"}}"#
        )
    }

    /// Number and event of a line.
    type Read = (u64, String);

    /// What is read, and the doubts.
    fn read(text: &[u8], marks: &[Mark]) -> anyhow::Result<(Vec<Read>, Vec<String>)> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("journal");
        std::fs::write(&path, text)?;
        let mut rows = Vec::new();
        let doubts = read_journal(&path, &seals(), marks, |row| {
            rows.push((row.n.unwrap_or(0), row.event));
            Ok(())
        })?;
        Ok((rows, doubts))
    }

    #[track_caller]
    fn check(lines: &[String], expected: &[(u64, &str)]) {
        let (rows, doubts) = read(lines.join("\n").as_bytes(), &[]).unwrap();
        let rows: Vec<_> = rows.iter().map(|(n, event)| (*n, event.as_str())).collect();
        assert_eq!((&rows[..], doubts.len()), (expected, 0));
    }

    #[test]
    fn a_torn_end_is_left_out_and_any_other_bad_line_is_kept_in_its_place() {
        let torn = || "{\"at_us\"".to_owned();
        let bad = || "nonsense".to_owned();
        let good = |n| sealed(n, "k");
        check(
            &[good(1), bad(), "\u{fffd}".to_owned(), good(2), torn()],
            &[(1, "captured"), (0, UNREADABLE), (0, UNREADABLE), (2, "captured")],
        );
        check(&[torn(), good(1)], &[(0, UNREADABLE), (1, "captured")]);
        check(&[], &[]);
        assert!(read_journal(Path::new("/nowhere/j"), &seals(), &[], |_| Ok(())).is_err());
    }

    #[test]
    fn what_the_network_did_not_write_is_forged() {
        let forged = |from: &str, to: &str| sealed(2, "k").replace(from, to);
        let without = r#"{"at_us":5,"event":"captured","key":"k","amount_cents":900}"#.to_owned();
        for line in [
            forged("900", "901"),
            forged("captured", "declined"),
            forged("\"k\"", "\"l\""),
            forged("\"n\":2", "\"n\":3"),
            forged("\"c2\"", "\"c3\""),
            forged("\"at_us\":5", "\"at_us\":6"),
            without,
        ] {
            let (rows, _) = read(format!("{line}\n").as_bytes(), &[]).unwrap();
            assert_eq!(rows[0].1, FORGED, "{line}");
        }
    }

    #[test]
    fn a_line_that_was_told_of_must_be_there() {
        let text = format!("{}\n{}\n", sealed(1, "a"), sealed(2, "b"));
        let seal = |line: &str| line[line.len() - 34..line.len() - 2].to_owned();
        let mark = |lines, line: &str| Mark { lines, seal: seal(line) };
        let doubts = |marks: &[Mark]| read(text.as_bytes(), marks).unwrap().1;
        assert!(doubts(&[mark(1, &sealed(1, "a")), mark(2, &sealed(2, "b"))]).is_empty());
        assert!(doubts(&[Mark::default()]).is_empty(), "there was none");
        let cut = doubts(&[mark(3, &sealed(3, "c"))]);
        assert!(cut[0].contains("its line 3 is not there"), "{cut:?}");
        let rewritten = doubts(&[mark(2, &sealed(2, "c"))]);
        assert!(rewritten[0].contains("its line 2 is not there"), "{rewritten:?}");
    }

    #[test]
    fn a_journal_cannot_fill_the_memory() {
        let long = [vec![b'x'; 3 * LINE_BYTES_MAX as usize], b"\n".to_vec()].concat();
        let (rows, _) = read(&long, &[]).unwrap();
        assert!(rows.len() == 4 && rows.iter().all(|row| row.1 == UNREADABLE), "{rows:?}");
        let many = "{}\n".repeat(STRANGE_MAX as usize + 1);
        let error = read(many.as_bytes(), &[]).unwrap_err().to_string();
        assert!(error.contains("more than 100000 lines"), "{error}");
    }
}
