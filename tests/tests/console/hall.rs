//! A served console and browsers to ask it with.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Instant};

use reqwest::{Client, StatusCode, header::HeaderMap, redirect::Policy};
use sluice::{
    Output,
    demo::{
        city::{City, password},
        pace::Pace,
    },
};
use sluice_console::{ConsoleConfig, serve_on};
use sluice_domain::{
    contract::JobFile,
    event::DomainKind,
    id::{JobId, RunId},
    person::Role,
};
use sluice_service::{Kek, Programs, RunEnd, Service, SignedIn};
use tempfile::TempDir;
use tokio::net::TcpListener;
use zeroize::Zeroizing;

const VISITS_REPORT: &str = include_str!("../../../guest-examples/visits-report/job.toml");
const VISITS_TREE: &str = include_str!("../../../guest-examples/visits-tree/job.toml");
const MODELS: &str = include_str!("../../../guest-examples/domain/insurance-models-2026.toml");
/// The content policy, word for word.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// A console being served.
pub(crate) struct Hall {
    pub(crate) service: Arc<Service>,
    pub(crate) address: SocketAddr,
    /// How slow the machine was when it was founded.
    pub(crate) pace: Pace,
    _folder: TempDir,
}

/// Who is enrolled in every hall, by role.
pub(crate) const PEOPLE: [(&str, &str, Role); 6] = [
    ("lin-bureau", "data-bureau", Role::Bureau),
    ("wang-health", "health-bureau", Role::Provider),
    ("chen-insurance", "ning-an-insurance", Role::Operator),
    ("zhao-reviewer", "review-panel", Role::Reviewer),
    ("qian-reviewer", "review-panel", Role::Reviewer),
    ("sun-auditor", "audit-office", Role::Auditor),
];

impl Hall {
    /// A domain with people and nothing else; `name` is what the operator is called.
    pub(crate) async fn empty(name: &str, adjust: impl FnOnce(&mut ConsoleConfig)) -> Self {
        let (folder, began) = (tempfile::tempdir().unwrap(), Instant::now());
        let kek = Kek::generate_file(&folder.path().join("domain.key")).unwrap();
        let programs = Programs::beside_current_exe().unwrap();
        let home = folder.path().join("domain");
        let service = Service::init(&home, kek, "hall", DomainKind::Demo, programs).await.unwrap();
        let mut bureau: Option<SignedIn> = None;
        for (id, org, role) in PEOPLE {
            let (id_of, org) = (id.parse().unwrap(), org.parse().unwrap());
            service.enrol(bureau.as_ref(), id_of, name.to_owned(), org, role, password()).await.unwrap();
            if bureau.is_none() {
                bureau = Some(service.sign_in(id, password()).await.unwrap());
            }
        }
        Self::open(service, folder, Pace::of_founding(began.elapsed()), adjust).await
    }

    /// The demo's city with a released product (first) and a candidate that waits
    /// (second), and a second operator who owns neither.
    pub(crate) async fn city(title: &str) -> (Self, RunId, RunId) {
        let (city, folder) = founded().await;
        let pace = city.pace;
        let mut runs = Vec::new();
        for _ in 0..2 {
            let text = pace.fits(&changed(VISITS_REPORT, title, 12)).unwrap();
            let job = city.service.submit(&city.operator, password(), &text, None).await.unwrap();
            let (run, end) = city.service.run(&job).await.unwrap();
            assert_eq!(end, RunEnd::InReview);
            if runs.is_empty() {
                city.approve(&run).await.unwrap();
                city.released(&job, &run).await.unwrap();
            }
            runs.push(run);
        }
        let hall = Self::open(city.service, folder, pace, |_| {}).await;
        (hall, runs.remove(0), runs.remove(0))
    }

    /// The demo's city before anything is submitted.
    pub(crate) async fn quiet() -> Self {
        let (city, folder) = founded().await;
        let pace = city.pace;
        Self::open(city.service, folder, pace, |_| {}).await
    }

    /// The demo's city with a held model that waits, made under an agreement that allows it.
    pub(crate) async fn held(title: &str) -> (Self, JobId, RunId) {
        let (city, folder) = founded().await;
        let pace = city.pace;
        city.service.sign_agreement(&city.bureau, MODELS).await.unwrap();
        let guests = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("guests");
        let wasm = std::fs::read(guests.join("visits_tree.wasm")).unwrap();
        let text = pace.fits(&changed(VISITS_TREE, title, 60)).unwrap();
        let job = city.service.submit(&city.operator, password(), &text, Some(&wasm)).await.unwrap();
        let (run, end) = city.service.run(&job).await.unwrap();
        assert_eq!(end, RunEnd::InReview);
        (Self::open(city.service, folder, pace, |_| {}).await, job, run)
    }

    async fn open(service: Service, folder: TempDir, pace: Pace, adjust: impl FnOnce(&mut ConsoleConfig)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = Arc::new(service);
        let mut config = ConsoleConfig::on(address);
        adjust(&mut config);
        tokio::spawn(serve_on(listener, service.clone(), config, std::future::pending()));
        Self { service, address, pace, _folder: folder }
    }

    /// A browser that has not been here.
    pub(crate) fn browser(&self) -> Browser {
        let http = Client::builder().cookie_store(true).redirect(Policy::none()).build().unwrap();
        Browser { http, base: format!("http://{}", self.address) }
    }

    /// A browser with `account` signed in.
    pub(crate) async fn signed_in(&self, account: &str) -> Browser {
        let browser = self.browser();
        let answer = browser.sign_in(account, &password()).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        browser
    }
}

/// The demo's city, and a second operator who has no agreement.
async fn founded() -> (City, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/randhie.parquet");
    let city = City::found(&folder.path().join("domain"), &data, &Output::silent()).await.unwrap();
    let (id, org) = ("wu-other".parse().unwrap(), "jiang-bei-bank".parse().unwrap());
    let other = city.service.enrol(Some(&city.bureau), id, "吴".to_owned(), org, Role::Operator, password());
    other.await.unwrap();
    (city, folder)
}

/// The same job with this title and `wall_seconds`.
fn changed(job: &str, title: &str, seconds: u32) -> String {
    let mut file = JobFile::parse(job).unwrap();
    file.product.title = title.to_owned();
    file.limits.wall_seconds = Some(seconds);
    toml::to_string(&file).unwrap()
}

/// A browser: keeps cookies, follows nothing by itself.
pub(crate) struct Browser {
    http: Client,
    base: String,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Browser {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_with(path, fields, &[]).await
    }

    pub(crate) async fn post_with(&self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let mut request = self.http.post(format!("{}{path}", self.base)).form(fields);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request).await
    }

    /// Goes to the door and through it.
    pub(crate) async fn sign_in(&self, account: &str, password: &Zeroizing<String>) -> Answer {
        let door = self.get("/sign-in").await;
        let token = door.field("token");
        self.post("/sign-in", &[("token", &token), ("account", account), ("password", password)]).await
    }

    /// The token in this browser's forms; empty when nobody is signed in.
    pub(crate) async fn token(&self) -> String {
        let inbox = self.get("/").await;
        if inbox.status == StatusCode::OK { inbox.field("token") } else { String::new() }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = Answer { status, headers, body: response.text().await.unwrap() };
        answer.is_sealed();
        answer
    }
}

impl Answer {
    /// Where a redirect points.
    pub(crate) fn location(&self) -> &str {
        self.headers.get("location").map(|v| v.to_str().unwrap()).unwrap_or_default()
    }

    /// The value of a hidden field.
    pub(crate) fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let (_, rest) = self.body.split_once(&start).unwrap_or_else(|| panic!("no field `{name}`"));
        rest.split('"').next().unwrap().to_owned()
    }

    /// The session cookie that this answer sets.
    pub(crate) fn session_cookie(&self) -> Option<String> {
        let set = self.headers.get_all("set-cookie").iter().map(|v| v.to_str().unwrap());
        set.filter_map(|v| v.strip_prefix("sluice=")).map(|v| v.split(';').next().unwrap().to_owned()).next()
    }

    /// What holds for every answer of the console, whoever asked for whatever.
    fn is_sealed(&self) {
        let header = |name: &str| self.headers.get(name).map(|v| v.to_str().unwrap());
        assert_eq!(header("content-security-policy"), Some(POLICY));
        assert_eq!(header("x-content-type-options"), Some("nosniff"));
        assert_eq!(header("referrer-policy"), Some("no-referrer"));
        assert_eq!(header("cross-origin-opener-policy"), Some("same-origin"));
        assert_eq!(header("cross-origin-resource-policy"), Some("same-origin"));
        assert!(header("cache-control").is_some());
        let html = header("content-type").is_some_and(|t| t.starts_with("text/html"));
        if html && header("content-disposition").is_none() {
            assert_eq!(header("cache-control"), Some("no-store"));
            // Nothing that the policy would have to stop.
            assert!(!self.body.contains(" style=") && !self.body.contains("javascript:"));
            assert!(!self.body.contains("<script>") && !self.body.contains(" onclick="));
        }
        for cookie in self.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            // One that is being taken back holds nothing to protect.
            let taken_back = cookie.contains("Max-Age=0");
            assert!(taken_back || cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        }
    }
}
