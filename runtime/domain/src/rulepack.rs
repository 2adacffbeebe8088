//! 规则包: every number that a decision depends on, versioned (R45).

use serde::{Deserialize, Serialize};

use crate::{Digest, evidence::EvidenceRules};

/// A versioned set of parameters. Decisions record [`RulePack::version`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulePack {
    /// Version, e.g. `2026.2`. It stands for these numbers and no others: whoever changes one
    /// gives the pack another version.
    pub version: String,
    /// Route C.
    pub disclosure: Disclosure,
    /// What refusals and withheld places may tell.
    pub refusals: RefusalRules,
    /// Routes A and B.
    pub budget: Budget,
    /// Evidence for reviewers of routes C and D.
    pub evidence: EvidenceRules,
    /// Agreements.
    pub agreement: AgreementRules,
    /// Reviews.
    pub review: ReviewRules,
    /// Reserved limits.
    pub limits: LimitRules,
    /// What a release tick is reckoned with.
    pub tick: TickRules,
}

/// Primary rules of route C (gate.md §3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disclosure {
    /// k: fewest units behind a published number.
    pub threshold_units: u64,
    /// k for sets with a column of level L4.
    pub threshold_units_sensitive: u64,
    /// p of the p% rule.
    pub p_percent: f64,
    /// n of (n,k) dominance.
    pub dominance_n: u32,
    /// k of (n,k) dominance, as a share.
    pub dominance_share: f64,
    /// Largest share one unit may have.
    pub largest_share: f64,
    /// Class disclosure: a count above this share of its line is unsafe.
    pub class_share: f64,
    /// Class disclosure: a count is unsafe when this many units or fewer of its line
    /// are elsewhere.
    pub class_minority_units: u64,
    /// A regression has at least this many units more than coefficients.
    pub regression_degrees: u64,
    /// A regression has at most this many coefficients per unit.
    pub regression_parameters_share: f64,
    /// Largest leverage of one unit in a regression.
    pub regression_leverage: f64,
    /// Most atoms (cells of the common refinement) of one job's linked tables.
    pub cells_max: usize,
}

/// What refusals and the places of withheld cells may tell (gate.md §2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusalRules {
    /// Refusals that depend on data which an operator may see, per agreement and
    /// calendar year: one bit each. A further one shows as "in review".
    pub bits_max: usize,
    /// Bits of withheld places, over an operator's runs, above which reviewers are alerted.
    pub pattern_bits_alert: f64,
}

/// Privacy budget policy (gate.md §4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Most ρ one product may cost.
    pub rho_per_product: f64,
    /// Most ρ per dataset root and calendar year.
    pub rho_per_root_and_year: f64,
    /// Most δ one product may cost (unknown keys).
    pub delta_per_product: f64,
    /// Most δ per dataset root and calendar year.
    pub delta_per_root_and_year: f64,
    /// δ at which ε is reported.
    pub delta: f64,
}

/// Terms of agreements (R16).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreementRules {
    /// Longest term, years.
    pub years_max: u16,
}

/// Reviews (R28).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewRules {
    /// Approving votes needed.
    pub votes_needed: usize,
}

/// Defaults and ceilings of reserved limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named after the fields of `Limits`")]
pub struct LimitRules {
    pub fuel: u64,
    pub fuel_max: u64,
    pub outer_fuel: u64,
    pub outer_fuel_max: u64,
    pub memory_mib: u32,
    pub memory_mib_max: u32,
    pub stack_kib: u32,
    pub stack_kib_max: u32,
    pub input_rows: u32,
    pub input_rows_max: u32,
    pub rows_max: u32,
    pub rows_max_max: u32,
    pub output_kib: u32,
    pub output_kib_max: u32,
    pub instances: u32,
    pub instances_max: u32,
    pub wall_seconds: u32,
    pub wall_seconds_max: u32,
    /// Most rounds of one job.
    pub rounds_max: u32,
    /// Most blocks of one route-B table.
    pub blocks_max: u32,
    /// Largest guest component, bytes.
    pub guest_bytes_max: u64,
    /// Rows of blocks that are held at once, MiB; more is read in several passes.
    pub blocks_mib: u32,
}

/// Declared worst times (docs/benchmarks.md): a release tick is reckoned with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TickRules {
    /// Opening views, starting rooms, tabulating, sealing.
    pub host_seconds: u32,
    /// Reading one unit's rows, once per pass.
    pub unit_micros: u32,
    /// One invocation without its fuel: a fresh instance, rows in, answer out.
    pub invocation_micros: u32,
    /// Fuel that a room surely burns in a microsecond.
    pub fuel_per_micro: u64,
}

impl RulePack {
    /// The rule pack that this version of Sluice ships.
    ///
    /// # Errors
    /// Only if the shipped file were broken, which a test rules out.
    pub fn shipped() -> Result<Self, toml::de::Error> {
        toml::from_str(include_str!("../rulepacks/2026.2.toml"))
    }

    /// Whether a domain that began with this version and digest may be under this pack: it is
    /// of another version, or the very same.
    pub fn may_follow(&self, (version, digest): &(String, Digest)) -> bool {
        *version != self.version || *digest == self.digest()
    }

    /// SHA-256 of its numbers in their order: what a domain's first entry records.
    pub fn digest(&self) -> Digest {
        // Plain data with string keys: serialising it to memory has no way to fail.
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::RulePack;

    #[test]
    fn other_numbers_of_one_version_are_not_followed() {
        let pack = RulePack::shipped().unwrap();
        let began = (pack.version.clone(), pack.digest());
        assert!(pack.may_follow(&began));
        let mut other = pack.clone();
        other.disclosure.threshold_units -= 1;
        assert!(!other.may_follow(&began));
        other.version += "b";
        assert!(other.may_follow(&began), "that is another pack");
    }

    /// Somebody changed a number, or what there are numbers for: then the version changes
    /// too, with the name of the file, and this digest.
    #[test]
    fn a_version_stands_for_its_numbers() {
        let pack = RulePack::shipped().unwrap();
        let digest = "1c85cd0192f07e1afcfd6a8ffa3b454bb4c30b1d3324b692b5d5ad9c821e9eed";
        assert_eq!((pack.version.as_str(), pack.digest().to_string().as_str()), ("2026.2", digest));
    }
}
