//! 合成数据: people who do not exist, drawn from a catalogue entry and nothing else.
//!
//! What is read: column names, types, whether a value may be missing, code lists,
//! declared ranges, impossible combinations (a row that has one is drawn again). So a
//! column's values follow its code list or range and say nothing about the real ones: no
//! distribution, no relation between columns but the declared, no count.
//!
//! The same entry, units and seed give the same bytes. Edge cases come first, on
//! purpose: a unit with nothing but missing values where they may be, one with the
//! lowest of everything, one with the highest, one with awkward texts, one with many
//! rows; every other unit has one to eight.

use std::{path::Path, sync::Arc};

use parquet::arrow::ArrowWriter;
use sluice_domain::{
    Refusal,
    catalogue::{CatalogueEntry, Code, Column, ColumnRole, ColumnType, Key, ListItem},
    text,
};
use sluice_rows::arrow::{
    array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListBuilder, NullArray,
        PrimitiveBuilder, StringArray, StringBuilder, TimestampMicrosecondArray,
    },
    compute::{filter_record_batch, interleave},
    datatypes::{Field, Float64Type, Int64Type, Schema},
    record_batch::RecordBatch,
};
use sluice_vault::Impossible;

/// Texts that guests stumble over.
const WORDS: [&str; 8] = ["", "甲", "数闸 Sluice", "é\u{301}", "𠮷野家", "a,\"b\"\nc", "👩‍👩‍👧", "x"];
/// Largest ordinary number where no range is declared.
const ORDINARY: i64 = 1000;
/// How often a row is drawn again that cannot be; one in ten may be, and there are plenty.
const REDRAWN_MAX: usize = 100;
/// Rows of the unit with many.
const MANY: u64 = 64;

/// Synthetic rows of one dataset.
pub(super) struct Population {
    rows: RecordBatch,
}

/// Which unit a row belongs to, by what it is there to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    Missing,
    Lowest,
    Highest,
    Texts,
    Many,
    None,
}

/// Whether the first people of a dataset are edge cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edges {
    /// They are: guests stumble over them.
    First,
    /// Nobody is: one person with the highest of everything would stand out of a table.
    LeftOut,
}

impl Edges {
    fn of(self, unit: u32) -> Edge {
        match (self, unit) {
            (Self::First, 0) => Edge::Missing,
            (Self::First, 1) => Edge::Lowest,
            (Self::First, 2) => Edge::Highest,
            (Self::First, 3) => Edge::Texts,
            (Self::First, 4) => Edge::Many,
            _ => Edge::None,
        }
    }
}

impl Population {
    /// So many people of the dataset, by `seed`.
    pub(super) fn draw(entry: &CatalogueEntry, (units, edges): (u32, Edges), seed: u64) -> Result<Self, Refusal> {
        let mut dice = Dice(seed ^ 0x5375_6c75_6963_6521);
        let mut owners = Vec::new();
        for unit in 0..units {
            let edge = edges.of(unit);
            let rows = if edge == Edge::Many { MANY } else { 1 + dice.below(8) };
            owners.extend((0..rows).map(|_| (unit, edge)));
        }
        let arrays = entry.columns.iter().map(|column| drawn(column, &owners, &mut dice));
        let mut arrays = arrays.collect::<Vec<_>>();
        let possible = make_possible(entry, &mut arrays, &owners, &mut dice)?;
        let fields = entry.columns.iter().zip(&arrays);
        let fields: Vec<_> = fields.map(|(c, array)| Field::new(&c.name, array.data_type().clone(), true)).collect();
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|_| failed())?;
        Ok(Self { rows: filter_record_batch(&rows, &possible).map_err(|_| failed())? })
    }

    /// Writes them as a provider would, for the ordinary ingest.
    pub(super) fn write(&self, to: &Path) -> Result<(), Refusal> {
        let file = std::fs::File::create(to).map_err(|_| failed())?;
        let mut writer = ArrowWriter::try_new(file, self.rows.schema(), None).map_err(|_| failed())?;
        writer.write(&self.rows).map_err(|_| failed())?;
        writer.close().map(drop).map_err(|_| failed())
    }
}

/// Draws the columns of impossible combinations again where a row has one; says which rows
/// have none in the end.
fn make_possible(
    entry: &CatalogueEntry,
    arrays: &mut [ArrayRef],
    owners: &[(u32, Edge)],
    dice: &mut Dice,
) -> Result<BooleanArray, Refusal> {
    let impossible = Impossible::of(entry);
    let bound: Vec<bool> = entry.columns.iter().map(|column| entry.is_bound(&column.name)).collect();
    let mut bad: Vec<usize> = (0..owners.len()).filter(|row| impossible.is_at(arrays, *row)).collect();
    for _ in 0..REDRAWN_MAX {
        if bad.is_empty() {
            break;
        }
        let again: Vec<(u32, Edge)> =
            bad.iter().filter_map(|row| owners.get(*row)).map(|(u, _)| (*u, Edge::None)).collect();
        let mut from: Vec<(usize, usize)> = (0..owners.len()).map(|row| (0, row)).collect();
        for (new, row) in bad.iter().enumerate() {
            if let Some(place) = from.get_mut(*row) {
                *place = (1, new);
            }
        }
        for ((column, array), _) in entry.columns.iter().zip(arrays.iter_mut()).zip(&bound).filter(|(_, b)| **b) {
            let redrawn = drawn(column, &again, dice);
            *array = interleave(&[array.as_ref(), redrawn.as_ref()], &from).map_err(|_| failed())?;
        }
        // A row that was not drawn again is as it was.
        bad.retain(|row| impossible.is_at(arrays, *row));
    }
    Ok((0..owners.len()).map(|row| Some(bad.binary_search(&row).is_err())).collect())
}

fn failed() -> Refusal {
    Refusal::failed(
        "try.synthetic",
        text("合成数据无法写出", "the synthetic data could not be written"),
        text("检查临时文件夹的空间与权限", "check the temporary folder's space and permissions"),
    )
}

fn drawn(column: &Column, owners: &[(u32, Edge)], dice: &mut Dice) -> ArrayRef {
    let unit = column.role == ColumnRole::Unit;
    let rows: Vec<Option<(u32, Edge)>> = owners
        .iter()
        .map(|(owner, edge)| {
            let drawn = matches!(edge, Edge::None | Edge::Many);
            let missing = column.nullable && (*edge == Edge::Missing || (drawn && dice.below(8) == 0));
            (!missing).then_some((*owner, *edge))
        })
        .collect();
    let mut number = |row: &(u32, Edge)| if unit { i64::from(row.0) + 1 } else { whole(column, row.1, dice) };
    match column.kind {
        ColumnType::Null => Arc::new(NullArray::new(owners.len())),
        ColumnType::Int => Arc::new(rows.iter().map(|r| r.as_ref().map(&mut number)).collect::<Int64Array>()),
        ColumnType::Float => {
            let values = rows.iter().map(|r| r.map(|(_, edge)| float(column, edge, dice)));
            Arc::new(values.collect::<Float64Array>())
        }
        ColumnType::Decimal { precision, scale } => {
            let values = rows.iter().map(|r| r.map(|(_, edge)| decimal(column, edge, (precision, scale), dice)));
            let values: Decimal128Array = values.collect();
            let scale = i8::try_from(scale).unwrap_or(0);
            // The catalogue checked both numbers when it was read.
            values.with_precision_and_scale(precision, scale).map_or_else(
                |_| Arc::new(NullArray::new(owners.len())) as ArrayRef,
                |values| Arc::new(values) as ArrayRef,
            )
        }
        ColumnType::Text => {
            let values = rows.iter().map(|r| {
                r.map(|(owner, edge)| if unit { format!("unit-{owner:06}") } else { word(column, edge, dice) })
            });
            Arc::new(values.collect::<StringArray>())
        }
        ColumnType::Bool => {
            let values = rows.iter().map(|r| r.map(|(_, edge)| pick(&[false, true], edge, dice)));
            Arc::new(values.collect::<BooleanArray>())
        }
        ColumnType::Date => {
            // 1900-01-01 to 2100-12-31; a leap day among the edges of texts.
            let values = rows.iter().map(|r| r.map(|(_, edge)| between(edge, -25_567, 47_846, dice)));
            Arc::new(values.map(|d| d.and_then(|d| i32::try_from(d).ok())).collect::<Date32Array>())
        }
        ColumnType::Timestamp => {
            let day = 86_400_000_000;
            let values = rows.iter().map(|r| r.map(|(_, edge)| between(edge, -25_567 * day, 47_846 * day, dice)));
            Arc::new(values.collect::<TimestampMicrosecondArray>())
        }
        ColumnType::List(item) => lists(item, &rows, dice),
    }
}

fn lists(item: ListItem, rows: &[Option<(u32, Edge)>], dice: &mut Dice) -> ArrayRef {
    let len = |edge: Edge, dice: &mut Dice| match edge {
        Edge::Lowest => 0,
        Edge::Highest => 100,
        _ => dice.below(5),
    };
    match item {
        ListItem::Int => {
            let mut builder = ListBuilder::new(PrimitiveBuilder::<Int64Type>::new());
            for row in rows {
                let values = row.map(|(_, e)| {
                    (0..len(e, dice)).map(|_| Some(between(Edge::None, 0, ORDINARY, dice))).collect::<Vec<_>>()
                });
                builder.append_option(values);
            }
            Arc::new(builder.finish())
        }
        ListItem::Float => {
            let mut builder = ListBuilder::new(PrimitiveBuilder::<Float64Type>::new());
            for row in rows {
                let values =
                    row.map(|(_, e)| (0..len(e, dice)).map(|_| Some(dice.share() * 1000.0)).collect::<Vec<_>>());
                builder.append_option(values);
            }
            Arc::new(builder.finish())
        }
        ListItem::Text => {
            let mut builder = ListBuilder::new(StringBuilder::new());
            for row in rows {
                let values = row
                    .map(|(_, e)| (0..len(e, dice)).map(|_| Some(pick(&WORDS, Edge::None, dice))).collect::<Vec<_>>());
                builder.append_option(values);
            }
            Arc::new(builder.finish())
        }
    }
}

/// The lowest and the highest value to draw: the declared range, or what the type
/// holds at the edges and an ordinary size elsewhere. A measure without a range stays
/// from 0 to a million, so that one edge does not swallow every sum.
fn span(column: &Column, edge: Edge) -> (i64, i64) {
    match (column.range, column.role, edge) {
        (Some([lo, hi]), ..) => (lo, hi),
        (None, ColumnRole::Measure, Edge::Highest) => (0, 1_000_000),
        (None, ColumnRole::Measure, _) | (None, _, Edge::None | Edge::Texts | Edge::Missing | Edge::Many) => {
            (0, ORDINARY)
        }
        (None, ..) => (i64::MIN, i64::MAX),
    }
}

fn whole(column: &Column, edge: Edge, dice: &mut Dice) -> i64 {
    let code = |code: &Code| if let Key::Int(n) = code.value { Some(n) } else { None };
    let codes: Vec<i64> = column.codes.iter().filter_map(code).collect();
    if codes.is_empty() {
        let (lo, hi) = span(column, edge);
        return between(edge, lo, hi, dice);
    }
    pick(&codes, edge, dice)
}

#[expect(clippy::cast_precision_loss, reason = "the ends of a range, as floats")]
fn float(column: &Column, edge: Edge, dice: &mut Dice) -> f64 {
    let (lo, hi) = match (span(column, edge), edge) {
        ((i64::MIN, _), Edge::Lowest) => return f64::MIN,
        ((_, i64::MAX), Edge::Highest) => return f64::MAX,
        ((lo, hi), _) => (lo as f64, hi as f64),
    };
    match edge {
        Edge::Lowest => lo,
        Edge::Highest => hi,
        _ => lo + dice.share() * (hi - lo),
    }
}

fn decimal(column: &Column, edge: Edge, (precision, scale): (u8, u8), dice: &mut Dice) -> i128 {
    let most = 10_i128.pow(precision.into()) - 1;
    let (lo, hi) = span(column, edge);
    let one = 10_i128.pow(scale.into());
    let end = |bound: i64| i128::from(bound).saturating_mul(one).clamp(-most, most);
    let (lo, hi) = (end(lo), end(hi));
    match edge {
        Edge::Lowest => lo,
        Edge::Highest => hi,
        _ => lo + i128::from(dice.next() >> 1).rem_euclid((hi - lo).saturating_add(1)),
    }
}

fn word(column: &Column, edge: Edge, dice: &mut Dice) -> String {
    let code = |code: &Code| if let Key::Text(word) = &code.value { Some(word.clone()) } else { None };
    let codes: Vec<String> = column.codes.iter().filter_map(code).collect();
    match (codes.is_empty(), edge) {
        (false, _) => pick(&codes, edge, dice),
        (true, Edge::Highest) => "长".repeat(1000),
        (true, _) => pick(&WORDS, edge, dice).to_owned(),
    }
}

/// The first, the last or any of some.
fn pick<T: Clone + Default>(some: &[T], edge: Edge, dice: &mut Dice) -> T {
    let at = match edge {
        Edge::Lowest => 0,
        Edge::Highest => some.len().saturating_sub(1),
        _ => usize::try_from(dice.below(some.len().max(1) as u64)).unwrap_or(0),
    };
    some.get(at).cloned().unwrap_or_default()
}

fn between(edge: Edge, lo: i64, hi: i64, dice: &mut Dice) -> i64 {
    match edge {
        Edge::Lowest => lo,
        Edge::Highest => hi,
        _ => {
            let drawn = i128::from(dice.next()) % (i128::from(hi) - i128::from(lo) + 1);
            i64::try_from(i128::from(lo) + drawn).unwrap_or(lo)
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers everywhere, and no secret.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    #[expect(clippy::cast_precision_loss, reason = "53 bits of a share")]
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use sluice_rows::arrow::array::{Array as _, AsArray as _};

    use super::*;

    const HEAD: &str = "[dataset]\nid = 'd'\ntitle = 't'\nsystem = 's'\nformat = 'f'\nprovider = 'p'\nsharing = 'unconditional'\nopening = 'unconditional'\nprovision = 'p'\ncycle = 'c'\nterm = 't'\nunit = 'who'\n";

    fn entry() -> CatalogueEntry {
        let columns = [
            ("who", "int", "role = 'unit'"),
            ("plan", "int", "role = 'dimension'\ncodes = [{value=3,label='a'},{value=7,label='b'}]"),
            ("sex", "text", "role = 'dimension'\ncodes = [{value='f',label='a'},{value='m',label='b'}]"),
            ("paid", "decimal-9-2", "range = [-5, 5]\nnullable = true"),
            ("dose", "float", "range = [0, 1]"),
            ("at", "timestamp", "nullable = true"),
            ("words", "list-text", "nullable = true"),
            ("ints", "list-int", ""),
            ("nothing", "null", "nullable = true"),
            ("note", "text", "nullable = true"),
            ("day", "date", ""),
            ("ok", "bool", ""),
        ];
        let column = |(name, kind, more): (&str, &str, &str)| {
            format!("[[column]]\nname = '{name}'\ntitle = 't'\ntype = '{kind}'\nlevel = 'L2'\n{more}\n")
        };
        let never = "[[impossible]]\nbasis = 'b'\ncodes = { plan = [7], sex = ['f'] }\n";
        CatalogueEntry::parse(&format!("{HEAD}{}{never}", columns.map(column).concat())).unwrap()
    }

    fn bytes(seed: u64) -> Vec<u8> {
        let file = tempfile::NamedTempFile::new().unwrap();
        Population::draw(&entry(), (200, Edges::First), seed).unwrap().write(file.path()).unwrap();
        std::fs::read(file.path()).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
        assert_eq!(bytes(7), bytes(7));
        assert_ne!(bytes(7), bytes(8));
    }

    #[test]
    fn nothing_is_outside_code_lists_and_ranges_and_the_edges_are_there() {
        let rows = Population::draw(&entry(), (200, Edges::First), 1).unwrap().rows;
        let column = |name: &str| rows.column_by_name(name).unwrap();
        let plans: std::collections::BTreeSet<_> = column("plan").as_primitive::<Int64Type>().iter().collect();
        assert_eq!(plans, [Some(3), Some(7)].into());
        let sexes: std::collections::BTreeSet<_> = column("sex").as_string::<i32>().iter().collect();
        assert_eq!(sexes, [Some("f"), Some("m")].into());
        let plans = column("plan").as_primitive::<Int64Type>().iter().zip(column("sex").as_string::<i32>());
        assert!(plans.into_iter().all(|both| both != (Some(7), Some("f"))), "a row that cannot be");
        let paid: Vec<_> =
            column("paid").as_primitive::<sluice_rows::arrow::datatypes::Decimal128Type>().iter().collect();
        assert!(paid.contains(&Some(-500)) && paid.contains(&Some(500)) && paid.contains(&None));
        assert!(paid.iter().flatten().all(|v| (-500..=500).contains(v)));
        assert!(column("dose").as_primitive::<Float64Type>().iter().flatten().all(|v| (0.0..=1.0).contains(&v)));
        assert!(column("note").as_string::<i32>().iter().flatten().any(|t| t.contains('𠮷')));
        let who: Vec<_> = column("who").as_primitive::<Int64Type>().iter().flatten().collect();
        assert_eq!(who.iter().collect::<std::collections::BTreeSet<_>>().len(), 200);
        assert_eq!(who.iter().filter(|w| **w == 5).count(), 64);
        let plain = Population::draw(&entry(), (200, Edges::LeftOut), 1).unwrap().rows;
        let of = plain.column_by_name("who").unwrap().as_primitive::<Int64Type>().clone();
        assert!((1..=200).all(|unit| of.iter().flatten().filter(|w| *w == unit).count() <= 8), "nobody stands out");
        assert!(column("who").null_count() == 0 && column("nothing").logical_null_count() == rows.num_rows());
    }
}
