//! Sessions, kept in this process's memory and nowhere else: a restart signs
//! everybody out. Bounded, and it forgets what has expired.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use tokio::sync::Mutex;
use tower_sessions::{
    SessionStore,
    cookie::time::OffsetDateTime,
    session::{Id, Record},
    session_store,
};

/// A bounded store.
#[derive(Clone)]
pub(crate) struct Sessions {
    records: Arc<Mutex<HashMap<Id, Record>>>,
    most: usize,
}

impl Sessions {
    /// Room for `most` sessions.
    pub(crate) fn new(most: usize) -> Self {
        Self { records: Arc::default(), most: most.max(1) }
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sessions(at most {}, contents withheld)", self.most)
    }
}

#[async_trait]
impl SessionStore for Sessions {
    /// Takes a new session in. When there is no room even after the expired have
    /// gone, the one that would expire first goes.
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        let mut records = self.records.lock().await;
        if records.len() >= self.most {
            let now = OffsetDateTime::now_utc();
            records.retain(|_, r| r.expiry_date > now);
        }
        if records.len() >= self.most {
            let oldest = records.values().min_by_key(|r| r.expiry_date).map(|r| r.id);
            if let Some(oldest) = oldest {
                records.remove(&oldest);
            }
        }
        while records.contains_key(&record.id) {
            record.id = Id::default();
        }
        records.insert(record.id, record.clone());
        Ok(())
    }

    /// Saves a session that is still here. One that was signed out meanwhile, by
    /// another request, stays out.
    async fn save(&self, record: &Record) -> session_store::Result<()> {
        if let Some(kept) = self.records.lock().await.get_mut(&record.id) {
            *kept = record.clone();
        }
        Ok(())
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let now = OffsetDateTime::now_utc();
        Ok(self.records.lock().await.get(id).filter(|r| r.expiry_date > now).cloned())
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        self.records.lock().await.remove(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tower_sessions::{
        SessionStore as _,
        cookie::time::{Duration, OffsetDateTime},
        session::{Id, Record},
    };

    use super::Sessions;

    fn record(seconds: i64) -> Record {
        Record {
            id: Id::default(),
            data: Default::default(),
            expiry_date: OffsetDateTime::now_utc() + Duration::seconds(seconds),
        }
    }

    #[tokio::test]
    async fn the_store_never_grows_past_its_bound() {
        let store = Sessions::new(2);
        let (mut first, mut second, mut third) = (record(10), record(20), record(30));
        for r in [&mut first, &mut second, &mut third] {
            store.create(r).await.unwrap();
        }
        assert!(store.load(&first.id).await.unwrap().is_none());
        assert!(store.load(&second.id).await.unwrap().is_some());
        assert!(store.load(&third.id).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_deleted_session_cannot_be_saved_back() {
        let store = Sessions::new(2);
        let mut r = record(10);
        store.create(&mut r).await.unwrap();
        store.delete(&r.id).await.unwrap();
        store.save(&r).await.unwrap();
        assert!(store.load(&r.id).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_expired_session_is_gone() {
        let store = Sessions::new(2);
        let mut r = record(-1);
        store.create(&mut r).await.unwrap();
        assert!(store.load(&r.id).await.unwrap().is_none());
    }
}
