//! The common refinement of all tables over one view: what linear algebra sees.
//!
//! Every dimension that a table groups or filters by spans a cross product of
//! declared codes, its *atoms*; the binnings of one column share its finest parts, so
//! the levels of a hierarchy are sums of each other. Each cell of each table is a set of atoms. Atoms that
//! lie in exactly the same cells cannot be told apart by any publication and are
//! merged into one *variable*; atoms in no cell are dropped. So a [`Frame`] holds,
//! for each cell, a 0/1 vector, whatever the tables share: dimensions, totals, or a
//! filter that restricts one of them.
//!
//! An atom that the catalogue says is impossible is none: everybody knows that nobody is
//! there.

use std::collections::{BTreeMap, HashMap};

use sluice_domain::{
    Refusal,
    catalogue::Key,
    contract::{Dimension, TableC, Totals},
};

use sluice_rows::cells::CellKey;

use super::{
    impossible::{Bits, Impossible},
    primary::JudgedTable,
};
use crate::refusals;

/// The cells of one view's tables over common variables.
pub(crate) struct Frame {
    /// Number of variables.
    pub(super) variables: usize,
    /// Every cell that could be published (all but redacted margins).
    pub(super) cells: Vec<FrameCell>,
    /// For each variable, the cells that contain it.
    pub(super) cells_of: Vec<Vec<usize>>,
}

/// One cell: where it stands and which variables it sums.
pub(super) struct FrameCell {
    pub(super) table: usize,
    pub(super) cell: usize,
    /// Ascending.
    pub(super) variables: Vec<u32>,
}

/// One frame per view, over the tables of a job.
///
/// # Errors
/// `gate.too-many-cells` above `cells_max` atoms, `gate.host-fault` when one name
/// stands for two domains.
pub(super) fn frames(tables: &[(&TableC, &JudgedTable)], cells_max: usize) -> Result<Vec<Frame>, Refusal> {
    let mut by_view: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, (table, _)) in tables.iter().enumerate() {
        by_view.entry(table.plan.view.as_str()).or_default().push(i);
    }
    by_view
        .into_values()
        .map(|members| {
            let plans: Vec<&TableC> = members.iter().filter_map(|i| tables.get(*i)).map(|(t, _)| *t).collect();
            let axes = Axes::of(&plans, cells_max)?;
            Ok(frame(tables, &members, &axes))
        })
        .collect()
}

/// The finest domains of one view's tables.
pub(super) struct Axes<'a> {
    axes: Vec<Axis<'a>>,
    impossible: Impossible<'a>,
}

/// One finest domain: the parts of a dimension, or of all the binnings of one column.
struct Axis<'a> {
    name: &'a str,
    parts: usize,
    /// What its keys are where it is a dimension of its own.
    domain: Option<&'a [(Key, String)]>,
}

impl Frame {
    /// The frame of one table whose cells are exactly the judged ones: every inner
    /// cell is a variable, so keys that are not there are known to be empty.
    pub(crate) fn of_one(judged: &JudgedTable) -> Self {
        let inner: Vec<&CellKey> =
            judged.cells.iter().map(|c| &c.key).filter(|key| key.iter().all(Option::is_some)).collect();
        let mut cells_of = vec![Vec::new(); inner.len()];
        let mut cells = Vec::new();
        for (cell, judged) in judged.cells.iter().enumerate() {
            let inside = |key: &CellKey| judged.key.iter().zip(key).all(|(of, part)| of.is_none() || of == part);
            let variables: Vec<u32> = (0u32..).zip(&inner).filter(|(_, key)| inside(key)).map(|(i, _)| i).collect();
            for variable in &variables {
                if let Some(holders) = cells_of.get_mut(*variable as usize) {
                    holders.push(cell);
                }
            }
            cells.push(FrameCell { table: 0, cell, variables });
        }
        Self { variables: inner.len(), cells, cells_of }
    }
}

impl<'a> Axes<'a> {
    /// Collects every dimension that is grouped or filtered by.
    pub(super) fn of(tables: &[&'a TableC], cells_max: usize) -> Result<Self, Refusal> {
        let mut axes: Vec<Axis<'a>> = Vec::new();
        for table in tables {
            let filters = table.plan.filter.iter().map(|(dimension, _)| dimension);
            for dimension in table.plan.dimensions.iter().chain(filters) {
                let (name, parts) = (dimension.base_name(), dimension.parts());
                let domain = dimension.base.is_none().then_some(dimension.domain.as_slice());
                match axes.iter_mut().find(|axis| axis.name == name) {
                    None => axes.push(Axis { name, parts, domain }),
                    Some(axis)
                        if axis.parts == parts
                            && (domain.is_none() || axis.domain.is_none_or(|d| Some(d) == domain)) =>
                    {
                        axis.domain = axis.domain.or(domain);
                    }
                    Some(_) => return Err(two_lists(name)),
                }
            }
            let size = |extra: usize| {
                let sizes = table.plan.dimensions.iter().map(|d| d.domain.len().checked_add(extra));
                sizes.into_iter().try_fold(1usize, |n, size| n.checked_mul(size?))
            };
            let cells = size(usize::from(table.totals != Totals::None));
            if cells.is_none_or(|n| n > cells_max) || table.plan.dimensions.len() > 16 {
                return Err(refusals::too_many_cells(&table.name, cells_max));
            }
        }
        let atoms = axes.iter().try_fold(1usize, |n, axis| n.checked_mul(axis.parts));
        if atoms.is_none_or(|n| n > cells_max) {
            let view = tables.first().map_or("", |t| t.plan.view.as_str());
            return Err(refusals::too_many_cells(view, cells_max));
        }
        let declared = tables.iter().flat_map(|t| &t.plan.impossible);
        let asks = |column: &str, _| axes.iter().any(|axis| axis.name == column);
        let impossible = Impossible::of(declared, asks).ok_or_else(|| two_lists("impossible"))?;
        Ok(Self { axes, impossible })
    }

    /// Whether nobody can be in the cell of `table` at `key`, by the catalogue and not by
    /// the table's own filter.
    pub(super) fn is_impossible(&self, table: &TableC, key: &[Option<u32>]) -> bool {
        let declared = self.declared(table, key);
        !declared.is_empty() && declared.iter().all(|(_, of)| self.impossible.leave_nothing(*of))
    }

    /// The atoms of the cell of `table` at `key` where somebody may be, ascending.
    fn atoms(&self, table: &TableC, key: &[Option<u32>]) -> Vec<usize> {
        let declared = self.declared(table, key).into_iter();
        declared.filter(|(_, of)| !self.impossible.leave_nothing(*of)).map(|(atom, _)| atom).collect()
    }

    /// The declared atoms of the cell of `table` at `key`, ascending, each with the
    /// impossible combinations that it may be in.
    fn declared(&self, table: &TableC, key: &[Option<u32>]) -> Vec<(usize, Bits)> {
        let mut atoms = vec![(0usize, self.impossible.all())];
        for axis in &self.axes {
            let of_axis = |d: &Dimension| d.base_name() == axis.name;
            let grouped = |part: usize| {
                let mut levels = table.plan.dimensions.iter().zip(key).filter(|(d, _)| of_axis(d));
                levels.all(|(d, fixed)| {
                    fixed.is_none_or(|at| d.place_of(part).is_some_and(|place| usize::try_from(at) == Ok(place)))
                })
            };
            let filtered = |part: usize| {
                let mut filters = table.plan.filter.iter().filter(|(d, _)| of_axis(d));
                filters.all(|(d, keys)| {
                    d.place_of(part).and_then(|place| d.domain.get(place)).is_some_and(|(code, _)| keys.contains(code))
                })
            };
            let size = u32::try_from(axis.parts).unwrap_or(u32::MAX);
            let kept = (0..size).zip(0..axis.parts).filter(|(_, part)| grouped(*part) && filtered(*part));
            let kept: Vec<(usize, Bits)> =
                kept.map(|(i, part)| (part, self.impossible.with(axis.name, size, i))).collect();
            let within =
                |(atom, of): (usize, Bits)| kept.iter().map(move |(part, with)| (atom * axis.parts + part, of & with));
            atoms = atoms.into_iter().flat_map(within).collect();
        }
        atoms
    }
}

fn two_lists(name: &str) -> Refusal {
    refusals::host_fault(name, "同名维度的代码表不一致", "one dimension has two code lists")
}

fn frame(tables: &[(&TableC, &JudgedTable)], members: &[usize], axes: &Axes<'_>) -> Frame {
    let mut cells = Vec::new();
    let mut cells_at: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &table in members {
        let Some((plan, judged)) = tables.get(table) else { continue };
        for (cell, judged) in judged.cells.iter().enumerate() {
            if plan.totals == Totals::Redacted && judged.key.iter().any(Option::is_none) {
                continue;
            }
            for atom in axes.atoms(plan, &judged.key) {
                cells_at.entry(atom).or_default().push(cells.len());
            }
            cells.push(FrameCell { table, cell, variables: Vec::new() });
        }
    }
    let mut variables: HashMap<Vec<usize>, u32> = HashMap::new();
    let mut cells_of = Vec::new();
    for signature in cells_at.into_values() {
        if variables.contains_key(&signature) {
            continue;
        }
        let variable = u32::try_from(cells_of.len()).unwrap_or(u32::MAX);
        for i in &signature {
            if let Some(cell) = cells.get_mut(*i) {
                cell.variables.push(variable);
            }
        }
        variables.insert(signature.clone(), variable);
        cells_of.push(signature);
    }
    Frame { variables: cells_of.len(), cells, cells_of }
}
