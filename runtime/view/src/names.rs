//! The names that SQL may use: one view, three functions, the aggregates of route C.
//!
//! DataFusion's planner asks this for every name. There is no catalogue behind it,
//! no information schema, no table function, no variable and no file format, so a
//! name that is not listed here does not exist.

use std::{
    cell::RefCell,
    sync::{Arc, LazyLock},
};

use datafusion::{
    arrow::datatypes::{DataType, SchemaRef},
    common::{Result, TableReference, not_impl_err, plan_err},
    config::ConfigOptions,
    functions,
    functions_aggregate::{
        average::avg_udaf,
        count::count_udaf,
        median::median_udaf,
        planner::AggregateFunctionPlanner,
        stddev::{stddev_pop_udaf, stddev_udaf},
        sum::sum_udaf,
        variance::{var_pop_udaf, var_samp_udaf},
    },
    logical_expr::{
        AggregateUDF, HigherOrderUDF, LogicalTableSource, ScalarUDF, TableSource, Volatility, WindowUDF, create_udaf,
        function::AccumulatorArgs,
        planner::{ContextProvider, ExprPlanner},
    },
};

/// The planner's only source of names.
pub(crate) struct Names {
    view: String,
    source: Arc<dyn TableSource>,
    planners: [Arc<dyn ExprPlanner>; 1],
    /// The last function that was asked for and does not exist.
    unknown_function: RefCell<Option<String>>,
}

impl Names {
    /// Names over one view of this public schema.
    pub(crate) fn new(view: &str, schema: SchemaRef) -> Self {
        Self {
            view: view.to_owned(),
            source: Arc::new(LogicalTableSource::new(schema)),
            planners: [Arc::new(AggregateFunctionPlanner)],
            unknown_function: RefCell::new(None),
        }
    }

    /// The function on which planning broke off, if it did so on one.
    pub(crate) fn unknown_function(&self) -> Option<String> {
        self.unknown_function.borrow().clone()
    }
}

impl ContextProvider for Names {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        match name {
            TableReference::Bare { table } if *table == *self.view => Ok(Arc::clone(&self.source)),
            _ => plan_err!("no such view"),
        }
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        match name {
            "coalesce" => Some(functions::core::coalesce()),
            "nullif" => Some(functions::core::nullif()),
            "abs" => Some(functions::math::abs()),
            _ => None,
        }
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        let found = match name {
            "count" => Some(count_udaf()),
            "sum" => Some(sum_udaf()),
            "avg" | "mean" => Some(avg_udaf()),
            "var" | "var_samp" | "var_sample" => Some(var_samp_udaf()),
            "var_pop" | "var_population" => Some(var_pop_udaf()),
            "stddev" | "stddev_samp" => Some(stddev_udaf()),
            "stddev_pop" => Some(stddev_pop_udaf()),
            "median" => Some(median_udaf()),
            "quantile" => Some(quantile_udaf()),
            _ => None,
        };
        // Aggregates are asked for last, so a name that is not here is nowhere.
        if found.is_none() {
            *self.unknown_function.borrow_mut() = Some(name.to_owned());
        }
        found
    }

    fn get_window_meta(&self, _name: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        static OPTIONS: LazyLock<ConfigOptions> = LazyLock::new(ConfigOptions::default);
        &OPTIONS
    }

    fn udf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// `quantile(column, q)`: a name to plan with. No SQL is ever executed, so nothing
/// stands behind it.
fn quantile_udaf() -> Arc<AggregateUDF> {
    static QUANTILE: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| {
        let float = || Arc::new(DataType::Float64);
        let takes = vec![DataType::Float64, DataType::Float64];
        let accumulator = Arc::new(|_: AccumulatorArgs<'_>| not_impl_err!("planned, never run"));
        let state = Arc::new(vec![DataType::Float64]);
        Arc::new(create_udaf("quantile", takes, float(), Volatility::Immutable, accumulator, state))
    });
    Arc::clone(&QUANTILE)
}
