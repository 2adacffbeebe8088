//! The files of a product, drawn from a released candidate and nothing else.

pub(crate) mod csv;
mod html;
pub(crate) mod made;
mod parquet;

use sluice_domain::{
    Digest, Refusal,
    candidate::{Candidate, CandidateTable, Cell},
    contract::Contract,
    id::ProductId,
};

/// The files of one product, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Bundle(Vec<(String, Vec<u8>)>);

/// Draws every file but the receipt.
pub(crate) fn render(released: &Candidate, contract: &Contract, product: &ProductId) -> Result<Bundle, Refusal> {
    let mut bundle = Bundle::default();
    for (table, declared) in released.tables.iter().zip(&contract.tables) {
        bundle.push(&format!("{}.csv", table.name), csv::write(table, declared)?);
        bundle.push(&format!("{}.parquet", table.name), parquet::write(table, declared)?);
    }
    for artefact in released.report.artefacts() {
        bundle.push(&artefact.name, artefact.bytes());
    }
    bundle.push("report.html", html::write(released, contract, product)?);
    Ok(bundle)
}

impl Bundle {
    pub(crate) fn push(&mut self, name: &str, bytes: Vec<u8>) {
        self.0.push((name.to_owned(), bytes));
    }

    /// Adds `copy`'s files under a prefix of their names.
    pub(crate) fn extend(&mut self, prefix: &str, copy: Self) {
        self.0.extend(copy.0.into_iter().map(|(name, bytes)| (format!("{prefix}{name}"), bytes)));
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    pub(crate) fn file(&self, name: &str) -> Option<&[u8]> {
        self.files().find(|(n, _)| *n == name).map(|(_, bytes)| bytes)
    }

    /// SHA-256 of every file: these bytes are public from here on.
    pub(crate) fn digests(&self) -> Vec<(String, Digest)> {
        self.files().map(|(name, bytes)| (name.to_owned(), Digest::of(bytes))).collect()
    }

    /// One sealed object: JSON of names and base64 bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let files: Vec<_> = self.files().map(|(name, bytes)| (name, data_encoding::BASE64.encode(bytes))).collect();
        serde_json::to_vec(&files).unwrap_or_default()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let files: Vec<(String, String)> = serde_json::from_slice(bytes).ok()?;
        let decoded =
            files.into_iter().map(|(name, text)| Some((name, data_encoding::BASE64.decode(text.as_bytes()).ok()?)));
        Some(Self(decoded.collect::<Option<_>>()?))
    }
}

/// The label of a cell's key in one dimension, for people; margins say so.
pub(crate) fn label(table: &CandidateTable, cell: &Cell, dimension: usize) -> String {
    let Some(Some(key)) = cell.key.get(dimension) else { return "合计 Total".to_owned() };
    let domain = table.dimensions.get(dimension).map(|d| d.domain.as_slice()).unwrap_or_default();
    domain.iter().find(|(k, _)| k == key).map_or_else(|| key.to_string(), |(_, label)| label.clone())
}
