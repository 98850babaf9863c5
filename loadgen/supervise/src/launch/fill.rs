//! A system file with its placeholders filled in: folders, ports, links.

use std::collections::BTreeMap;
use std::path::Path;

use super::ports::{Ports, Reserved};
use super::program::own_program;
use crate::cores::Cores;
use crate::folder::{DATA, OUTSIDE};
use link_proxy::Links;
use scenario::system::{LEASE, SystemSpec};

/// A system that can be started.
pub(super) struct Filled {
    pub(super) spec: SystemSpec,
    /// The fault proxy, where links go through it.
    pub(super) links: Option<Links>,
    pub(super) ports: Reserved,
}

/// Fills `{data}`, `{outside}`, `{port:NAME}` and `{link:NAME}` in; for links that are proxied, with a seed,
/// cores and the folder of logs, the proxy is started before: it chooses its ports itself.
pub(super) async fn fill(
    spec: &SystemSpec,
    folder: &Path,
    proxied: Option<(u64, &Cores, &Path)>,
) -> anyhow::Result<Filled> {
    let folder = std::path::absolute(folder)?;
    let (data, outside) = (folder.join(DATA), folder.join(OUTSIDE));
    let mut ports = Ports::default();
    let mut filled = spec.clone();
    for link in &mut filled.links {
        link.upstream = ports.fill(&link.upstream)?;
    }
    let ends = filled.links.iter().map(|link| (link.name.clone(), link.upstream.clone()));
    let mut ends: BTreeMap<String, String> = ends.collect();
    let links = match proxied.filter(|_| !ends.is_empty()) {
        Some((seed, cores, logs)) => {
            Cores::pin(&cores.systems)?;
            let links = Links::start(&own_program()?, &ends, seed, &logs.join("links.log")).await;
            Cores::pin(&cores.generator)?;
            let links = links?;
            ends = links.addresses().clone();
            Some(links)
        }
        None => None,
    };
    let lease = filled.lease.map(|lease| lease.to_string()).unwrap_or_default();
    for text in texts(&mut filled) {
        *text = text.replace(LEASE, &lease);
        *text = text.replace("{data}", &data.to_string_lossy());
        *text = text.replace("{outside}", &outside.to_string_lossy());
        for (name, end) in &ends {
            *text = text.replace(&format!("{{link:{name}}}"), end);
        }
        *text = ports.fill(text)?;
    }
    Ok(Filled { spec: filled, links, ports: ports.reserved() })
}

/// All that may hold placeholders, but for links' upstreams.
fn texts(spec: &mut SystemSpec) -> Vec<&mut String> {
    let mut texts = vec![&mut spec.entry.provider, &mut spec.audit.journal];
    texts.extend(spec.entry.callbacks.iter_mut());
    texts.extend(spec.audit.stock.iter_mut());
    texts.extend(spec.entry.auth.all_mut());
    texts.extend(spec.entry.orders.all_mut());
    texts.extend(spec.audit.orders.all_mut());
    texts.extend(spec.audit.dead_letters.iter_mut());
    for process in &mut spec.processes {
        texts.extend(process.texts_mut());
    }
    texts
}
