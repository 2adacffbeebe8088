//! The same proof the way `view` reads: DataFusion's `ParquetSource` with an
//! `EncryptionFactory`, a predicate, projection, and statistics in use.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::{
    common::config::EncryptionFactoryOptions,
    datasource::{
        listing::PartitionedFile,
        physical_plan::{FileScanConfigBuilder, ParquetSource},
        source::DataSourceExec,
    },
    execution::{object_store::ObjectStoreUrl, parquet_encryption::EncryptionFactory},
    logical_expr::Operator,
    parquet::encryption::{decrypt::FileDecryptionProperties, encrypt::FileEncryptionProperties},
    physical_plan::{
        collect,
        expressions::{BinaryExpr, col, lit},
    },
    prelude::SessionContext,
};
use sluice_rows::arrow::datatypes::{Field, Int64Type, Schema};

use super::*;

struct OneGrant(Arc<FileDecryptionProperties>);

impl fmt::Debug for OneGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneGrant")
    }
}

#[async_trait]
impl EncryptionFactory for OneGrant {
    async fn get_file_encryption_properties(
        &self,
        _: &EncryptionFactoryOptions,
        _: &SchemaRef,
        _: &datafusion::object_store::path::Path,
    ) -> datafusion::error::Result<Option<Arc<FileEncryptionProperties>>> {
        Ok(None)
    }

    async fn get_file_decryption_properties(
        &self,
        _: &EncryptionFactoryOptions,
        _: &datafusion::object_store::path::Path,
    ) -> datafusion::error::Result<Option<Arc<FileDecryptionProperties>>> {
        Ok(Some(Arc::clone(&self.0)))
    }
}

/// Scans `schema` out of the grant's file where `age >= from`.
async fn scan(
    grant: &ColumnGrant,
    keys: Arc<FileDecryptionProperties>,
    schema: SchemaRef,
    from: i64,
) -> datafusion::error::Result<Vec<RecordBatch>> {
    let predicate = BinaryExpr::new(col("age", &schema)?, Operator::GtEq, lit(from));
    let source = ParquetSource::new(Arc::clone(&schema))
        .with_predicate(Arc::new(predicate))
        .with_pushdown_filters(true)
        .with_encryption_factory(Arc::new(OneGrant(keys)));
    let size = fs::metadata(grant.path()).unwrap().len();
    let file = PartitionedFile::new(grant.path().to_str().unwrap(), size);
    let config =
        FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source)).with_file(file).build();
    collect(DataSourceExec::from_data_source(config), SessionContext::new().task_ctx()).await
}

#[tokio::test]
async fn datafusion_reads_the_granted_columns_and_gets_no_other_key() {
    let (_dir, vault, _) = published(1_000);
    let grant = granted(&vault, &["age", "cost"]).unwrap();
    let spy = Spy::on(&grant);
    UNWRAPPED.take();
    let batches = scan(&grant, spy.decryption(&grant), grant.schema(), 80).await.unwrap();
    let ages: Vec<i64> =
        batches.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
    let expected = (0..1_000).filter(|n| *n == 3 || n % 90 >= 80).count();
    assert_eq!(ages.len(), expected);
    assert!(ages.iter().all(|age| *age >= 80) && ages.contains(&RARE_INT));
    let asked = [
        (ROW_COLUMN, true),
        (UNIT_COLUMN, true),
        ("age", true),
        ("cost", true),
        ("footer", true),
        ("name", false),
        ("person", false),
    ];
    assert_eq!(spy.answers(), answers(&asked));
    assert_eq!(UNWRAPPED.take(), Vec::<String>::new());

    // Row-group statistics of granted columns are in use: nobody is this old.
    let none = scan(&grant, spy.decryption(&grant), grant.schema(), i64::MAX).await.unwrap();
    assert_eq!(none.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
}

#[tokio::test]
async fn datafusion_cannot_read_past_the_grant() {
    let (_dir, vault, _) = published(1_000);
    let grant = granted(&vault, &["age"]).unwrap();
    let mut fields: Vec<_> = grant.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("name", DataType::Utf8, false)));
    let wider: SchemaRef = Arc::new(Schema::new(fields));
    let task = async move {
        let keys = grant.decryption().unwrap();
        scan(&grant, keys, wider, 0).await
    };
    // An error, or a panic inside the library's reader: no rows either way.
    let outcome = tokio::spawn(task).await;
    assert!(outcome.is_err() || outcome.unwrap().is_err());
}
