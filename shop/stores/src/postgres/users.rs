//! Accounts.

use async_trait::async_trait;
use shop::{Error, Result, User, UserId, UserStore};

use super::{Postgres, column, meaning};

const INSERT: &str = "insert into users (id, email, password_hash) values ($1, $2, $3)
    on conflict (email) do nothing returning email";
const FIND: &str = "select id, password_hash from users where email = $1";

#[async_trait]
impl UserStore for Postgres {
    async fn insert(&self, user: User) -> Result<()> {
        let row: [&(dyn postgres_pool::ToSql + Sync); 3] =
            [&user.id.0, &user.email, &user.password_hash];
        let added = self.pool.ask(INSERT, &row).await.map_err(meaning)?;
        added.first().map(drop).ok_or(Error::EmailTaken)
    }

    async fn find(&self, email: &str) -> Result<Option<User>> {
        let rows = self.pool.ask(FIND, &[&email]).await.map_err(meaning)?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (id, password_hash) = (UserId(column(row, "id")?), column(row, "password_hash")?);
        Ok(Some(User { id, email: email.to_owned(), password_hash }))
    }
}
