//! Value scan: values that fewer than k units have, looked for in the candidate as they
//! are, scaled, re-encoded and hashed; and rows of the view of which a published cell
//! repeats several numbers.

use std::collections::{BTreeMap, HashMap, HashSet};

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use sluice_domain::{
    candidate::{CandidateTable, CellValue},
    evidence::EvidenceRules,
};

use super::values::{Rows, Scalar, digits, pieces, significand};

/// Whole multiples of a value that are looked for, beside every power of ten (5 is a half).
const MULTIPLES: [f64; 3] = [1.0, 2.0, 5.0];
/// Digits that the numbers of one row must have together to count as a row copied.
const ROW_DIGITS_MIN: usize = 10;
/// Fewest digits of one number of a copied row.
const ROW_NUMBER_DIGITS_MIN: usize = 3;
/// From here on a published whole number may be a part of a hash.
const HASH_MIN: f64 = 16_777_216.0;
/// Most hits that are told one by one.
const HITS_SHOWN: usize = 8;

/// How a value was found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// By its digits: as it is, scaled by a power of ten, or negated.
    Digits,
    /// Doubled or halved, and scaled.
    Multiple,
    /// A date as a number.
    Date,
    /// A text's first bytes as a number.
    Bytes,
    /// As it is, in a text.
    Text,
    /// In hexadecimal, in a text.
    Hex,
    /// In base64, in a text.
    Base64,
    /// As a common hash.
    Hash,
    /// Several numbers of one row in one cell.
    Row,
}

/// One value found again. It names where, never what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Table or artefact.
    pub part: String,
    /// The cell's key, if it is in a cell.
    pub cell: Option<String>,
    /// The view's column.
    pub column: String,
    /// How it was written.
    pub form: Form,
}

/// What the scan found.
#[derive(Debug, Default)]
pub struct Found {
    /// The first hits.
    pub hits: Vec<Hit>,
    /// Hits by form.
    pub by_form: BTreeMap<Form, u64>,
    /// How many hits by digits chance alone would bring.
    pub by_chance: f64,
    /// Rare values that were looked for.
    pub rare: usize,
    /// Published numbers with enough digits to carry one.
    pub numbers: usize,
    /// Whether values were left out for want of room.
    pub full: bool,
}

#[derive(Clone, Copy)]
struct Held {
    last: u64,
    units: u64,
}

/// A published number.
struct Place {
    part: usize,
    cell: usize,
}

pub(crate) struct Scan<'a> {
    rules: &'a EvidenceRules,
    rare_below: u64,
    columns: &'a [String],
    seen: HashMap<(usize, Scalar), Held>,
    full: bool,
    tables: Vec<&'a CandidateTable>,
    texts: Vec<(&'a str, Vec<&'a str>)>,
    /// Published numbers by their digits.
    numbers: HashMap<u64, Vec<Place>>,
    /// Published numbers by their bits: the cells that show them.
    exact: HashMap<u64, Vec<(usize, usize)>>,
    copied: BTreeMap<(usize, usize), usize>,
    /// Whether a published number may be a part of a hash.
    hashes: bool,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(
        rules: &'a EvidenceRules,
        rare_below: u64,
        columns: &'a [String],
        tables: Vec<&'a CandidateTable>,
        texts: Vec<(&'a str, Vec<&'a str>)>,
    ) -> Self {
        let (mut numbers, mut exact): (HashMap<u64, Vec<Place>>, HashMap<u64, Vec<_>>) = Default::default();
        let mut hashes = false;
        for (part, table) in tables.iter().enumerate() {
            for (cell, of) in table.cells.iter().enumerate() {
                let CellValue::Published(values) = &of.value else { continue };
                for x in values.iter().flatten() {
                    let Some(number) = significand(*x) else { continue };
                    hashes |= x.abs() >= HASH_MIN && x.fract() == 0.0;
                    if digits(number) >= rules.scan_digits_min {
                        numbers.entry(number).or_default().push(Place { part, cell });
                    }
                    if digits(number) >= ROW_NUMBER_DIGITS_MIN {
                        exact.entry(x.to_bits()).or_default().push((part, cell));
                    }
                }
            }
        }
        let (seen, copied) = (HashMap::new(), BTreeMap::new());
        Self { rules, rare_below, columns, seen, full: false, tables, texts, numbers, exact, copied, hashes }
    }

    /// Takes the rows of unit number `unit`.
    pub(crate) fn unit(&mut self, unit: u64, rows: &Rows) {
        for (column, values) in rows.columns().enumerate() {
            for value in values.iter().flatten() {
                let room = self.seen.len() < self.rules.values_max;
                let key = (column, value.clone());
                match self.seen.get_mut(&key) {
                    Some(held) if held.last == unit => {}
                    Some(held) => *held = Held { last: unit, units: held.units + 1 },
                    None if room => drop(self.seen.insert(key, Held { last: unit, units: 1 })),
                    None => self.full = true,
                }
            }
        }
        (0..rows.len()).for_each(|row| self.row(rows, row));
    }

    /// Whether a cell repeats several numbers of this row.
    fn row(&mut self, rows: &Rows, row: usize) {
        let mut met: BTreeMap<(usize, usize), HashSet<u64>> = BTreeMap::new();
        for column in 0..self.columns.len() {
            let number = rows.get(column, row).and_then(Scalar::number).map(f64::to_bits);
            for place in number.and_then(|bits| self.exact.get(&bits)).into_iter().flatten() {
                met.entry(*place).or_default().extend(number);
            }
        }
        for (place, numbers) in met {
            let long = |bits: &u64| significand(f64::from_bits(*bits)).map_or(0, digits);
            if numbers.len() >= 2 && numbers.iter().map(long).sum::<usize>() >= ROW_DIGITS_MIN {
                *self.copied.entry(place).or_default() += 1;
            }
        }
    }

    pub(crate) fn finish(mut self) -> Found {
        let seen = std::mem::take(&mut self.seen);
        let mut rare: Vec<(usize, Scalar)> =
            seen.into_iter().filter(|(_, held)| held.units < self.rare_below).map(|(key, _)| key).collect();
        rare.sort_unstable();
        let mut found = Found { rare: rare.len(), full: self.full, ..Found::default() };
        found.numbers = self.numbers.values().map(Vec::len).sum();
        for (part, cell) in self.copied.keys() {
            found.hit(self.hit(*part, *cell, "", Form::Row));
        }
        self.numbers(&rare, &mut found);
        self.texts(&rare, &mut found);
        found
    }

    fn hit(&self, part: usize, cell: usize, column: &str, form: Form) -> Hit {
        let table = self.tables.get(part);
        let name = table.map(|t| t.name.clone()).unwrap_or_default();
        let cell = table.and_then(|t| t.cells.get(cell)).map(crate::findings::key_text);
        Hit { part: name, cell, column: column.to_owned(), form }
    }

    fn name(&self, column: usize) -> &str {
        self.columns.get(column).map(String::as_str).unwrap_or_default()
    }

    /// Rare values among the published numbers, and how many chance would bring.
    fn numbers(&self, rare: &[(usize, Scalar)], found: &mut Found) {
        let mut of_length: BTreeMap<usize, u64> = BTreeMap::new();
        for (column, value) in rare {
            let mut met: HashSet<u64> = HashSet::new();
            for (form, number) in as_numbers(value, self.hashes) {
                let Some(number) = significand(number) else { continue };
                *of_length.entry(digits(number)).or_default() += 1;
                if !met.insert(number) {
                    continue;
                }
                for place in self.numbers.get(&number).into_iter().flatten() {
                    found.hit(self.hit(place.part, place.cell, self.name(*column), form));
                }
            }
        }
        for (number, places) in &self.numbers {
            let long = digits(*number);
            #[expect(clippy::cast_precision_loss, reason = "a number of values")]
            let (looked_for, here) = (of_length.get(&long).copied().unwrap_or(0) as f64, places.len() as f64);
            found.by_chance += here * looked_for / (9.0 * 10f64.powi(i32::try_from(long).unwrap_or(0) - 1));
        }
    }

    /// Rare values in the texts.
    fn texts(&self, rare: &[(usize, Scalar)], found: &mut Found) {
        if self.texts.iter().all(|(_, words)| words.is_empty()) {
            return;
        }
        let mut forms: HashMap<String, (usize, Form)> = HashMap::new();
        for (column, value) in rare {
            for (form, text) in as_texts(value, self.rules) {
                forms.entry(text).or_insert((*column, form));
            }
        }
        let lengths: HashSet<usize> = forms.keys().map(String::len).collect();
        for (name, words) in &self.texts {
            let mut met: HashSet<&str> = HashSet::new();
            for text in words {
                pieces(text, &lengths, |piece| {
                    if let Some((form, (column, as_form))) = forms.get_key_value(piece)
                        && met.insert(form)
                    {
                        let column = self.name(*column).to_owned();
                        found.hit(Hit { part: (*name).to_owned(), cell: None, column, form: *as_form });
                    }
                });
            }
        }
    }
}

impl Found {
    fn hit(&mut self, hit: Hit) {
        *self.by_form.entry(hit.form).or_default() += 1;
        if self.hits.len() < HITS_SHOWN {
            self.hits.push(hit);
        }
    }

    /// How many hits there are in this form.
    pub fn of(&self, form: Form) -> u64 {
        self.by_form.get(&form).copied().unwrap_or(0)
    }
}

/// The numbers that a value may have become.
fn as_numbers(value: &Scalar, hashes: bool) -> Vec<(Form, f64)> {
    let mut all = Vec::new();
    if let Some(x) = value.number() {
        all.extend(MULTIPLES.map(|m| (if m == 1.0 { Form::Digits } else { Form::Multiple }, x * m)));
    }
    if let Scalar::Day(days) = value {
        let written =
            civil(*days).map(|d| f64::from(d.year()) * 1e4 + f64::from(d.month()) * 100.0 + f64::from(d.day()));
        let forms = [Some(f64::from(*days)), Some(f64::from(*days) * 86_400.0), written];
        all.extend(forms.into_iter().flatten().map(|x| (Form::Date, x)));
    }
    #[expect(clippy::cast_precision_loss, reason = "48 bits at most")]
    let whole = |bytes: &[u8]| bytes.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte)) as f64;
    if let Scalar::Text(text) = value {
        all.extend(text.as_bytes().get(..text.len().min(6)).map(|bytes| (Form::Bytes, whole(bytes))));
    }
    if hashes {
        for hash in hashed(value) {
            all.extend(hash.get(..4).map(|b| (Form::Hash, whole(b))));
            all.extend(hash.get(..6).map(|b| (Form::Hash, whole(b))));
            all.extend(hash.first_chunk().map(|b| (Form::Hash, f64::from(u32::from_le_bytes(*b)))));
        }
    }
    all
}

/// The texts that a value may have become.
fn as_texts(value: &Scalar, rules: &EvidenceRules) -> Vec<(Form, String)> {
    let written = written(value);
    let mut all = Vec::new();
    let long = match value {
        Scalar::Int(_) | Scalar::Float(_) => {
            value.number().and_then(significand).is_some_and(|n| digits(n) >= rules.scan_digits_min)
        }
        Scalar::Text(text) => text.len() >= rules.scan_text_min,
        Scalar::Day(_) => true,
    };
    if !long {
        return all;
    }
    all.push((Form::Text, written.clone()));
    all.push((Form::Text, written.to_lowercase()));
    all.push((Form::Hex, data_encoding::HEXLOWER.encode(written.as_bytes())));
    all.push((Form::Base64, data_encoding::BASE64_NOPAD.encode(written.as_bytes())));
    match value {
        Scalar::Int(n) if *n > 0xffff => all.push((Form::Hex, format!("{n:x}"))),
        Scalar::Float(bits) => all.push((Form::Hex, format!("{bits:016x}"))),
        _ => {}
    }
    // The first four bytes of a hash: whatever shows more of it shows these.
    all.extend(
        hashed(value).into_iter().filter_map(|h| Some((Form::Hash, data_encoding::HEXLOWER.encode(h.get(..4)?)))),
    );
    all
}

/// A value as people write it.
fn written(value: &Scalar) -> String {
    match value {
        Scalar::Int(n) => n.to_string(),
        Scalar::Float(bits) => f64::from_bits(*bits).to_string(),
        Scalar::Text(text) => text.clone(),
        Scalar::Day(days) => civil(*days).map_or_else(|| days.to_string(), |date| date.to_string()),
    }
}

/// Common hashes of a value as it is written.
fn hashed(value: &Scalar) -> Vec<Vec<u8>> {
    let text = written(value);
    let bytes = text.as_bytes();
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    vec![
        Sha256::digest(bytes).to_vec(),
        Sha1::digest(bytes).to_vec(),
        Md5::digest(bytes).to_vec(),
        crc32fast::hash(bytes).to_be_bytes().to_vec(),
        fnv.to_be_bytes().to_vec(),
    ]
}

/// The calendar day of a day number from 1970-01-01; none beyond the calendar.
fn civil(days: i32) -> Option<jiff::civil::Date> {
    let span = jiff::Span::new().try_days(days).ok()?;
    jiff::civil::Date::new(1970, 1, 1).ok()?.checked_add(span).ok()
}
