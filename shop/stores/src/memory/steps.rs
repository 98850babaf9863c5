//! What workflows have done.

use async_trait::async_trait;
use shop::{Result, StepStore};

use super::Memory;

#[async_trait]
impl StepStore for Memory {
    async fn result(&self, workflow: &str, step: &str) -> Result<Option<String>> {
        let at = (workflow.to_owned(), step.to_owned());
        Ok(self.state().steps.get(&at).cloned())
    }

    async fn record(&self, workflow: &str, step: &str, done: String) -> Result<String> {
        let at = (workflow.to_owned(), step.to_owned());
        Ok(self.state().steps.entry(at).or_insert(done).clone())
    }
}
