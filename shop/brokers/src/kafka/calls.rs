//! The requests that are made, each in one version of Kafka 4.2 or newer, and what is read of their answers.

use std::time::Duration;

use bytes::Bytes;

use super::line::ANSWER_MAX;
use super::records;
use super::wire::{Answer, Request, Uuid, torn};
use crate::clock::now_us;
use crate::{Error, Result};

/// Queues have one partition: else there is no first and no next.
const PARTITION: i32 = 0;
/// Bytes that one answer with bodies should have at most.
pub(super) const FETCH_BYTES_MAX: i32 = 8 * 1024 * 1024;

/// What a broker says instead of doing something.
pub(super) mod code {
    pub(crate) const UNKNOWN: i16 = -1;
    pub(crate) const NONE: i16 = 0;
    pub(crate) const UNKNOWN_TOPIC: i16 = 3;
    pub(crate) const TOO_LARGE: i16 = 10;
    pub(crate) const NO_COORDINATOR: i16 = 15;
    pub(crate) const INVALID_TOPIC: i16 = 17;
    pub(crate) const LIST_TOO_LARGE: i16 = 18;
    pub(crate) const NOT_ALLOWED: std::ops::RangeInclusive<i16> = 29..=31;
    pub(crate) const TOPIC_EXISTS: i16 = 36;
    pub(crate) const INVALID_CONFIG: i16 = 40;
    pub(crate) const INVALID_REQUEST: i16 = 42;
    pub(crate) const GROUP_NOT_FOUND: i16 = 69;
    pub(crate) const INVALID_RECORD_STATE: i16 = 121;
}

/// What becomes of a record that was acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// There is none at this place.
    Gap = 0,
    Done = 1,
    Renewed = 4,
}

/// Where a queue is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) id: Uuid,
    pub(super) leader: i32,
}

/// What a broker knows of its cluster.
pub(super) struct Metadata {
    /// Numbers and addresses.
    pub(super) brokers: Vec<(i32, String)>,
    /// None if there is no such queue, or nobody leads it now.
    pub(super) place: Option<Place>,
    pub(super) code: i16,
}

/// What one take brought.
#[derive(Default)]
pub(super) struct Acquired {
    /// Places, how often they were delivered, and what lies there.
    pub(super) records: Vec<(i64, i16, Option<Bytes>)>,
}

/// What a code means to who uses a broker.
pub(super) fn refused(code: i16, what: &str, text: &str) -> Error {
    let text = format!("kafka refuses {what}: {text} (code {code})");
    match code {
        code::INVALID_RECORD_STATE => Error::Fenced,
        code::TOO_LARGE
        | code::LIST_TOO_LARGE
        | code::INVALID_TOPIC
        | code::INVALID_CONFIG
        | code::INVALID_REQUEST => Error::Invalid(text),
        code if code::NOT_ALLOWED.contains(&code) => Error::Invalid(text),
        _ => Error::Unavailable(text),
    }
}

fn checked(code: i16, what: &str, text: &str) -> Result<()> {
    if code == code::NONE { Ok(()) } else { Err(refused(code, what, text)) }
}

pub(super) fn metadata(queue: &str) -> Request {
    let topic = Request::new(3, 12).list(1).uuid([0; 16]).text(queue).tags();
    topic.bool(false).bool(false).tags()
}

pub(super) fn read_metadata(answer: &mut Answer) -> Result<Metadata> {
    answer.i32()?;
    let brokers = answer.list(|broker| {
        let number = broker.i32()?;
        let address = format!("{}:{}", broker.text()?, broker.i32()?);
        broker.text()?;
        broker.tags()?;
        Ok((number, address))
    })?;
    answer.text()?;
    answer.i32()?;
    let topics = answer.list(|topic| {
        let code = topic.i16()?;
        topic.text()?;
        let id = topic.uuid()?;
        topic.i8()?;
        let leaders = topic.list(|partition| {
            partition.i16()?;
            let leads = (partition.i32()?, partition.i32()?);
            partition.i32()?;
            for _ in ["replicas", "in sync", "offline"] {
                partition.list(Answer::i32)?;
            }
            partition.tags()?;
            Ok(leads)
        })?;
        topic.i32()?;
        topic.tags()?;
        let leader =
            leaders.into_iter().find(|(number, leader)| *number == PARTITION && *leader >= 0);
        Ok((code, leader.map(|(_, leader)| Place { id, leader })))
    })?;
    let (code, place) = topics.into_iter().next().ok_or_else(torn)?;
    Ok(Metadata { brokers, place, code })
}

/// A queue that loses nothing by age or size, as often replicated as the cluster does by default.
pub(super) fn create(queue: &str) -> Request {
    let settings = [
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
        ("cleanup.policy", "delete"),
        ("compression.type", "uncompressed"),
    ];
    let request = Request::new(19, 7).list(1).text(queue).i32(1).i16(-1).list(0);
    let request = request.list(settings.len());
    let named =
        |request: Request, (name, value): (&str, &str)| request.text(name).text(value).tags();
    let request = settings.into_iter().fold(request, named).tags();
    request.i32(ANSWER_MAX.as_millis() as i32).bool(false).tags()
}

/// Whether it is there now.
pub(super) fn read_create(answer: &mut Answer, queue: &str) -> Result<()> {
    answer.i32()?;
    let mut all = answer.list(|topic| {
        topic.text()?;
        topic.uuid()?;
        let said = (topic.i16()?, topic.text()?);
        topic.i32()?;
        topic.i16()?;
        topic.list(|setting| {
            setting.text()?;
            setting.text()?;
            for _ in ["read only", "source", "sensitive"] {
                setting.i8()?;
            }
            setting.tags()
        })?;
        topic.tags()?;
        Ok(said)
    })?;
    match all.pop().ok_or_else(torn)? {
        (code::TOPIC_EXISTS, _) => Ok(()),
        (code, text) => checked(code, &format!("to make the queue {queue}"), &text),
    }
}

/// Sets how long what was taken is its taker's, and what else a group of takers needs.
pub(super) fn set_group(group: &str, lock: Duration, deliveries: i16) -> Request {
    const GROUP: i8 = 32;
    let settings = [
        ("share.auto.offset.reset", "earliest".to_owned()),
        ("share.record.lock.duration.ms", lock.as_millis().to_string()),
        ("share.delivery.count.limit", deliveries.to_string()),
    ];
    let request = Request::new(44, 1).list(1).i8(GROUP).text(group).list(settings.len());
    let set = |request: Request, (name, value): (&str, String)| {
        request.text(name).i8(0).text(&value).tags()
    };
    settings.into_iter().fold(request, set).tags().bool(false).tags()
}

pub(super) fn read_set_group(answer: &mut Answer) -> Result<()> {
    answer.i32()?;
    let all = answer.list(|resource| {
        let said = (resource.i16()?, resource.text()?);
        resource.i8()?;
        resource.text()?;
        resource.tags()?;
        Ok(said)
    })?;
    all.into_iter().try_for_each(|(code, text)| checked(code, "the settings of a group", &text))
}

/// One setting of a broker.
pub(super) fn setting(broker: i32, name: &str) -> Request {
    const BROKER: i8 = 4;
    let request = Request::new(32, 4).list(1).i8(BROKER).text(&broker.to_string());
    request.list(1).text(name).tags().bool(false).bool(false).tags()
}

pub(super) fn read_setting(answer: &mut Answer) -> Result<String> {
    answer.i32()?;
    let found = answer.list(|resource| {
        let said = (resource.i16()?, resource.text()?);
        checked(said.0, "to tell its settings", &said.1)?;
        resource.i8()?;
        resource.text()?;
        let values = resource.list(|setting| {
            setting.text()?;
            let value = setting.text()?;
            for _ in ["read only", "source", "sensitive"] {
                setting.i8()?;
            }
            setting.list(|synonym| {
                synonym.text()?;
                synonym.text()?;
                synonym.i8()?;
                synonym.tags()
            })?;
            setting.i8()?;
            setting.text()?;
            setting.tags()?;
            Ok(value)
        })?;
        resource.tags()?;
        Ok(values.into_iter().next())
    })?;
    Ok(found.into_iter().flatten().next().unwrap_or_else(|| "not told".to_owned()))
}

/// Bodies at the end of a queue, on all replicas that are in sync before it is answered.
pub(super) fn produce(queue: &str, bodies: &[Bytes]) -> Request {
    const ALL: i16 = -1;
    let batch = records::encode(bodies, now_us() / 1_000);
    let request = Request::new(0, 9).null().i16(ALL).i32(ANSWER_MAX.as_millis() as i32);
    let request = request.list(1).text(queue).list(1).i32(PARTITION).bytes(&batch);
    request.tags().tags().tags()
}

pub(super) fn read_produce(answer: &mut Answer) -> Result<()> {
    let all = answer.list(|topic| {
        topic.text()?;
        let said = topic.list(|partition| {
            partition.i32()?;
            let code = partition.i16()?;
            for _ in ["first", "time", "start"] {
                partition.i64()?;
            }
            partition.list(|error| {
                error.i32()?;
                error.text()?;
                error.tags()
            })?;
            let text = partition.text()?;
            partition.tags()?;
            Ok((code, text))
        })?;
        topic.tags()?;
        Ok(said)
    })?;
    all.into_iter().flatten().try_for_each(|(code, text)| checked(code, "a message", &text))
}

/// What lies in a queue from a place on, in about so many bytes; waits for the first of it for so long.
pub(super) fn fetch(queue: &str, from: i64, bytes: i32, wait: Duration) -> Request {
    let wait_ms = wait.as_millis() as i32;
    let request = Request::new(1, 12).i32(-1).i32(wait_ms).i32(1).i32(bytes).i8(0);
    // No session: all that is wanted is named.
    let request = request.i32(0).i32(-1).list(1).text(queue).list(1).i32(PARTITION).i32(-1);
    let request = request.i64(from).i32(-1).i64(-1).i32(bytes).tags().tags();
    request.list(0).text("").tags()
}

/// Where the queue ends, and what was found.
pub(super) fn read_fetch(answer: &mut Answer) -> Result<(i64, Vec<(i64, Bytes)>)> {
    answer.i32()?;
    let code = answer.i16()?;
    checked(code, "to show a queue", "")?;
    answer.i32()?;
    let all = answer.list(|topic| {
        topic.text()?;
        let found = topic.list(|partition| {
            partition.i32()?;
            checked(partition.i16()?, "to show a queue", "")?;
            let end = partition.i64()?;
            for _ in ["stable", "start"] {
                partition.i64()?;
            }
            partition.list(|aborted| {
                aborted.i64()?;
                aborted.i64()?;
                aborted.tags()
            })?;
            partition.i32()?;
            let batches = partition.bytes()?.unwrap_or_default();
            partition.tags()?;
            Ok((end, records::decode(batches)?))
        })?;
        topic.tags()?;
        Ok(found)
    })?;
    all.into_iter().flatten().next().ok_or_else(torn)
}

/// Where a queue ends, or begins.
#[derive(Clone, Copy)]
pub(super) enum Edge {
    First = -2,
    End = -1,
}

pub(super) fn edge(queue: &str, edge: Edge) -> Request {
    let request = Request::new(2, 7).i32(-1).i8(0).list(1).text(queue).list(1);
    request.i32(PARTITION).i32(-1).i64(edge as i64).tags().tags().tags()
}

pub(super) fn read_edge(answer: &mut Answer) -> Result<i64> {
    answer.i32()?;
    let all = answer.list(|topic| {
        topic.text()?;
        let found = topic.list(|partition| {
            partition.i32()?;
            let code = partition.i16()?;
            partition.i64()?;
            let offset = partition.i64()?;
            partition.i32()?;
            partition.tags()?;
            checked(code, "to tell where a queue ends", "").map(|()| offset)
        })?;
        topic.tags()?;
        Ok(found)
    })?;
    all.into_iter().flatten().next().ok_or_else(torn)
}

/// Who keeps a group.
pub(super) fn coordinator(group: &str) -> Request {
    const GROUP: i8 = 0;
    Request::new(10, 4).i8(GROUP).list(1).text(group).tags()
}

/// None if nobody does yet.
pub(super) fn read_coordinator(answer: &mut Answer) -> Result<Option<(i32, String)>> {
    answer.i32()?;
    let all = answer.list(|found| {
        found.text()?;
        let number = found.i32()?;
        let address = format!("{}:{}", found.text()?, found.i32()?);
        let said = (found.i16()?, found.text()?);
        found.tags()?;
        match said.0 {
            code::NO_COORDINATOR => Ok(None),
            code => checked(code, "to tell who keeps a group", &said.1)
                .map(|()| Some((number, address))),
        }
    })?;
    all.into_iter().next().ok_or_else(torn)
}

/// How many of a queue are not done.
pub(super) fn lag(group: &str, queue: &str) -> Request {
    let request = Request::new(90, 1).list(1).text(group).list(1).text(queue);
    request.list(1).i32(PARTITION).tags().tags().tags()
}

/// None if nobody has ever taken from it.
pub(super) fn read_lag(answer: &mut Answer) -> Result<Option<u64>> {
    answer.i32()?;
    let all = answer.list(|group| {
        group.text()?;
        let lags = group.list(|topic| {
            topic.text()?;
            topic.uuid()?;
            let lags = topic.list(|partition| {
                partition.i32()?;
                partition.i64()?;
                partition.i32()?;
                let lag = partition.i64()?;
                let said = (partition.i16()?, partition.text()?);
                partition.tags()?;
                checked(said.0, "to count a queue", &said.1).map(|()| lag)
            })?;
            topic.tags()?;
            Ok(lags)
        })?;
        let said = (group.i16()?, group.text()?);
        group.tags()?;
        match said.0 {
            code::GROUP_NOT_FOUND => Ok(None),
            code => checked(code, "to count a queue", &said.1)
                .map(|()| lags.into_iter().flatten().next()),
        }
    })?;
    Ok(all.into_iter().next().flatten().and_then(|lag| u64::try_from(lag).ok()))
}

/// A sign of life of a member of a group; the first has the epoch 0, and names the queue.
pub(super) fn heartbeat(group: &str, member: &str, epoch: i32, queue: &str) -> Request {
    let request = Request::new(76, 1).text(group).text(member).i32(epoch).null();
    if epoch == 0 { request.list(1).text(queue).tags() } else { request.null().tags() }
}

/// Which epoch the next one has.
pub(super) fn read_heartbeat(answer: &mut Answer) -> Result<i32> {
    answer.i32()?;
    let said = (answer.i16()?, answer.text()?);
    checked(said.0, "a sign of life", &said.1)?;
    answer.text()?;
    answer.i32()
}

/// Who takes, and the how-manieth request this is of its session; the first opens it.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a> {
    pub(super) group: &'a str,
    pub(super) member: &'a str,
    pub(super) epoch: i32,
}

/// Takes so many records at most, and waits for the first of them for so long.
pub(super) fn take(turn: Turn<'_>, id: Uuid, most: u32, wait: Duration) -> Request {
    /// No more than are asked for, even if a batch has more.
    const STRICTLY: i8 = 1;
    let request = Request::new(78, 2).text(turn.group).text(turn.member).i32(turn.epoch);
    let request = request.i32(wait.as_millis() as i32).i32(1).i32(FETCH_BYTES_MAX);
    let request = request.i32(most as i32).i32(most as i32).i8(STRICTLY).bool(false);
    let request = request.list(1).uuid(id).list(1).i32(PARTITION).list(0).tags().tags();
    request.list(0).tags()
}

pub(super) fn read_take(answer: &mut Answer) -> Result<(i16, Acquired)> {
    answer.i32()?;
    let code = answer.i16()?;
    answer.text()?;
    answer.i32()?;
    let mut acquired = Acquired::default();
    let mut refused = code;
    answer.list(|topic| {
        topic.uuid()?;
        topic.list(|partition| {
            partition.i32()?;
            let code = partition.i16()?;
            partition.text()?;
            partition.i16()?;
            partition.text()?;
            leader(partition)?;
            let batches = partition.bytes()?.unwrap_or_default();
            let ranges = partition.list(range)?;
            partition.tags()?;
            if code != code::NONE {
                refused = code;
            }
            acquired.add(&records::decode(batches)?, &ranges);
            Ok(())
        })?;
        topic.tags()
    })?;
    Ok((refused, acquired))
}

fn leader(partition: &mut Answer) -> Result<()> {
    partition.i32()?;
    partition.i32()?;
    partition.tags()
}

/// First and last of what was acquired, and how often it was delivered.
fn range(answer: &mut Answer) -> Result<(i64, i64, i16)> {
    let range = (answer.i64()?, answer.i64()?, answer.i16()?);
    answer.tags()?;
    Ok(range)
}

impl Acquired {
    /// A batch may hold more than was acquired of it, and less than lies between its ends.
    fn add(&mut self, found: &[(i64, Bytes)], ranges: &[(i64, i64, i16)]) {
        for (first, last, times) in ranges {
            for offset in *first..=*last {
                let body = found.binary_search_by_key(&offset, |(offset, _)| *offset).ok();
                let body = body.map(|index| found[index].1.clone());
                self.records.push((offset, *times, body));
            }
        }
    }
}

/// Says what becomes of records, each at its place.
pub(super) fn settle(turn: Turn<'_>, id: Uuid, fates: &[(i64, Fate)]) -> Request {
    let renews = fates.iter().any(|(_, fate)| *fate == Fate::Renewed);
    let request =
        Request::new(79, 2).text(turn.group).text(turn.member).i32(turn.epoch).bool(renews);
    let request = request.list(1).uuid(id).list(1).i32(PARTITION).list(fates.len());
    let one = |request: Request, (offset, fate): &(i64, Fate)| {
        request.i64(*offset).i64(*offset).list(1).i8(*fate as i8).tags()
    };
    fates.iter().fold(request, one).tags().tags().tags()
}

/// What the broker says of all of them together.
pub(super) fn read_settle(answer: &mut Answer) -> Result<i16> {
    answer.i32()?;
    let mut refused = answer.i16()?;
    answer.text()?;
    answer.i32()?;
    answer.list(|topic| {
        topic.uuid()?;
        topic.list(|partition| {
            partition.i32()?;
            let code = partition.i16()?;
            partition.text()?;
            leader(partition)?;
            partition.tags()?;
            if code != code::NONE {
                refused = code;
            }
            Ok(())
        })?;
        topic.tags()
    })?;
    Ok(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_acquired_is_told_from_what_lies_beside_it() {
        let body = |text: &'static str| Bytes::from_static(text.as_bytes());
        let found = [(3, body("three")), (4, body("four")), (6, body("six"))];
        let mut acquired = Acquired::default();
        acquired.add(&found, &[(4, 6, 2)]);
        assert_eq!(
            acquired.records,
            [(4, 2, Some(body("four"))), (5, 2, None), (6, 2, Some(body("six")))]
        );
    }

    #[test]
    fn a_code_means_the_same_whatever_was_asked() {
        assert_eq!(refused(code::INVALID_RECORD_STATE, "it", ""), Error::Fenced);
        assert!(matches!(refused(code::TOO_LARGE, "it", ""), Error::Invalid(_)));
        assert!(matches!(refused(30, "it", ""), Error::Invalid(_)));
        assert!(matches!(refused(-1, "it", ""), Error::Unavailable(_)));
    }
}
