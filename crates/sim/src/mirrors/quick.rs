//! A hash for the simulation's own tables: their keys are numbers, or bytes that a hash made, and nobody attacks them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A table of the simulation.
pub(super) type Table<K, V> = HashMap<K, V, BuildHasherDefault<Quick>>;

/// Multiply and rotate: of bytes the first eight count, which differ wherever a hash made them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quick(u64);

impl Quick {
    fn mix(&mut self, word: u64) {
        let mixed = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        match bytes.first_chunk() {
            Some(eight) => self.mix(u64::from_le_bytes(*eight)),
            None => bytes.iter().for_each(|byte| self.mix(u64::from(*byte))),
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    /// The length of an array, which is always the same here.
    fn write_usize(&mut self, _: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_numbers_are_told_apart_and_spread() {
        let mut table: Table<(u32, u32), u32> = Table::default();
        for one in 0..300 {
            for other in 0..300 {
                table.insert((one, other), one * 300 + other);
            }
        }
        assert_eq!(table.len(), 90_000);
        assert!((0..300).all(|number| table[&(number, 299 - number)] == number * 300 + 299 - number));
        let low: std::collections::BTreeSet<u64> = table
            .keys()
            .map(|key| std::hash::BuildHasher::hash_one(&BuildHasherDefault::<Quick>::default(), key) % 4096)
            .collect();
        assert_eq!(low.len(), 4096, "every part of the table is used");
    }
}
