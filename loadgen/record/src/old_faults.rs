//! What records said of a fault before they said it themselves: the kinds of then, by their names. New
//! kinds do not come here.

/// What the harmed was meanwhile.
pub(super) fn state(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "kill" => "dead",
        "data-loss" => "dead, and its data are lost,",
        "pause" => "frozen",
        "terminate" => "stopped",
        "restart" => "restarted",
        "deploy" => "deployed anew",
        "crash" => "crashed",
        "cpu" => "short of CPU",
        "memory" => "short of memory",
        "files" => "short of descriptors",
        "latency" => "slow",
        "bandwidth" => "narrow",
        "blackhole" => "a black hole",
        "reset" => "reset",
        "reply-lost" => "losing replies",
        "half-open" => "half open",
        "slow-close" => "slow to close",
        "slice" => "slicing what it carries",
        "power-cut" => "without power",
        "full" => "full",
        "slow-fsync" => "slow to fsync",
        "failing-fsync" => "failing to fsync",
        "poison" => "sent poison",
        "provider" => "impaired",
        _ => return None,
    })
}

/// Whether an answer of meanwhile could be of something that was lost by right.
pub(super) fn voids_answers(kind: &str) -> bool {
    kind == "power-cut"
}
