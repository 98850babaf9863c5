//! Which file a program's name means.

use std::path::{Path, PathBuf};

use anyhow::Context;

use scenario::system::SystemSpec;

/// This program, as the kernel has it open: a build meanwhile replaces the file.
const SELF: &str = "/proc/self/exe";
const OWN_NAME: &str = "loadgen";

/// Whether every program of a system is there.
///
/// # Errors
/// If one is missing, with what to do.
pub fn check_programs(spec: &SystemSpec) -> anyhow::Result<()> {
    for process in &spec.processes {
        find_program(&process.command[0])
            .with_context(|| format!("system {}, process {}", spec.name, process.name))?;
    }
    Ok(())
}

/// The program beside this one, or as given, or on the PATH.
pub(super) fn find_program(name: &str) -> anyhow::Result<PathBuf> {
    if name.contains('/') {
        let path = PathBuf::from(name);
        anyhow::ensure!(path.is_file(), "the program {name} does not exist");
        return Ok(path);
    }
    let own = std::env::current_exe()?;
    let beside = own.parent().map(|folder| folder.join(name));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let candidates =
        beside.into_iter().chain(std::env::split_paths(&on_path).map(|f| f.join(name)));
    let found = candidates.into_iter().find(|path| path.is_file());
    found.with_context(|| {
        let folder = own.parent().unwrap_or(Path::new(".")).display();
        format!("the program {name:?} is neither in {folder} nor on the PATH; build it with: cargo build --release --workspace --bins (and --features engines, for the programs of servers that others wrote)")
    })
}

/// `loadgen` itself, which plays parts as a child; a test that is another program finds it one folder
/// above its own, where cargo puts programs.
pub(super) fn own_program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let name = own.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if name.strip_suffix(" (deleted)").unwrap_or(&name) == OWN_NAME {
        return Ok(PathBuf::from(SELF));
    }
    let above = own.parent().and_then(Path::parent).map(|folder| folder.join(OWN_NAME));
    above.filter(|path| path.is_file()).map_or_else(|| find_program(OWN_NAME), Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named() {
        let error = find_program("no-such-program-here").unwrap_err().to_string();
        assert!(error.contains("no-such-program-here") && error.contains("cargo build"), "{error}");
    }
}
