//! What workflows have done.

use async_trait::async_trait;
use shop::{Error, Result, StepStore};

use super::{Postgres, column, meaning};

const RESULT: &str = "select result from steps where workflow = $1 and step = $2";
/// Returns the one that stands, also if it was recorded at this moment.
const RECORD: &str = "insert into steps (workflow, step, result) values ($1, $2, $3)
    on conflict (workflow, step) do update set result = steps.result returning result";

#[async_trait]
impl StepStore for Postgres {
    async fn result(&self, workflow: &str, step: &str) -> Result<Option<String>> {
        let rows = self.pool.ask(RESULT, &[&workflow, &step]).await.map_err(meaning)?;
        rows.first().map(|row| column(row, "result")).transpose()
    }

    async fn record(&self, workflow: &str, step: &str, done: String) -> Result<String> {
        crash_point::reach(crash_point::STEP_DONE);
        let rows = self.pool.ask(RECORD, &[&workflow, &step, &done]).await.map_err(meaning)?;
        crash_point::reach(crash_point::STEP_RECORDED);
        let row = rows.first().ok_or_else(|| Error::Internal("no row is returned".to_owned()))?;
        column(row, "result")
    }
}
