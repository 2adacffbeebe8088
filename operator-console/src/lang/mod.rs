//! Every sentence of the console, as one struct per page, filled once in Chinese
//! and once in English: a sentence that is missing in one of them does not compile.

mod en;
pub(crate) mod words;
mod zh;

use sluice_domain::Lang;

/// The texts of one language.
pub(crate) struct Texts {
    pub(crate) lang: Lang,
    /// For `<html lang>`.
    pub(crate) html_lang: &'static str,
    /// Address part and name of the other language.
    pub(crate) other: (&'static str, &'static str),
    pub(crate) frame: FrameTexts,
    pub(crate) sign_in: SignInTexts,
    pub(crate) inbox: InboxTexts,
    pub(crate) quote: QuoteTexts,
    pub(crate) bench: BenchTexts,
    pub(crate) vote: VoteTexts,
    pub(crate) grid: GridTexts,
    pub(crate) product: ProductTexts,
    pub(crate) accounts: AccountsTexts,
    pub(crate) ledger: LedgerTexts,
    pub(crate) problem: ProblemTexts,
    pub(crate) evidence: EvidenceTexts,
}

/// What stands around every page.
pub(crate) struct FrameTexts {
    pub(crate) brand: &'static str,
    pub(crate) tagline: &'static str,
    pub(crate) skip: &'static str,
    pub(crate) navigation: &'static str,
    pub(crate) inbox: &'static str,
    pub(crate) quote: &'static str,
    pub(crate) products: &'static str,
    pub(crate) accounts: &'static str,
    pub(crate) ledger: &'static str,
    pub(crate) sign_out: &'static str,
    pub(crate) demo: &'static str,
    pub(crate) creed: &'static str,
}

/// The sign-in page.
pub(crate) struct SignInTexts {
    pub(crate) title: &'static str,
    pub(crate) account: &'static str,
    pub(crate) password: &'static str,
    pub(crate) submit: &'static str,
    pub(crate) traced: &'static str,
    pub(crate) demo_accounts: &'static str,
}

/// The inbox.
pub(crate) struct InboxTexts {
    pub(crate) title: &'static str,
    pub(crate) waiting: &'static str,
    pub(crate) waiting_lead: &'static str,
    pub(crate) nothing_waiting: &'static str,
    pub(crate) my_jobs: &'static str,
    pub(crate) all_jobs: &'static str,
    pub(crate) no_jobs: &'static str,
    pub(crate) submit_hint: &'static str,
    pub(crate) auditor: &'static str,
    pub(crate) to_ledger: &'static str,
    pub(crate) provider: &'static str,
    pub(crate) product: &'static str,
    pub(crate) operator: &'static str,
    pub(crate) scenario: &'static str,
    pub(crate) age: &'static str,
    pub(crate) votes: &'static str,
    pub(crate) mine: &'static str,
    pub(crate) voted: &'static str,
    pub(crate) not_voted: &'static str,
    pub(crate) job: &'static str,
    pub(crate) status: &'static str,
    pub(crate) holder: &'static str,
    pub(crate) since: fn(&str) -> String,
    pub(crate) tick: &'static str,
    pub(crate) comments: &'static str,
    pub(crate) see_product: &'static str,
}

/// What a job would cost and may expect.
pub(crate) struct QuoteTexts {
    pub(crate) title: &'static str,
    pub(crate) lead: &'static str,
    pub(crate) job: &'static str,
    pub(crate) job_hint: &'static str,
    pub(crate) ask: &'static str,
    pub(crate) place: &'static str,
    pub(crate) cost: &'static str,
    pub(crate) once: &'static str,
    pub(crate) passes: fn(u32) -> String,
    pub(crate) left: &'static str,
    pub(crate) tick: &'static str,
    pub(crate) seconds: fn(u32, u32) -> String,
    pub(crate) expected: &'static str,
    pub(crate) table: &'static str,
    pub(crate) route: &'static str,
    pub(crate) cells: &'static str,
    pub(crate) withheld: &'static str,
    pub(crate) verdict: &'static str,
    pub(crate) needed: fn(u64) -> String,
    pub(crate) suggestions: &'static str,
    pub(crate) suggestions_lead: &'static str,
}

/// The review workbench.
pub(crate) struct BenchTexts {
    pub(crate) title: &'static str,
    pub(crate) parts: &'static str,
    pub(crate) machine: &'static str,
    pub(crate) human: &'static str,
    pub(crate) machine_clear: &'static str,
    pub(crate) machine_held: &'static str,
    pub(crate) machine_withheld: fn(usize) -> String,
    pub(crate) human_open: &'static str,
    pub(crate) human_approved: &'static str,
    pub(crate) human_declined: &'static str,
    pub(crate) votes: fn(usize, usize) -> String,
    pub(crate) findings: &'static str,
    pub(crate) no_findings: &'static str,
    pub(crate) bits: &'static str,
    pub(crate) refusal_bits: fn(usize, usize) -> String,
    pub(crate) pattern_bits: fn(f64, f64) -> String,
    pub(crate) changes: fn(usize) -> String,
    pub(crate) no_version: &'static str,
    pub(crate) candidate: &'static str,
    pub(crate) raw: &'static str,
    pub(crate) raw_lead: &'static str,
    pub(crate) commitment: &'static str,
    pub(crate) context: &'static str,
    pub(crate) scenario: &'static str,
    pub(crate) purpose: &'static str,
    pub(crate) submitted: &'static str,
    pub(crate) tick: &'static str,
    pub(crate) agreement: &'static str,
    pub(crate) term: &'static str,
    pub(crate) forms: &'static str,
    pub(crate) recipients: &'static str,
    pub(crate) no_recipients: &'static str,
    pub(crate) plan: &'static str,
    pub(crate) budget: &'static str,
    pub(crate) views: &'static str,
    pub(crate) view: &'static str,
    pub(crate) dataset: &'static str,
    pub(crate) columns: &'static str,
    pub(crate) filter: &'static str,
    pub(crate) no_filter: &'static str,
    pub(crate) masks: &'static str,
    pub(crate) no_masks: &'static str,
    pub(crate) contract: &'static str,
    pub(crate) contract_digest: &'static str,
    pub(crate) guest_digest: &'static str,
    pub(crate) outer_digest: &'static str,
    pub(crate) no_guest: &'static str,
    pub(crate) rulepack: &'static str,
    pub(crate) params: &'static str,
    pub(crate) limits: &'static str,
    pub(crate) limits_line: fn(u64, u32, u32, u32) -> String,
    pub(crate) tables: &'static str,
    pub(crate) keys_per_unit: fn(u32) -> String,
    pub(crate) impossible: fn(&str) -> String,
    pub(crate) inputs: &'static str,
    pub(crate) charged: &'static str,
    pub(crate) snapshots: &'static str,
    pub(crate) earlier: &'static str,
    pub(crate) no_earlier: &'static str,
}

/// The vote: its form and what came of it.
pub(crate) struct VoteTexts {
    pub(crate) title: &'static str,
    pub(crate) blind: &'static str,
    pub(crate) decision: &'static str,
    pub(crate) approve_means: &'static str,
    pub(crate) return_means: &'static str,
    pub(crate) reject_means: &'static str,
    pub(crate) comment: &'static str,
    pub(crate) comment_hint: &'static str,
    pub(crate) comment_needed: &'static str,
    pub(crate) comment_too_long: &'static str,
    pub(crate) next_comment: &'static str,
    pub(crate) password: &'static str,
    pub(crate) password_hint: &'static str,
    pub(crate) submit: &'static str,
    pub(crate) confirm: &'static str,
    pub(crate) mine: &'static str,
    pub(crate) waiting_others: &'static str,
    pub(crate) outcome: &'static str,
    pub(crate) declined: &'static str,
    pub(crate) released: &'static str,
    pub(crate) until_tick: fn(&str) -> String,
    pub(crate) no_comment: &'static str,
}

/// Tables of numbers.
pub(crate) struct GridTexts {
    pub(crate) withheld: &'static str,
    pub(crate) total: &'static str,
    pub(crate) nothing: &'static str,
    pub(crate) nothing_means: &'static str,
    pub(crate) unanswered: &'static str,
    pub(crate) table: &'static str,
    pub(crate) chart_refused: &'static str,
    pub(crate) composed: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) column: &'static str,
    pub(crate) published: &'static str,
    pub(crate) least: &'static str,
    pub(crate) most: &'static str,
    pub(crate) error: &'static str,
    pub(crate) cells: fn(usize, usize) -> String,
}

/// Product list and product page.
pub(crate) struct ProductTexts {
    pub(crate) list_title: &'static str,
    pub(crate) none: &'static str,
    pub(crate) product: &'static str,
    pub(crate) form: &'static str,
    pub(crate) operator: &'static str,
    pub(crate) released: &'static str,
    pub(crate) files: &'static str,
    pub(crate) file: &'static str,
    pub(crate) size: &'static str,
    pub(crate) digest: &'static str,
    pub(crate) download_traced: &'static str,
    pub(crate) next_steps: &'static str,
    pub(crate) next_steps_lead: &'static str,
    pub(crate) bytes: fn(&str) -> String,
}

/// The privacy accounts.
pub(crate) struct AccountsTexts {
    pub(crate) title: &'static str,
    pub(crate) lead: &'static str,
    pub(crate) none: &'static str,
    pub(crate) of_year: fn(i16) -> String,
    pub(crate) left: &'static str,
    pub(crate) allotted: &'static str,
    pub(crate) ever: &'static str,
    pub(crate) epsilon: fn(f64) -> String,
    pub(crate) no_epsilon: &'static str,
    pub(crate) agreement: &'static str,
    pub(crate) operator: &'static str,
    pub(crate) term: &'static str,
    pub(crate) in_force: &'static str,
    pub(crate) not_in_force: &'static str,
    pub(crate) charged: &'static str,
    pub(crate) told: &'static str,
    pub(crate) no_agreement: &'static str,
}

/// The ledger page.
pub(crate) struct LedgerTexts {
    pub(crate) title: &'static str,
    pub(crate) lead: &'static str,
    pub(crate) total: fn(u64) -> String,
    pub(crate) checkpoint: &'static str,
    pub(crate) verify: &'static str,
    pub(crate) seq: &'static str,
    pub(crate) at: &'static str,
    pub(crate) actor: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) entry: &'static str,
    pub(crate) system: &'static str,
    pub(crate) older: &'static str,
    pub(crate) newest: &'static str,
}

/// The error page.
pub(crate) struct ProblemTexts {
    pub(crate) refused: &'static str,
    pub(crate) failed: &'static str,
    pub(crate) missing: &'static str,
    pub(crate) code: &'static str,
    pub(crate) place: &'static str,
    pub(crate) next: &'static str,
    pub(crate) home: &'static str,
}

/// The evidence on the workbench.
pub(crate) struct EvidenceTexts {
    pub(crate) title: &'static str,
    pub(crate) short: &'static str,
    pub(crate) lead: &'static str,
    pub(crate) noised: &'static str,
    pub(crate) alarm: &'static str,
    pub(crate) look: &'static str,
    pub(crate) clear: &'static str,
    pub(crate) value_scan: &'static str,
    pub(crate) influence: &'static str,
    pub(crate) canaries: &'static str,
    pub(crate) capacity: &'static str,
    pub(crate) membership: &'static str,
    pub(crate) model: &'static str,
}

/// The texts of `lang`.
pub(crate) fn texts(lang: Lang) -> &'static Texts {
    match lang {
        Lang::Zh => &zh::TEXTS,
        Lang::En => &en::TEXTS,
    }
}
