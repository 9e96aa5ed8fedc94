//! Values as small numbers.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Gives every distinct value a number, counted from zero.
#[derive(Debug)]
pub(super) struct Interner<T> {
    numbers: HashMap<T, u32>,
    values: Vec<T>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), values: Vec::new() }
    }
}

impl<T: Clone + Eq + Hash> Interner<T> {
    pub(super) fn number<Q: ?Sized + Eq + Hash + ToOwned<Owned = O>, O: Into<T>>(&mut self, value: &Q) -> u32
    where
        T: Borrow<Q>,
    {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        let number = u32::try_from(self.values.len()).expect("fewer values than 2^32 fit in memory");
        let value: T = value.to_owned().into();
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        number
    }

    pub(super) fn find<Q: ?Sized + Eq + Hash>(&self, value: &Q) -> Option<u32>
    where
        T: Borrow<Q>,
    {
        self.numbers.get(value).copied()
    }

    pub(super) fn value(&self, number: u32) -> &T {
        &self.values[number as usize]
    }
}
