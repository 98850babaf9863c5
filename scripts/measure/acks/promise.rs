//! What it means that publishing returned, in one table for the README: what was lost of what was acknowledged, of
//! how many, and what that promise costs.

use std::fmt::Write as _;

use crate::contestant::Contestant;
use crate::load::Way;
use crate::loss::{Crash, Loss};
use crate::table::Tables;

/// Every line a measured one. Empty cells were not measured.
pub(crate) fn table(tables: &Tables, contestants: &[Contestant]) -> String {
    let level = tables.rows.iter().map(|row| row.outstanding).max();
    let mut text = "| publishing returned: what is lost | by kill -9 | by a power cut | done, and done again after a \
                    power cut | messages/s |\n| --- | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    for contestant in contestants {
        let of = |crash, part: fn(&Loss) -> (usize, usize)| {
            let mut all = tables.losses.iter();
            let found = all.find(|loss| loss.contestant.is(contestant) && loss.crash == crash);
            found.map_or(String::new(), |loss| share(part(loss)))
        };
        let rate = level.and_then(|level| tables.rate(contestant, Way::EndToEnd, level));
        let _ = writeln!(
            text,
            "| {} {}, {} | {} | {} | {} | {} |",
            contestant.name(),
            number(&contestant.version),
            contestant.setting(),
            of(Crash::Kill, |loss| (loss.lost, loss.acknowledged)),
            of(Crash::Power, |loss| (loss.lost, loss.acknowledged)),
            of(Crash::Power, |loss| (loss.undone, loss.done)),
            rate.map_or(String::new(), |rate| thousands(rate.round() as u64)),
        );
    }
    text
}

fn share((part, all): (usize, usize)) -> String {
    let words = format!("{} of {}", thousands(part as u64), thousands(all as u64));
    if part == 0 { words } else { format!("**{words}**") }
}

/// The first number with a dot of what a program says of its version.
fn number(version: &str) -> &str {
    let mut words = version.split(|c: char| !c.is_ascii_digit() && c != '.');
    words.find(|word| word.trim_matches('.').contains('.')).unwrap_or_default().trim_matches('.')
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_numbers_are_short() {
        let said = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64";
        assert_eq!(
            (number(said), number("rabbitmq_server-3.10.8"), number("")),
            ("7.0.15", "3.10.8", "")
        );
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((share((0, 1_500)), share((3, 9))), ("0 of 1,500".into(), "**3 of 9**".into()));
    }
}
