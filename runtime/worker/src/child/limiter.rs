//! What one instance may take. All of a guest's memories share one limit, which is the
//! contract's: each with a limit of its own, they could together come to the limit of
//! the child, where it is no longer the same for every unit.

use wasmtime::{Error, ResourceLimiter, StoreLimits, StoreLimitsBuilder};

use crate::inspect::{CORE_ITEMS_MAX, MEMORIES_MAX};

/// The limits of one store.
pub struct Limits {
    items: StoreLimits,
    memory_left: usize,
}

impl Limits {
    /// Of a fresh instance that may have so much memory in all.
    pub(super) fn new(memory_bytes: usize) -> Self {
        let items = StoreLimitsBuilder::new()
            .instances(CORE_ITEMS_MAX as usize)
            .tables(CORE_ITEMS_MAX as usize)
            .memories(MEMORIES_MAX as usize)
            .build();
        Self { items, memory_left: memory_bytes }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool, Error> {
        let left = self.memory_left.checked_sub(desired.saturating_sub(current));
        let granted = left.is_some() && self.items.memory_growing(current, desired, maximum)?;
        if let Some(left) = left.filter(|_| granted) {
            self.memory_left = left;
        }
        Ok(granted)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool, Error> {
        self.items.table_growing(current, desired, maximum)
    }

    fn instances(&self) -> usize {
        self.items.instances()
    }

    fn tables(&self) -> usize {
        self.items.tables()
    }

    fn memories(&self) -> usize {
        self.items.memories()
    }
}
