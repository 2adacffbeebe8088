//! 数据产品: what is out, for those who may see it. Withheld cells carry the one mark
//! and no reasons; a download is recorded before the bytes are handed over.

use sluice_domain::{
    Digest, Kind, Refusal, Text,
    candidate::{CandidateTable, CellValue},
    decide,
    event::Event,
    id::ProductId,
    state::{JobState, ProductState, State},
    text,
};

use crate::{
    Service, SignedIn, chart,
    pages::{ProductFile, ProductLine, ProductPage, Shown},
    product::made,
    record::io_fault,
    run::threshold,
    suggest::{self, Allowed, Suggestion},
};

impl Service {
    /// The products `who` may see, newest first.
    ///
    /// # Errors
    /// A fault of the ledger.
    pub async fn products(&self, who: &SignedIn) -> Result<Vec<ProductLine>, Refusal> {
        let state = self.snapshot().await?;
        let mine = state.products().filter(|p| decide::may_see_product(&state, &who.person().id, &p.id).is_ok());
        let mut lines: Vec<_> = mine.filter_map(|p| product_line(&state, p)).collect();
        lines.reverse();
        Ok(lines)
    }

    /// One released product. Withheld cells carry the one mark, no reasons.
    ///
    /// # Errors
    /// `product.unknown`.
    pub async fn product(&self, who: &SignedIn, id: &ProductId) -> Result<ProductPage, Refusal> {
        let state = self.snapshot().await?;
        let product = decide::may_see_product(&state, &who.person().id, id)?;
        let candidate = self.candidate(&state, &product.run)?;
        let job = state.run(&product.run).and_then(|r| state.job(&r.job)).ok_or_else(crate::run::host_fault)?;
        let mut tables = self.operators_copy(candidate.for_review(), job, id).tables;
        let mut withheld = false;
        for cell in tables.iter_mut().flat_map(|t| t.cells.iter_mut()) {
            if let CellValue::Withheld(reasons) = &mut cell.value {
                reasons.clear();
                withheld = true;
            }
        }
        let files = product.files.iter().map(|(name, digest)| {
            let size = std::fs::metadata(self.home.product(id).join(name)).map(|m| m.len());
            size.map(|size| (name.clone(), *digest, size)).map_err(|e| io_fault("product.read", &e))
        });
        Ok(ProductPage {
            line: product_line(&state, product).ok_or_else(crate::run::host_fault)?,
            charts: chart::of_tables(&tables, &job.contract),
            artefacts: candidate.for_review().report.artefacts().iter().map(Shown::of).collect(),
            files: files.collect::<Result<_, _>>()?,
            said: made::all_said(&tables, &job.contract),
            next_steps: if withheld { self.next_steps(&state, product, job, &tables) } else { Vec::new() },
            tables,
        })
    }

    /// A file of a product; the download is recorded first.
    ///
    /// # Errors
    /// `product.unknown`, `product.damaged` when the file is not what was released.
    pub async fn download(&self, who: &SignedIn, id: &ProductId, file: &str) -> Result<ProductFile, Refusal> {
        let state = self.snapshot().await?;
        let product = decide::may_see_product(&state, &who.person().id, id)?;
        let unknown = || {
            Refusal::refused(
                "product.unknown",
                text("没有这个文件", "there is no such file"),
                text("查看产品页", "look at the product's page"),
            )
            .at(file)
        };
        let (name, digest) = product.files.iter().find(|(name, _)| name == file).ok_or_else(unknown)?;
        let bytes = std::fs::read(self.home.product(id).join(name)).map_err(|e| io_fault("product.read", &e))?;
        if Digest::of(&bytes) != *digest {
            return Err(Refusal::new(
                Kind::Verification,
                "product.damaged",
                text("文件与出域时不一致", "the file is not what was released"),
                text("联系主管部门", "tell the bureau"),
            )
            .at(file));
        }
        let (product, file, person) = (id.clone(), name.clone(), who.person().id.clone());
        self.record(who.actor(), |_, _| {
            Ok(Event::ProductDownloaded { product: product.clone(), file: file.clone(), person: person.clone() })
        })
        .await?;
        let media_type = match name.rsplit('.').next() {
            Some("csv") => "text/csv; charset=utf-8",
            Some("html") => "text/html; charset=utf-8",
            Some("txt" | "md") => "text/plain; charset=utf-8",
            Some("json") => "application/json",
            _ => "application/octet-stream",
        };
        Ok(ProductFile { name: name.clone(), media_type, bytes })
    }
}

impl Service {
    /// What to do about withheld cells: from the contract, the catalogue and what this
    /// reader sees published.
    fn next_steps(&self, state: &State, product: &ProductState, job: &JobState, seen: &[CandidateTable]) -> Vec<Text> {
        let granted = state.run(&product.run).map(|run| state.authorise_run(run));
        let Some(Ok(granted)) = granted else { return Vec::new() };
        let allowed =
            Allowed { rho: state.rulepack().budget.rho_per_product, k: threshold(state.rulepack(), granted.get()) };
        let found = suggest::suggestions(&job.contract, granted.get(), Some(seen), allowed);
        found.iter().map(Suggestion::sentence).collect()
    }
}

fn product_line(state: &State, product: &ProductState) -> Option<ProductLine> {
    let job = state.run(&product.run).and_then(|r| state.job(&r.job))?;
    Some(ProductLine {
        id: product.id.clone(),
        title: job.contract.product.title.clone(),
        form: job.contract.product.form,
        operator: job.operator.clone(),
        released: product.at,
    })
}
