//! What a trial says of itself: the settings it had, and how the load fared.

use std::collections::BTreeMap;

use super::{Measured, Trial};
use faults::Planned;
use load::profile::Profile;
use load::{Loaded, Plan};
use record::redact;
use record::{
    FORMAT, Fsync, Generator, GeneratorLimits, Manifest, Operation, RequestCounts, TruthReading,
};
use scenario::config::Span;
use scenario::system::ProcessSpec;
use scenario::{Loop, Mix, stem};
use supervise::launch::{self, Settings};

impl Trial<'_> {
    /// How the reading of the truth went.
    fn evidence(&self, measured: &Measured) -> TruthReading {
        let told = &measured.told;
        TruthReading {
            waited: Some(told.whole),
            unreadable: redact::text(&told.unreadable),
            doubts: told.doubts.iter().map(|doubt| redact::text(doubt)).collect(),
            clocks_read_within_us: Some(measured.started.within_us),
            tokens_until_us: measured.tokens_until_us,
            network_lines: told.marks.iter().map(|mark| mark.lines).max(),
            notified: self.system.entry.callbacks.is_some(),
            stocked: self.system.audit.stock.is_some(),
        }
    }

    pub(super) fn manifest(&self, measured: &Measured, fsync: Fsync) -> Manifest {
        let plan = self.plan();
        let (schedule_hash, operations_hash, _) = plan.hashes(measured.loaded.due());
        Manifest {
            started_at_us: measured.started.wall_us,
            schedule_hash,
            operations_hash,
            requests: Self::requests(&plan, &measured.loaded),
            attempts: measured.loaded.totals.attempts(),
            generator: generator(measured, self.scenario.duration_s()),
            stalls: measured.stalls.clone(),
            fsync,
            evidence: self.evidence(measured),
            parity: self.measured_parity(measured),
            settings: measured.settings.clone(),
            ..self.planned()
        }
    }

    /// What is known of it before the load.
    pub(super) fn planned(&self) -> Manifest {
        let scenario = self.scenario;
        Manifest {
            format: FORMAT,
            scenario: scenario.name.clone(),
            scenario_about: scenario.about.clone(),
            system: self.system.name.clone(),
            system_about: self.system.about.clone(),
            expect_violation: self.system.expect_violation.clone(),
            system_order: self.system_order,
            trial: self.number,
            rerun: self.rerun,
            seed: self.seed(),
            revision: self.revision.to_owned(),
            command: self.command.to_vec(),
            key_prefix: self.key_prefix(),
            prepared_orders: scenario.customers,
            interval_s: 1,
            warm_up_s: scenario.warm_up.whole_s().unwrap_or(0),
            duration_s: scenario.duration_s().round() as u32,
            phases: scenario.phases(),
            faults: self.faults().iter().map(Planned::to_json).collect(),
            offered: Profile::new(scenario).points(),
            limits: GeneratorLimits {
                in_flight: scenario.limits.in_flight,
                timeout_s: scenario.limits.timeout.as_s(),
                drain_s: scenario.drain.as_s(),
                objective_s: scenario.objective.as_s(),
                order_s: scenario.order_s(),
                send_lag_us: scenario.limits.send_lag.0.as_micros() as u64,
            },
            roles: self
                .system
                .processes
                .iter()
                .map(|p| (p.name.clone(), p.plays.clone()))
                .collect(),
            lease_s: self.system.lease.map(Span::as_s),
            parity: self.parity(&Settings::new()),
            extends: self.system.family.last().map(|base| stem(base)),
            ..Manifest::default()
        }
    }

    /// The ledger of requests: scheduled is counted from the plan, the rest by the recorder.
    fn requests(plan: &Plan, loaded: &Loaded) -> BTreeMap<Operation, RequestCounts> {
        if plan.form != Loop::Open {
            // Nothing is scheduled beforehand: what was begun is what was asked.
            let whole = |c: &RequestCounts| RequestCounts { scheduled: c.recorded(), ..*c };
            let counts = loaded.totals.counts.iter();
            return counts.map(|(operation, c)| (*operation, whole(c))).collect();
        }
        let mut requests = loaded.totals.counts.clone();
        let due = loaded.due().and_then(|due| usize::try_from(due).ok());
        for (_, job) in plan.schedule().take(due.unwrap_or(usize::MAX)) {
            requests.entry(job.operation).or_default().scheduled += 1;
        }
        requests
    }

    /// With what only the load can say.
    fn measured_parity(&self, measured: &Measured) -> BTreeMap<String, String> {
        let mut parity = self.parity(&measured.settings);
        let priority = if measured.loaded.summary.real_time { "real-time" } else { "normal" };
        parity.insert("priority of the sending thread".to_owned(), priority.to_owned());
        parity
    }

    /// What the file says, what its processes say in its place, and what the harness knows.
    fn parity(&self, settings: &Settings) -> BTreeMap<String, String> {
        let scenario = self.scenario;
        let mut parity = self.system.parity.clone();
        let own = self.system.own_processes();
        parity.extend(launch::by_name(own.iter().filter_map(|p| settings.get_key_value(&p.name))));
        let mut put = |key: &str, value: String| {
            parity.insert(key.to_owned(), value);
        };
        if !self.system.breaks.is_empty() {
            let all = self.system.breaks.iter();
            let told: Vec<_> = all.map(|(promise, why)| format!("{promise}: {why}")).collect();
            put("promises that it breaks", told.join("; "));
        }
        put("generator cores", format!("{:?}", self.cores.generator));
        put("system cores", format!("{:?}", self.cores.systems));
        put("loop", scenario.form().as_str().to_owned());
        put("client time-out", scenario.limits.timeout.to_string());
        put("requests in flight, at most", scenario.limits.in_flight.to_string());
        let retries = scenario.retries.as_ref().map(ToString::to_string);
        put("retries of customers", retries.unwrap_or_else(|| "none".to_owned()));
        put("links", self.links());
        put("processes", counted(own.iter().copied()));
        put("processes that keep data", counted(own.into_iter().filter(|p| p.keeps_data)));
        if let Some(lease) = self.system.lease {
            put("lease", lease.to_string());
        }
        let provider = serde_json::to_string(&scenario.provider).unwrap_or_default();
        put("provider", provider);
        if let Some(disk) = scenario.data_disk() {
            put("data disk", format!("ext4 of {} MiB in a file, on a loop device", disk.size_mib));
        }
        let told = |mix: &Mix| serde_json::to_string(mix).unwrap_or_default();
        let of_stages = scenario.stages.iter().zip(1..);
        let of_stages = of_stages.filter_map(|(stage, number)| Some((number, stage.mix.as_ref()?)));
        let of_stages = of_stages.map(|(number, mix)| format!("; in stage {number} {}", told(mix)));
        put("mix", told(&scenario.mix) + &of_stages.collect::<String>());
        if let Some(delay) = scenario.hop_delay {
            put("hops", format!("{delay} late, each way"));
        }
        parity
    }

    fn links(&self) -> String {
        let names: Vec<&str> = self.system.links.iter().map(|link| link.name.as_str()).collect();
        match (names.is_empty(), self.scenario.proxies_links()) {
            (true, _) => "none".to_owned(),
            (false, false) => "direct".to_owned(),
            (false, true) => format!("through the fault proxy: {}", names.join(", ")),
        }
    }
}

/// How many they are, and their names.
fn counted<'s>(processes: impl Iterator<Item = &'s ProcessSpec>) -> String {
    let names: Vec<&str> = processes.map(|process| process.name.as_str()).collect();
    if names.is_empty() { "0".to_owned() } else { format!("{}: {}", names.len(), names.join(", ")) }
}

fn generator(measured: &Measured, duration_s: f64) -> Generator {
    let Loaded { totals, thread, summary, cpu_s } = &measured.loaded;
    let elapsed_s = (summary.ended_ns as f64 / 1e9).max(duration_s.min(1.0));
    Generator {
        lag_p50_us: totals.lag.value_at_quantile(0.5),
        lag_p99_us: totals.lag.value_at_quantile(0.99),
        lag_max_us: totals.lag.max(),
        cpu_share: (thread.run_s - summary.polled_s) / elapsed_s,
        polled_share: summary.polled_s / elapsed_s,
        cpu_s: *cpu_s,
        run_queue_share: thread.wait_s / elapsed_s,
        real_time: summary.real_time,
        ..measured.generator
    }
}
