//! Several rooms for one guest, side by side, each its own jailed child.
//!
//! Units are handed out as rooms have place for them, so it is chance which room's
//! sink gets an outcome, and what is made of all of them must not depend on it. Each unit
//! still gets a fresh instance with the same limits: which room it met is not
//! visible to a guest.

use std::{
    num::NonZeroUsize,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use crate::{Compiled, Invocation, Programs, Room, RoomLimits, UnitOutcome, WorkerError};

/// Rooms of one guest.
#[derive(Debug)]
pub struct Rooms(Vec<Room>);

impl Rooms {
    /// Opens `count` rooms, each as [`Room::open_in_round`] does.
    ///
    /// # Errors
    /// The first room's that does not open.
    pub fn open(
        programs: &Programs,
        compiled: &Compiled,
        limits: &RoomLimits,
        params: &[(String, String)],
        state: &[u8],
        count: NonZeroUsize,
    ) -> Result<Self, WorkerError> {
        let open = || Room::open_in_round(programs, compiled, limits, params, state);
        thread::scope(|scope| {
            let opening: Vec<_> = (0..count.get()).map(|_| scope.spawn(open)).collect();
            // `Room::open` does not panic.
            let rooms = opening.into_iter().map(|room| room.join().unwrap_or(Err(WorkerError::Died)));
            rooms.collect::<Result<_, _>>().map(Self)
        })
    }

    /// Each of them: for the host's log and tests.
    pub fn rooms(&self) -> &[Room] {
        &self.0
    }

    /// Runs the guest on each unit once. Each room has a sink of its own, which gets one
    /// outcome per unit that the room met, in order, with the unit's number, from 0.
    /// Returns how many units.
    ///
    /// # Errors
    /// The first room's that breaks; the others stop early, and what the sinks have
    /// got is part of a void run. [`WorkerError::Closed`] without a sink for each room.
    pub fn map_numbered<U, S>(&mut self, units: U, sinks: impl IntoIterator<Item = S>) -> Result<u64, WorkerError>
    where
        U: IntoIterator<Item: Into<Invocation>>,
        U::IntoIter: Send,
        S: FnMut(u64, UnitOutcome) + Send,
    {
        let units = Mutex::new((0u64..).zip(units));
        let broken = AtomicBool::new(false);
        let next = || {
            let mut units = units.lock().unwrap_or_else(PoisonError::into_inner);
            if broken.load(Ordering::Relaxed) { None } else { units.next() }
        };
        let work = |room: &mut Room, sink: Option<S>| {
            let done = sink.ok_or(WorkerError::Closed).and_then(|mut sink| {
                // A room answers in the order in which it was asked.
                let (asked, answered) = mpsc::channel();
                let units = std::iter::from_fn(|| {
                    let (number, unit) = next()?;
                    asked.send(number).ok().map(|()| unit)
                });
                room.map_all(units, move |outcome| {
                    if let Ok(number) = answered.try_recv() {
                        sink(number, outcome);
                    }
                })
            });
            broken.fetch_or(done.is_err(), Ordering::Relaxed);
            done
        };
        thread::scope(|scope| {
            let mut sinks = sinks.into_iter();
            let working: Vec<_> = self
                .0
                .iter_mut()
                .map(|room| {
                    let sink = sinks.next();
                    scope.spawn(|| work(room, sink))
                })
                .collect();
            // It panics only where `units` or a sink does.
            let done = working.into_iter().map(|work| work.join().unwrap_or(Err(WorkerError::Closed)));
            done.collect::<Vec<_>>().into_iter().sum()
        })
    }
}
