//! 外室: a running child for a guest that sees cleared cells only. The same program
//! and jail as a [`crate::Room`]; asked one question at a time.
//!
//! What may enter is decided by whoever calls: this crate knows batches of numbers and
//! words, not where they come from.

use crate::{
    Compiled, Programs, Room, RoomLimits, WorkerError,
    wire::{self, BatchRef, ColumnRef, Tag, WireError},
};

/// A running child for an outer guest.
pub struct OuterRoom(Room);

/// A table in the ABI's form, built by the host.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Table {
    rows: u32,
    columns: Vec<OwnedColumn>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct OwnedColumn {
    nulls: u32,
    validity: Option<Vec<u8>>,
    offsets: Option<Vec<u8>>,
    data: Vec<u8>,
}

/// Artefacts as the guest sent them: hostile names and bytes.
pub type Artefacts = Vec<(String, Vec<u8>)>;

impl OuterRoom {
    /// Starts a child with the compiled outer guest.
    ///
    /// # Errors
    /// As [`Room::open`].
    pub fn open(programs: &Programs, compiled: &Compiled, limits: &RoomLimits) -> Result<Self, WorkerError> {
        Room::enter(programs, compiled, limits, Tag::Outer, &[], &[]).map(Self)
    }

    /// The state after a round; `None` when the guest failed.
    ///
    /// # Errors
    /// [`WorkerError`]; the room is closed afterwards.
    pub fn update(&mut self, round: u32, state: &[u8], cleared: &Table) -> Result<Option<Vec<u8>>, WorkerError> {
        match self.0.ask(Tag::Update, &cleared.question_of_update(round, state)?)? {
            (Tag::State, state) => Ok(Some(state)),
            (Tag::Failed, rest) if rest.is_empty() => Ok(None),
            _ => Err(WireError::Tag.into()),
        }
    }

    /// What the guest composes of the tables; `None` when it failed.
    ///
    /// # Errors
    /// As [`OuterRoom::update`].
    pub fn compose(&mut self, state: &[u8], tables: &[(String, Table)]) -> Result<Option<Artefacts>, WorkerError> {
        match self.0.ask(Tag::Compose, &Table::question_of_compose(state, tables)?)? {
            (Tag::Artefacts, body) => {
                let artefacts = wire::decode_artefacts(&body)?.into_iter();
                Ok(Some(artefacts.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect()))
            }
            (Tag::Failed, rest) if rest.is_empty() => Ok(None),
            _ => Err(WireError::Tag.into()),
        }
    }
}

impl Table {
    /// Adds a column of whole numbers.
    pub fn ints(&mut self, values: &[Option<i64>]) {
        self.fixed(values.iter().map(|v| v.map(i64::to_le_bytes)));
    }

    /// Adds a column of floats.
    pub fn floats(&mut self, values: &[Option<f64>]) {
        self.fixed(values.iter().map(|v| v.map(f64::to_le_bytes)));
    }

    /// Adds a column of words.
    pub fn texts(&mut self, values: &[Option<&str>]) {
        let mut end = 0i32;
        let mut offsets = end.to_le_bytes().to_vec();
        let mut data = Vec::new();
        for value in values {
            data.extend_from_slice(value.unwrap_or_default().as_bytes());
            end = i32::try_from(data.len()).unwrap_or(i32::MAX);
            offsets.extend_from_slice(&end.to_le_bytes());
        }
        self.add(values.iter().map(Option::is_some), Some(offsets), data);
    }

    fn fixed(&mut self, values: impl Iterator<Item = Option<[u8; 8]>> + Clone) {
        let data = values.clone().flat_map(Option::unwrap_or_default).collect();
        self.add(values.map(|v| v.is_some()), None, data);
    }

    fn add(&mut self, present: impl Iterator<Item = bool> + Clone, offsets: Option<Vec<u8>>, data: Vec<u8>) {
        let flags: Vec<bool> = present.collect();
        let nulls = flags.iter().filter(|p| !**p).count();
        let byte = |bits: &[bool]| bits.iter().rev().fold(0u8, |byte, bit| byte << 1 | u8::from(*bit));
        let validity = (nulls > 0).then(|| flags.chunks(8).map(byte).collect());
        self.rows = u32::try_from(flags.len()).unwrap_or(u32::MAX);
        self.columns.push(OwnedColumn { nulls: u32::try_from(nulls).unwrap_or(u32::MAX), validity, offsets, data });
    }

    pub(crate) fn question_of_update(&self, round: u32, state: &[u8]) -> Result<Vec<u8>, WireError> {
        wire::encode_update(round, state, &self.as_batch())
    }

    pub(crate) fn question_of_compose(state: &[u8], tables: &[(String, Self)]) -> Result<Vec<u8>, WireError> {
        let tables: Vec<_> = tables.iter().map(|(name, table)| (name.as_str(), table.as_batch())).collect();
        wire::encode_compose(state, &tables)
    }

    fn as_batch(&self) -> BatchRef<'_> {
        BatchRef { rows: self.rows, columns: self.columns.iter().map(OwnedColumn::as_ref).collect() }
    }
}

impl OwnedColumn {
    fn as_ref(&self) -> ColumnRef<'_> {
        ColumnRef {
            nulls: self.nulls,
            validity: self.validity.as_deref(),
            offsets: self.offsets.as_deref(),
            data: &self.data,
        }
    }
}
