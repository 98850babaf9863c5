//! HAProxy, by Debian's package: a balancer, set as ours is (`balancer/`). Its own defaults are no time-outs, checks that
//! only connect, and round robin. It leaves nobody out for requests that fail (`observe`): it would leave out the last one,
//! too, and a card network that is slow fails them everywhere.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::{Parts, Place, Recipe, command, found, write};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "haproxy",
    install: "Debian: apt-get install haproxy",
    program: || found(&["haproxy", "/usr/sbin/haproxy"]),
    parts,
    // It lets go of its port at once and ends when what is under way is done.
    stop: Signal::USR1,
    stopped: &[0],
    version: |program| command(program, &["-v"]),
    leads: None,
    stops_alone: true,
};

/// Where it says itself whether a replica is up.
pub const MONITORED: &str = "/haproxy-ready";

fn parts(program: &Path, place: &Place) -> Result<Parts> {
    ensure!(!place.nodes.is_empty(), "a balancer without a replica");
    let mut server = command(program, &["-db", "-f"]);
    server.arg(write(place, "haproxy.cfg", &settings(place))?);
    Ok(Parts::of(server))
}

/// What it says while no replica is up, as our balancer does.
const REFUSAL: &str = r#"http-error status 503 content-type "application/problem+json" string '{"type":"urn:triptych:problem:unavailable","title":"Service Unavailable","status":503,"detail":"no replica can be reached; nothing was sent"}' hdr x-effect none hdr retry-after 1"#;

fn settings(place: &Place) -> String {
    let mut text = format!(
        "global\n nbthread 1\n maxconn 4096\n hard-stop-after 10s\n\
        defaults\n mode http\n timeout connect 1s\n timeout client 60s\n timeout server 30s\n timeout check 500ms\n {REFUSAL}\n \
        retries 2\n retry-on conn-failure\n option redispatch 1\n http-reuse always\n\
        frontend entry\n bind 127.0.0.1:{}\n monitor-uri {MONITORED}\n monitor fail if {{ nbsrv(replicas) lt 1 }}\n \
        default_backend replicas\n\
        backend replicas\n balance random(2)\n option httpchk GET /readyz\n \
        default-server inter 1s fall 2 rise 2 pool-max-conn 256\n",
        place.port
    );
    for (number, replica) in (1..).zip(&place.nodes) {
        // Writing to a string does not fail.
        let _ = writeln!(text, " server replica-{number} {replica} check");
    }
    text + &place.also.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_replica_is_checked_and_there_is_one_at_least() {
        let mut place = Place::durable(4_711, std::env::temp_dir());
        assert!(parts(Path::new("haproxy"), &place).is_err());
        place.nodes = vec![([127, 0, 0, 1], 81).into(), ([127, 0, 0, 1], 82).into()];
        let text = settings(&place);
        assert!(text.contains("bind 127.0.0.1:4711\n"), "{text}");
        assert!(text.ends_with(
            " server replica-1 127.0.0.1:81 check\n server replica-2 127.0.0.1:82 check\n\n"
        ));
    }
}
