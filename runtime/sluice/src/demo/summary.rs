//! What the demo did, as one table for people and one object for programs.

use std::{collections::BTreeMap, fmt::Write, path::Path, time::Instant};

use anyhow::Context;
use serde::Serialize;
use sluice_domain::{candidate::CellValue, id::ProductId};

use super::{city::City, leak::Attack};
use crate::{commands::Failure, output::Output};

/// Everything the demo found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    pub(super) products: Vec<Product>,
    pub(super) refused: Vec<Refused>,
    pub(super) attacks: Vec<Attack>,
    pub(super) ledger: LedgerCheck,
    /// Wall time by part, seconds.
    seconds: BTreeMap<&'static str, f64>,
}

/// A released product.
#[derive(Debug, Serialize)]
pub(super) struct Product {
    id: ProductId,
    title: String,
    folder: String,
    cells: usize,
    withheld: usize,
}

/// A guest that was turned away.
#[derive(Debug, Serialize)]
pub(super) struct Refused {
    pub(super) guest: String,
    pub(super) reason: String,
}

/// What became of the ledger.
#[derive(Debug, Default, Serialize)]
pub(super) struct LedgerCheck {
    pub(super) entries: u64,
    pub(super) verified: bool,
    pub(super) tamper_found: bool,
}

impl Summary {
    /// Notes how long a part took.
    pub(super) fn took(&mut self, part: &'static str, since: Instant) {
        self.seconds.insert(part, since.elapsed().as_secs_f64());
    }

    /// Adds a released product, as its operator sees it.
    pub(super) async fn product(&mut self, city: &City, id: &ProductId) -> Result<(), Failure> {
        let page = city.service.product(&city.operator, id).await?;
        let cells = || page.tables.iter().flat_map(|t| &t.cells);
        self.products.push(Product {
            id: id.clone(),
            title: page.line.title.clone(),
            folder: city.home.product(id).canonicalize().context("product")?.display().to_string(),
            cells: cells().count(),
            withheld: cells().filter(|c| matches!(c.value, CellValue::Withheld(_))).count(),
        });
        Ok(())
    }

    /// Prints the table, or the object, last on stdout.
    pub(super) fn print(&self, output: &Output, domain: &Path) {
        let mut table = String::new();
        let _ = writeln!(table, "演示域 domain      {}", domain.display());
        for p in &self.products {
            let _ = writeln!(
                table,
                "产品 product       {}  {}  单元格 cells {}，隐去 withheld {}",
                p.id, p.title, p.cells, p.withheld
            );
            let _ = writeln!(table, "                   {}", p.folder);
        }
        for r in &self.refused {
            let _ = writeln!(table, "拒绝 refused       {}  {}", r.guest, r.reason);
        }
        for a in &self.attacks {
            let _ = writeln!(table, "攻击 attack        {}", a.line());
        }
        let l = &self.ledger;
        let _ = writeln!(
            table,
            "审计日志 ledger    {} 条 entries，核验 verified {}，篡改被发现 tamper found {}",
            l.entries, l.verified, l.tamper_found
        );
        let parts: Vec<_> = self.seconds.iter().map(|(part, s)| format!("{part} {s:.1}")).collect();
        let _ = write!(table, "用时 seconds       {}", parts.join("  "));
        output.data(self, &table);
    }
}
