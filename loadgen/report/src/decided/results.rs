//! The figures of a run's trials, for who decides. It knows no verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use decide::{Asked, Claim, Measure, Measured, Results};
use record::files;
use record::read::Trial;

use super::figure::{self, Wanted};
use super::figures::Figures;
use super::plan::Plan;
use super::units;

/// A scenario's folder, and a system's below it.
pub(super) type Place = (String, String);

/// What the records of a run hold of what its claims ask for.
pub(super) struct Records {
    /// Of claim, arm and point.
    places: BTreeMap<(String, String, usize), Place>,
    /// Which trials there are.
    there: BTreeSet<(Place, u32)>,
    figures: Figures,
    /// Where raw tables were left out: what was read off them while they were there.
    kept: Option<Figures>,
}

impl Records {
    /// Reads trial after trial; of each the figures stay and nothing else.
    pub(super) fn read(folder: &Path, plan: &Plan, claims: &[Claim]) -> anyhow::Result<Self> {
        let is_pared = folder.join(files::REFERENCE).is_file();
        let kept = is_pared.then(|| Figures::read(&folder.join(files::FIGURES))).transpose()?;
        let (figures, places, there) = (Figures::default(), BTreeMap::new(), BTreeSet::new());
        let mut records = Self { places, there, figures, kept };
        let mut wanted: BTreeMap<Place, BTreeSet<Wanted>> = BTreeMap::new();
        for (planned, claim) in plan.claims.iter().zip(claims) {
            for cell in &planned.cells {
                let place = (cell.scenario.clone(), cell.system.clone());
                let all = asked(claim, &cell.arm).chain(units::costs(claim, &cell.arm));
                wanted.entry(place.clone()).or_default().extend(all);
                let key = (claim.id.clone(), cell.arm.clone(), cell.point);
                records.places.insert(key, place);
            }
        }
        for (place, wanted) in wanted {
            for block in 1..=plan.most_blocks() {
                records.take(folder, &place, block, &wanted)?;
            }
        }
        Ok(records)
    }

    /// All that verdicts rest on, and what is told beside them.
    pub(super) fn figures(&self) -> &Figures {
        &self.figures
    }

    fn take(
        &mut self,
        run: &Path,
        place: &Place,
        block: u32,
        wanted: &BTreeSet<Wanted>,
    ) -> anyhow::Result<()> {
        let folder = run.join(&place.0).join(&place.1).join(block.to_string());
        if !folder.is_dir() {
            return Ok(());
        }
        let Some(trial) = Trial::read(&folder)? else { return Ok(()) };
        self.there.insert((place.clone(), block));
        for wanted in wanted {
            // The claim was parsed: its figures have names.
            let Ok(measure) = Measure::named(&wanted.measure) else { continue };
            let key = (place.clone(), block, wanted.clone());
            let value = match &self.kept {
                Some(kept) => kept.0.get(&key).copied(),
                None => figure::measured(&folder, &trial, &measure, wanted)?,
            };
            self.figures.0.extend(value.map(|value| (key, value)));
        }
        Ok(())
    }
}

/// What a claim asks of an arm.
pub(super) fn asked<'c>(claim: &'c Claim, arm: &'c str) -> impl Iterator<Item = Wanted> + use<'c> {
    claim.expect.iter().flat_map(move |expect| {
        let of_arm = expect.of.cells().filter(move |cell| cell.arm == arm);
        of_arm.map(|cell| Wanted {
            measure: expect.measure.name.clone(),
            phase: cell.phase.clone(),
            operation: expect.operation.clone(),
        })
    })
}

impl Results for Records {
    /// Those of which every arm has a record.
    fn blocks(&self, claim: &Claim, point: usize) -> Vec<u32> {
        let places: Vec<&Place> = self
            .places
            .iter()
            .filter(|((id, _, at), _)| *id == claim.id && *at == point)
            .map(|(_, place)| place)
            .collect();
        let Some(first) = places.first() else { return Vec::new() };
        let has = |place: &&Place, block: u32| self.there.contains(&((**place).clone(), block));
        let blocks = self.there.iter().filter(|(place, _)| place == *first);
        let blocks = blocks.map(|(_, block)| *block);
        blocks.filter(|block| places.iter().all(|place| has(place, *block))).collect()
    }

    fn figure(&self, asked: &Asked<'_>) -> Option<Measured> {
        let key = (asked.claim.id.clone(), asked.arm.to_owned(), asked.point);
        let place = self.places.get(&key)?.clone();
        let wanted = Wanted {
            measure: asked.measure.name.clone(),
            phase: asked.phase.map(str::to_owned),
            operation: asked.operation.map(str::to_owned),
        };
        self.figures.0.get(&(place, asked.block, wanted)).copied()
    }
}
