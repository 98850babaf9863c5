//! Whether the target of an attack runs on this machine, where it may take the generator's core. It asks nobody: /proc
//! tells who listens.

use std::fs;
use std::net::{IpAddr, ToSocketAddrs, UdpSocket};

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity};

use supervise::cores::Cores;
use supervise::tree::Member;

/// What a user should know of the target at host:port; nothing if it is elsewhere, or has cores of its own.
pub(super) fn hint(host: &str, cores: &Cores) -> Option<String> {
    let address = host.to_socket_addrs().ok()?.next()?;
    if !is_here(address.ip()) {
        return None;
    }
    let pid = listener(address.port())?;
    let allowed = sched_getaffinity(Pid::from_raw(pid.cast_signed())).ok()?;
    let shared = shared(&allowed, cores);
    let core = shared.first()?;
    let name = Member::of(pid).map(|member| member.name()).unwrap_or_default();
    let others: Vec<String> = cores.systems.iter().map(ToString::to_string).collect();
    let remedy = if cores.apart() {
        format!("to keep them apart: taskset -a -p -c {} {pid}", others.join(","))
    } else {
        "this machine has but one for both".to_owned()
    };
    Some(format!(
        "hint: {name} (process {pid}), the target, may run on core {core}, the generator's; {remedy}"
    ))
}

/// The generator's cores that the target may run on.
fn shared(allowed: &CpuSet, cores: &Cores) -> Vec<usize> {
    cores.generator.iter().copied().filter(|core| allowed.is_set(*core)).collect()
}

/// Whether an address is one of this machine's: only then a socket can have it.
fn is_here(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// A process that listens on a TCP port.
fn listener(port: u16) -> Option<u32> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).ok());
    let inodes: Vec<String> =
        tables.iter().flatten().flat_map(|table| listening(table, port)).collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.into_iter().find(|pid| has_socket(*pid, &inodes))
}

/// The inodes of the sockets that listen on a port: proc(5), net/tcp.
fn listening(table: &str, port: u16) -> Vec<String> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let is_it = u16::from_str_radix(local, 16).ok()? == port && *fields.get(3)? == "0A";
        is_it.then(|| fields.get(9).map(|inode| format!("socket:[{inode}]")))?
    };
    table.lines().skip(1).filter_map(row).collect()
}

fn has_socket(pid: u32, inodes: &[String]) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = files.filter_map(|file| fs::read_link(file.path()).ok());
    links.into_iter().any(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn who_listens_here_is_found_and_named() {
        let target = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = target.local_addr().unwrap();
        assert_eq!(listener(address.port()), Some(std::process::id()));
        let cores = Cores::divide().unwrap();
        let allowed = sched_getaffinity(None).unwrap();
        let hint = hint(&address.to_string(), &cores);
        let expected = format!("(process {}), the target, may run on core", std::process::id());
        assert_eq!(hint.is_some(), !shared(&allowed, &cores).is_empty());
        assert!(hint.is_none_or(|hint| hint.contains(&expected)));
        drop(target);
        assert_eq!(listener(address.port()), None);
    }

    #[test]
    fn what_is_elsewhere_has_cores_of_its_own() {
        // RFC 5737: of no machine.
        assert_eq!(hint("192.0.2.1:80", &Cores::divide().unwrap()), None);
        let apart = Cores { generator: vec![0], systems: vec![1] };
        let mut allowed = CpuSet::new();
        allowed.set(1);
        assert_eq!(shared(&allowed, &apart), [0_usize; 0]);
    }
}
