//! Accounts and sign-in. A person's signing key is wrapped under their password;
//! that it opens is the proof of the password.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use sluice_domain::{
    Kind, Refusal, decide,
    event::{Actor, Event},
    id::{OrgId, PersonId},
    person::{Person, PublicKey, Role},
    text,
};
use sluice_ledger::PersonKey;
use sluice_vault::VaultError;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{Service, record::vault_fault};

/// Wrong passwords in a row before an account has to wait.
const TRIES: u32 = 5;
/// Wrong passwords of all accounts together before everybody has to wait.
const TRIES_OF_ALL: u32 = 60;
/// Stands for all accounts; no account has this name.
const EVERYBODY: &str = "";
/// How long the wait is.
const WAIT: Duration = Duration::from_secs(60);

/// Proof that a person signed in. Made by [`Service::sign_in`] and, from a
/// server-side session, by [`Service::resume`].
#[derive(Debug)]
pub struct SignedIn {
    person: Person,
}

impl SignedIn {
    /// Who.
    pub fn person(&self) -> &Person {
        &self.person
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor::Person(self.person.id.clone())
    }
}

/// Slows guessing down, in memory: per account name, and over all names, so that
/// strangers cannot fill the ledger with failures nor the memory with argon2.
pub(crate) struct Throttle {
    failures: Mutex<HashMap<String, (u32, Instant)>>,
    /// Passwords that are stretched at the same time; each takes 64 MiB.
    at_once: Semaphore,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { failures: Mutex::default(), at_once: Semaphore::new(2) }
    }
}

impl Throttle {
    fn waits(&self, name: &str) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |name: &str, most| failures.get(name).is_some_and(|(n, since)| *n >= most && since.elapsed() < WAIT);
        over(name, TRIES) || over(EVERYBODY, TRIES_OF_ALL)
    }

    fn failed(&self, name: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|_, (_, since)| since.elapsed() < WAIT);
        for counted in [name, EVERYBODY] {
            failures.entry(counted.to_owned()).or_insert((0, Instant::now())).0 += 1;
        }
    }
}

impl Service {
    /// Enrols a person. The very first is the bureau's and needs nobody's leave.
    ///
    /// # Errors
    /// `account.*`.
    pub async fn enrol(
        &self,
        by: Option<&SignedIn>,
        id: PersonId,
        name: String,
        org: OrgId,
        role: Role,
        password: Zeroizing<String>,
    ) -> Result<(), Refusal> {
        let by_id = by.map(|w| w.person.id.clone());
        if password.chars().count() < 8 {
            return Err(Refusal::new(
                Kind::Usage,
                "account.password",
                text("口令至少八个字符", "a password has at least eight characters"),
                text("换一个更长的口令", "choose a longer one"),
            ));
        }
        let person = |key| Person { id: id.clone(), name: name.clone(), org: org.clone(), role, key };
        // Decided once before the key is wrapped, so that a refusal leaves no file behind.
        decide::enrol(&self.snapshot().await?, by_id.as_ref(), person(PublicKey::from_bytes([0; 32])))?;
        let account = id.clone();
        let seed = self.blocking(move |vault| vault.enrol(&account, &password)).await?;
        let key = PersonKey::from_seed(seed).public_key();
        let actor = by.map_or(Actor::System, SignedIn::actor);
        self.record(actor, |state, _| decide::enrol(state, by_id.as_ref(), person(key))).await?;
        Ok(())
    }

    /// The person whose password this is, without a record: for restoring alone.
    pub(crate) async fn proven(&self, name: &str, password: Zeroizing<String>) -> Result<SignedIn, Refusal> {
        self.check_password(name, password).await?.map(|(signed_in, _)| signed_in).ok_or_else(wrong)
    }

    /// Signs a person in, and records it either way.
    ///
    /// # Errors
    /// `account.sign-in` for a wrong name or password alike; `account.wait` after
    /// too many.
    pub async fn sign_in(&self, name: &str, password: Zeroizing<String>) -> Result<SignedIn, Refusal> {
        match self.check_password(name, password).await? {
            Some((signed_in, _)) => {
                let person = signed_in.person.id.clone();
                self.record(signed_in.actor(), |_, _| Ok(Event::SignedIn { person: person.clone() })).await?;
                Ok(signed_in)
            }
            None => {
                let known = self.snapshot().await?;
                let person = name.parse::<PersonId>().ok().filter(|id| known.person(id).is_some());
                self.record(Actor::System, |_, _| Ok(Event::SignInFailed { person: person.clone() })).await?;
                Err(wrong())
            }
        }
    }

    /// The person of a server-side session, if the account still stands.
    pub async fn resume(&self, id: &PersonId) -> Option<SignedIn> {
        let state = self.snapshot().await.ok()?;
        state.person(id).map(|p| SignedIn { person: p.clone() })
    }

    /// The signing key of a signed-in person, for one signature.
    pub(crate) async fn signing_key(&self, who: &SignedIn, password: Zeroizing<String>) -> Result<PersonKey, Refusal> {
        self.check_password(who.person.id.as_str(), password).await?.map(|(_, key)| key).ok_or_else(wrong)
    }

    async fn check_password(
        &self,
        name: &str,
        password: Zeroizing<String>,
    ) -> Result<Option<(SignedIn, PersonKey)>, Refusal> {
        if self.throttle.waits(name) {
            return Err(Refusal::new(
                Kind::SignIn,
                "account.wait",
                text("尝试次数过多", "too many attempts"),
                text("一分钟后再试", "try again in a minute"),
            ));
        }
        let Ok(id) = name.parse::<PersonId>() else {
            self.throttle.failed(name);
            return Ok(None);
        };
        let wanted = id.clone();
        let unlocked = self.blocking(move |vault| match vault.unlock(&wanted, &password) {
            Ok(seed) => Ok(Some(seed)),
            Err(VaultError::WrongPassword) => Ok(None),
            Err(other) => Err(other),
        });
        let Some(seed) = unlocked.await? else {
            self.throttle.failed(name);
            return Ok(None);
        };
        let key = PersonKey::from_seed(seed);
        let state = self.snapshot().await?;
        // The key must be the one the ledger knows, not merely one that opens.
        let person = state.person(&id).filter(|p| p.key == key.public_key());
        Ok(person.map(|p| (SignedIn { person: p.clone() }, key)))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&sluice_vault::Vault) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let _one_of_few = self.throttle.at_once.acquire().await.map_err(|_| crate::run::host_fault())?;
        let vault = self.vault.clone();
        let done = tokio::task::spawn_blocking(move || work(&vault)).await;
        done.map_err(|_| crate::run::host_fault())?.map_err(vault_fault)
    }
}

fn wrong() -> Refusal {
    Refusal::new(
        Kind::SignIn,
        "account.sign-in",
        text("账号或口令不对", "the name or the password is wrong"),
        text("重新输入", "try again"),
    )
}
