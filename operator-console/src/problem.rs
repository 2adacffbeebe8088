//! A no, on its way to the error page. It picks the HTTP status, and it makes sure
//! that what must not exist for somebody reads exactly like what does not exist.

use axum::{
    http::StatusCode,
    response::{Extension, IntoResponse, Response},
};
use sluice_domain::{Kind, Refusal, text};

/// A refusal with its status. As a response it is empty; `guard` renders the page,
/// because only there the reader's language is known.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) refusal: Refusal,
}

impl Problem {
    /// A refusal to show a page. Not being allowed looks like not being there.
    pub(crate) fn on_page(refusal: Refusal) -> Self {
        if refusal.code == "account.role" { Self::missing() } else { Self::on_action(refusal) }
    }

    /// A refusal to do something.
    pub(crate) fn on_action(refusal: Refusal) -> Self {
        if refusal.code.ends_with(".unknown") {
            return Self::missing();
        }
        Self { status: status_of(&refusal), refusal }
    }

    /// There is no such page, or not for this person.
    pub(crate) fn missing() -> Self {
        Self::of_status(StatusCode::NOT_FOUND)
    }

    /// A form that did not come from our page.
    pub(crate) fn forged() -> Self {
        Self::of_status(StatusCode::FORBIDDEN)
    }

    /// What was sent cannot be read.
    pub(crate) fn malformed() -> Self {
        Self::of_status(StatusCode::BAD_REQUEST)
    }

    /// Something broke on our side.
    pub(crate) fn broken() -> Self {
        Self::of_status(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What there is to say about a status that came without a refusal.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let (code, zh, en, next_zh, next_en) = match status {
            StatusCode::NOT_FOUND => (
                "page.unknown",
                "没有这个页面，或者您无权查看",
                "there is no such page, or it is not yours to see",
                "回到收件箱",
                "go back to the inbox",
            ),
            StatusCode::FORBIDDEN => (
                "request.foreign",
                "这个请求不是从本站当前页面发出的，已拒绝",
                "this request did not come from a current page of this site and was refused",
                "回到页面，刷新后再提交",
                "go back to the page, reload it and send the form again",
            ),
            StatusCode::METHOD_NOT_ALLOWED => (
                "request.method",
                "这个地址不接受这种请求",
                "this address does not take that kind of request",
                "从页面上的链接或按钮操作",
                "use the links and buttons of the pages",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => (
                "request.too-large",
                "提交的内容过大",
                "what was sent is too large",
                "缩短后再提交",
                "shorten it and send it again",
            ),
            StatusCode::SERVICE_UNAVAILABLE => (
                "request.timeout",
                "办理时间过长，本页不再等待；已开始的办理会继续完成",
                "it took too long and this page no longer waits; what was begun is finished all the same",
                "稍后在收件箱查看结果",
                "look at the inbox in a while",
            ),
            StatusCode::MISDIRECTED_REQUEST => (
                "request.host",
                "请求的主机名不是本站",
                "the request names another host",
                "使用管理员告知的地址",
                "use the address that your administrator gave you",
            ),
            _ if status.is_server_error() => (
                "console.broken",
                "系统内部出错，未显示细节",
                "something broke inside; the details are not shown",
                "稍后重试；若仍出错，请联系管理员并告知时间",
                "try again later; if it stays, tell the administrator the time",
            ),
            _ => (
                "request.form",
                "请求的格式不对",
                "the request is not well formed",
                "从页面上的链接或按钮操作",
                "use the links and buttons of the pages",
            ),
        };
        let kind = if status.is_server_error() { Kind::Failed } else { Kind::Usage };
        Self { status, refusal: Refusal::new(kind, code, text(zh, en), text(next_zh, next_en)) }
    }
}

/// The status of a refusal that may be told as it is.
pub(crate) fn status_of(refusal: &Refusal) -> StatusCode {
    match (refusal.kind, refusal.code) {
        (Kind::Usage, _) | (_, "review.comment") => StatusCode::BAD_REQUEST,
        (Kind::Refused, "review.twice" | "review.not-open" | "review.stale" | "review.unread")
        | (Kind::Verification, _) => StatusCode::CONFLICT,
        (Kind::Refused | Kind::SignIn, _) => StatusCode::FORBIDDEN,
        (Kind::Failed, _) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Extension(self)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::{Kind, Refusal, text};

    use super::Problem;

    fn refusal(code: &'static str) -> Refusal {
        Refusal::new(Kind::Refused, code, text("一", "one"), text("二", "two")).at("run-000031")
    }

    #[test]
    fn forbidden_and_unknown_pages_read_the_same() {
        let missing = Problem::missing();
        for code in ["account.role", "review.unknown", "product.unknown"] {
            let problem = Problem::on_page(refusal(code));
            assert_eq!(problem.status, missing.status);
            assert_eq!(problem.refusal, missing.refusal);
        }
        assert_eq!(Problem::on_action(refusal("account.role")).status, 403);
        assert_eq!(Problem::on_action(refusal("review.twice")).status, 409);
    }
}
