//! What a trial says of itself to whoever looks while it runs.

use serde_json::{Value, json};

use super::Trial;
use faults::Planned;
use load::live::Live;
use load::profile::Profile;

impl Trial<'_> {
    /// That nobody can look is no reason not to measure.
    pub(super) fn live(&self, started_at_us: i64) -> Option<Live> {
        let plan = json!({
            "scenario": self.scenario.name,
            "system": self.system.name,
            "trial": self.number,
            "started_at_us": started_at_us,
            "duration_s": self.scenario.duration_s(),
            "offered": Profile::new(self.scenario).points(),
            "faults": self.faults().iter().map(band).collect::<Vec<_>>(),
        });
        Live::begin(&self.folder, &plan).ok()
    }
}

/// When a fault is to be there: without an end where nothing heals it by time.
fn band(planned: &Planned) -> Value {
    let from_s = planned.at.as_s();
    json!({
        "kind": planned.fault.facts().name,
        "harm": planned.target.to_string(),
        "from_s": from_s,
        "to_s": planned.lasts.map(|lasts| from_s + lasts.as_s()),
    })
}
