//! Walks over all documents of a shard by slices, so that nobody waits long for its lock.

use super::Registry;
use super::ready::DocumentId;
use super::shard::Shard;
use crate::work::AT_ONCE;

impl Registry {
    /// Walks over all documents. `look` sees those of a slice under the lock of their shard, and `then` takes what it found with
    /// no lock held.
    #[cfg_attr(feature = "count-work", track_caller)]
    pub(super) fn walk<W, F>(
        &self,
        walker: &mut W,
        look: impl Fn(&mut W, &Shard, Vec<DocumentId>) -> F,
        then: impl Fn(&mut W, F),
    ) {
        for index in 0..self.shards.len() {
            let mut next = Some(0);
            while let Some(from) = next {
                let found;
                (found, next) = self.read(index, |shard| {
                    let (documents, next) = shard.slice(from);
                    (look(walker, shard, documents), next)
                });
                then(walker, found);
            }
        }
    }

    /// Lists what all shards have. `some` returns at most [`AT_ONCE`] of a shard under its lock: the first ones, or those after
    /// the one that it is given.
    pub(super) fn list<T>(&self, some: impl Fn(&Shard, Option<&T>) -> Vec<T>) -> Vec<T> {
        let mut all = Vec::new();
        for index in 0..self.shards.len() {
            let first = all.len();
            loop {
                let last = all[first..].last();
                let found = self.read(index, |shard| some(shard, last));
                let is_last = found.len() < AT_ONCE;
                all.extend(found);
                if is_last {
                    break;
                }
            }
        }
        all
    }
}

impl Shard {
    /// The documents of a slice that begins at number `from`, and where to go on if there are more. They and what is in their
    /// lists are at most [`AT_ONCE`] items, and the rest of one document, which is not divided.
    pub(super) fn slice(&self, from: usize) -> (Vec<DocumentId>, Option<usize>) {
        let (mut end, mut items) = (from, 0);
        let mut documents = Vec::new();
        while items < AT_ONCE && end < self.documents_end() {
            let (document, more) = self.document_and_items(end);
            items += 1 + more;
            documents.extend(document);
            end += 1;
        }
        (documents, (end < self.documents_end()).then_some(end))
    }
}

#[cfg(test)]
mod tests {
    use crate::access::Access;
    use crate::config::Config;
    use crate::ids::{DocumentKey, User};
    use crate::registry::Registry;

    /// Opens documents with so many users each.
    fn registry_with(users: &[usize]) -> Registry {
        let registry = Registry::new(&Config::new().shards(1));
        for (document, users) in users.iter().enumerate() {
            let key = DocumentKey::new(&format!("doc-{document}")).unwrap();
            for user in 0..*users {
                registry.open(&key, &User::new(&format!("user-{user}")).unwrap(), Access::Edit).unwrap();
            }
        }
        registry
    }

    /// The users of the documents of each slice.
    fn slices(registry: &Registry) -> Vec<Vec<u32>> {
        let (mut slices, mut next) = (Vec::new(), Some(0));
        while let Some(from) = next {
            let slice = registry.read(0, |shard| {
                let documents;
                (documents, next) = shard.slice(from);
                let users = |document| u32::try_from(shard.session(document).members().count()).unwrap();
                documents.into_iter().map(users).collect()
            });
            slices.push(slice);
        }
        slices
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes under miri, and has one thread")]
    fn p7_a_slice_has_at_most_256_items_and_the_rest_of_one_document() {
        for users in [vec![1; 1_000], vec![100; 20], vec![2, 1_000, 1, 1, 600], vec![]] {
            let registry = registry_with(&users);
            let slices = slices(&registry);
            for slice in &slices {
                let items: u32 = slice.iter().rev().skip(1).map(|users| 1 + users).sum();
                assert!(items < 256, "{slice:?}");
            }
            let all: Vec<usize> = slices.concat().into_iter().map(|users| users as usize).collect();
            assert_eq!(all, users, "each document is in one slice");
            assert_eq!(registry.holders(usize::MAX).len(), users.iter().sum::<usize>());
        }
    }
}
