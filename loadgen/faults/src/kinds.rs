//! The list of kinds. A new one is a file in `kinds/`, its `mod` and its name in the list.

mod bandwidth;
mod blackhole;
mod cpu;
mod crash;
mod data_loss;
mod deploy;
mod failing_fsync;
mod files;
mod full;
mod half_open;
mod idle_connections;
mod kill;
mod latency;
mod memory;
mod pause;
mod poison;
mod power_cut;
mod provider;
mod reply_lost;
mod reset;
mod reshard;
mod restart;
mod slice;
mod slow_close;
mod slow_fsync;
mod terminate;

use serde::Serialize;

use super::kind::{Facts, Kind, Targets};
use super::parse::{self, Mistake};
use super::proof::Proof;
use super::stage::Scene;
use scenario::config::unknown;
use scenario::system::{ProcessSpec, SystemSpec};
use scenario::{HEADER, RawFault};

/// A kind before it is given anything.
pub(super) struct Sort {
    pub(super) facts: Facts,
    /// The keys of its parameters.
    pub(super) keys: fn() -> &'static [&'static str],
    /// Reads what it is given.
    pub(super) read: fn(&RawFault) -> Result<Fault, Mistake>,
}

macro_rules! kinds {
    ($($module:ident::$Kind:ident),* $(,)?) => {
        /// What is done, with its parameters.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Fault {
            $(
                #[doc = concat!("See `kinds/", stringify!($module), ".rs`.")]
                $Kind($module::$Kind),
            )*
        }

        /// All kinds, in the order of messages and documents.
        pub(super) const ALL: &[Sort] = &[$(
            Sort {
                facts: $module::$Kind::FACTS,
                keys: parse::keys::<$module::$Kind>,
                read: |raw| parse::typed(raw).map(Fault::$Kind),
            },
        )*];

        impl Fault {
            /// A death without further ado.
            pub(super) fn kill() -> Self {
                Self::Kill(kill::Kill {})
            }

            /// What is always true of its kind.
            #[must_use]
            pub fn facts(&self) -> &'static Facts {
                match self {
                    $(Self::$Kind(_) => const { &$module::$Kind::FACTS },)*
                }
            }

            pub(super) fn check(&self) -> Result<(), String> {
                match self {
                    $(Self::$Kind(kind) => kind.check(),)*
                }
            }

            pub(super) fn check_process(&self, process: &ProcessSpec) -> Result<(), String> {
                match self {
                    $(Self::$Kind(kind) => kind.check_process(process),)*
                }
            }

            pub(super) fn equip(&self, system: &mut SystemSpec) {
                match self {
                    $(Self::$Kind(kind) => kind.equip(system),)*
                }
            }

            /// How many orders it places, beside those of the load.
            #[must_use]
            pub fn orders(&self) -> u32 {
                match self {
                    $(Self::$Kind(kind) => kind.orders(),)*
                }
            }

            pub(super) fn ready(&self) -> Act<'_> {
                match self {
                    $(Self::$Kind(kind) => Act::$Kind(kind, Default::default()),)*
                }
            }
        }

        /// A fault, and what it keeps until it is healed.
        pub(super) enum Act<'a> {
            $($Kind(&'a $module::$Kind, <$module::$Kind as Kind>::Held),)*
        }

        impl Act<'_> {
            pub(super) async fn inject(&mut self, scene: &mut Scene<'_, '_>) -> Proof {
                match self {
                    $(Self::$Kind(kind, held) => kind.inject(scene, held).await,)*
                }
            }

            pub(super) async fn tend(&mut self, scene: &mut Scene<'_, '_>) {
                match self {
                    $(Self::$Kind(kind, held) => kind.tend(scene, held).await,)*
                }
            }

            pub(super) async fn heal(&mut self, scene: &mut Scene<'_, '_>) -> Proof {
                match self {
                    $(Self::$Kind(kind, held) => kind.heal(scene, held).await,)*
                }
            }
        }
    };
}

kinds! {
    kill::Kill,
    data_loss::DataLoss,
    pause::Pause,
    terminate::Terminate,
    restart::Restart,
    deploy::Deploy,
    crash::Crash,
    cpu::Cpu,
    memory::Memory,
    files::Files,
    idle_connections::IdleConnections,
    provider::Provider,
    latency::Latency,
    bandwidth::Bandwidth,
    blackhole::Blackhole,
    reset::Reset,
    reply_lost::ReplyLost,
    half_open::HalfOpen,
    slow_close::SlowClose,
    slice::Slice,
    power_cut::PowerCut,
    full::Full,
    slow_fsync::SlowFsync,
    failing_fsync::FailingFsync,
    poison::Poison,
    reshard::Reshard,
}

impl Fault {
    /// Finds the kind and reads what it is given.
    pub(super) fn parse(raw: &RawFault) -> Result<Self, Mistake> {
        let sort = ALL.iter().find(|sort| sort.facts.name == raw.kind);
        let sort = sort.ok_or_else(|| {
            let names: Vec<&str> = ALL.iter().map(|sort| sort.facts.name).collect();
            Mistake::unreadable(raw.place, unknown("value", &raw.kind, &names))
        })?;
        let known = all_keys();
        if let Some(stranger) = raw.parameters.iter().find(|p| !known.contains(&p.key.as_str())) {
            let text = unknown("key", &stranger.key, &known);
            return Err(Mistake::unreadable(Some(stranger.key_at), text));
        }
        (sort.read)(raw)
    }
}

/// Whatever may stand in a fault's table, each once.
fn all_keys() -> Vec<&'static str> {
    let mut known = HEADER.to_vec();
    for key in ALL.iter().flat_map(|sort| (sort.keys)()) {
        if !known.contains(key) {
            known.push(key);
        }
    }
    known
}

/// The kinds that harm the disk, for messages.
pub(super) fn of_disk() -> String {
    let of_disk = ALL.iter().filter(|sort| sort.facts.targets == Targets::Disk);
    let names: Vec<String> = of_disk.map(|sort| format!("{:?}", sort.facts.name)).collect();
    names.join(" or ")
}
