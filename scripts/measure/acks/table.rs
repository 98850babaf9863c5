//! What was measured, as tables for programs and one for people.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use report::brokers::Bar;

use crate::contestant::Contestant;
use crate::load::{Figures, Way};
use crate::loss::{Crash, Loss};
use crate::syncs::Syncs;

/// One measurement.
pub(crate) struct Row {
    pub(crate) contestant: Contestant,
    pub(crate) round: usize,
    pub(crate) way: Way,
    pub(crate) outstanding: u32,
    pub(crate) figures: Figures,
}

/// All of a run.
#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) rows: Vec<Row>,
    pub(crate) syncs: Vec<Syncs>,
    pub(crate) losses: Vec<Loss>,
}

impl Tables {
    /// Writes `acks.csv`, `fsyncs.csv` and `losses.csv`.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        self.write_rows(&folder.join("acks.csv"), "outstanding")?;
        let mut csv = csv::Writer::from_path(folder.join("fsyncs.csv"))?;
        csv.write_record(["broker", "setting", "what", "outstanding", "messages", "fsyncs"])?;
        for Syncs { contestant, what, outstanding, messages, calls } in &self.syncs {
            let numbers = [u64::from(*outstanding), *messages, *calls].map(|n| n.to_string());
            let words = [contestant.name(), contestant.setting(), what].map(str::to_owned);
            csv.write_record(words.into_iter().chain(numbers))?;
        }
        csv.flush()?;
        let mut csv = csv::Writer::from_path(folder.join("losses.csv"))?;
        let counts = ["crashes", "acknowledged", "lost", "done", "done_came_again"];
        csv.write_record(["broker", "setting", "crash"].iter().chain(&counts))?;
        for loss in &self.losses {
            let words = [loss.contestant.name(), loss.contestant.setting(), loss.crash.name()];
            let counts = [loss.crashes, loss.acknowledged, loss.lost, loss.done, loss.undone];
            let counts = counts.map(|n| n.to_string());
            csv.write_record(words.map(str::to_owned).into_iter().chain(counts))?;
        }
        Ok(csv.flush()?)
    }

    /// The measurements; `many` is what there are so many of.
    pub(crate) fn write_rows(&self, path: &Path, many: &str) -> Result<()> {
        let mut csv = csv::Writer::from_path(path)?;
        csv.write_record([
            "broker",
            "version",
            "setting",
            "way",
            many,
            "round",
            "messages",
            "messages_per_s",
            "p50_us",
            "p99_us",
            "max_us",
            "server_cpu_us",
            "client_cpu_us",
        ])?;
        for Row { contestant, round, way, outstanding, figures } in &self.rows {
            csv.write_record([
                contestant.name().to_owned(),
                contestant.version.clone(),
                contestant.setting().to_owned(),
                way.name().to_owned(),
                outstanding.to_string(),
                (round + 1).to_string(),
                figures.messages.to_string(),
                format!("{:.1}", figures.per_second),
                figures.p50.to_string(),
                figures.p99.to_string(),
                figures.most.to_string(),
                format!("{:.1}", figures.server_cpu),
                format!("{:.1}", figures.client_cpu),
            ])?;
        }
        Ok(csv.flush()?)
    }

    /// One line per contestant: medians of the rounds, with the lowest and highest rate.
    pub(crate) fn markdown(&self, contestants: &[Contestant]) -> String {
        let ways = [Way::Publish, Way::EndToEnd];
        let rates = ways.map(|way| self.rates(contestants, way, "under way")).concat();
        rates + &self.kept(contestants)
    }

    /// The same of consumers that share a topic.
    pub(crate) fn swept(&self, contestants: &[Contestant]) -> String {
        self.rates(contestants, Way::Shared, "consumers")
    }

    fn rates(&self, contestants: &[Contestant], way: Way, many: &str) -> String {
        let mut levels: Vec<u32> = self.rows.iter().map(|row| row.outstanding).collect();
        levels.sort_unstable();
        levels.dedup();
        let head = "messages/s (lowest to highest), p50 and p99 in ms";
        let mut text = format!("\n{}: {head}\n\n", way.name());
        let heads: Vec<String> = levels.iter().map(|n| format!("{n} {many}")).collect();
        let _ = writeln!(text, "| broker | {} | CPU of server, client, µs |", heads.join(" | "));
        let _ = writeln!(text, "| --- |{} ---: |", " ---: |".repeat(levels.len()));
        for contestant in contestants {
            let cells: Vec<String> =
                levels.iter().map(|level| self.cell(contestant, way, *level)).collect();
            let cpu = levels.last().map(|level| self.cpu(contestant, way, *level));
            let cpu = cpu.unwrap_or_default();
            let _ = writeln!(text, "| {contestant} | {} | {cpu} |", cells.join(" | "));
        }
        text
    }

    /// Draws the rates end to end with the most under way, and what was lost.
    pub(crate) fn draw(&self, contestants: &[Contestant], folder: &Path) -> Result<()> {
        let Some(level) = self.rows.iter().map(|row| row.outstanding).max() else { return Ok(()) };
        let bar = |contestant: &Contestant| Bar {
            name: contestant.to_string(),
            durable: contestant.durable,
            rates: self
                .of(contestant, Way::EndToEnd, level)
                .iter()
                .map(|figures| figures.per_second)
                .collect(),
            losses: self
                .losses
                .iter()
                .filter(|loss| loss.contestant.is(contestant))
                .map(|loss| (loss.crash.name().to_owned(), loss.lost, loss.acknowledged))
                .collect(),
        };
        let bars: Vec<Bar> = contestants.iter().map(bar).collect();
        let subtitle = format!(
            "From the call until its consumer's acknowledgement has returned, {level} of 256 bytes under way, over \
             loopback; median of the rounds. Crashes under load; the machine's power is that of its disk alone."
        );
        report::brokers::draw(
            &bars,
            &subtitle,
            "scripts/bench-brokers",
            &folder.join("brokers.png"),
        )
    }

    fn of(&self, contestant: &Contestant, way: Way, level: u32) -> Vec<Figures> {
        let is = |row: &&Row| {
            row.way == way && row.outstanding == level && row.contestant.is(contestant)
        };
        self.rows.iter().filter(is).map(|row| row.figures).collect()
    }

    /// The median of the rounds.
    pub(crate) fn rate(&self, contestant: &Contestant, way: Way, level: u32) -> Option<f64> {
        let all = self.of(contestant, way, level);
        (!all.is_empty()).then(|| middle(all.iter().map(|figures| figures.per_second)))
    }

    fn cell(&self, contestant: &Contestant, way: Way, level: u32) -> String {
        let all = self.of(contestant, way, level);
        let rates = sorted(all.iter().map(|f| f.per_second));
        let (Some(least), Some(most)) = (rates.first(), rates.last()) else { return String::new() };
        let ms = |us: &dyn Fn(&Figures) -> u64| middle(all.iter().map(|f| us(f) as f64 / 1e3));
        format!(
            "{:.0} ({least:.0} to {most:.0}); {:.2}, {:.2}",
            middle(rates.iter().copied()),
            ms(&|f| f.p50),
            ms(&|f| f.p99)
        )
    }

    fn cpu(&self, contestant: &Contestant, way: Way, level: u32) -> String {
        let all = self.of(contestant, way, level);
        let server = middle(all.iter().map(|f| f.server_cpu));
        let client = middle(all.iter().map(|f| f.client_cpu));
        format!("{server:.0}, {client:.0}")
    }

    /// What it means that publishing returned.
    fn kept(&self, contestants: &[Contestant]) -> String {
        let mut text = "\nfsyncs, and what was lost of what was acknowledged\n\n".to_owned();
        text += "| broker | fsyncs of 100 published one by one | of 640, 64 at once | of 50 taken and \
                 acknowledged | lost by kill -9 | lost by power cut | acknowledged by a consumer and \
                 come again: kill -9 | power cut |\n";
        text += "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
        for contestant in contestants {
            let syncs: Vec<&Syncs> =
                self.syncs.iter().filter(|syncs| syncs.contestant.is(contestant)).collect();
            let calls =
                |nth: usize| syncs.get(nth).map_or("–".to_owned(), |s| s.calls.to_string());
            let of = |crash, part: &dyn Fn(&Loss) -> (usize, usize)| {
                let mut found = self.losses.iter();
                let found = found.find(|l| l.contestant.is(contestant) && l.crash == crash);
                found.map_or("–".to_owned(), |loss| {
                    let (part, all) = part(loss);
                    format!("{part} of {all}")
                })
            };
            let lost = |loss: &Loss| (loss.lost, loss.acknowledged);
            let undone = |loss: &Loss| (loss.undone, loss.done);
            let _ = writeln!(
                text,
                "| {contestant} | {} | {} | {} | {} | {} | {} | {} |",
                calls(0),
                calls(1),
                calls(2),
                of(Crash::Kill, &lost),
                of(Crash::Power, &lost),
                of(Crash::Kill, &undone),
                of(Crash::Power, &undone)
            );
        }
        text
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The median; the upper of two in the middle.
fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let values = sorted(values);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
