//! The types that a column may have, each spelled in one word that stands in
//! catalogue files, contracts and the guest ABI alike.
//!
//! How a type is stored is the vault's business, its bytes in a room the ABI's
//! (`sdk/wit`). A dictionary is no type: its plain values are.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Most digits of a decimal: what 128 bits hold.
pub const DECIMAL_DIGITS_MAX: u8 = 38;

/// Plain column types. Whatever the provider's file holds is read as one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ColumnType {
    /// `null`: no value at all.
    Null,
    /// `bool`: true or false.
    Bool,
    /// `int`: 64-bit signed integer.
    Int,
    /// `float`: 64-bit IEEE 754.
    Float,
    /// `decimal-P-S`: `precision` decimal digits (1 to 38), `scale` of them (0 to
    /// `precision`) after the point; `decimal-18-2` for money.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// `text`: UTF-8.
    Text,
    /// `date`: days since 1970-01-01.
    Date,
    /// `timestamp`: microseconds since 1970-01-01T00:00:00Z.
    Timestamp,
    /// `list-int`, `list-float`, `list-text`: any number of values, none missing.
    List(ListItem),
}

/// What a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListItem {
    /// 64-bit signed integers.
    Int,
    /// 64-bit IEEE 754.
    Float,
    /// UTF-8 texts.
    Text,
}

impl ColumnType {
    /// Whether its values are numbers of one dimension.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Float | Self::Decimal { .. })
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Decimal { precision, scale } => return write!(f, "decimal-{precision}-{scale}"),
            Self::Text => "text",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::List(ListItem::Int) => "list-int",
            Self::List(ListItem::Float) => "list-float",
            Self::List(ListItem::Text) => "list-text",
        })
    }
}

/// The word names no column type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is none of int float text bool date timestamp decimal-P-S (1 ≤ P ≤ 38, S ≤ P) list-int list-float list-text null"
)]
pub struct UnknownType(String);

impl FromStr for ColumnType {
    type Err = UnknownType;

    fn from_str(word: &str) -> Result<Self, UnknownType> {
        let plain = [Self::Null, Self::Bool, Self::Int, Self::Float, Self::Text, Self::Date, Self::Timestamp];
        let lists = [ListItem::Int, ListItem::Float, ListItem::Text].map(Self::List);
        let decimal = || {
            let (precision, scale) = word.strip_prefix("decimal-")?.split_once('-')?;
            let (precision, scale) = (precision.parse().ok()?, scale.parse().ok()?);
            let fits = (1..=DECIMAL_DIGITS_MAX).contains(&precision) && scale <= precision;
            Some(Self::Decimal { precision, scale }).filter(|_| fits)
        };
        let found = plain.into_iter().chain(lists).chain(decimal()).find(|kind| kind.to_string() == word);
        found.ok_or_else(|| UnknownType(word.chars().take(32).collect()))
    }
}

impl Serialize for ColumnType {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ColumnType {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_one_spelling() {
        let words = "null bool int float decimal-1-0 decimal-18-2 decimal-38-38 text date timestamp list-int list-float list-text";
        for word in words.split(' ') {
            let kind: ColumnType = word.parse().unwrap();
            assert_eq!(kind.to_string(), word);
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(serde_json::from_str::<ColumnType>(&json).unwrap(), kind);
        }
        for word in
            "Int decimal decimal-0-0 decimal-39-2 decimal-4-5 decimal-04-2 decimal-+4-2 list-bool list,".split(' ')
        {
            assert!(word.parse::<ColumnType>().is_err(), "{word}");
        }
    }
}
