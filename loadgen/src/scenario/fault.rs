//! One fault as a scenario says it: when, for how long, whom, what, and the parameters of its kind.
//!
//! A kind is a row of [`FaultKind::takes`], which the rules read: a new parameter is a field here
//! and a word there.

use serde::{Deserialize, Serialize};

use super::Latency;
use crate::config::Span;
use crate::link::Direction;

/// What `harm` says of the disk that the system's data lies on, which is no role.
pub const DISK: &str = "disk";

/// One fault. Everything after `kind` is a parameter, and belongs to some kinds only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// When it begins.
    pub at: Span,
    /// How long it lasts; absent where nothing is healed by time.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
    /// The role that is harmed, with every process that plays it; or `link:NAME`; or `disk`, where
    /// the data lies.
    pub harm: String,
    /// What is done to it.
    pub kind: FaultKind,
    /// crash: where the process aborts, as the system file names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point: Option<String>,
    /// cpu: how much of one core each process may use; 0.01 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<f64>,
    /// memory: how much more than now each process may map, MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spare_mib: Option<u64>,
    /// files: how many more descriptors than now each process may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spare_files: Option<u64>,
    /// latency, slow-close: by how much bytes, or ends, are late, each way; slice: the pause between;
    /// slow-fsync: how much longer each takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
    /// latency: at most this much earlier or later than the delay, than which it is less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
    /// bandwidth: each connection's each way; 0 holds everything until the heal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_s: Option<u64>,
    /// slice: each write's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u32>,
    /// Links: both (if absent), to-upstream (requests) or to-client (replies).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Links: of connections, or for reply-lost of replies, that are harmed; 1 if absent.
    /// failing-fsync: of fsyncs, those that answer EIO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// failing-fsync: how many fsyncs of each thread answer EIO, from the first on; poison: how many
    /// orders, 1 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// poison: what an order does to whoever charges it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// provider: its latency meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// provider: its share of errors meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<f64>,
    /// provider: its share of refused cards meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_rate: Option<f64>,
    /// provider: charges it takes per second meanwhile; 0 takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<u32>,
    /// provider: its share of decided charges that it does not answer meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_answers: Option<f64>,
}

/// What a poisonous order does to whoever charges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The charge fails.
    Error,
    /// Its handler panics.
    Panic,
    /// Its process aborts.
    Abort,
}

impl Effect {
    /// The word in the scenario file, and behind `poison-` on the card.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Abort => "abort",
        }
    }
}

/// What is done to a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// SIGKILL; restarted at the end.
    Kill,
    /// SIGKILL, and all that it has kept is gone; restarted at the end.
    DataLoss,
    /// SIGSTOP; SIGCONT at the end.
    Pause,
    /// SIGTERM and a graceful end; restarted at the end.
    Terminate,
    /// SIGTERM, and started again as soon as it has ended.
    Restart,
    /// As restart, one process after the other, each when the one before is ready.
    Deploy,
    /// Aborts at a named point of its work; restarted at the end, or at once.
    Crash,
    /// A CPU quota; lifted at the end.
    Cpu,
    /// A limit on its address space; lifted at the end.
    Memory,
    /// A limit on its file descriptors; lifted at the end.
    Files,
    /// Other settings for the provider; the scenario's own at the end.
    Provider,
    /// Of a link: bytes are late.
    Latency,
    /// Of a link: bytes are few.
    Bandwidth,
    /// Of a link: bytes are swallowed, nobody is told.
    Blackhole,
    /// Of a link: connections are reset.
    Reset,
    /// Of a link: the request arrives, the reply is lost and the client reset.
    #[serde(rename = "reply-lost")]
    ReplyLost,
    /// Of a link: connections are closed behind the client's back.
    #[serde(rename = "half-open")]
    HalfOpen,
    /// Of a link: ends of streams are late.
    #[serde(rename = "slow-close")]
    SlowClose,
    /// Of a link: small writes with pauses.
    Slice,
    /// The disk loses what was not fsynced, and its writers with it; back at the end.
    PowerCut,
    /// The disk has no free byte; it has again at the end.
    Full,
    /// Every fsync takes longer.
    SlowFsync,
    /// Some fsyncs answer EIO.
    FailingFsync,
    /// Orders that its code cannot bear; started again without the defect at the end.
    Poison,
}

/// Whether a fault of a kind has a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// It is healed by time.
    Must,
    /// Without one it is healed as soon as it had its effect.
    May,
    /// It is over when it is done.
    Never,
}

/// What a fault of a kind is given, by the keys of a scenario file.
#[derive(Clone, Copy, Debug)]
pub struct Takes {
    /// Whether `for` is given.
    pub lasts: Lasts,
    /// All of these must be given.
    pub all: &'static [&'static str],
    /// One of these at least must be given, if there are any.
    pub some: &'static [&'static str],
    /// These may be given; any other parameter is an error.
    pub may: &'static [&'static str],
}

impl FaultKind {
    /// What it is given.
    #[must_use]
    pub fn takes(self) -> Takes {
        let plain = |lasts| Takes { lasts, all: &[], some: &[], may: &[] };
        let must = plain(Lasts::Must);
        match self {
            Self::Kill | Self::DataLoss | Self::Pause | Self::Terminate => must,
            Self::Restart | Self::Deploy => plain(Lasts::Never),
            Self::Crash => Takes { all: &["point"], ..plain(Lasts::May) },
            Self::Cpu => Takes { all: &["cores"], ..must },
            Self::Memory => Takes { all: &["spare_mib"], ..must },
            Self::Files => Takes { all: &["spare_files"], ..must },
            Self::Provider => Takes {
                some: &["latency", "error_rate", "decline_rate", "rate_limit", "lost_answers"],
                ..must
            },
            Self::Latency => {
                Takes { all: &["delay"], may: &["jitter", "direction", "share"], ..must }
            }
            Self::Bandwidth => {
                Takes { all: &["bytes_per_s"], may: &["direction", "share"], ..must }
            }
            Self::Blackhole => Takes { may: &["direction", "share"], ..must },
            Self::Reset | Self::ReplyLost | Self::HalfOpen => Takes { may: &["share"], ..must },
            Self::SlowClose => Takes { all: &["delay"], may: &["direction", "share"], ..must },
            Self::Slice => {
                Takes { all: &["size_bytes", "delay"], may: &["direction", "share"], ..must }
            }
            Self::PowerCut | Self::Full => must,
            Self::SlowFsync => Takes { all: &["delay"], ..must },
            Self::FailingFsync => Takes { some: &["share", "count"], ..must },
            Self::Poison => Takes { all: &["count", "effect"], ..must },
        }
    }

    /// The word in the scenario file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::DataLoss => "data-loss",
            Self::Pause => "pause",
            Self::Terminate => "terminate",
            Self::Restart => "restart",
            Self::Deploy => "deploy",
            Self::Crash => "crash",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Files => "files",
            Self::Provider => "provider",
            Self::Latency => "latency",
            Self::Bandwidth => "bandwidth",
            Self::Blackhole => "blackhole",
            Self::Reset => "reset",
            Self::ReplyLost => "reply-lost",
            Self::HalfOpen => "half-open",
            Self::SlowClose => "slow-close",
            Self::Slice => "slice",
            Self::PowerCut => "power-cut",
            Self::Full => "full",
            Self::SlowFsync => "slow-fsync",
            Self::FailingFsync => "failing-fsync",
            Self::Poison => "poison",
        }
    }
}

impl FaultSpec {
    /// When it is healed; at once where it does not last.
    #[must_use]
    pub fn until(&self) -> Span {
        Span(self.at.0 + self.lasts.unwrap_or_default().0)
    }

    /// The parameters that are given, by their keys.
    #[must_use]
    pub fn parameters(&self) -> serde_json::Map<String, serde_json::Value> {
        let Ok(serde_json::Value::Object(mut all)) = serde_json::to_value(self) else {
            return serde_json::Map::new();
        };
        for key in ["at", "for", "harm", "kind"] {
            all.remove(key);
        }
        all
    }

    /// Whether it keeps the rules of its kind, within a load of `load_s` seconds.
    pub(super) fn check(&self, load_s: f64) -> Result<(), String> {
        let name = format!("fault {} on {:?}", self.kind.as_str(), self.harm);
        self.check_time(load_s)
            .and_then(|()| self.check_parameters())
            .and_then(|()| self.check_values())
            .map_err(|text| format!("{name}: {text}"))
    }

    fn check_time(&self, load_s: f64) -> Result<(), String> {
        let (kind, lasts) = (self.kind.as_str(), self.kind.takes().lasts);
        match (lasts, self.lasts) {
            (Lasts::Must, None) => {
                return Err(format!("kind = {kind:?} needs the key `for`: how long it lasts"));
            }
            (Lasts::Never, Some(_)) => {
                return Err(format!(
                    "the key `for` does not belong to kind = {kind:?}, which is over when it is done"
                ));
            }
            _ => {}
        }
        let nothing = self.lasts.is_some_and(|lasts| lasts.0.is_zero());
        if nothing || self.at.as_s() >= load_s || self.until().as_s() > load_s {
            let lasts = self.lasts.map_or(String::new(), |lasts| format!(" for {lasts}"));
            return Err(format!("at {}{lasts} does not lie within the load ({load_s} s)", self.at));
        }
        Ok(())
    }

    fn check_parameters(&self) -> Result<(), String> {
        let (kind, takes, given) = (self.kind.as_str(), self.kind.takes(), self.parameters());
        if let Some(key) = takes.all.iter().find(|key| !given.contains_key(**key)) {
            return Err(format!("kind = {kind:?} needs the key `{key}`"));
        }
        let has = |key: &&&str| given.contains_key(**key);
        if !takes.some.is_empty() && !takes.some.iter().any(|key| has(&key)) {
            return Err(format!("kind = {kind:?} needs one of {}", takes.some.join(", ")));
        }
        let valid = [takes.all, takes.some, takes.may].concat();
        if let Some(key) = given.keys().find(|key| !valid.contains(&key.as_str())) {
            let valid = if valid.is_empty() { "none".to_owned() } else { valid.join(", ") };
            return Err(format!(
                "the key `{key}` does not belong to kind = {kind:?}; its parameters: {valid}"
            ));
        }
        Ok(())
    }

    fn check_disk(&self) -> Result<(), String> {
        let of_disk = matches!(self.kind, FaultKind::PowerCut | FaultKind::Full);
        if of_disk != (self.harm == DISK) {
            let kind = self.kind.as_str();
            return Err(if of_disk {
                format!("kind = {kind:?} harms \"disk\": write harm = \"disk\"")
            } else {
                "harm = \"disk\" goes with kind = \"power-cut\" or \"full\"".to_owned()
            });
        }
        if self.share.is_some() && self.count.is_some() {
            return Err("give share or count, not both".to_owned());
        }
        if self.count == Some(0) {
            return Err("count is 0; expected 1 or more".to_owned());
        }
        Ok(())
    }

    fn check_poison(&self) -> Result<(), String> {
        if self.harm != "payments" {
            return Err("this kind harms the role \"payments\" only, which charges".to_owned());
        }
        match self.count {
            Some(count) if count > 100 => Err(format!("count is {count}; expected 1 to 100")),
            _ => Ok(()),
        }
    }

    fn check_values(&self) -> Result<(), String> {
        self.check_disk()?;
        if self.kind == FaultKind::Provider && self.harm != "provider" {
            return Err("this kind harms the role \"provider\" only".to_owned());
        }
        if self.kind == FaultKind::Poison {
            self.check_poison()?;
        }
        self.check_link_values()?;
        for (key, share) in [
            ("error_rate", self.error_rate),
            ("decline_rate", self.decline_rate),
            ("lost_answers", self.lost_answers),
        ] {
            if let Some(share) = share.filter(|share| !(0.0..=1.0).contains(share)) {
                return Err(format!("{key} is {share}; expected 0 to 1"));
            }
        }
        if let Some(cores) = self.cores.filter(|cores| !(0.01..=64.0).contains(cores)) {
            return Err(format!("cores is {cores}; expected 0.01 to 64"));
        }
        if let Some(spare) = self.spare_mib.filter(|spare| *spare > 1 << 20) {
            return Err(format!("spare_mib is {spare}; expected at most {}", 1 << 20));
        }
        if let Some(spare) = self.spare_files.filter(|spare| *spare > 1 << 20) {
            return Err(format!("spare_files is {spare}; expected at most {}", 1 << 20));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    /// A fault with these keys, in a load of 30 s.
    #[track_caller]
    fn check(keys: &str, expected: Result<(), &str>) {
        let result = config::parse::<FaultSpec>(Path::new("s.toml"), keys)
            .map_err(|e| e.to_string())
            .and_then(|fault| fault.check(30.0));
        match (&result, expected) {
            (Ok(()), Ok(())) => {}
            (Err(text), Err(part)) if text.contains(part) => {}
            _ => panic!("{result:?} instead of {expected:?}"),
        }
    }

    #[track_caller]
    fn lasting(harm: &str, kind: &str, rest: &str, expected: Result<(), &str>) {
        let keys = format!("at = \"6s\"\nfor = \"5s\"\nharm = {harm:?}\nkind = {kind:?}\n{rest}");
        check(&keys, expected);
    }

    #[test]
    fn each_kind_takes_its_own_parameters() {
        for kind in ["kill", "pause", "terminate"] {
            lasting("orders", kind, "", Ok(()));
            lasting("orders", kind, "error_rate = 0.5", Err("`error_rate` does not belong to"));
        }
        lasting("payments", "kil", "", Err("did you mean `kill`?"));
        lasting("orders", "kill", "poin = \"x\"", Err("did you mean `point`?"));
        lasting("orders", "kill", "point = \"x\"", Err("its parameters: none"));
        lasting("orders", "crash", "", Err("kind = \"crash\" needs the key `point`"));
        lasting("orders", "crash", "point = \"x\"", Ok(()));
        lasting("orders", "cpu", "", Err("needs the key `cores`"));
        lasting("orders", "cpu", "cores = 0.2", Ok(()));
        lasting("orders", "cpu", "cores = 0", Err("cores is 0; expected 0.01 to 64"));
        lasting("orders", "memory", "spare_mib = 8", Ok(()));
        lasting("orders", "memory", "spare_mib = -8", Err("-8"));
        lasting("orders", "files", "spare_files = 0", Ok(()));
        lasting("orders", "files", "cores = 1", Err("needs the key `spare_files`"));
        lasting("provider", "provider", "", Err("needs one of latency, error_rate, decline_rate"));
        lasting("provider", "provider", "error_rate = 0.5", Ok(()));
        lasting("provider", "provider", "error_rate = 1.5", Err("error_rate is 1.5"));
        lasting("provider", "provider", "rate_limit = 0", Ok(()));
        lasting("provider", "provider", "lost_answers = 2.0", Err("lost_answers is 2"));
        lasting(
            "provider",
            "provider",
            "latency = \"constant:80\"",
            Err("\"80\" is not of the form"),
        );
        lasting("orders", "provider", "error_rate = 0.5", Err("\"provider\" only"));
        lasting("link:a", "latency", "delay = \"9ms\"\njitter = \"8ms\"", Ok(()));
        lasting("link:a", "latency", "delay = \"9ms\"\njitter = \"9ms\"", Err("jitter is 9ms"));
        lasting("link:a", "latency", "", Err("needs the key `delay`"));
        lasting("link:a", "latency", "delay = \"1ms\"\njitter = \"2ms\"", Err("jitter is 2ms"));
        lasting("link:a", "latency", "delay = \"2m\"", Err("delay is 120s; expected at most 60s"));
        lasting("link:a", "blackhole", "direction = \"to-client\"", Ok(()));
        lasting("link:a", "blackhole", "direction = \"back\"", Err("Valid: both, to-upstream"));
        lasting("link:a", "reply-lost", "share = 0", Err("share is 0; expected more than 0"));
        lasting("link:a", "slice", "size_bytes = 0\ndelay = \"1ms\"", Err("size_bytes is 0"));
        lasting("broker", "data-loss", "", Ok(()));
        lasting("disk", "data-loss", "", Err("goes with kind = \"power-cut\" or \"full\""));
        lasting("link:a", "kill", "", Err("harms a role, not a link"));
        lasting("orders", "reset", "", Err("harms a link; expected harm = \"link:NAME\""));
        lasting("disk", "power-cut", "", Ok(()));
        lasting("orders", "power-cut", "", Err("write harm = \"disk\""));
        lasting("disk", "full", "", Ok(()));
        lasting("disk", "kill", "", Err("goes with kind = \"power-cut\" or \"full\""));
        lasting("orders", "slow-fsync", "", Err("needs the key `delay`"));
        lasting("orders", "slow-fsync", "delay = \"50ms\"", Ok(()));
        lasting("orders", "slow-fsync", "delay = \"0s\"", Err("delay is 0s; expected at most 60s"));
        lasting("orders", "failing-fsync", "", Err("needs one of share, count"));
        lasting("orders", "failing-fsync", "share = 0.0", Err("share is 0"));
        lasting("orders", "failing-fsync", "share = 0.1", Ok(()));
        lasting("orders", "failing-fsync", "share = 0.1\ncount = 3", Err("not both"));
        lasting("orders", "failing-fsync", "count = 0", Err("count is 0"));
        lasting("payments", "poison", "count = 2\neffect = \"abort\"", Ok(()));
        lasting("payments", "poison", "count = 2", Err("needs the key `effect`"));
        lasting("payments", "poison", "count = 101\neffect = \"error\"", Err("count is 101"));
        lasting("orders", "poison", "count = 2\neffect = \"panic\"", Err("\"payments\" only"));
    }

    #[test]
    fn a_fault_lies_within_the_load() {
        let at = |at: &str, rest: &str| format!("at = {at:?}\nharm = \"orders\"\n{rest}");
        check(&at("6s", "kind = \"kill\""), Err("needs the key `for`"));
        check(
            &at("29s", "for = \"5s\"\nkind = \"kill\""),
            Err("at 29s for 5s does not lie within"),
        );
        check(&at("29s", "for = \"0s\"\nkind = \"kill\""), Err("does not lie within"));
        check(&at("25s", "for = \"5s\"\nkind = \"kill\""), Ok(()));
        check(&at("6s", "kind = \"restart\""), Ok(()));
        check(&at("6s", "for = \"1s\"\nkind = \"restart\""), Err("`for` does not belong to"));
        check(&at("30s", "kind = \"deploy\""), Err("at 30s does not lie within the load (30 s)"));
        check(&at("6s", "kind = \"crash\"\npoint = \"x\""), Ok(()));
    }
}
