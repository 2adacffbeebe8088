//! The clauses of a statement: one SELECT over one view, and nothing that the
//! planner might pass over in silence.
//!
//! Every field of the parsed statement is named here, so that a clause which a new
//! parser version brings does not compile until somebody has decided about it.
//! Expressions are not looked at: that is [`crate::expression`]'s work.

use datafusion::sql::sqlparser::ast::{
    GroupByExpr, Ident, ObjectNamePart, Query, Select, SelectFlavor, SelectItem, SetExpr, Statement, TableAlias,
    TableFactor, TableWithJoins, WildcardAdditionalOptions,
};
use sluice_domain::{Refusal, text};

use crate::refuse::{Form, clause, refuse};

/// The name, as the planner would read it, of the one table that `statement` selects from.
pub(crate) fn only_table(form: Form, statement: &Statement) -> Result<String, Refusal> {
    let Statement::Query(query) = statement else {
        return Err(not_a_query(form, statement));
    };
    let Query { with, body, order_by, limit_clause, fetch, locks, for_clause, settings, format_clause, pipe_operators } =
        query.as_ref();
    none_of(
        form,
        &[
            (with.is_some(), "WITH"),
            (order_by.is_some(), "ORDER BY"),
            (limit_clause.is_some(), "LIMIT"),
            (fetch.is_some(), "FETCH"),
            (!locks.is_empty(), "FOR UPDATE"),
            (for_clause.is_some(), "FOR"),
            (settings.is_some(), "SETTINGS"),
            (format_clause.is_some(), "FORMAT"),
            (!pipe_operators.is_empty(), "|>"),
        ],
    )?;
    match body.as_ref() {
        SetExpr::Select(select) => check_select(form, select),
        SetExpr::SetOperation { op, .. } => Err(clause(form, &op.to_string())),
        SetExpr::Values(_) => Err(clause(form, "VALUES")),
        SetExpr::Query(_) => Err(clause(form, "(SELECT …)")),
        SetExpr::Table(_) => Err(clause(form, "TABLE")),
        SetExpr::Insert(s) | SetExpr::Update(s) | SetExpr::Delete(s) | SetExpr::Merge(s) => Err(not_a_query(form, s)),
    }
}

/// Anything that is not a query: EXPLAIN, DESCRIBE, SHOW, SET, CREATE, COPY and the like.
pub(crate) fn not_a_query(form: Form, statement: &impl std::fmt::Display) -> Refusal {
    let shown = statement.to_string();
    let words: Vec<&str> = shown.split_whitespace().take(2).collect();
    refuse(
        "sql.statement",
        &words.join(" "),
        text("只能提交一条 SELECT 查询", "only one SELECT query is taken"),
        form.next(),
    )
}

fn check_select(form: Form, select: &Select) -> Result<String, Refusal> {
    let Select {
        select_token: _,
        optimizer_hints,
        distinct,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection,
        exclude,
        into,
        from,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by,
        cluster_by,
        distribute_by,
        sort_by,
        having,
        named_window,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    none_of(
        form,
        &[
            (!optimizer_hints.is_empty(), "/*+ … */"),
            (distinct.is_some(), "DISTINCT"),
            (select_modifiers.is_some(), "SELECT …"),
            (top.is_some(), "TOP"),
            (exclude.is_some(), "EXCLUDE"),
            (into.is_some(), "INTO"),
            (!lateral_views.is_empty(), "LATERAL VIEW"),
            (prewhere.is_some(), "PREWHERE"),
            (!connect_by.is_empty(), "CONNECT BY"),
            (!cluster_by.is_empty(), "CLUSTER BY"),
            (!distribute_by.is_empty(), "DISTRIBUTE BY"),
            (!sort_by.is_empty(), "SORT BY"),
            (having.is_some(), "HAVING"),
            (!named_window.is_empty(), "WINDOW"),
            (qualify.is_some(), "QUALIFY"),
            (value_table_mode.is_some(), "SELECT AS"),
            (*flavor != SelectFlavor::Standard, "FROM … SELECT"),
        ],
    )?;
    match group_by {
        GroupByExpr::All(_) => return Err(clause(form, "GROUP BY ALL")),
        GroupByExpr::Expressions(keys, modifiers) => none_of(
            form,
            &[(form == Form::Input && !keys.is_empty(), "GROUP BY"), (!modifiers.is_empty(), "GROUP BY … WITH")],
        )?,
    }
    let table = match from.as_slice() {
        [TableWithJoins { relation, joins }] if joins.is_empty() => table_name(form, relation)?,
        [] => return Err(clause(form, "SELECT without FROM")),
        _ => return Err(clause(form, "JOIN")),
    };
    for item in projection {
        match item {
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => {}
            SelectItem::ExprWithAliases { .. } => return Err(clause(form, "AS (…)")),
            SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => wildcard(form, options)?,
        }
    }
    Ok(table)
}

fn wildcard(form: Form, options: &WildcardAdditionalOptions) -> Result<(), Refusal> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    none_of(
        form,
        &[
            (opt_ilike.is_some(), "* ILIKE"),
            (opt_exclude.is_some(), "* EXCLUDE"),
            (opt_except.is_some(), "* EXCEPT"),
            (opt_replace.is_some(), "* REPLACE"),
            (opt_rename.is_some(), "* RENAME"),
            (opt_alias.is_some(), "* AS"),
        ],
    )
}

fn table_name(form: Form, relation: &TableFactor) -> Result<String, Refusal> {
    let TableFactor::Table {
        name,
        alias,
        args,
        with_hints,
        version,
        with_ordinality,
        partitions,
        json_path,
        sample,
        index_hints,
    } = relation
    else {
        return Err(match relation {
            TableFactor::Derived { .. } => clause(form, "FROM (SELECT …)"),
            TableFactor::NestedJoin { .. } => clause(form, "JOIN"),
            _ => clause(form, "FROM function(…)"),
        });
    };
    none_of(
        form,
        &[
            (args.is_some(), "FROM function(…)"),
            (!with_hints.is_empty(), "WITH (…)"),
            (version.is_some(), "FOR SYSTEM_TIME"),
            (*with_ordinality, "WITH ORDINALITY"),
            (!partitions.is_empty(), "PARTITION"),
            (json_path.is_some(), "FROM … :path"),
            (sample.is_some(), "TABLESAMPLE"),
            (!index_hints.is_empty(), "USE INDEX"),
        ],
    )?;
    if let Some(TableAlias { explicit: _, name: _, columns, at }) = alias {
        none_of(form, &[(!columns.is_empty(), "AS name(columns)"), (at.is_some(), "AT")])?;
    }
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] => Ok(normal(ident)),
        _ => Err(refuse(
            "sql.unknown-view",
            &name.to_string(),
            text("只能读取授权视图，且不带前缀", "only granted views can be read, by their bare names"),
            form.next(),
        )),
    }
}

/// The identifier as the planner compares it: unquoted names are lower-cased.
fn normal(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

fn none_of(form: Form, found: &[(bool, &str)]) -> Result<(), Refusal> {
    match found.iter().find(|(present, _)| *present) {
        Some((_, name)) => Err(clause(form, name)),
        None => Ok(()),
    }
}
