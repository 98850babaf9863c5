//! Redis Streams as an engine: a queue is a stream with one consumer group, a lease is its idle time, and what
//! is done is deleted. Several commands that belong together are one script, so that they happen together.
//!
//! Whoever consumes is fenced by owner and delivery count, since Redis itself takes an acknowledgement from
//! anybody. Returned means durable, because a server that does not fsync before it answers is refused.

mod line;
#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Script, ScriptInvocation, Value, cmd};
use tokio::time::Instant;

use crate::adapter::{Adapter, Capabilities, Keeper};
use crate::engine::{Bound, Count, Engine, Handle, Source, Taken};
use crate::supplied::Supplied;
use crate::{Broker, Error, Result, Settings};
use line::{Line, Refusal};

pub(crate) const ADAPTER: Adapter = Adapter {
    scheme: "redis",
    form: "redis://HOST:PORT",
    capabilities: Capabilities { durable: true, lease: true, ..Capabilities::NONE },
    settings: Keeper::Client,
    server: Some("redis"),
    open,
};

/// The consumers of a queue, and the one field of its entries.
const GROUP: &str = "triptych";
const FIELD: &str = "body";

static APPEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local live = 0
        for i = 2, #KEYS do live = live + redis.call('XLEN', KEYS[i]) end
        if live >= tonumber(ARGV[1]) then return 0 end
        redis.call('XADD', KEYS[1], '*', 'body', ARGV[2])
        return 1",
    )
});
static FORGET: LazyLock<Script> = LazyLock::new(|| {
    fenced(
        "if not mine(ARGV[1], ARGV[2], ARGV[3]) then return 0 end
        redis.call('XACK', KEYS[1], 'triptych', ARGV[2])
        redis.call('XDEL', KEYS[1], ARGV[2])
        return 1",
    )
});
static FORWARD: LazyLock<Script> = LazyLock::new(|| {
    fenced(
        "if not mine(ARGV[1], ARGV[2], ARGV[3]) then return 0 end
        redis.call('XADD', KEYS[2], '*', 'body', ARGV[4])
        redis.call('XACK', KEYS[1], 'triptych', ARGV[2])
        redis.call('XDEL', KEYS[1], ARGV[2])
        return 1",
    )
});
static EXTEND: LazyLock<Script> = LazyLock::new(|| {
    fenced(
        "local held = {}
        for i = 2, #ARGV, 2 do
            local ours = mine(ARGV[1], ARGV[i], ARGV[i + 1])
            if ours then
                redis.call('XCLAIM', KEYS[1], 'triptych', ARGV[1], 0, ARGV[i], 'JUSTID')
            end
            held[#held + 1] = ours and 1 or 0
        end
        return held",
    )
});
/// What nobody has extended for a lease, with the count of this delivery and the time that passed.
static RECLAIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local taken = {}
        local idle = redis.call('XPENDING', KEYS[1], 'triptych', 'IDLE', ARGV[2], '-', '+', ARGV[3])
        for _, one in ipairs(idle) do
            local got = redis.call('XCLAIM', KEYS[1], 'triptych', ARGV[1], ARGV[2], one[1])
            if got[1] then taken[#taken + 1] = {one[1], one[4] + 1, one[3], got[1][2][2]} end
        end
        return taken",
    )
});
static COUNT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local all = redis.call('XLEN', KEYS[1])
        local group = redis.pcall('XPENDING', KEYS[1], 'triptych')
        local taken = group.err and 0 or group[1]
        return {all - taken, taken}",
    )
});

/// A script that may ask whether a delivery is still its owner's.
fn fenced(script: &str) -> Script {
    let mine = "local function mine(owner, id, count)
            local found = redis.pcall('XPENDING', KEYS[1], 'triptych', id, id, 1)
            local one = not found.err and found[1]
            return one and one[2] == owner and one[4] == tonumber(count)
        end
        ";
    Script::new(&format!("{mine}{script}"))
}

fn open(address: &str, settings: Settings) -> Result<Arc<dyn Broker>> {
    let line = Arc::new(Line::new(address, settings.durable)?);
    Ok(Arc::new(Supplied::new(Redis { line }, settings)))
}

struct Redis {
    line: Arc<Line>,
}

#[async_trait]
impl Engine for Redis {
    async fn declare(&self, queue: &str, _: &Settings) -> Result<()> {
        declare(&self.line, queue).await
    }

    async fn append(&self, queue: &str, body: Bytes, bound: &Bound) -> Result<bool> {
        let mut script = APPEND.key(queue);
        for queue in &bound.queues {
            script.key(queue);
        }
        script.arg(bound.most).arg(&body[..]);
        Ok(number(&self.line.run(&script).await?) == 1)
    }

    async fn source(&self, queue: &str, lease: Duration) -> Result<Box<dyn Source>> {
        let owner = format!("{}-{:016x}", std::process::id(), rand::random::<u64>());
        let (line, waiting) = (Arc::clone(&self.line), self.line.another());
        let (queue, looked) = (queue.to_owned(), Mutex::default());
        Ok(Box::new(Taker { line, waiting, queue, owner, lease, looked }))
    }

    async fn count(&self, queue: &str) -> Result<Count> {
        let counts = self.line.run(&COUNT.key(queue)).await?;
        let of = |index| list(&counts).get(index).map_or(0, number).unsigned_abs();
        Ok(Count { waiting: of(0), taken: of(1) })
    }

    async fn look(&self, queue: &str, limit: u32) -> Result<Vec<Bytes>> {
        let mut asked = cmd("XRANGE");
        asked.arg(queue).arg("-").arg("+").arg("COUNT").arg(limit);
        let entries = self.line.ask(&asked).await.map_err(Refusal::meaning)?;
        Ok(list(&entries).iter().filter_map(entry).map(|(_, body)| body).collect())
    }
}

/// One consumer of a stream.
struct Taker {
    line: Arc<Line>,
    /// A connection of its own, on which nothing waits behind a call that waits.
    waiting: Line,
    queue: String,
    owner: String,
    lease: Duration,
    /// When it last looked for what others lost.
    looked: Mutex<Option<Instant>>,
}

impl Taker {
    /// What others lost, looked for this often.
    async fn reclaim(&self, most: u32, every: Duration) -> Result<Vec<Taken>> {
        if !self.is_time_to_look(every) {
            return Ok(Vec::new());
        }
        let mut script = RECLAIM.key(&self.queue);
        script.arg(&self.owner).arg(self.lease.as_millis() as u64).arg(most);
        match self.line.answer(&script).await {
            Ok(taken) => Ok(list(&taken).iter().filter_map(reclaimed).collect()),
            Err(refusal) => self.declared_again(refusal).await,
        }
    }

    fn is_time_to_look(&self, every: Duration) -> bool {
        let now = Instant::now();
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looked.is_none_or(|looked| now >= looked + every);
        if due {
            *looked = Some(now);
        }
        due
    }

    /// Whoever lost all data has lost the group, too.
    async fn declared_again(&self, refusal: Refusal) -> Result<Vec<Taken>> {
        if !refusal.has_code("NOGROUP") {
            return Err(refusal.meaning());
        }
        declare(&self.line, &self.queue).await.map(|()| Vec::new())
    }

    /// Begins to name a delivery of this owner to a script.
    fn naming<'a>(
        &self,
        script: &'a Script,
        handle: &Handle,
    ) -> Result<(ScriptInvocation<'a>, String, String)> {
        let (id, count) = named(handle)?;
        Ok((script.key(&self.queue), id.to_owned(), count.to_owned()))
    }
}

#[async_trait]
impl Source for Taker {
    async fn take(&self, most: u32, wait: Duration) -> Result<Vec<Taken>> {
        let lost = self.reclaim(most, wait).await?;
        if !lost.is_empty() {
            return Ok(lost);
        }
        let mut asked = cmd("XREADGROUP");
        asked.arg("GROUP").arg(GROUP).arg(&self.owner).arg("COUNT").arg(most);
        if !wait.is_zero() {
            asked.arg("BLOCK").arg((wait.as_millis() as u64).max(1));
        }
        asked.arg("STREAMS").arg(&self.queue).arg(">");
        match self.waiting.ask(&asked).await {
            Ok(streams) => Ok(fresh(&streams)),
            Err(refusal) => self.declared_again(refusal).await,
        }
    }

    async fn forget(&self, handle: &Handle) -> Result<()> {
        let (mut script, id, count) = self.naming(&FORGET, handle)?;
        script.arg(&self.owner).arg(id).arg(count);
        held(&self.line.run(&script).await?)
    }

    async fn forward(&self, handle: &Handle, to: &str, body: Bytes) -> Result<()> {
        let (mut script, id, count) = self.naming(&FORWARD, handle)?;
        script.key(to).arg(&self.owner).arg(id).arg(count).arg(&body[..]);
        held(&self.line.run(&script).await?)
    }

    async fn extend(&self, handles: &[Handle]) -> Result<Vec<bool>> {
        let mut script = EXTEND.key(&self.queue);
        script.arg(&self.owner);
        for handle in handles {
            let (id, count) = named(handle)?;
            script.arg(id).arg(count);
        }
        let answers = self.line.run(&script).await?;
        Ok(list(&answers).iter().map(|held| number(held) == 1).collect())
    }
}

async fn declare(line: &Line, queue: &str) -> Result<()> {
    let mut asked = cmd("XGROUP");
    asked.arg("CREATE").arg(queue).arg(GROUP).arg("0").arg("MKSTREAM");
    match line.ask(&asked).await {
        Ok(_) => Ok(()),
        Err(refusal) if refusal.has_code("BUSYGROUP") => Ok(()),
        // Without memory it makes no group, not even one that is there.
        Err(refusal) if refusal.has_code("OOM") && has_group(line, queue).await => Ok(()),
        Err(refusal) => Err(refusal.meaning()),
    }
}

/// Whether a queue's consumers can find it.
async fn has_group(line: &Line, queue: &str) -> bool {
    let mut asked = cmd("XINFO");
    asked.arg("GROUPS").arg(queue);
    let groups = line.ask(&asked).await.unwrap_or(Value::Nil);
    let is_ours = |group: &Value| {
        list(group).iter().any(|word| bytes(word).as_deref() == Some(GROUP.as_bytes()))
    };
    list(&groups).iter().any(is_ours)
}

/// A delivery's name: its entry, and how often that was delivered.
fn handle(id: &str, count: i64) -> Handle {
    Handle::from(format!("{id} {count}"))
}

fn named(handle: &Handle) -> Result<(&str, &str)> {
    let text = std::str::from_utf8(handle).ok();
    text.and_then(|text| text.split_once(' ')).ok_or(Error::Fenced)
}

fn held(answer: &Value) -> Result<()> {
    if number(answer) == 1 { Ok(()) } else { Err(Error::Fenced) }
}

/// What XREADGROUP says: per stream its entries, never delivered before.
fn fresh(streams: &Value) -> Vec<Taken> {
    let entries =
        list(streams).first().and_then(|stream| list(stream).get(1)).map_or(&[][..], list);
    let taken = |(id, body): (String, Bytes)| Taken { handle: handle(&id, 1), body, silent: None };
    entries.iter().filter_map(entry).map(taken).collect()
}

/// An entry of a stream: its id, and a list of field and body.
fn entry(value: &Value) -> Option<(String, Bytes)> {
    let [id, fields] = list(value) else { return None };
    let [field, body, ..] = list(fields) else { return None };
    (bytes(field)? == FIELD).then_some(())?;
    Some((String::from_utf8(bytes(id)?.to_vec()).ok()?, bytes(body)?))
}

/// What the script of lost deliveries says of one.
fn reclaimed(value: &Value) -> Option<Taken> {
    let [id, count, idle_ms, body] = list(value) else { return None };
    let id = String::from_utf8(bytes(id)?.to_vec()).ok()?;
    // Both ends are cut to milliseconds, so that it may have been one less.
    let silent = Some(Duration::from_millis(number(idle_ms).unsigned_abs().saturating_sub(1)));
    Some(Taken { handle: handle(&id, number(count)), body: bytes(body)?, silent })
}

fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        _ => &[],
    }
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        _ => 0,
    }
}

fn bytes(value: &Value) -> Option<Bytes> {
    match value {
        Value::BulkString(bytes) => Some(Bytes::copy_from_slice(bytes)),
        _ => None,
    }
}
