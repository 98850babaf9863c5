//! The rules that a scenario must keep, each with what was found and what is expected.

use std::time::Duration;

use super::{Curve, Mix, Scenario};
use super::{FIRST_THIRD, LAST_THIRD, Pointless};
use record::Operation;

/// A network is faster than that.
const HOP_DELAY_MAX: Duration = Duration::from_secs(1);
/// More would be no load test but a mistake in the file.
const RATE_MAX: f64 = 200_000.0;
/// As the card network takes it.
const AT_ONCE_MAX: u32 = 10_000;

/// A load of more than a week is a mistake in the file, and its record could not be read.
const SECONDS_MAX: f64 = 604_800.0;
/// A shorter wave is none that a report could draw.
const PERIOD_MIN_S: f64 = 0.1;

impl Scenario {
    pub(super) fn check(&self) -> Result<(), String> {
        self.check_retries()?;
        self.check_load()?;
        self.check_provider()?;
        self.check_phases()?;
        self.check_thresholds()?;
        self.check_chaos()?;
        self.check_disk()?;
        self.check_hop_delay()?;
        self.check_aborts()
    }

    /// A fault's healing would take the delay away, and a delay be taken for a fault's.
    fn check_hop_delay(&self) -> Result<(), String> {
        let Some(delay) = self.hop_delay else { return Ok(()) };
        if delay.0 > HOP_DELAY_MAX {
            return Err(format!("hop_delay is {delay}; expected 1s at most"));
        }
        match self.targets().find_map(|target| target.link()) {
            Some(link) => Err(format!(
                "hop_delay delays links for the whole trial; a fault of the link {link:?} cannot be told from it"
            )),
            None => Ok(()),
        }
    }

    fn check_load(&self) -> Result<(), String> {
        self.check_rates()?;
        self.check_form()?;
        let seconds = self.duration_s();
        if !(1.0..=SECONDS_MAX).contains(&seconds) || seconds.fract() != 0.0 {
            return Err(format!(
                "the stages last {seconds} s together; expected whole seconds, 1 to {SECONDS_MAX}"
            ));
        }
        if self.warm_up.whole_s().is_none_or(|w| f64::from(w) >= seconds) {
            return Err(format!(
                "warm_up is {}; expected whole seconds, fewer than the load's {seconds}",
                self.warm_up
            ));
        }
        let of_stages = self.stages.iter().filter_map(|stage| stage.mix.as_ref());
        for mix in std::iter::once(&self.mix).chain(of_stages) {
            let weights = mix.weights().map(|(_, weight)| weight);
            let is_bad = weights.iter().any(|w| !w.is_finite() || *w < 0.0);
            if is_bad || weights.iter().sum::<f64>() <= 0.0 {
                return Err("mix: weights are 0 or more, and one at least is more".to_owned());
            }
        }
        if self.session.is_some() && !self.mixes().is_empty() {
            return Err(
                "a session has its own steps; a stage's mix would ask for nothing".to_owned()
            );
        }
        if self.customers == 0 || self.customers > 10_000 {
            return Err(format!("customers is {}; expected 1 to 10000", self.customers));
        }
        if self.limits.in_flight == 0 || self.limits.in_flight > 20_000 {
            return Err(format!(
                "limits.in_flight is {}; expected 1 to 20000",
                self.limits.in_flight
            ));
        }
        if self.limits.timeout.0.is_zero() {
            return Err(
                "limits.timeout is 0; expected a time in which an answer can come".to_owned()
            );
        }
        Ok(())
    }

    fn check_rates(&self) -> Result<(), String> {
        let corners = match &self.curve {
            Curve::Intensity(corners) => corners.as_slice(),
            Curve::Stages | Curve::Trace(_) => &[],
        };
        let from_file = corners.iter().map(|(_, rate)| *rate);
        let rates = std::iter::once(self.start).chain(self.stages.iter().map(|s| s.rate));
        for rate in rates.chain(from_file) {
            if !(0.0..=RATE_MAX).contains(&rate) {
                return Err(format!("the rate {rate} is not between 0 and {RATE_MAX} per second"));
            }
        }
        for stage in &self.stages {
            match (stage.amplitude, stage.period) {
                (None, None) => {}
                (Some(amplitude), Some(period)) => {
                    if !(0.0..=stage.rate).contains(&amplitude) || period.as_s() < PERIOD_MIN_S {
                        return Err(format!(
                            "a sine around {} swings by 0 to {0} and has a period of {PERIOD_MIN_S} s or more; found {amplitude} and {period}",
                            stage.rate
                        ));
                    }
                }
                _ => return Err("a sine has both amplitude and period".to_owned()),
            }
        }
        Ok(())
    }

    fn check_provider(&self) -> Result<(), String> {
        let shares = [
            ("decline_rate", self.provider.decline_rate),
            ("error_rate", self.provider.error_rate),
            ("lost_answers", self.provider.lost_answers),
        ];
        shares.iter().try_for_each(|(name, share)| check_share(name, *share))?;
        match (self.provider.at_once, self.provider.queue) {
            (Some(at_once), _) if !(1..=AT_ONCE_MAX).contains(&at_once) => {
                Err(format!("provider.at_once is {at_once}; expected 1 to {AT_ONCE_MAX}"))
            }
            (None, Some(_)) => {
                Err("provider.queue: nobody waits without provider.at_once".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn check_chaos(&self) -> Result<(), String> {
        let Some(chaos) = &self.chaos else { return Ok(()) };
        if !self.faults.is_empty() {
            return Err("give [[fault]] or [chaos], not both".to_owned());
        }
        chaos.check(self.duration_s()).map_err(|text| format!("chaos: {text}"))
    }

    fn check_disk(&self) -> Result<(), String> {
        match self.disk {
            Some(disk) if !(16..=1 << 20).contains(&disk.size_mib) => {
                Err(format!("disk.size_mib is {}; expected 16 to {}", disk.size_mib, 1 << 20))
            }
            _ => Ok(()),
        }
    }

    fn check_phases(&self) -> Result<(), String> {
        let end = self.duration_s();
        let mut last = self.warm_up.as_s();
        for phase in &self.phases {
            let (Some(from), Some(to)) = (phase.from.whole_s(), phase.to.whole_s()) else {
                return Err(format!("phase {:?}: from and to are whole seconds", phase.name));
            };
            if f64::from(from) < last || to <= from || f64::from(to) > end {
                return Err(format!(
                    "phase {:?} is {from} s to {to} s; expected after the warm-up and the phase before it ({last} s), and within the load ({end} s)",
                    phase.name
                ));
            }
            last = f64::from(to);
        }
        Ok(())
    }

    fn check_thresholds(&self) -> Result<(), String> {
        let phases = self.phases();
        let operations = self.operations()?;
        for threshold in &self.thresholds {
            let expect = &threshold.expect;
            if let Some(Pointless { holds, why }) = expect.pointless(self.order_s()) {
                return Err(format!(
                    "threshold {:?} {holds} holds: {why}; expected one that can be kept and broken",
                    expect.to_string()
                ));
            }
            let has = |name: &str| phases.iter().any(|phase| phase.name == name);
            if expect.compares_thirds() && !(has(FIRST_THIRD) && has(LAST_THIRD)) {
                return Err(format!(
                    "threshold {:?} compares the phases {:?} and {:?}; expected a [[phase]] of each name",
                    expect.to_string(),
                    FIRST_THIRD,
                    LAST_THIRD
                ));
            }
            if let Some(named) = threshold.operation.filter(|named| !operations.contains(named)) {
                let names: Vec<&str> = operations.iter().map(|o| o.as_str()).collect();
                return Err(format!(
                    "threshold {:?}: the load has no operation \"{named}\"; it has {}",
                    threshold.expect.to_string(),
                    names.join(", ")
                ));
            }
            let known = |name: &String| phases.iter().any(|p| p.name == *name);
            if let Some(name) = threshold.phase.as_ref().filter(|name| !known(name)) {
                let names: Vec<&str> = phases.iter().map(|p| p.name.as_str()).collect();
                return Err(format!(
                    "threshold {:?}: there is no phase {name:?}; there are {}",
                    threshold.expect.to_string(),
                    names.join(", ")
                ));
            }
        }
        Ok(())
    }

    /// What the load consists of.
    fn operations(&self) -> Result<Vec<Operation>, String> {
        if let Some(session) = &self.session {
            return session.operations();
        }
        let mixes = std::iter::once(self.mix).chain(self.mixes().into_iter().map(|(_, mix)| mix));
        let mixes: Vec<Mix> = mixes.collect();
        let is_sent = |operation: &Operation| mixes.iter().any(|mix| mix.weight(*operation) > 0.0);
        let all = self.mix.weights().into_iter().map(|(operation, _)| operation);
        Ok(all.filter(is_sent).collect())
    }

    fn check_aborts(&self) -> Result<(), String> {
        for abort in &self.aborts {
            if let Some(Pointless { holds, why }) = abort.when.pointless(self.order_s()) {
                return Err(format!(
                    "abort {:?} {holds} holds: {why}; expected a condition that some trials meet",
                    abort.when.to_string()
                ));
            }
        }
        let too_long = self.aborts.iter().find(|a| a.over.as_s() > self.duration_s());
        too_long.map_or(Ok(()), |abort| {
            Err(format!(
                "abort {:?}: over is {}; expected at most the load's {} s, or it never ends a trial",
                abort.when.to_string(),
                abort.over,
                self.duration_s()
            ))
        })
    }

    fn check_form(&self) -> Result<(), String> {
        if let Some(closed) = &self.closed {
            let others = !self.stages.is_empty()
                || self.intensity.is_some()
                || self.trace.is_some()
                || self.session.is_some();
            if others {
                return Err("closed goes without stages, intensity, trace and session".to_owned());
            }
            if closed.users == 0 || closed.users > self.limits.in_flight {
                return Err(format!(
                    "closed.users is {}; expected 1 to limits.in_flight ({})",
                    closed.users, self.limits.in_flight
                ));
            }
            if closed.poll.is_some() {
                self.check_poll(closed.users)?;
            }
        }
        if self.drain < self.limits.timeout {
            return Err(format!(
                "drain is {}; expected limits.timeout ({}) or more: what is still open when the drain ends has no time",
                self.drain, self.limits.timeout
            ));
        }
        if self.drain.as_s() < self.order_s() {
            return Err(format!(
                "drain is {}; expected {} s or more: all attempts of an order (limits.timeout {} each) and the pauses between them",
                self.drain,
                self.order_s(),
                self.limits.timeout
            ));
        }
        self.session.as_ref().map_or(Ok(()), |session| session.operations().map(drop))
    }
}

impl Scenario {
    /// Who looks up his newest order must be alone in his account, and have no other to look up.
    fn check_poll(&self, users: u32) -> Result<(), String> {
        let places_only = self.mix == Mix { place: self.mix.place, ..Mix::default() };
        if !places_only {
            return Err(
                "closed.poll: expected a mix of place alone; look-ups follow by themselves"
                    .to_owned(),
            );
        }
        if self.customers < users {
            return Err(format!(
                "customers is {}; expected closed.users ({users}) or more: with closed.poll each has an account of \
                 his own",
                self.customers
            ));
        }
        Ok(())
    }
}

fn check_share(name: &str, share: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&share) {
        return Ok(());
    }
    Err(format!("{name} is {share}; expected 0 to 1"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    const GOOD: &str = r#"
about = "x"
start = 10
stages = [{ duration = "30s", rate = 10 }]
mix = { place = 1 }
"#;

    #[track_caller]
    fn check(extra: &str, expected: Result<(), &str>) {
        let path = Path::new("s.toml");
        let result = config::parse::<Scenario>(path, &format!("{GOOD}{extra}"))
            .map_err(|e| e.to_string())
            .and_then(|s| s.check());
        match (&result, expected) {
            (Ok(()), Ok(())) => {}
            (Err(text), Err(part)) if text.contains(part) => {}
            _ => panic!("{result:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn rules() {
        check("", Ok(()));
        check("startt = 3", Err("s.toml:6: unknown key `startt`; did you mean `start`?"));
        check("limits = { timeout = \"0s\" }", Err("limits.timeout is 0"));
        check("limits = { in_flight = 0 }", Err("limits.in_flight is 0"));
        check("warm_up = \"30s\"", Err("warm_up is 30s"));
        check("warm_up = \"1500ms\"", Err("warm_up is 1500ms"));
        check("customers = 0", Err("customers is 0"));
        check("provider = { decline_rate = 1.5 }", Err("decline_rate is 1.5"));
        check("provider = { at_once = 4, queue = 256 }", Ok(()));
        check("provider = { at_once = 0 }", Err("provider.at_once is 0; expected 1 to 10000"));
        check("provider = { queue = 9 }", Err("nobody waits without provider.at_once"));
        check("retries = {}", Ok(()));
        check("retries = { attempts = 0 }", Err("retries.attempts is 0; expected 1 to 20"));
        check("retries = { attempts = 21 }", Err("retries.attempts is 21"));
        check("retries = { jitter = 1.5 }", Err("retries.jitter is 1.5"));
        check("retries = { after = [] }", Err("retries.after is empty"));
        check("retries = { backoff = \"6s\" }", Err("retries.longest (5s) at most"));
        check("retries = { attempts = 4 }", Err("drain is 30s; expected 35 s or more"));
        check("provider = { latency = \"lognormal:80ms,20ms\" }", Err("lognormal:80ms,20ms"));
        check("closed = { users = 5, duration = \"9s\" }", Err("closed goes without stages"));
        let closed = |rest: &str| {
            let text = GOOD.replace("stages = [{ duration = \"30s\", rate = 10 }]", "");
            let text = text.replace("start = 10", rest);
            let scenario = config::parse::<Scenario>(Path::new("s.toml"), &text).unwrap();
            scenario.check()
        };
        let polling = "closed = { users = 5, duration = \"9s\", poll = \"10ms\" }";
        assert_eq!(closed(polling), Ok(()));
        let few = closed(&format!("customers = 4\n{polling}")).unwrap_err();
        assert!(few.contains("customers is 4; expected closed.users (5) or more"), "{few}");
        let mixed = GOOD.replace("place = 1", "place = 1, get = 1").replace("start = 10", polling);
        let mixed = mixed.replace("stages = [{ duration = \"30s\", rate = 10 }]", "");
        let mixed = config::parse::<Scenario>(Path::new("s.toml"), &mixed).unwrap().check();
        assert!(mixed.unwrap_err().contains("a mix of place alone"));
        check("session = { steps = [\"place\", \"pay\"] }", Err("the step \"pay\""));
        check("session = { steps = [] }", Err("no steps"));
        check("session = { steps = [\"place\"] }\ndrain = \"1s\"", Err("drain is 1s"));
        check("drain = \"1s\"", Err("drain is 1s; expected limits.timeout (5s) or more"));
        check("drain = \"1s\"\nlimits = { timeout = \"1s\" }", Ok(()));
        check("session = { steps = [\"login\", \"place\", \"get\"], think = \"1s\" }", Ok(()));
        let sine = |period: &str| {
            format!("[[stages]]\nduration = \"9s\"\nrate = 5\namplitude = 5\nperiod = \"{period}\"")
        };
        let without = GOOD.replace("stages = [{ duration = \"30s\", rate = 10 }]", "");
        for (period, fine) in [("9s", true), ("99ms", false), ("1us", false)] {
            let text = format!("{without}{}", sine(period));
            let scenario: Scenario = config::parse(Path::new("s.toml"), &text).unwrap();
            assert_eq!(scenario.check().is_ok(), fine, "{period}");
        }
        let fault = "[[fault]]\nat = \"6s\"\nharm = \"orders\"\nkind = \"restart\"\n";
        check(fault, Ok(()));
        check(&format!("{fault}[chaos]\nkinds = [\"kill\"]"), Err("[chaos], not both"));
        check("trace = \"t.csv\"", Ok(())); // refused where files are read: give one of them
        let promise = |rest: &str| format!("[[threshold]]\nexpect = \"p(99) < 1s\"\n{rest}");
        check(&promise("operation = \"place\""), Ok(()));
        let unknown = "unknown value `plac`; did you mean `place`? Valid: place, get";
        check(&promise("operation = \"plac\""), Err(unknown));
        check(&promise("operation = \"request\""), Err("unknown value `request`"));
        let abort = "[[abort]]\nwhen = \"failed > 50%\"\noperation = \"request\"";
        check(abort, Err("unknown value `request`"));
        check(&promise("operation = \"get\""), Err("no operation \"get\"; it has place"));
        let drift = Err("compares the phases \"first third\" and \"last third\"");
        check("[[threshold]]\nexpect = \"drift < 10%\"", drift);
        check(&promise("phase = \"later\""), Err("no phase \"later\"; there are steady"));
        check("[[phase]]\nname = \"a\"\nfrom = \"4s\"\nto = \"9s\"", Err("phase \"a\""));
        check(
            "[[phase]]\nname = \"a\"\nfrom = \"6s\"\nto = \"31s\"",
            Err("within the load (30 s)"),
        );
    }

    #[test]
    fn a_stage_may_have_a_mix_of_its_own() {
        let stage = |mix: &str| {
            let own = format!("rate = 10, mix = {{ {mix} }}");
            let text = GOOD.replace("rate = 10", &own);
            let scenario = config::parse::<Scenario>(Path::new("s.toml"), &text).unwrap();
            scenario.check().and_then(|()| scenario.operations())
        };
        let sent = stage("place = 1, login = 2").unwrap();
        assert_eq!(sent, [Operation::Place, Operation::Login]);
        assert!(stage("login = -1").unwrap_err().contains("weights are 0 or more"));
    }

    #[test]
    fn a_delay_of_hops_stands_alone() {
        let fault = "[[fault]]\nat = \"6s\"\nharm = \"orders\"\nkind = \"restart\"\n";
        check("hop_delay = \"200us\"", Ok(()));
        check("hop_delay = \"2s\"", Err("hop_delay is 2s; expected 1s at most"));
        let link = fault.replace("orders", "link:payments").replace("restart", "reset");
        check(&format!("hop_delay = \"1ms\"\n{fault}"), Ok(()));
        check(&format!("hop_delay = \"1ms\"\n{link}"), Err("a fault of the link \"payments\""));
    }

    #[test]
    fn conditions_that_cannot_be_broken_or_cannot_be_kept_are_refused() {
        let pointless = |kind: &str, text: &str| {
            format!("[[{kind}]]\n{} = \"{text}\"", if kind == "abort" { "when" } else { "expect" })
        };
        for (text, holds) in [
            ("failed < 5", "always holds: it is a share, 0 % to 100 %"),
            ("failed <= 100%", "always"),
            ("failed >= 0", "always"),
            ("failed > 1", "never"),
            ("failed == 5", "never"),
            ("p(99) >= 0s", "always"),
            ("p(99) < 0s", "never"),
            ("p(99) < 6s", "always holds: a request is given up after 5 s"),
            ("service max <= 5100ms", "always"),
            ("lost >= 0", "always holds: it is a count"),
            ("lost == 0.5", "never"),
            ("lost < 0", "never"),
            ("goodput >= 0", "always"),
            ("goodput < 0", "never"),
        ] {
            check(&pointless("threshold", text), Err(&format!("{text:?} {holds}")));
        }
        for text in [
            "failed < 100%",
            "failed == 0",
            "failed > 0",
            "p(99) < 5s",
            "lost == 0",
            "lost < 0.5",
            "completed p(99) < 60s",
            "lag max < 9s",
            "goodput > 1",
        ] {
            check(&pointless("threshold", text), Ok(()));
        }
        check(&format!("retries = {{}}\n{}", pointless("threshold", "p(99) < 20s")), Ok(()));
        check(
            &pointless("abort", "failed > 50"),
            Err("abort \"failed > 50\" never holds: it is a share"),
        );
        check(
            &pointless("abort", "p(99) > 6s"),
            Err("never holds: a request is given up after 5 s"),
        );
        check(&pointless("abort", "failed >= 0"), Err("always"));
        check(&pointless("abort", "failed > 50%"), Ok(()));
    }

    #[test]
    fn a_load_of_more_than_a_week_is_refused() {
        let text = GOOD.replace("30s", "169h");
        let scenario: Scenario = config::parse(Path::new("s.toml"), &text).unwrap();
        assert!(scenario.check().unwrap_err().contains("1 to 604800"));
    }

    #[test]
    fn a_negative_rate_is_refused() {
        let text = GOOD.replace("rate = 10", "rate = -1");
        let scenario: Scenario = config::parse(Path::new("s.toml"), &text).unwrap();
        assert!(scenario.check().unwrap_err().contains("the rate -1 is not between"));
    }
}
