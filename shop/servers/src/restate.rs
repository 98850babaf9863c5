//! Restate, by npm: one process, which keeps what workflows have done. As installed it fsyncs before it answers, tells its
//! makers that it runs, and gives up what has failed 70 times: an hour, with its own pauses.

use std::path::Path;

use anyhow::Result;
use rustix::process::Signal;

use crate::{Parts, Place, Recipe, command, found, free_port, write};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "restate",
    install: "scripts/install-servers",
    program: || found(&["/usr/local/bin/restate-server", "restate-server"]),
    parts,
    stop: Signal::TERM,
    stopped: &[0],
    version: |program| command(program, &["--version"]),
    leads: None,
    stops_alone: true,
};

fn parts(program: &Path, place: &Place) -> Result<Parts> {
    let mut server = command(program, &["--no-logo", "--config-file"]);
    server.arg(write(place, "restate.toml", &settings(place, free_port()?))?);
    Ok(Parts::of(server))
}

/// Its nodes would meet at `meeting`; this one is alone. A quarter of the partitions is what two cores carry.
fn settings(place: &Place, meeting: u16) -> String {
    let (port, data) = (place.port, place.data.join("restate").display().to_string());
    let careless = !place.durable;
    format!(
        "node-name = \"shop\"\nbase-dir = {data:?}\ndefault-num-partitions = 6\ndisable-telemetry = true\n\
        listen-mode = \"tcp\"\nbind-ip = \"127.0.0.1\"\nbind-port = {meeting}\nshutdown-timeout = \"10s\"\n\
        log-filter = \"warn\"\nlog-disable-ansi-codes = true\nrocksdb-total-memory-size = \"512 MiB\"\n\
        [default-retry-policy]\nmax-attempts = \"unlimited\"\n\
        [log-server]\nrocksdb-disable-wal-fsync = {careless}\n\
        [ingress]\nbind-port = {port}\n{}\n",
        place.also.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_listens_where_it_is_told_to_and_fsyncs() {
        let mut place = Place::durable(4_711, "/data".into());
        place.also = vec!["[admin]\nbind-port = 4712".to_owned()];
        let text = settings(&place, 4_713);
        assert!(text.contains("bind-port = 4713\n"), "{text}");
        assert!(text.contains("[log-server]\nrocksdb-disable-wal-fsync = false\n"), "{text}");
        assert!(
            text.ends_with("[ingress]\nbind-port = 4711\n[admin]\nbind-port = 4712\n"),
            "{text}"
        );
    }
}
