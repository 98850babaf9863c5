//! What a PostgreSQL server says of itself and of who copies it; and how it is told to be something else.

use std::time::Duration;

use anyhow::{Context, Result};
use postgres_pool::{Pool, Row, Target};
use tokio::time::timeout;

/// A server that takes longer does not answer.
const ANSWER_MAX: Duration = Duration::from_millis(500);
/// As whom a copy is known to whom it copies.
pub(crate) const COPY: &str = "replica";
/// `$1` is what it must have. `$2` is whether it keeps up only if commits wait for it; else if it lags by no more than a
/// mebibyte of the log, as with Patroni (maximum_lag_on_failover).
const LOOK: &str = "select pg_is_in_recovery() as copies,
    current_setting('synchronous_standby_names') <> '' as waits,
    case when pg_is_in_recovery() then '0/0' else pg_current_wal_flush_lsn()::text end as written,
    coalesce(bool_or(state = 'streaming'), false) as streams,
    coalesce(bool_or(state = 'streaming' and case when $2::boolean
        then sync_state in ('sync', 'quorum')
        else pg_wal_lsn_diff(pg_current_wal_flush_lsn(), flush_lsn) <= 1048576 end), false) as keeps_up,
    coalesce(bool_or(flush_lsn >= $1::text::pg_lsn), false) as has
    from pg_stat_replication where application_name = 'replica'";
const WAIT: &str = "alter system set synchronous_standby_names = 'replica'";
const WAIT_FOR_NOBODY: &str = "alter system set synchronous_standby_names = ''";
const READ_SETTINGS: &str = "select pg_reload_conf()";
const PROMOTE: &str = "select pg_promote(false)";

/// A server, asked over one connection.
pub(crate) struct Server {
    pool: Pool,
    /// What had been written when it was last asked, and what a copy must have.
    written: String,
    mark: String,
}

/// What it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Whether it copies; else it can be written to.
    pub(crate) copies: bool,
    /// Whether a commit waits for the copy.
    pub(crate) waits: bool,
    /// Whether a copy is being sent what is written.
    pub(crate) streams: bool,
    /// Whether it keeps up: commits wait for it, or it lags by little.
    pub(crate) keeps_up: bool,
    /// Whether it has what had been written at the mark.
    pub(crate) has: bool,
}

impl Server {
    /// At this port of loopback, where it need not be yet.
    pub(crate) fn new(port: u16) -> Result<Self> {
        let target = Target::parse(&format!("127.0.0.1:{port}?pool=1"));
        let pool = Pool::new(target.map_err(anyhow::Error::msg)?, None);
        Ok(Self { pool, written: "0/0".to_owned(), mark: "0/0".to_owned() })
    }

    /// `synchronous`: whether a copy counts only if commits wait for it.
    pub(crate) async fn look(&mut self, synchronous: bool) -> Result<Look> {
        let answer = timeout(ANSWER_MAX, self.pool.ask(LOOK, &[&self.mark, &synchronous])).await;
        let rows = answer.context("PostgreSQL does not answer")??;
        let row = rows.first().context("PostgreSQL says nothing of itself")?;
        self.written = row.try_get("written")?;
        let is = |name: &str| flag(row, name);
        Ok(Look {
            copies: is("copies")?,
            waits: is("waits")?,
            streams: is("streams")?,
            keeps_up: is("keeps_up")?,
            has: is("has")?,
        })
    }

    /// What has been written must be had from now on.
    pub(crate) fn mark(&mut self) {
        self.mark.clone_from(&self.written);
    }

    /// Has commits wait for the copy, or not. That is so a moment later.
    pub(crate) async fn wait_for_copy(&self, waits: bool) -> Result<()> {
        self.tell(if waits { WAIT } else { WAIT_FOR_NOBODY }).await?;
        self.tell(READ_SETTINGS).await
    }

    /// Has it end copying, and take what is written. That is so a moment later.
    pub(crate) async fn promote(&self) -> Result<()> {
        self.tell(PROMOTE).await
    }

    async fn tell(&self, what: &str) -> Result<()> {
        let told = timeout(ANSWER_MAX, self.pool.run(what)).await;
        told.context("PostgreSQL does not answer")?.map(drop).context(what.to_owned())
    }
}

fn flag(row: &Row, name: &str) -> Result<bool> {
    Ok(row.try_get(name)?)
}
