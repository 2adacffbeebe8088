//! From the codes of a dimension's column to their places in the declared domain.

use std::collections::HashMap;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray},
        datatypes::Int64Type,
    },
    common::hash_utils::QualityRandomState,
};
use sluice_domain::{catalogue::Key, contract::Dimension};

use crate::{ViewError, texts::Texts};

/// One dimension's places: its keys in declared order, then the margin.
pub(crate) struct Axis {
    keys: Places,
    pub(crate) len: u32,
}

/// From a code to its place.
enum Places {
    /// Whole numbers close to each other: a table that starts at `from`.
    Near {
        from: i64,
        places: Vec<u32>,
    },
    Ints(HashMap<i64, u32>),
    Texts(Texts),
}

/// Widest range of codes that a table of their places is kept for.
const NEAR_MAX: u64 = 1 << 16;

/// No code's place.
pub(crate) const NOWHERE: u32 = u32::MAX;

impl Axis {
    /// The axis of a dimension's declared domain.
    pub(crate) fn new(dimension: &Dimension) -> Self {
        let (mut ints, mut texts) = (HashMap::new(), HashMap::with_hasher(QualityRandomState::default()));
        let mut len = 0;
        for (place, (key, _)) in (0..).zip(&dimension.domain) {
            len = place + 1;
            match key {
                Key::Int(n) => ints.insert(*n, place),
                Key::Text(s) => texts.insert(s.clone(), place),
            };
        }
        let keys = if texts.is_empty() { Places::of(ints) } else { Places::Texts(Texts::new(texts)) };
        Self { keys, len }
    }

    /// The place of each row's value.
    ///
    /// # Errors
    /// [`ViewError::Domain`] if one of them is not in the domain.
    pub(crate) fn places(&self, column: &ArrayRef) -> Result<Vec<u32>, ViewError> {
        if column.null_count() > 0 {
            return Err(ViewError::Domain);
        }
        let ints = column.as_primitive_opt::<Int64Type>().map(|c| c.values().iter());
        // What is not found is looked at once, after the loop.
        let places: Vec<u32> = match (&self.keys, ints, column.as_string_opt::<i32>()) {
            (Places::Near { from, places }, Some(column), _) => {
                // What is below wraps around to far above.
                let at = |n: &i64| usize::try_from(n.wrapping_sub(*from).cast_unsigned()).unwrap_or(usize::MAX);
                column.map(|n| places.get(at(n)).copied().unwrap_or(NOWHERE)).collect()
            }
            (Places::Ints(places), Some(column), _) => {
                column.map(|n| places.get(n).copied().unwrap_or(NOWHERE)).collect()
            }
            (Places::Texts(places), _, Some(column)) => places.places(column),
            _ => return Err(ViewError::Domain),
        };
        if places.contains(&NOWHERE) { Err(ViewError::Domain) } else { Ok(places) }
    }
}

impl Places {
    fn of(ints: HashMap<i64, u32>) -> Self {
        let (from, to) = (ints.keys().min().copied().unwrap_or(0), ints.keys().max().copied().unwrap_or(0));
        match usize::try_from(to.abs_diff(from)) {
            Ok(width) if to.abs_diff(from) < NEAR_MAX => {
                let mut places = vec![NOWHERE; width + 1];
                for (n, place) in ints {
                    let at = usize::try_from(n.abs_diff(from)).ok().and_then(|at| places.get_mut(at));
                    at.into_iter().for_each(|at| *at = place);
                }
                Self::Near { from, places }
            }
            _ => Self::Ints(ints),
        }
    }
}
