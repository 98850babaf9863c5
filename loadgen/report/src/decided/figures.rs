//! `figures.csv`: the figures that verdicts rest on, a row for each trial and figure, so that verdicts can be had again
//! where raw tables were left out.

use std::collections::BTreeMap;
use std::path::Path;

use decide::{Figure, Measured};
use record::read::{Validate, table};
use serde::{Deserialize, Serialize};

use super::figure::Wanted;
use super::results::Place;

/// By place, block and what was asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures(pub(super) BTreeMap<(Place, u32, Wanted), Measured>);

/// One row.
#[derive(Serialize, Deserialize)]
struct Row {
    scenario: String,
    system: String,
    block: u32,
    /// Its name, as claims have it.
    measure: String,
    phase: Option<String>,
    operation: Option<String>,
    value: f64,
    /// Its two ends; `inf` where it has none.
    least: f64,
    most: f64,
    /// Arrivals or orders that a share or a count is of.
    of: Option<f64>,
}

impl Validate for Row {
    fn check(&self) -> Result<(), String> {
        let is_number = [self.value, self.least, self.most].iter().all(|number| !number.is_nan());
        let is_part = self.of.is_none_or(|of| of.is_finite() && of >= 0.0);
        if is_number && is_part && self.least <= self.most {
            return Ok(());
        }
        Err(format!("{} between {} and {}, of {:?}", self.value, self.least, self.most, self.of))
    }
}

impl Figures {
    /// Reads a table.
    ///
    /// # Errors
    /// If there is none, or it is none; with the line.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let one = |row: Row| {
            let Row { scenario, system, block, measure, phase, operation, of, .. } = row;
            let figure = Figure { value: row.value, least: row.least, most: row.most };
            let wanted = Wanted { measure, phase, operation };
            (((scenario, system), block, wanted), Measured { figure, of })
        };
        Ok(Self(table::rows(path, false)?.into_iter().map(one).collect()))
    }

    /// As a table.
    pub(super) fn csv(&self) -> anyhow::Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for (((scenario, system), block, wanted), Measured { figure, of }) in &self.0 {
            writer.serialize(Row {
                scenario: scenario.clone(),
                system: system.clone(),
                block: *block,
                measure: wanted.measure.clone(),
                phase: wanted.phase.clone(),
                operation: wanted.operation.clone(),
                value: figure.value,
                least: figure.least,
                most: figure.most,
                of: *of,
            })?;
        }
        Ok(writer.into_inner()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let wanted = |measure: &str, phase: Option<&str>| Wanted {
            measure: measure.to_owned(),
            phase: phase.map(str::to_owned),
            operation: None,
        };
        let place = || ("s+x=1".to_owned(), "a, b".to_owned());
        let without_end = Figure { value: 0.1 + 0.2, least: 0.0, most: f64::INFINITY };
        let figures = Figures(BTreeMap::from([
            (
                (place(), 1, wanted("accepted p50", Some("during"))),
                Measured { figure: without_end, of: None },
            ),
            (
                (place(), 2, wanted("lost", None)),
                Measured { figure: 3.0.into(), of: Some(1_060.5) },
            ),
        ]));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("figures.csv");
        std::fs::write(&path, figures.csv().unwrap()).unwrap();
        assert_eq!(Figures::read(&path).unwrap(), figures);
        std::fs::write(&path, "scenario,system,block,measure,phase,operation,value,least,most,of\ns,a,1,lost,,,1,2,0,\n").unwrap();
        let error = format!("{:#}", Figures::read(&path).unwrap_err());
        assert!(error.contains("figures.csv") && error.contains("between 2 and 0"), "{error}");
    }
}
