//! Functions that cannot fail on any value: what a total expression is built from.
//!
//! DataFusion's own division, remainder and `abs` raise an error on some values
//! (zero, the smallest integer), and an error is a bit about somebody's row. These
//! give NULL instead. They are opaque to the optimizer, so no rule can take a guard
//! apart. Addition, subtraction and multiplication of integers wrap in DataFusion
//! already.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray},
        compute::{is_not_null, kernels::zip::zip},
        datatypes::{DataType, Float64Type, Int64Type},
    },
    common::{Result, ScalarValue, internal_err},
    logical_expr::{ColumnarValue, Expr, ScalarUDF, Volatility, create_udf},
};

/// `a / b`; NULL when `b` is zero or the quotient does not fit.
pub(crate) fn divide(kind: &DataType, (a, b): (Expr, Expr)) -> Option<Expr> {
    let udf = match kind {
        DataType::Int64 => binary::<Int64Type>("total_divide", i64::checked_div),
        DataType::Float64 => binary::<Float64Type>("total_divide", |a, b| (b != 0.0).then(|| a / b)),
        _ => return None,
    };
    Some(udf.call(vec![a, b]))
}

/// `a % b`; NULL when `b` is zero or the quotient does not fit.
pub(crate) fn remainder(kind: &DataType, (a, b): (Expr, Expr)) -> Option<Expr> {
    let udf = match kind {
        DataType::Int64 => binary::<Int64Type>("total_remainder", i64::checked_rem),
        DataType::Float64 => binary::<Float64Type>("total_remainder", |a, b| (b != 0.0).then(|| a % b)),
        _ => return None,
    };
    Some(udf.call(vec![a, b]))
}

/// `abs(a)`; NULL for the smallest integer.
pub(crate) fn abs(kind: &DataType, a: Expr) -> Option<Expr> {
    let udf = match kind {
        DataType::Int64 => unary::<Int64Type>("total_abs", i64::checked_abs),
        DataType::Float64 => unary::<Float64Type>("total_abs", |a| Some(a.abs())),
        _ => return None,
    };
    Some(udf.call(vec![a]))
}

/// `-a`; NULL for the smallest integer. (DataFusion's own wraps in columns but fails
/// on a constant.)
pub(crate) fn negate(kind: &DataType, a: Expr) -> Option<Expr> {
    let udf = match kind {
        DataType::Int64 => unary::<Int64Type>("total_negate", i64::checked_neg),
        DataType::Float64 => unary::<Float64Type>("total_negate", |a| Some(-a)),
        _ => return None,
    };
    Some(udf.call(vec![a]))
}

/// `a` where it has a value, else `b`. Both of type `kind`.
pub(crate) fn coalesce(kind: &DataType, (a, b): (Expr, Expr)) -> Expr {
    let udf = total("total_coalesce", vec![kind.clone(), kind.clone()], kind.clone(), |args| match args {
        [a, b] => Ok(zip(&is_not_null(a)?, a, b)?),
        _ => internal_err!("two arguments"),
    });
    udf.call(vec![a, b])
}

fn unary<T: ArrowPrimitiveType>(name: &str, f: fn(T::Native) -> Option<T::Native>) -> ScalarUDF {
    total(name, vec![T::DATA_TYPE], T::DATA_TYPE, move |args| match args {
        [a] => {
            let a = a.as_primitive::<T>();
            let out: PrimitiveArray<T> = a.iter().map(|a| a.and_then(f)).collect();
            Ok(Arc::new(out) as ArrayRef)
        }
        _ => internal_err!("one argument"),
    })
}

fn binary<T: ArrowPrimitiveType>(name: &str, f: fn(T::Native, T::Native) -> Option<T::Native>) -> ScalarUDF {
    total(name, vec![T::DATA_TYPE, T::DATA_TYPE], T::DATA_TYPE, move |args| match args {
        [a, b] => {
            let (a, b) = (a.as_primitive::<T>(), b.as_primitive::<T>());
            let out: PrimitiveArray<T> =
                a.iter().zip(b.iter()).map(|(a, b)| a.zip(b).and_then(|(a, b)| f(a, b))).collect();
            Ok(Arc::new(out) as ArrayRef)
        }
        _ => internal_err!("two arguments"),
    })
}

/// A function over whole arrays, immutable, of exactly these types.
pub(crate) fn total(
    name: &str,
    takes: Vec<DataType>,
    gives: DataType,
    f: impl Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync + 'static,
) -> ScalarUDF {
    let over_columns = move |args: &[ColumnarValue]| {
        let constant = args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let out = f(&ColumnarValue::values_to_arrays(args)?)?;
        if constant && out.len() == 1 {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&out, 0)?));
        }
        Ok(ColumnarValue::Array(out))
    };
    create_udf(name, takes, gives, Volatility::Immutable, Arc::new(over_columns))
}
