//! SQL text to a plan over public names, or a refusal. Nothing here can read.
//!
//! DataFusion parses and resolves; [`crate::clauses`] and [`crate::expression`]
//! decide what may stay. DataFusion's own messages are not passed on: they speak of
//! internals, and the refusals say more.

use datafusion::{
    arrow::datatypes::SchemaRef,
    common::{Column, DFSchema, DataFusionError, SchemaError},
    logical_expr::{Expr, LogicalPlan, TableScan},
    sql::{
        parser::{DFParser, Statement},
        planner::{ParserOptions, PlannerContext, SqlToRel},
        sqlparser::{
            dialect::GenericDialect,
            keywords::Keyword,
            parser::ParserError,
            tokenizer::{Token, Tokenizer},
        },
    },
};
use sluice_domain::{Refusal, state::GrantedView, text};

use crate::{
    clauses,
    names::Names,
    refuse::{self, Form, refuse},
};

/// Longest SQL that is read at all, in bytes.
const SQL_BYTES_MAX: usize = 16 * 1024;

/// Most operators and keywords in it. Each may nest what is parsed one level deeper
/// (`1+1+1…`), and a tree that is too deep would exhaust the stack and end the process.
const OPERATORS_MAX: usize = 512;

/// The one view that `sql` reads, and the statement, syntactically in form.
pub(crate) fn statement<'a>(
    form: Form,
    views: &'a [GrantedView],
    sql: &str,
) -> Result<(&'a GrantedView, Statement), Refusal> {
    short_enough(form, sql)?;
    let mut statements = DFParser::parse_sql(sql).map_err(|e| syntax(form, &e))?;
    let (Some(statement), None) = (statements.pop_front(), statements.pop_front()) else {
        return Err(clauses::not_a_query(form, &"; ;"));
    };
    let name = match &statement {
        Statement::Statement(inner) => clauses::only_table(form, inner)?,
        other => return Err(clauses::not_a_query(form, other)),
    };
    let view = views.iter().find(|v| v.id.as_str() == name).ok_or_else(|| {
        let known: Vec<_> = views.iter().map(|v| v.id.as_str()).collect();
        let known = known.join(", ");
        refuse(
            "sql.unknown-view",
            &name,
            text(format!("协议没有授权视图 `{name}`"), format!("the agreement grants no view `{name}`")),
            text(format!("可用的视图：{known}"), format!("the views are: {known}")),
        )
    })?;
    Ok((view, statement))
}

/// Resolves a statement of [`statement`]'s against the public schema of its view.
pub(crate) fn resolve(
    form: Form,
    view: &GrantedView,
    schema: SchemaRef,
    statement: Statement,
) -> Result<LogicalPlan, Refusal> {
    let names = Names::new(view.id.as_str(), schema);
    SqlToRel::new_with_options(&names, options()).statement_to_plan(statement).map_err(|e| unresolved(form, &names, &e))
}

/// Reads a condition over columns of `schema`: a view's row filter.
pub(crate) fn condition(schema: &DFSchema, sql: &str) -> Result<Expr, Refusal> {
    let form = Form::Filter;
    short_enough(form, sql)?;
    let parsed = DFParser::parse_sql_into_expr(sql).map_err(|e| syntax(form, &e))?;
    if parsed.alias.is_some() {
        return Err(refuse::clause(form, "AS"));
    }
    let names = Names::new("", schema.as_arrow().clone().into());
    SqlToRel::new_with_options(&names, options())
        .sql_to_expr(parsed.expr, schema, &mut PlannerContext::new())
        .map_err(|e| unresolved(form, &names, &e))
}

/// Whether `plan` is the bare scan of a view, under its own name or an alias.
pub(crate) fn is_bare_scan(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => matches!(alias.input.as_ref(), LogicalPlan::TableScan(scan) if bare(scan)),
        LogicalPlan::TableScan(scan) => bare(scan),
        _ => false,
    }
}

fn bare(scan: &TableScan) -> bool {
    scan.filters.is_empty() && scan.fetch.is_none() && scan.projection.is_none()
}

fn options() -> ParserOptions {
    ParserOptions::new().with_map_string_types_to_utf8view(false)
}

fn short_enough(form: Form, sql: &str) -> Result<(), Refusal> {
    let long = |zh: String, en: String| Err(refuse("sql.too-long", "SQL", text(zh, en), form.next()));
    if sql.len() > SQL_BYTES_MAX {
        return long(
            format!("查询文本超过 {SQL_BYTES_MAX} 字节"),
            format!("the query is longer than {SQL_BYTES_MAX} bytes"),
        );
    }
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize()
        .map_err(|e| syntax(form, &DataFusionError::from(ParserError::from(e))))?;
    if tokens.iter().filter(|t| may_nest(t)).count() > OPERATORS_MAX {
        return long(
            format!("查询中的运算符和关键字超过 {OPERATORS_MAX} 个"),
            format!("the query has more than {OPERATORS_MAX} operators and keywords"),
        );
    }
    Ok(())
}

/// Whether a token may put what stands before it one level deeper. Parentheses and
/// functions may, too, but the parser bounds those.
fn may_nest(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.keyword != Keyword::NoKeyword,
        Token::Whitespace(_)
        | Token::Comma
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::EOF => false,
        _ => true,
    }
}

/// The parser's complaint is about the operator's own text and says where it is.
fn syntax(form: Form, error: &DataFusionError) -> Refusal {
    let detail = match error.find_root() {
        DataFusionError::SQL(e, _) => match e.as_ref() {
            ParserError::TokenizerError(s) | ParserError::ParserError(s) => s.clone(),
            ParserError::RecursionLimitExceeded => "nested too deeply".to_owned(),
        },
        _ => String::new(),
    };
    let at = detail.rfind(" at Line: ").map_or("", |i| detail.get(i + 4..).unwrap_or_default());
    refuse(
        "sql.syntax",
        at,
        text(format!("SQL 语法有误：{detail}"), format!("the SQL is not well formed: {detail}")),
        form.next(),
    )
}

fn unresolved(form: Form, names: &Names, error: &DataFusionError) -> Refusal {
    match error.find_root() {
        DataFusionError::SchemaError(e, _) => match e.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => {
                let known: Vec<_> = valid_fields.iter().map(Column::name).collect();
                refuse::unknown_column(field.name(), &known)
            }
            SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
                duplicate_name(name)
            }
            SchemaError::AmbiguousReference { field } => duplicate_name(field.name()),
        },
        _ => match names.unknown_function() {
            Some(name) => refuse::function(form, &name),
            None => refuse(
                "sql.form",
                "SQL",
                text(
                    "该查询不在允许的形式之内，或其类型不符",
                    "the query is not of the allowed form, or its types do not fit",
                ),
                form.next(),
            ),
        },
    }
}

/// Two output columns of one name, or a name that is no heading.
pub(crate) fn duplicate_name(name: &str) -> Refusal {
    refuse(
        "sql.name",
        name,
        text(
            "输出列须有互不相同的名称，由字母、数字和下划线组成，不超过 64 个字符，且不得以 __ 开头",
            "output columns have different names of letters, digits and _, 64 characters at most, not starting with __",
        ),
        text("用 AS 为每个表达式另取名称", "give each expression a name of its own with AS"),
    )
}

/// Checks that `names` can be the headings of a table.
pub(crate) fn headings<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<(), Refusal> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        let good = !name.is_empty()
            && name.chars().count() <= 64
            && !name.starts_with("__")
            && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !good || !seen.insert(name) {
            return Err(duplicate_name(name));
        }
    }
    Ok(())
}
