//! The system's randomness, as the pure parts of the federation take it.

use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};

use rand_core::TryRng;

/// Draws from the system's generator. For draws, not for keys.
#[derive(Debug)]
pub struct Chance;

impl TryRng for Chance {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        fill(&mut bytes);
        Ok(u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        fill(&mut bytes);
        Ok(u64::from_ne_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        fill(bytes);
        Ok(())
    }
}

/// Draws of the federation are no keys: where the generator failed, the seeds of the hash maps are random enough.
fn fill(bytes: &mut [u8]) {
    if aws_lc_rs::rand::fill(bytes).is_err() {
        for chunk in bytes.chunks_mut(8) {
            let random = RandomState::new().hash_one(()).to_ne_bytes();
            chunk.iter_mut().zip(random).for_each(|(to, from)| *to = from);
        }
    }
}
