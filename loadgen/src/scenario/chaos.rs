//! Random faults: drawn from a seed before the run, one after the other, the same for every system.
//!
//! They fall on roles, and never two at once: where one process plays all roles, two would fall on
//! the same process, and only there.

use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::{FaultKind, FaultSpec, Lasts, Scenario};
use crate::config::Span;

/// After a healing nothing is harmed for this long: a process that was started is ready by then.
const SETTLE: Duration = Duration::from_secs(1);

/// What is drawn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chaos {
    /// Draws the same faults in every trial; without it each trial has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// What is done: words, or tables with the parameters of a kind.
    pub kinds: Vec<Template>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Span>,
    /// The last has ended here; without it, at the end of the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Span>,
}

/// A fault without its time, and perhaps without its role.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Template(FaultSpec);

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = match toml::Value::deserialize(deserializer)? {
            toml::Value::Table(table) => table,
            word => toml::Table::from_iter([("kind".to_owned(), word)]),
        };
        for key in ["at", "for"] {
            if table.contains_key(key) {
                return Err(de::Error::custom(format!("chaos: the key `{key}` is drawn")));
            }
        }
        table.insert("at".to_owned(), "0s".into());
        table.entry("harm").or_insert_with(|| "".into());
        FaultSpec::deserialize(table).map(Self).map_err(|e| de::Error::custom(e.message()))
    }
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

impl Scenario {
    /// The faults of a trial with this seed: the scenario's own, or drawn ones.
    #[must_use]
    pub fn schedule(&self, seed: u64) -> Vec<FaultSpec> {
        let Some(chaos) = &self.chaos else { return self.faults.clone() };
        let from = chaos.from.unwrap_or(self.warm_up);
        let to = chaos.to.map_or(self.duration_s(), Span::as_s);
        chaos.draw(seed, from, Span(Duration::from_secs_f64(to)))
    }

    /// All that may be done to a system, whenever: the faults, or what they are drawn from.
    pub fn harms(&self) -> impl Iterator<Item = &FaultSpec> {
        let drawn = self.chaos.iter().flat_map(|chaos| chaos.kinds.iter().map(|Template(f)| f));
        self.faults.iter().chain(drawn)
    }

    pub(super) fn check_chaos(&self) -> Result<(), String> {
        let Some(chaos) = &self.chaos else { return Ok(()) };
        if !self.faults.is_empty() {
            return Err("give [[fault]] or [chaos], not both".to_owned());
        }
        chaos.check(self.duration_s()).map_err(|text| format!("chaos: {text}"))
    }
}

impl Chaos {
    fn draw(&self, seed: u64, from: Span, to: Span) -> Vec<FaultSpec> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed.unwrap_or(seed));
        let mut drawn = Vec::new();
        let mut now = from.0;
        loop {
            // Every draw takes the same numbers, so that a changed share changes nothing else.
            let wait =
                Exp::new(1.0 / self.every.as_s().max(1e-3)).map_or(0.0, |e| e.sample(&mut rng));
            let quiet = rng.random::<f64>() < self.quiet;
            let (kind, role) = (pick(&mut rng, &self.kinds), pick(&mut rng, &self.roles));
            let share = rng.random::<f64>();
            now += Duration::from_secs_f64(wait.min(1e6)).max(SETTLE);
            let lasts = whole_ms(self.min.as_s() + (self.max.as_s() - self.min.as_s()) * share);
            let at = whole_ms(now.as_secs_f64());
            let (Some(Template(kind)), Some(role)) = (kind, role) else { return drawn };
            if at + lasts > to.0 {
                return drawn;
            }
            if !quiet {
                let over = kind.kind.takes().lasts == Lasts::Never;
                let harm = if kind.harm.is_empty() { role.clone() } else { kind.harm.clone() };
                let lasts = (!over).then_some(Span(lasts));
                drawn.push(FaultSpec { at: Span(at), lasts, harm, ..kind.clone() });
            }
            now = at + lasts;
        }
    }

    fn check(&self, load_s: f64) -> Result<(), String> {
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
        for Template(fault) in &self.kinds {
            let role = fault.harm.is_empty() && fault.kind == FaultKind::Provider;
            let harm = if role { "provider" } else { &fault.harm };
            let over = fault.kind.takes().lasts == Lasts::Never;
            let lasts = (!over).then_some(Span(Duration::from_millis(1)));
            FaultSpec { lasts, harm: harm.to_owned(), ..fault.clone() }.check(load_s)?;
        }
        Ok(())
    }
}

fn pick<'a, T>(rng: &mut ChaCha8Rng, from: &'a [T]) -> Option<&'a T> {
    let share: f64 = rng.random();
    from.get(((share * from.len() as f64) as usize).min(from.len().saturating_sub(1)))
}

fn whole_ms(seconds: f64) -> Duration {
    Duration::from_millis((seconds * 1e3).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::config;

    fn parse(text: &str) -> Result<Chaos, String> {
        let chaos: Chaos = config::parse(Path::new("s.toml"), text).map_err(|e| e.to_string())?;
        chaos.check(30.0).map(|()| chaos)
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        match (parse(text), expected) {
            (Ok(_), "") => {}
            (Err(text), part) if !part.is_empty() && text.contains(part) => {}
            (result, _) => panic!("{result:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn kinds_are_words_or_tables() {
        check("kinds = [\"kill\", { kind = \"cpu\", cores = 0.1 }, \"restart\"]", "");
        check("kinds = [{ kind = \"crash\", harm = \"orders\", point = \"mid-commit\" }]", "");
        check("kinds = []", "there are no kinds");
        check("kinds = [\"kil\"]", "kil");
        check("kinds = [\"cpu\"]", "kind = \"cpu\" needs the key `cores`");
        check("kinds = [{ kind = \"kill\", for = \"3s\" }]", "the key `for` is drawn");
        check("kinds = [{ kind = \"kill\", cors = 3 }]", "cors");
        check("kinds = [\"kill\"]\nmin = \"6s\"", "expected 0 < min");
        check("kinds = [\"kill\"]\nevery = \"0s\"", "every is 0");
        check("kinds = [\"kill\"]\nquiet = 1.5", "quiet is 1.5");
        check("kinds = [\"kill\"]\nto = \"31s\"", "not within the load (30 s)");
    }

    fn chaos() -> impl Strategy<Value = (Chaos, u64, u64)> {
        let ms = |from: u64, to: u64| (from..to).prop_map(|ms| Span(Duration::from_millis(ms)));
        let lengths = (ms(1, 3_000), ms(0, 5_000), ms(1, 20_000));
        (lengths, 0.0..=1.0f64, any::<u64>(), 0..60u64, 1..300u64).prop_map(
            |((min, more, every), quiet, seed, from_s, length_s)| {
                let text = "kinds = [\"kill\", \"pause\", \"restart\", { kind = \"crash\", point = \"x\" }]";
                let mut chaos = parse(text).unwrap();
                let max = Span(min.0 + more.0);
                chaos = Chaos { min, max, every, quiet, from: Some(Span::secs(from_s)), ..chaos };
                (chaos, seed, from_s + length_s)
            },
        )
    }

    proptest! {
        #[test]
        fn drawn_faults_lie_in_their_bounds_one_after_the_other((chaos, seed, to_s) in chaos()) {
            let from = chaos.from.unwrap();
            let drawn = chaos.draw(seed, from, Span::secs(to_s));
            prop_assert_eq!(&drawn, &chaos.draw(seed, from, Span::secs(to_s)));
            let mut free = from.0 + SETTLE;
            for fault in &drawn {
                prop_assert!(fault.at.0 >= free, "{:?}", drawn);
                free = fault.until().0 + SETTLE;
                prop_assert!(fault.until() <= Span::secs(to_s));
                prop_assert!(roles().contains(&fault.harm));
                prop_assert!(fault.check(to_s as f64 + 1.0).is_ok(), "{:?}", fault.check(to_s as f64));
                if let Some(lasts) = fault.lasts {
                    let most = chaos.max.0 + Duration::from_millis(1);
                    prop_assert!(lasts >= chaos.min && lasts.0 <= most, "{:?}", lasts);
                }
            }
        }
    }

    #[test]
    fn each_seed_has_its_own_schedule_and_a_quarter_is_quiet() {
        let mut chaos = parse("kinds = [\"kill\", \"pause\"]\nevery = \"2s\"").unwrap();
        let day = Span::secs(86_400);
        let draw = |chaos: &Chaos, seed| chaos.draw(seed, Span::secs(0), day);
        assert_ne!(draw(&chaos, 1), draw(&chaos, 2));
        let with_quiet = draw(&chaos, 1).len() as f64;
        chaos.quiet = 0.0;
        let share = 1.0 - with_quiet / draw(&chaos, 1).len() as f64;
        assert!((share - 0.25).abs() < 0.02, "{share}");
        chaos.seed = Some(9);
        assert_eq!(draw(&chaos, 1), draw(&chaos, 2));
    }
}
