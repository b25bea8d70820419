//! Values by number, found in one step. Places are used again in an order that is part of the state, so that every member
//! hands out the same numbers.

use serde::{Deserialize, Serialize};

/// A vector with holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slab<T> {
    pub(super) places: Vec<Place<T>>,
    /// Empty places, the next one to use last.
    pub(super) empty: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place<T> {
    /// How often this place was emptied.
    generation: u32,
    pub(super) value: Option<T>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), empty: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Where the next value will go. None when every number is taken.
    pub(crate) fn insert(&mut self, value: T) -> Option<u32> {
        if let Some(slot) = self.empty.pop() {
            self.places[slot as usize].value = Some(value);
            return Some(slot);
        }
        let slot = u32::try_from(self.places.len()).ok().filter(|slot| *slot != u32::MAX)?;
        self.places.push(Place { generation: 0, value: Some(value) });
        Some(slot)
    }

    /// Takes a value out.
    pub(crate) fn remove(&mut self, slot: u32) -> Option<T> {
        let place = self.places.get_mut(slot as usize)?;
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.empty.push(slot);
        Some(value)
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        self.places.get(slot as usize)?.value.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.places.get_mut(slot as usize)?.value.as_mut()
    }

    /// How often `slot` was emptied.
    pub(crate) fn generation(&self, slot: u32) -> u32 {
        self.places.get(slot as usize).map_or(0, |place| place.generation)
    }

    pub(crate) const fn len(&self) -> usize {
        self.places.len() - self.empty.len()
    }

    /// All values, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0_u32..).zip(&self.places).filter_map(|(slot, place)| Some((slot, place.value.as_ref()?)))
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, slot: u32) -> &T {
        self.get(slot).expect("a number that this ledger handed out and did not take back")
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, slot: u32) -> &mut T {
        self.get_mut(slot).expect("a number that this ledger handed out and did not take back")
    }
}
