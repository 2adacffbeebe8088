//! Expressions that an operator may write over rows, made total.
//!
//! Three steps, each of which can only narrow: an allow-list over what DataFusion
//! parsed; DataFusion's type coercion; and a rewrite after which nothing can fail on
//! a row's value: casts become TRY_CAST, division and remainder give NULL on zero,
//! and every operation has operands of one plain type. A trial on two rows of our
//! own making (all missing, all zero) proves that what is left can be evaluated.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{
            ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
            TimestampMicrosecondArray, new_null_array,
        },
        compute::concat,
        datatypes::{DataType, TimeUnit},
    },
    common::{
        Column, DFSchema, DataFusionError, ScalarValue,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{
        Cast, Expr, ExprSchemable, Operator, TryCast, execution_props::ExecutionProps,
        physical_planning_context::PhysicalPlanningContext, simplify::SimplifyContext,
    },
    optimizer::simplify_expressions::ExprSimplifier,
    physical_expr::{PhysicalExpr, create_physical_expr},
};
use sluice_domain::{Refusal, catalogue::ColumnType, text};
use sluice_vault::plain_type;

use crate::{
    functions,
    refuse::{Form, expression, function, refuse, types},
};

/// Deepest expression. It is walked by recursion many times, on ordinary stacks.
const DEPTH_MAX: usize = 64;

/// Longest LIKE pattern, in bytes: it is compiled to a regular expression.
const PATTERN_BYTES_MAX: usize = 256;

/// The total form of `expr` over `schema` (unqualified, plain columns), and its type.
pub(crate) fn total(form: Form, expr: &Expr, schema: &DFSchema) -> Result<(Expr, ColumnType), Refusal> {
    shallow_enough(form, expr)?;
    let shown = expr.to_string();
    let misfit = || types(&shown);
    let allowed = rewrite(expr.clone(), Direction::Down, |e| allow(form, e))?;
    let context = SimplifyContext::builder().with_schema(Arc::new(schema.clone())).build();
    let coerced = ExprSimplifier::new(context).coerce(allowed, schema).map_err(|_| misfit())?;
    let total = rewrite(coerced, Direction::Up, |e| guard(e, schema))?;
    let kind = total.get_type(schema).ok().as_ref().and_then(plain_type).ok_or_else(misfit)?;
    trial(&total, schema).map_err(|_| misfit())?;
    Ok((total, kind))
}

/// Refuses what is nested too deeply, without recursion.
fn shallow_enough(form: Form, expr: &Expr) -> Result<(), Refusal> {
    let mut open = vec![(expr, 1)];
    while let Some((expr, depth)) = open.pop() {
        if depth > DEPTH_MAX {
            return Err(refuse(
                "sql.too-deep",
                "SQL",
                text(
                    format!("表达式嵌套超过 {DEPTH_MAX} 层（连续的 AND、OR、+ 等每个算一层）"),
                    format!("the expression is nested more than {DEPTH_MAX} deep (each AND, OR, + in a row counts)"),
                ),
                form.next(),
            ));
        }
        let children = expr.apply_children(|child| {
            open.push((child, depth + 1));
            Ok(TreeNodeRecursion::Continue)
        });
        children.map_err(|_| types(""))?;
    }
    Ok(())
}

/// A physical expression over rows of `schema`.
pub(crate) fn physical(expr: &Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
    create_physical_expr(expr, schema, &ExecutionProps::new(), &PhysicalPlanningContext::default())
}

/// One node of the parsed expression: kept, put into plain form, or refused.
fn allow(form: Form, expr: Expr) -> Result<Expr, Refusal> {
    match expr {
        Expr::Alias(alias) => allow(form, *alias.expr),
        Expr::Column(column) => Ok(Expr::Column(Column::new_unqualified(column.name))),
        Expr::Literal(value, _) => {
            let shown = value.to_string();
            plain_literal(value).map(|v| Expr::Literal(v, None)).ok_or_else(|| types(&shown))
        }
        Expr::BinaryExpr(b) if is_allowed_operator(b.op) => Ok(Expr::BinaryExpr(b)),
        Expr::Not(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_) => Ok(expr),
        Expr::Like(ref like) => match like.pattern.as_ref() {
            Expr::Literal(ScalarValue::Utf8(Some(pattern)), _)
                if pattern.len() <= PATTERN_BYTES_MAX && like.escape_char.is_none() && !like.case_insensitive =>
            {
                Ok(expr)
            }
            _ => Err(expression(form, &expr.to_string())),
        },
        Expr::InList(ref list) if list.list.iter().all(|e| matches!(e, Expr::Literal(..))) => Ok(expr),
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
            match plain_target(field.data_type()) {
                Some(to) => Ok(Expr::TryCast(TryCast::new(expr, to))),
                None => Err(types(&format!("CAST(… AS {})", field.data_type()))),
            }
        }
        Expr::ScalarFunction(f) if matches!(f.name(), "coalesce" | "nullif" | "abs") => Ok(Expr::ScalarFunction(f)),
        Expr::ScalarFunction(f) => Err(function(form, f.name())),
        Expr::AggregateFunction(f) => Err(function(form, f.func.name())),
        other => Err(expression(form, &other.to_string())),
    }
}

/// One node of the coerced expression: made total, or refused because its types do not fit.
fn guard(expr: Expr, schema: &DFSchema) -> Result<Expr, Refusal> {
    let misfit = |e: &Expr| types(&e.to_string());
    let type_of = |e: &Expr| e.get_type(schema).map_err(|_| misfit(e));
    match expr {
        Expr::Cast(Cast { ref expr, ref field }) | Expr::TryCast(TryCast { ref expr, ref field }) => {
            let to = field.data_type().clone();
            if !total_cast(&type_of(expr)?, &to) {
                return Err(types(&format!("CAST({expr} AS {to})")));
            }
            Ok(Expr::TryCast(TryCast::new(expr.clone(), to)))
        }
        Expr::BinaryExpr(ref b) => {
            let (left, right) = (type_of(&b.left)?, type_of(&b.right)?);
            let number = matches!(left, DataType::Int64 | DataType::Float64);
            let fits = match b.op {
                Operator::And | Operator::Or => left == DataType::Boolean,
                // Decimals are compared and not computed with: their arithmetic can overflow.
                Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo => number,
                _ => comparable(&left),
            };
            if left != right || !fits {
                return Err(misfit(&expr));
            }
            let operands = || (b.left.as_ref().clone(), b.right.as_ref().clone());
            let total = match b.op {
                Operator::Divide => functions::divide(&left, operands()),
                Operator::Modulo => functions::remainder(&left, operands()),
                _ => return Ok(expr),
            };
            total.ok_or_else(|| misfit(&expr))
        }
        Expr::Negative(ref inner) => {
            functions::negate(&type_of(inner)?, inner.as_ref().clone()).ok_or_else(|| misfit(&expr))
        }
        Expr::ScalarFunction(ref f) => {
            let kind = type_of(&expr)?;
            match (f.name(), f.args.as_slice()) {
                ("abs", [a]) => functions::abs(&kind, a.clone()).ok_or_else(|| misfit(&expr)),
                ("coalesce", args) => {
                    let same = args.iter().all(|a| type_of(a).is_ok_and(|t| t == kind));
                    let total = args.iter().rev().cloned().reduce(|rest, a| functions::coalesce(&kind, (a, rest)));
                    total.filter(|_| same).ok_or_else(|| misfit(&expr))
                }
                // Ours, or `nullif`, which is total as it is.
                _ => Ok(expr),
            }
        }
        other => Ok(other),
    }
}

fn is_allowed_operator(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
            | Operator::And
            | Operator::Or
            | Operator::Plus
            | Operator::Minus
            | Operator::Multiply
            | Operator::Divide
            | Operator::Modulo
    )
}

/// Whether values of a plain type can be compared with each other.
fn comparable(kind: &DataType) -> bool {
    plain_type(kind).is_some_and(|kind| !matches!(kind, ColumnType::Null | ColumnType::List(_)))
}

fn plain_literal(value: ScalarValue) -> Option<ScalarValue> {
    match value {
        ScalarValue::Utf8View(s) | ScalarValue::LargeUtf8(s) => Some(ScalarValue::Utf8(s)),
        ScalarValue::Null
        | ScalarValue::Int64(_)
        | ScalarValue::Float64(_)
        | ScalarValue::Utf8(_)
        | ScalarValue::Boolean(_)
        | ScalarValue::Date32(_)
        | ScalarValue::Decimal128(..) => Some(value),
        _ => None,
    }
}

/// The plain type that a SQL type name stands for.
fn plain_target(named: &DataType) -> Option<DataType> {
    match named {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Some(DataType::Int64),
        DataType::Float32 | DataType::Float64 => Some(DataType::Float64),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(DataType::Utf8),
        DataType::Boolean | DataType::Date32 | DataType::Decimal128(..) => Some(named.clone()),
        DataType::Timestamp(_, None) => Some(DataType::Timestamp(TimeUnit::Microsecond, None)),
        _ => None,
    }
}

/// Whether a TRY_CAST between two types gives a value or NULL for every input.
/// A date or timestamp to text is not among them, nor one to the other: arrow fails
/// beyond its calendar.
fn total_cast(from: &DataType, to: &DataType) -> bool {
    use DataType::{Boolean, Date32, Decimal128, Float64, Int64, Null, Timestamp, Utf8};
    from == to
        || matches!(
            (from, to),
            (Null, Int64 | Float64 | Utf8 | Boolean | Date32 | Timestamp(..) | Decimal128(..))
                | (Int64, Float64 | Utf8 | Boolean | Decimal128(..))
                | (Float64, Int64 | Utf8 | Decimal128(..))
                | (Utf8, Int64 | Float64 | Boolean | Date32 | Timestamp(TimeUnit::Microsecond, None) | Decimal128(..))
                | (Boolean, Int64 | Utf8)
                | (Decimal128(..), Int64 | Float64 | Utf8 | Decimal128(..))
        )
}

enum Direction {
    Down,
    Up,
}

/// Applies `step` to every node, carrying a refusal out of DataFusion's walker.
fn rewrite(
    expr: Expr,
    direction: Direction,
    mut step: impl FnMut(Expr) -> Result<Expr, Refusal>,
) -> Result<Expr, Refusal> {
    let visit = |e: Expr| step(e).map(Transformed::yes).map_err(|refusal| DataFusionError::External(Box::new(refusal)));
    let walked = match direction {
        Direction::Down => expr.transform_down(visit),
        Direction::Up => expr.transform_up(visit),
    };
    walked.map(|t| t.data).map_err(|e| match e {
        DataFusionError::External(inner) => match inner.downcast::<Refusal>() {
            Ok(refusal) => *refusal,
            Err(_) => types(""),
        },
        _ => types(""),
    })
}

/// Evaluates `expr` on a row of missing values and a row of zeros.
fn trial(expr: &Expr, schema: &DFSchema) -> Result<(), DataFusionError> {
    let columns = schema.fields().iter().map(|f| match f.data_type() {
        DataType::Int64 => Arc::new(Int64Array::from(vec![None, Some(0)])) as ArrayRef,
        DataType::Float64 => Arc::new(Float64Array::from(vec![None, Some(0.0)])),
        DataType::Utf8 => Arc::new(StringArray::from(vec![None, Some("")])),
        DataType::Boolean => Arc::new(BooleanArray::from(vec![None, Some(false)])),
        DataType::Date32 => Arc::new(Date32Array::from(vec![None, Some(0)])),
        DataType::Timestamp(..) => Arc::new(TimestampMicrosecondArray::from(vec![None, Some(0)])),
        // Decimals and lists in one way; a null column has no zero.
        kind => zero(kind),
    });
    let rows = RecordBatch::try_new(Arc::clone(schema.inner()), columns.collect())?;
    physical(expr, schema)?.evaluate(&rows)?;
    Ok(())
}

/// A missing value, then zero or the empty list.
fn zero(kind: &DataType) -> ArrayRef {
    let missing = new_null_array(kind, 1);
    let zero = ScalarValue::new_default(kind).and_then(|zero| zero.to_array());
    match zero.ok().and_then(|zero| concat(&[&missing, &zero]).ok()) {
        Some(both) => both,
        None => new_null_array(kind, 2),
    }
}
