//! Accounts.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, params};
use shop::{Error, Result, User, UserId, UserStore};

use super::{Sqlite, meaning};

const INSERT: &str = "insert into users (id, email, password_hash) values (?1, ?2, ?3)
    on conflict (email) do nothing";
const FIND: &str = "select id, password_hash from users where email = ?1";

#[async_trait]
impl UserStore for Sqlite {
    async fn insert(&self, user: User) -> Result<()> {
        let job = move |c: &rusqlite::Connection| {
            let row = params![user.id.0.as_bytes(), user.email, user.password_hash];
            c.prepare_cached(INSERT)?.execute(row)
        };
        match self.db.write(job).await.map_err(meaning)? {
            0 => Err(Error::EmailTaken),
            _ => Ok(()),
        }
    }

    async fn find(&self, email: &str) -> Result<Option<User>> {
        let email = email.to_owned();
        let job = move |c: &rusqlite::Connection| {
            let mut find = c.prepare_cached(FIND)?;
            let row = find.query_row([&email], |row| {
                Ok((UserId(uuid::Uuid::from_bytes(row.get(0)?)), row.get(1)?))
            });
            Ok(row.optional()?.map(|(id, password_hash)| User { id, email, password_hash }))
        };
        self.db.read(job).await.map_err(meaning)
    }
}
