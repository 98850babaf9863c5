//! What random faults are drawn from, as a scenario file says it. It draws none: that takes the kinds.

use serde::Deserialize;
use toml::Spanned;

use super::Template;
use crate::config::Span;

/// What is drawn from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chaos {
    /// Draws the same faults in every trial; without it each trial has its own.
    #[serde(default)]
    pub seed: Option<u64>,
    /// What is done: words, or tables with the parameters of a kind.
    pub kinds: Vec<Spanned<Template>>,
    /// Who is harmed, where a kind does not say it.
    #[serde(default = "roles")]
    pub roles: Vec<String>,
    /// Mean time from the end of one fault to the next; exponential, and a second at least.
    #[serde(default = "every")]
    pub every: Span,
    /// The shortest fault.
    #[serde(default = "shortest")]
    pub min: Span,
    /// The longest.
    #[serde(default = "longest")]
    pub max: Span,
    /// Share of the draws in which nothing is done for as long as a fault would have lasted; a
    /// quarter, as in Jepsen's packages of faults.
    #[serde(default = "quiet")]
    pub quiet: f64,
    /// The first may begin here; without it, after the warm-up.
    #[serde(default)]
    pub from: Option<Span>,
    /// The last has ended here; without it, at the end of the load.
    #[serde(default)]
    pub to: Option<Span>,
}

fn roles() -> Vec<String> {
    ["auth", "orders", "payments"].map(str::to_owned).to_vec()
}
fn every() -> Span {
    Span::secs(10)
}
fn shortest() -> Span {
    Span::secs(1)
}
fn longest() -> Span {
    Span::secs(5)
}
fn quiet() -> f64 {
    0.25
}

impl Chaos {
    /// Whether it keeps the rules that hold for any kind, within a load of `load_s` seconds.
    pub(super) fn check(&self, load_s: f64) -> Result<(), String> {
        if self.kinds.is_empty() || self.roles.is_empty() {
            return Err("there are no kinds, or no roles".to_owned());
        }
        if self.min.0.is_zero() || self.min > self.max {
            return Err(format!(
                "min is {} and max is {}; expected 0 < min ≤ max",
                self.min, self.max
            ));
        }
        if self.every.0.is_zero() {
            return Err("every is 0; expected a mean time between faults".to_owned());
        }
        if !(0.0..=1.0).contains(&self.quiet) {
            return Err(format!("quiet is {}; expected 0 to 1", self.quiet));
        }
        let from = self.from.unwrap_or_default();
        if self.to.is_some_and(|to| to.as_s() > load_s || to <= from) {
            return Err(format!(
                "from {from} to {} is not within the load ({load_s} s)",
                self.to.unwrap_or_default()
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let chaos = config::parse::<Chaos>(Path::new("s.toml"), text).map_err(|e| e.to_string());
        match (chaos.and_then(|chaos| chaos.check(30.0)), expected) {
            (Ok(()), "") => {}
            (Err(text), part) if !part.is_empty() && text.contains(part) => {}
            (result, _) => panic!("{result:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn what_is_drawn_has_bounds() {
        check("kinds = [\"kill\", { kind = \"cpu\", cores = 0.1 }, \"restart\"]", "");
        check("kinds = []", "there are no kinds");
        check("kinds = [{ kind = \"kill\", for = \"3s\" }]", "s.toml:1: chaos: the key `for` is");
        check("kinds = [{ cores = 3 }]", "missing field `kind`");
        check("kinds = [3]", "s.toml:1: invalid type: integer `3`, expected the name of a kind");
        check("kinds = [\"kill\"]\nmin = \"6s\"", "expected 0 < min");
        check("kinds = [\"kill\"]\nevery = \"0s\"", "every is 0");
        check("kinds = [\"kill\"]\nquiet = 1.5", "quiet is 1.5");
        check("kinds = [\"kill\"]\nto = \"31s\"", "not within the load (30 s)");
    }
}
