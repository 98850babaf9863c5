//! Random faults: drawn from a seed before the run, one after the other, the same for every system.
//!
//! They fall on roles, and never two at once: where one process plays all roles, two would fall on
//! the same process, and only there.

use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp};

use super::kind::Lasts;
use super::kinds::Fault;
use super::parse::Mistake;
use super::planned::Planned;
use scenario::config::Span;
use scenario::{Chaos, Scenario, Target, Template};

/// After a healing nothing is harmed for this long: a process that was started is ready by then.
const SETTLE: Duration = Duration::from_secs(1);

/// What is drawn from, within what bounds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Draw {
    chaos: Chaos,
    kinds: Vec<Drawn>,
    from: Span,
    to: Span,
}

/// A fault without its time, and perhaps without whom it harms.
#[derive(Clone, Debug, PartialEq)]
struct Drawn {
    target: Option<Target>,
    fault: Fault,
}

impl Draw {
    /// What a scenario draws from, if it draws.
    pub(super) fn of(scenario: &Scenario) -> Result<Option<Self>, Mistake> {
        let Some(chaos) = &scenario.chaos else { return Ok(None) };
        let load_s = scenario.duration_s();
        let from = chaos.from.unwrap_or(scenario.warm_up);
        let to = Span(Duration::from_secs_f64(chaos.to.map_or(load_s, Span::as_s)));
        Self::within(chaos, from, to, load_s).map(Some)
    }

    fn within(chaos: &Chaos, from: Span, to: Span, load_s: f64) -> Result<Self, Mistake> {
        let kinds = chaos.kinds.iter().map(|spanned| {
            let template = spanned.get_ref();
            let name = format!("chaos: fault {}", template.what.kind);
            let place = Some(template.what.place.unwrap_or(spanned.span().start));
            Drawn::of(template, load_s).map_err(|mistake| {
                let place = mistake.place.or(place);
                Mistake { place, ..mistake.about(&name) }
            })
        });
        Ok(Self { kinds: kinds.collect::<Result<_, _>>()?, chaos: chaos.clone(), from, to })
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = &Fault> {
        self.kinds.iter().map(|drawn| &drawn.fault)
    }

    /// The faults of a trial with this seed.
    pub(super) fn faults(&self, seed: u64) -> Vec<Planned> {
        let chaos = &self.chaos;
        let mut rng = ChaCha8Rng::seed_from_u64(chaos.seed.unwrap_or(seed));
        let mut drawn = Vec::new();
        let mut now = self.from.0;
        loop {
            // Every draw takes the same numbers, so that a changed share changes nothing else.
            let wait =
                Exp::new(1.0 / chaos.every.as_s().max(1e-3)).map_or(0.0, |e| e.sample(&mut rng));
            let quiet = rng.random::<f64>() < chaos.quiet;
            let (kind, role) = (pick(&mut rng, &self.kinds), pick(&mut rng, &chaos.roles));
            let share = rng.random::<f64>();
            now += Duration::from_secs_f64(wait.min(1e6)).max(SETTLE);
            let lasts = whole_ms(chaos.min.as_s() + (chaos.max.as_s() - chaos.min.as_s()) * share);
            let at = whole_ms(now.as_secs_f64());
            let (Some(kind), Some(role)) = (kind, role) else { return drawn };
            if at + lasts > self.to.0 {
                return drawn;
            }
            if !quiet {
                drawn.push(kind.planned(at, lasts, role));
            }
            now = at + lasts;
        }
    }
}

impl Drawn {
    fn of(template: &Template, load_s: f64) -> Result<Self, Mistake> {
        let fault = Fault::parse(&template.what)?;
        let target = template.target.clone().or_else(|| fault.facts().targets.only());
        let drawn = Self { target, fault };
        // Any time will do: what is drawn lies within the bounds.
        let example = drawn.planned(Duration::ZERO, Duration::from_millis(1), "");
        example.check(load_s).map_err(|text| Mistake::rule(None, text))?;
        Ok(drawn)
    }

    fn planned(&self, at: Duration, lasts: Duration, role: &str) -> Planned {
        let over = self.fault.facts().lasts == Lasts::Never;
        Planned {
            at: Span(at),
            lasts: (!over).then_some(Span(lasts)),
            target: self.target.clone().unwrap_or_else(|| Target::Role(role.to_owned())),
            fault: self.fault.clone(),
        }
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
    use scenario::config;

    fn draw(text: &str, from: Span, to: Span) -> Result<Draw, String> {
        let chaos: Chaos = config::parse(Path::new("s.toml"), text).map_err(|e| e.to_string())?;
        Draw::within(&chaos, from, to, to.as_s()).map_err(|mistake| mistake.text)
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        match (draw(text, Span::secs(0), Span::secs(30)), expected) {
            (Ok(_), "") => {}
            (Err(text), part) if !part.is_empty() && text.contains(part) => {}
            (result, _) => panic!("{result:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn kinds_are_words_or_tables() {
        check("kinds = [\"kill\", { kind = \"cpu\", cores = 0.1 }, \"restart\"]", "");
        check("kinds = [{ kind = \"crash\", harm = \"orders\", point = \"mid-commit\" }]", "");
        check("kinds = [{ kind = \"provider\", error_rate = 0.1 }]", "");
        check("kinds = [\"kil\"]", "unknown value `kil`; did you mean `kill`?");
        check("kinds = [\"cpu\"]", "chaos: fault cpu: kind = \"cpu\" needs the key `cores`");
        check("kinds = [{ kind = \"kill\", cors = 3 }]", "did you mean `cores`?");
        check("kinds = [{ kind = \"cpu\", cores = 99 }]", "cores is 99; expected 0.01 to 64");
        check("kinds = [\"reset\"]", "expected harm = \"link:NAME\"");
        check("kinds = [\"power-cut\"]", "write harm = \"disk\"");
    }

    fn chaos() -> impl Strategy<Value = (Draw, u64)> {
        let ms = |from: u64, to: u64| (from..to).prop_map(|ms| Span(Duration::from_millis(ms)));
        let lengths = (ms(1, 3_000), ms(0, 5_000), ms(1, 20_000));
        (lengths, 0.0..=1.0f64, any::<u64>(), 0..60u64, 1..300u64).prop_map(
            |((min, more, every), quiet, seed, from_s, length_s)| {
                let text = "kinds = [\"kill\", \"pause\", \"restart\", { kind = \"crash\", point = \"x\" }]";
                let mut draw =
                    draw(text, Span::secs(from_s), Span::secs(from_s + length_s)).unwrap();
                let max = Span(min.0 + more.0);
                draw.chaos = Chaos { min, max, every, quiet, ..draw.chaos };
                (draw, seed)
            },
        )
    }

    proptest! {
        #[test]
        fn drawn_faults_lie_in_their_bounds_one_after_the_other((draw, seed) in chaos()) {
            let drawn = draw.faults(seed);
            prop_assert_eq!(&drawn, &draw.faults(seed));
            let mut free = draw.from.0 + SETTLE;
            for fault in &drawn {
                prop_assert!(fault.at.0 >= free, "{:?}", drawn);
                free = fault.until().0 + SETTLE;
                prop_assert!(fault.until() <= draw.to);
                prop_assert!(draw.chaos.roles.contains(&fault.target.to_string()));
                let checked = fault.check(draw.to.as_s() + 1.0);
                prop_assert!(checked.is_ok(), "{:?}", checked);
                if let Some(lasts) = fault.lasts {
                    let most = draw.chaos.max.0 + Duration::from_millis(1);
                    prop_assert!(lasts >= draw.chaos.min && lasts.0 <= most, "{:?}", lasts);
                }
            }
        }
    }

    #[test]
    fn each_seed_has_its_own_schedule_and_a_quarter_is_quiet() {
        let text = "kinds = [\"kill\", \"pause\"]\nevery = \"2s\"";
        let mut draw = draw(text, Span::secs(0), Span::secs(86_400)).unwrap();
        assert_ne!(draw.faults(1), draw.faults(2));
        let with_quiet = draw.faults(1).len() as f64;
        draw.chaos.quiet = 0.0;
        let share = 1.0 - with_quiet / draw.faults(1).len() as f64;
        assert!((share - 0.25).abs() < 0.02, "{share}");
        draw.chaos.seed = Some(9);
        assert_eq!(draw.faults(1), draw.faults(2));
    }
}
