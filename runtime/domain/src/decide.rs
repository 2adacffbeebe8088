//! What may happen next, decided by pure code against the state.
