//! Whom a process runs as: a user of this machine, by name or number.

use std::path::Path;

use anyhow::{Context, ensure};
use rustix::process::geteuid;

use scenario::system::ProcessSpec;

const USERS: &str = "/etc/passwd";

/// A user and the group that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Whom a process runs as, if that is somebody else.
pub(super) fn of(spec: &ProcessSpec) -> anyhow::Result<Option<Account>> {
    let account = spec.user.as_deref().map(account).transpose();
    account.map(Option::flatten).with_context(|| format!("process {}", spec.name))
}

/// The user of this name or number; `None` if that is who runs this.
///
/// # Errors
/// If there is no such user, or only root may become it.
fn account(user: &str) -> anyhow::Result<Option<Account>> {
    let users = std::fs::read_to_string(USERS).with_context(|| format!("cannot read {USERS}"))?;
    let found = find(&users, user).with_context(|| {
        format!("there is no user {user:?} in {USERS}; expected a name or a number of one")
    })?;
    let own = geteuid();
    if found.uid == own.as_raw() {
        return Ok(None);
    }
    ensure!(
        own.is_root(),
        "only root may start a process as {user:?}; run as root, or leave user out"
    );
    Ok(Some(found))
}

/// Makes a folder that is its user's alone, if it is not there.
pub(super) fn make_home(folder: &Path, account: Account) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .and_then(|()| std::os::unix::fs::chown(folder, Some(account.uid), Some(account.gid)))
        .with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// name:password:uid:gid:…; a number that has no name is its own group.
fn find(users: &str, user: &str) -> Option<Account> {
    let number = user.parse().ok();
    let listed = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, uid, gid) = (fields.next()?, fields.nth(1)?, fields.next()?);
        let account = Account { uid: uid.parse().ok()?, gid: gid.parse().ok()? };
        (name == user || number == Some(account.uid)).then_some(account)
    });
    listed.or(number.map(|uid| Account { uid, gid: uid }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nodd\npg:x:70:71::/:/bin/false\n";
        let pg = Some(Account { uid: 70, gid: 71 });
        assert_eq!(find(users, "pg"), pg);
        assert_eq!(find(users, "70"), pg);
        assert_eq!(find(users, "4000"), Some(Account { uid: 4_000, gid: 4_000 }));
        assert_eq!(find(users, "nobody-here"), None);
    }
}
