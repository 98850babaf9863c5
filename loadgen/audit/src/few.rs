//! A small set of names, kept as hashes: mostly none or one, and then without a list.

/// A set of 64-bit hashes in 16 bytes. Two of a key's names meet with a chance of 1 in 2⁶⁴.
#[derive(Clone, Debug, Default)]
pub(super) struct Few {
    /// 0 for none.
    first: u64,
    #[expect(clippy::box_collection, reason = "a key pays for a list only if it has one")]
    more: Option<Box<Vec<u64>>>,
}

impl Few {
    pub(super) fn insert(&mut self, hash: u64) {
        let hash = hash.max(1);
        if self.first == 0 {
            self.first = hash;
        } else if !self.contains(hash) {
            self.more.get_or_insert_default().push(hash);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first == 0
    }

    /// Whether there are two or more.
    pub(super) fn differ(&self) -> bool {
        self.more.is_some()
    }

    /// Whether all of these are among the others.
    pub(super) fn within(&self, others: &Self) -> bool {
        self.iter().all(|hash| others.contains(hash))
    }

    fn contains(&self, hash: u64) -> bool {
        self.iter().any(|one| one == hash)
    }

    fn iter(&self) -> impl Iterator<Item = u64> {
        let more = self.more.iter().flat_map(|more| more.iter().copied());
        std::iter::once(self.first).filter(|first| *first != 0).chain(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(hashes: &[u64]) -> Few {
        let mut few = Few::default();
        hashes.iter().for_each(|hash| few.insert(*hash));
        few
    }

    #[test]
    fn it_is_a_set() {
        assert!(of(&[]).is_empty() && !of(&[7]).is_empty() && !of(&[0]).is_empty());
        assert!(!of(&[7, 7, 7]).differ() && of(&[7, 8]).differ());
        assert!(of(&[]).within(&of(&[])) && of(&[9, 7]).within(&of(&[7, 8, 9])));
        assert!(!of(&[7, 1]).within(&of(&[7, 8, 9])) && !of(&[7]).within(&of(&[])));
        assert!(std::mem::size_of::<Few>() == 16);
    }
}
