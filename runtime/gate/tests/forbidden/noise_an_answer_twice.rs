//! error: E0382

use sluice_gate::{noise::Mechanism, route_a::PreNoise};

pub fn twice(mechanism: &Mechanism, answer: PreNoise) {
    let _ = mechanism.draw(answer);
    let _ = mechanism.draw(answer);
}
