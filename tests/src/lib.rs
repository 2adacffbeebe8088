//! Nothing but tests: the house's own rules (`tests/house.rs`) and the whole thread
//! on real data (`tests/thread/`).
