//! Refusals of SQL: the code, the place, and the nearest form that is allowed.
//!
//! They speak of the operator's own text and of public names only.

use datafusion::sql::sqlparser::{
    dialect::GenericDialect,
    tokenizer::{Token, Tokenizer},
};
use sluice_domain::{Kind, Refusal, Text, text};

use crate::nearest;

/// Which SQL is being read; it decides what the nearest allowed form is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Input of the inner room.
    Input,
    /// A table of route C.
    Table,
    /// A view's row filter, written by the bureau.
    Filter,
}

impl Form {
    /// The form that is allowed, as a next step.
    pub(crate) fn next(self) -> Text {
        match self {
            Self::Input => text(
                "改写为：SELECT 列或表达式 [AS 名称], … FROM 一个授权视图 [WHERE 条件]",
                "write it as: SELECT columns or expressions [AS name], … FROM one granted view [WHERE condition]",
            ),
            Self::Table => text(
                "改写为：SELECT 维度, …, count(*) | count(DISTINCT 隐私单元列) | count(度量) | sum | avg | stddev | var_samp | median(度量) | quantile(度量, 0.25) FROM 一个授权视图 [WHERE 维度 = 代码 AND 维度 IN (代码, …)] GROUP BY 维度, …",
                "write it as: SELECT dimensions, …, count(*) | count(DISTINCT unit column) | count(measure) | sum | avg | stddev | var_samp | median(measure) | quantile(measure, 0.25) FROM one granted view [WHERE dimension = code AND dimension IN (code, …)] GROUP BY dimensions, …",
            ),
            Self::Filter => {
                text("由主管部门改正协议中视图的 filter", "the bureau corrects the view's filter in the agreement")
            }
        }
    }
}

/// Longest stretch of the operator's text that a place repeats, in characters.
const PLACE_CHARS_MAX: usize = 120;

/// A refusal with an explicit next step.
pub(crate) fn refuse(code: &'static str, place: &str, cause: Text, next: Text) -> Refusal {
    let place: String = place.chars().take(PLACE_CHARS_MAX).collect();
    Refusal::new(Kind::Refused, code, cause, next).at(place)
}

/// A clause or construct that the form does not have.
pub(crate) fn clause(form: Form, name: &str) -> Refusal {
    let (code, next) = match form {
        Form::Table => nearest::clause(name),
        Form::Input | Form::Filter => ("sql.clause", form.next()),
    };
    refuse(code, name, text(format!("此处不能使用 `{name}`"), format!("`{name}` is not allowed here")), next)
}

/// The refusal with its place in the SQL, unless it has one already.
pub(crate) fn at_position(refusal: Refusal, line: u64, column: u64) -> Refusal {
    let shown = refusal.place.clone().unwrap_or_default();
    refusal.at(format!("line {line}, column {column}: {shown}"))
}

/// The refusal at the first word of `sql` that its place begins with.
pub(crate) fn located(refusal: Refusal, sql: &str) -> Refusal {
    let shown = refusal.place.clone().unwrap_or_default();
    if shown.starts_with("line ") || shown.starts_with("Line: ") {
        return refusal;
    }
    let word =
        |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').find(|w| !w.is_empty()).map(str::to_owned);
    let Some(wanted) = word(&shown) else { return refusal };
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().unwrap_or_default();
    let found = tokens.iter().find(|t| match &t.token {
        Token::Word(w) => w.value.eq_ignore_ascii_case(&wanted),
        _ => false,
    });
    match found {
        Some(token) => at_position(refusal, token.span.start.line, token.span.start.column),
        None => refusal,
    }
}

/// An expression that is not on the list.
pub(crate) fn expression(form: Form, shown: &str) -> Refusal {
    let next = match form {
        Form::Table => form.next(),
        Form::Input | Form::Filter => text(
            "可用：列、字面量、比较、AND/OR/NOT、IN、BETWEEN、IS NULL、LIKE、+ - * / %、CASE、CAST、coalesce、nullif、abs",
            "allowed are: columns, literals, comparisons, AND/OR/NOT, IN, BETWEEN, IS NULL, LIKE, + - * / %, CASE, CAST, coalesce, nullif, abs",
        ),
    };
    refuse("sql.expression", shown, text("此处不能使用该表达式", "this expression is not allowed here"), next)
}

/// A function that is not on the list.
pub(crate) fn function(form: Form, name: &str) -> Refusal {
    let next = match form {
        Form::Table => text(
            format!("可用的聚合：{}；其余的计算交给路由 A 或 B 的客体程序", nearest::AGGREGATES.join("、")),
            format!(
                "the aggregates are: {}; compute anything else in a guest of route A or B",
                nearest::AGGREGATES.join(", ")
            ),
        ),
        Form::Input | Form::Filter => text(
            "可用函数：coalesce、nullif、abs；其余在客体程序内计算",
            "the functions are coalesce, nullif and abs; compute the rest inside the guest",
        ),
    };
    refuse(
        "sql.function",
        name,
        text(format!("函数 `{name}` 不可用"), format!("the function `{name}` is not available")),
        next,
    )
}

/// Types that do not fit, or a type that is not one of the five.
pub(crate) fn types(shown: &str) -> Refusal {
    refuse(
        "sql.type",
        shown,
        text("类型不符或不受支持", "the types do not fit or are not supported"),
        text(
            "比较与计算只用同一类型的值，必要时显式 CAST；定点小数先 CAST 为浮点再计算；列表只能原样取出",
            "compare and compute with values of one type, with a CAST where needed; CAST a decimal to DOUBLE to compute with it; a list can only be selected as it is",
        ),
    )
}

/// A column that the view does not have.
pub(crate) fn unknown_column(name: &str, known: &[&str]) -> Refusal {
    let known = known.join(", ");
    refuse(
        "sql.unknown-column",
        name,
        text(format!("视图中没有列 `{name}`"), format!("the view has no column `{name}`")),
        text(format!("可用的列：{known}"), format!("the columns are: {known}")),
    )
}
