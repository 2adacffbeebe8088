//! Making a domain, and opening one.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use sluice_domain::{
    Kind, Refusal, Timestamp,
    event::{Actor, DomainKind, Event},
    rulepack::RulePack,
    state::State,
    text,
};
use sluice_ledger::{Ledger, LedgerKey};
use sluice_vault::{Kek, Vault};
use sluice_worker::Programs;
use tokio::sync::Mutex;

use crate::{
    Home,
    record::{io_fault, ledger_fault, vault_fault},
    witness::Witness,
};

/// A domain at work: its vault, its ledger, and what the ledger means now.
pub struct Service {
    pub(crate) home: Home,
    pub(crate) vault: Arc<Vault>,
    pub(crate) ledger: Ledger,
    pub(crate) state: Mutex<State>,
    pub(crate) programs: Programs,
    pub(crate) witness: Witness,
    pub(crate) throttle: crate::people::Throttle,
}

impl Service {
    /// Makes a domain in `folder`, which must be empty or absent, and records its birth.
    ///
    /// # Errors
    /// `domain.exists`, or a fault of the disk.
    pub async fn init(
        folder: &Path,
        kek: Kek,
        name: &str,
        kind: DomainKind,
        programs: Programs,
    ) -> Result<Self, Refusal> {
        let occupied = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        if occupied {
            return Err(Refusal::refused(
                "domain.exists",
                text("文件夹不为空", "the folder is not empty"),
                text(
                    "换一个空文件夹，或用 `sluice serve` 打开已有的域",
                    "choose an empty folder, or open the existing domain with `sluice serve`",
                ),
            )
            .at(folder.display().to_string()));
        }
        let folder = &absolute(folder)?;
        let witness = Witness::beside(folder);
        if witness.path().exists() {
            return Err(Refusal::refused(
                "domain.exists",
                text("文件夹旁有先前那个域的检查点", "beside the folder lies the checkpoint of an earlier domain"),
                text(
                    "恢复那个域，或确认它已作废后移走此文件",
                    "restore that domain, or move the file away once it is given up",
                ),
            )
            .at(witness.path().display().to_string()));
        }
        std::fs::create_dir_all(folder).map_err(|e| io_fault("domain.create", &e))?;
        let home = Home::new(folder);
        let vault = Vault::create(folder, kek).map_err(vault_fault)?;
        let key = LedgerKey::from_seed(vault.ledger_seed());
        let ledger_key = key.public_key();
        let ledger = Ledger::create(&home.ledger(), &origin(name), key).await.map_err(ledger_fault)?;
        let rulepack = shipped_rules()?;
        let service = Self::assemble(home, vault, ledger, rulepack.clone(), programs)?;
        service
            .record(Actor::System, |_, _| {
                Ok(Event::DomainCreated {
                    name: name.to_owned(),
                    kind,
                    ledger_key,
                    rulepack: rulepack.version.clone(),
                    rulepack_digest: rulepack.digest(),
                })
            })
            .await?;
        Ok(service)
    }

    /// Opens the domain in `folder` and clears up what a crash left behind.
    ///
    /// # Errors
    /// `domain.missing`, `vault.key`, a damaged ledger, or a fault of the disk;
    /// `ledger.behind` and `ledger.unwitnessed` for what may be an old copy.
    pub async fn open(folder: &Path, kek: Kek, programs: Programs) -> Result<Self, Refusal> {
        let service = Self::unlocked(folder, kek, programs).await?;
        service.keeps_rules().await?;
        service.continues_witness().await?;
        service.recover().await?;
        Ok(service)
    }

    /// One version of the rule pack is one set of numbers, in the domain's first entry and in
    /// this Sluice.
    async fn keeps_rules(&self) -> Result<(), Refusal> {
        let state = self.snapshot().await?;
        let may = state.domain().is_none_or(|domain| state.rulepack().may_follow(&domain.rules));
        let version = &state.rulepack().version;
        may.then_some(()).ok_or_else(|| {
            Refusal::new(
                Kind::Verification,
                "rulepack.changed",
                text(
                    format!("规则包 {version} 的数值与建域时记入审计日志的不同"),
                    format!("rule pack {version} has other numbers than the ledger recorded when the domain was made"),
                ),
                text(
                    "使用建域时的 Sluice，或换用另一版本的规则包",
                    "use the Sluice that made the domain, or a rule pack of another version",
                ),
            )
        })
    }

    /// A domain as it lies there, old copy or not: for [`Service::restore`] too.
    pub(crate) async fn unlocked(folder: &Path, kek: Kek, programs: Programs) -> Result<Self, Refusal> {
        let folder = &absolute(folder)?;
        let home = Home::new(folder);
        if !home.ledger().exists() {
            return Err(Refusal::refused(
                "domain.missing",
                text("文件夹里没有域", "there is no domain in this folder"),
                text("先用 `sluice init` 建域", "make one with `sluice init`"),
            )
            .at(folder.display().to_string()));
        }
        let vault = Vault::open(folder, kek).map_err(vault_fault)?;
        let key = LedgerKey::from_seed(vault.ledger_seed());
        let ledger = Ledger::open(&home.ledger(), key).await.map_err(ledger_fault)?;
        Self::assemble(home, vault, ledger, shipped_rules()?, programs)
    }

    fn assemble(
        home: Home,
        vault: Vault,
        ledger: Ledger,
        rulepack: RulePack,
        programs: Programs,
    ) -> Result<Self, Refusal> {
        for folder in [home.products(), home.compiled(), home.locks()] {
            std::fs::create_dir_all(folder).map_err(|e| io_fault("domain.create", &e))?;
        }
        Ok(Self {
            witness: Witness::beside(home.folder()),
            home,
            vault: Arc::new(vault),
            ledger,
            state: Mutex::new(State::new(rulepack)),
            programs,
            throttle: crate::people::Throttle::default(),
        })
    }

    /// What the ledger means now, other processes' entries included.
    ///
    /// # Errors
    /// A fault of the ledger.
    pub async fn snapshot(&self) -> Result<State, Refusal> {
        let mut state = self.state.lock().await;
        self.catch_up(&mut state).await?;
        Ok(state.clone())
    }

    /// Whether this is a demo domain: public data, demo accounts, loopback only.
    pub async fn is_demo(&self) -> bool {
        self.snapshot().await.is_ok_and(|s| s.demo().is_some())
    }

    /// The moment, to the millisecond: what the ledger records.
    pub(crate) fn now() -> Timestamp {
        let ms = Timestamp::now().as_millisecond();
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// The stores below want absolute paths.
fn absolute(folder: &Path) -> Result<PathBuf, Refusal> {
    std::path::absolute(folder).map_err(|e| io_fault("domain.path", &e))
}

fn origin(name: &str) -> String {
    format!("sluice/{name}")
}

fn shipped_rules() -> Result<RulePack, Refusal> {
    RulePack::shipped().map_err(|_| {
        Refusal::failed(
            "rulepack.damaged",
            text("内置规则包损坏", "the shipped rule pack is damaged"),
            text("重新安装 Sluice", "install Sluice again"),
        )
    })
}
