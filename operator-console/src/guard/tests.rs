//! The guard around routes that misbehave: no detail gets out, and the headers are
//! there whatever went wrong.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Form,
    http::{Request, Response, StatusCode, header},
    routing,
};
use serde::Deserialize;
use tower::ServiceExt as _;
use tower_sessions::Session;

use super::{HEADERS, shield};
use crate::config::ConsoleConfig;

#[derive(Deserialize)]
struct Any {
    #[expect(dead_code, reason = "read by the extractor only")]
    field: String,
}

async fn broken() -> &'static str {
    panic!("the-secret-detail")
}

fn misbehaving(config: &ConsoleConfig) -> Router {
    let slow = || async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        "late"
    };
    let keep = |session: Session| async move {
        session.insert("k", 1).await.unwrap();
        "kept"
    };
    let routes = Router::new()
        .route("/panic", routing::get(broken))
        .route("/slow", routing::get(slow))
        .route("/keep", routing::get(keep))
        .route("/form", routing::post(|_: Form<Any>| async { "taken" }));
    shield(routes, config)
}

fn config() -> ConsoleConfig {
    let mut config = ConsoleConfig::on("127.0.0.1:0".parse().unwrap());
    config.request = Duration::from_millis(200);
    config
}

async fn ask(config: &ConsoleConfig, request: Request<Body>) -> (StatusCode, Response<()>, String) {
    let (parts, body) = misbehaving(config).oneshot(request).await.unwrap().into_parts();
    let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
    for (name, value) in HEADERS {
        assert_eq!(parts.headers.get(&name).unwrap(), value, "{name}");
    }
    (parts.status, Response::from_parts(parts, ()), body)
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).header(header::HOST, "127.0.0.1:4600").body(Body::empty()).unwrap()
}

fn post(path: &str) -> axum::http::request::Builder {
    Request::post(path)
        .header(header::HOST, "127.0.0.1:4600")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
}

#[tokio::test]
async fn a_panic_shows_no_detail() {
    let (status, _, body) = ask(&config(), get("/panic")).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(body.contains("console.broken") && !body.contains("the-secret-detail"));
}

#[tokio::test]
async fn a_slow_handler_is_given_up() {
    let (status, _, body) = ask(&config(), get("/slow")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("request.timeout"));
}

#[tokio::test]
async fn an_unknown_route_and_a_wrong_method_have_pages() {
    let (status, _, body) = ask(&config(), get("/nowhere")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.contains("page.unknown"));
    let (status, _, body) = ask(&config(), get("/form")).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(body.contains("request.method"));
}

#[tokio::test]
async fn a_large_body_is_refused_and_a_bad_one_is_not_quoted() {
    let large = format!("field={}", "x".repeat(70 * 1024));
    let request = post("/form").body(Body::from(large)).unwrap();
    let (status, _, body) = ask(&config(), request).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(body.contains("request.too-large"));

    let request = post("/form").body(Body::from("other=my-typed-secret")).unwrap();
    let (status, _, body) = ask(&config(), request).await;
    assert!(status.is_client_error());
    assert!(body.contains("request.form") && !body.contains("my-typed-secret") && !body.contains("missing field"));
}

#[tokio::test]
async fn other_sites_cannot_post() {
    let foreign = [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:4601"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ];
    for (name, value) in foreign {
        let request = post("/form").header(name, value).body(Body::from("field=1")).unwrap();
        let (status, _, body) = ask(&config(), request).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{name}: {value}");
        assert!(body.contains("request.foreign"));
    }
    for (name, value) in [("origin", "http://127.0.0.1:4600"), ("sec-fetch-site", "same-origin")] {
        let request = post("/form").header(name, value).body(Body::from("field=1")).unwrap();
        assert_eq!(ask(&config(), request).await.0, StatusCode::OK, "{name}: {value}");
    }
}

#[tokio::test]
async fn a_foreign_host_name_is_not_ours() {
    let to = |host: &str| Request::get("/keep").header(header::HOST, host).body(Body::empty()).unwrap();
    for host in ["localhost:4600", "127.0.0.1:4600", "[::1]:4600", "LOCALHOST"] {
        assert_eq!(ask(&config(), to(host)).await.0, StatusCode::OK, "{host}");
    }
    for host in ["evil.example", "10.0.0.1:4600", "localhost.evil.example"] {
        assert_eq!(ask(&config(), to(host)).await.0, StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
    let mut named = config();
    named.reached_as = Some("data.city.example".to_owned());
    assert_eq!(ask(&named, to("data.city.example")).await.0, StatusCode::OK);
    assert_eq!(ask(&named, to("localhost")).await.0, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn session_cookies_are_shut_to_scripts_and_other_sites() {
    let (_, response, _) = ask(&config(), get("/keep")).await;
    let cookie = response.headers().get(header::SET_COOKIE).unwrap().to_str().unwrap();
    assert!(cookie.starts_with("sluice="));
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && cookie.contains("Path=/"));
    assert!(!cookie.contains("Secure") && !cookie.contains("Domain"));
    assert!(response.headers().get(header::STRICT_TRANSPORT_SECURITY).is_none());

    let mut open = config();
    open.listen = "192.0.2.1:443".parse().unwrap();
    let (_, response, _) = ask(&open, get("/keep")).await;
    let cookie = response.headers().get(header::SET_COOKIE).unwrap().to_str().unwrap();
    assert!(cookie.starts_with("__Host-sluice=") && cookie.contains("; Secure"));
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains("Domain"));
    assert!(response.headers().contains_key(header::STRICT_TRANSPORT_SECURITY));
}
