//! Conditions of WHERE that route C does not have: the codes that fulfil them are the
//! nearest form.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};
use sluice_domain::{Refusal, Text, catalogue::Key, contract::Dimension, text};

use super::{Known, column_of, no};
use crate::schema::{ViewColumn, ViewRole};

impl Known<'_> {
    /// One condition of WHERE, of those joined by AND.
    pub(super) fn condition(&self, e: &Expr) -> Option<Refusal> {
        if let Some(unit) = self.mentions(e, |c| c.role == ViewRole::Unit) {
            return Some(no(
                "sql.filter-unit",
                e,
                text("WHERE 不得指认个人", "WHERE names no single person"),
                text(
                    format!("去掉 `{unit}` 的条件；可用的维度：{}", self.dimensions()),
                    format!("drop the condition on `{unit}`; the dimensions are: {}", self.dimensions()),
                ),
            ));
        }
        match e {
            Expr::Nested(inner) => self.condition(inner),
            Expr::BinaryOp { op: BinaryOperator::Or, left, right } => Some(self.either(e, left, right)),
            Expr::UnaryOp { op: UnaryOperator::Not, .. }
            | Expr::InList { negated: true, .. }
            | Expr::Between { negated: true, .. }
            | Expr::IsNotNull(_)
            | Expr::BinaryOp { op: BinaryOperator::NotEq, .. } => Some(self.by_codes("sql.filter-not", e)),
            Expr::Between { .. }
            | Expr::BinaryOp {
                op: BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq,
                ..
            } => Some(self.by_codes("sql.filter-range", e)),
            _ => None,
        }
    }

    /// OR: over one dimension it is an IN, over two it is two tables.
    fn either(&self, e: &Expr, left: &Expr, right: &Expr) -> Refusal {
        let one = self.codes_of(e).map(|(dimension, codes)| membership(dimension, &codes));
        let nearest = one.unwrap_or_else(|| format!("WHERE {left}`, `WHERE {right}"));
        let zh = format!("用 AND 相连，或改写为 `{nearest}`（各为一个 [[table]]）");
        let en = format!("join by AND, or write `{nearest}`, each a [[table]] of its own");
        no("sql.filter-or", e, text("WHERE 的条件以 AND 相连", "conditions of WHERE are joined by AND"), text(zh, en))
    }

    /// A negation or range: the codes of a dimension that fulfil it, or what else there is.
    fn by_codes(&self, code: &'static str, e: &Expr) -> Refusal {
        let nearest = match self.codes_of(e) {
            Some((dimension, codes)) if !codes.is_empty() => {
                let same = membership(dimension, &codes);
                text(format!("改写为 `{same}`"), format!("write `{same}`"))
            }
            Some((dimension, _)) => text(
                format!("维度 `{}` 没有这样的代码，去掉该条件", dimension.name),
                format!("no code of `{}` fulfils it: drop the condition", dimension.name),
            ),
            None => self.without_codes(e),
        };
        let cause = match code {
            "sql.filter-not" => {
                text("WHERE 列出要保留的代码，不用否定", "WHERE lists the codes to keep, without negation")
            }
            _ => text("WHERE 列出要保留的代码，不用范围", "WHERE lists the codes to keep, without ranges"),
        };
        no(code, e, cause, nearest)
    }

    fn without_codes(&self, e: &Expr) -> Text {
        let name = self.mentions(e, |_| true).unwrap_or_default();
        let binnings = self.columns.iter().filter_map(ViewColumn::dimension).filter(|d| d.name != name);
        if let Some(binning) = binnings.into_iter().find(|d| d.base_name() == name) {
            let bins: Vec<&Key> = binning.domain.iter().map(|(key, _)| key).collect();
            let whole = membership(binning, &bins);
            return text(
                format!("用 `{name}` 的声明分箱，从 `{whole}` 中去掉不要的"),
                format!("use a declared binning of `{name}`: of `{whole}` drop what is not wanted"),
            );
        }
        text(
            format!("`{name}` 没有声明的分箱；可用的维度：{}，写作 `维度 IN (代码, …)`", self.dimensions()),
            format!(
                "`{name}` has no declared binning; the dimensions are: {}, written `dimension IN (code, …)`",
                self.dimensions()
            ),
        )
    }

    /// The codes of the one dimension that `e` speaks of which fulfil it.
    fn codes_of(&self, e: &Expr) -> Option<(&Dimension, Vec<&Key>)> {
        let name = self.mentions(e, |c| c.dimension().is_some())?;
        let dimension = self.column(&name)?.dimension()?;
        let keys = dimension.domain.iter().map(|(key, _)| key);
        let kept: Option<Vec<(bool, &Key)>> = keys.map(|key| Some((holds(e, &name, key)?, key))).collect();
        Some((dimension, kept?.into_iter().filter(|(kept, _)| *kept).map(|(_, key)| key).collect()))
    }
}

/// Whether `name = key` fulfils `e`; `None` where `e` says something else than that.
fn holds(e: &Expr, name: &str, key: &Key) -> Option<bool> {
    let order = |literal: &Expr| Some(key.cmp(&literal_key(literal).filter(|k| alike(k, key))?));
    let is_name = |e: &Expr| column_of(e).as_deref() == Some(name);
    match e {
        Expr::Nested(inner) => holds(inner, name, key),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => holds(expr, name, key).map(|b| !b),
        Expr::IsNotNull(inner) => is_name(inner).then_some(true),
        Expr::InList { expr, list, negated } if is_name(expr) => {
            let listed: Option<Vec<bool>> = list.iter().map(|l| order(l).map(|o| o.is_eq())).collect();
            Some(listed?.contains(&true) != *negated)
        }
        Expr::Between { expr, negated, low, high } if is_name(expr) => {
            Some((order(low)?.is_ge() && order(high)?.is_le()) != *negated)
        }
        Expr::BinaryOp { left, op, right } => {
            let both = || Some((holds(left, name, key)?, holds(right, name, key)?));
            let order = || match (is_name(left), is_name(right)) {
                (true, false) => order(right),
                (false, true) => order(left).map(std::cmp::Ordering::reverse),
                _ => None,
            };
            match op {
                BinaryOperator::And => both().map(|(a, b)| a && b),
                BinaryOperator::Or => both().map(|(a, b)| a || b),
                BinaryOperator::Eq => order().map(|o| o.is_eq()),
                BinaryOperator::NotEq => order().map(|o| o.is_ne()),
                BinaryOperator::Lt => order().map(|o| o.is_lt()),
                BinaryOperator::LtEq => order().map(|o| o.is_le()),
                BinaryOperator::Gt => order().map(|o| o.is_gt()),
                BinaryOperator::GtEq => order().map(|o| o.is_ge()),
                _ => None,
            }
        }
        _ => None,
    }
}

fn alike(a: &Key, b: &Key) -> bool {
    matches!((a, b), (Key::Int(_), Key::Int(_)) | (Key::Text(_), Key::Text(_)))
}

fn literal_key(e: &Expr) -> Option<Key> {
    match e {
        Expr::Nested(inner) => literal_key(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match literal_key(expr)? {
            Key::Int(n) => n.checked_neg().map(Key::Int),
            Key::Text(_) => None,
        },
        Expr::Value(value) => match &value.value {
            Value::Number(n, _) => n.to_string().parse().ok().map(Key::Int),
            Value::SingleQuotedString(s) => Some(Key::Text(s.clone())),
            _ => None,
        },
        _ => None,
    }
}

/// `dimension IN (codes)`, as it would be written.
fn membership(dimension: &Dimension, codes: &[&Key]) -> String {
    let shown: Vec<String> = codes
        .iter()
        .map(|key| match key {
            Key::Int(n) => n.to_string(),
            Key::Text(s) => format!("'{}'", s.replace('\'', "''")),
        })
        .collect();
    format!("{} IN ({})", dimension.name, shown.join(", "))
}
