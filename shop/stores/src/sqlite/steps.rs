//! What workflows have done.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use shop::{Result, StepStore};

use super::{Sqlite, meaning};

const RESULT: &str = "select result from steps where workflow = ?1 and step = ?2";
const RECORD: &str = "insert into steps (workflow, step, result) values (?1, ?2, ?3)
    on conflict (workflow, step) do nothing";

#[async_trait]
impl StepStore for Sqlite {
    async fn result(&self, workflow: &str, step: &str) -> Result<Option<String>> {
        let (workflow, step) = (workflow.to_owned(), step.to_owned());
        let job = move |c: &Connection| result(c, &workflow, &step).optional();
        self.db.read(job).await.map_err(meaning)
    }

    async fn record(&self, workflow: &str, step: &str, done: String) -> Result<String> {
        let (workflow, step) = (workflow.to_owned(), step.to_owned());
        let job = move |c: &Connection| {
            c.prepare_cached(RECORD)?.execute(params![workflow, step, done])?;
            result(c, &workflow, &step)
        };
        crash_point::reach(crash_point::STEP_DONE);
        let stands = self.db.write(job).await.map_err(meaning)?;
        crash_point::reach(crash_point::STEP_RECORDED);
        Ok(stands)
    }
}

fn result(c: &Connection, workflow: &str, step: &str) -> rusqlite::Result<String> {
    c.prepare_cached(RESULT)?.query_row([workflow, step], |row| row.get(0))
}
