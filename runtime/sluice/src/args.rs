//! The command line: verbs in the user's nouns.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use sluice_domain::{
    Lang,
    approval::Decision,
    id::{AgreementId, JobId, OrgId, PersonId, ProductId, RunId},
    person::Role,
};

/// 数闸 Sluice：公共数据授权运营的隐私计算沙箱。原始数据包不得导出。
/// A privacy-preserving computation sandbox: code comes in, only reviewed products go out.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// 以 JSON 输出数据 · print data as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// 消息的语言，写在命令之前 · language of messages; stands before the command
    #[arg(long, value_enum, default_value = "zh", env = "SLUICE_LANG")]
    pub(crate) lang: LangArg,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LangArg {
    Zh,
    En,
}

impl From<LangArg> for Lang {
    fn from(arg: LangArg) -> Self {
        match arg {
            LangArg::Zh => Self::Zh,
            LangArg::En => Self::En,
        }
    }
}

/// Which domain, and how it is unlocked.
#[derive(Debug, Clone, Args)]
pub(crate) struct DomainArgs {
    /// 域的文件夹 · the domain's folder
    #[arg(long, env = "SLUICE_DOMAIN", default_value = "sluice-domain")]
    pub(crate) domain: PathBuf,
    /// 主密钥文件 · file with the key-encryption key
    #[arg(long, env = "SLUICE_KEY_FILE", default_value = "sluice.key")]
    pub(crate) key_file: PathBuf,
    /// 改用口令保护：口令文件；此时主密钥文件只存盐 · derive the key from the passphrase in this file; the key file then holds the salt
    #[arg(long, env = "SLUICE_PASSPHRASE_FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// Who acts.
#[derive(Debug, Clone, Args)]
pub(crate) struct ActorArgs {
    #[command(flatten)]
    pub(crate) domain: DomainArgs,
    /// 账号 · the account that acts
    #[arg(long = "as", env = "SLUICE_AS")]
    pub(crate) actor: PersonId,
    /// 口令文件 · file with its password
    #[arg(long, env = "SLUICE_PASSWORD_FILE")]
    pub(crate) password_file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// 建域 · make a domain and its first account
    Init(InitArgs),
    /// 人员 · people
    #[command(subcommand)]
    Person(PersonCommand),
    /// 数据 · data
    #[command(subcommand)]
    Data(DataCommand),
    /// 授权协议 · agreements
    #[command(subcommand)]
    Agreement(AgreementCommand),
    /// 客体组件 · guests
    #[command(subcommand)]
    Guest(GuestCommand),
    /// 输出闸门 · the output gate
    #[command(subcommand)]
    Gate(GateCommand),
    /// 作业 · jobs
    #[command(subcommand)]
    Job(JobCommand),
    /// 运行 · runs
    #[command(subcommand)]
    Run(RunCommand),
    /// 审核 · reviews
    #[command(subcommand)]
    Review(ReviewCommand),
    /// 数据产品 · products
    #[command(subcommand)]
    Product(ProductCommand),
    /// 出域凭证 · receipts
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// 数据水印 · recipient marks
    #[command(subcommand)]
    Mark(MarkCommand),
    /// 审计日志 · the ledger
    #[command(subcommand)]
    Audit(AuditCommand),
    /// 运营台 · serve the console
    Serve(ServeArgs),
    /// 自检：隔离层是否生效，内室能否越界 · which layers of isolation this host has, and what a room could still do
    Doctor,
    /// 演示：真实数据走完全程，并拦住攻击 · the whole way on real data, and attacks stopped
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    pub(crate) domain: DomainArgs,
    /// 域名称 · name of the domain
    #[arg(long, default_value = "city")]
    pub(crate) name: String,
    /// 主管部门首个账号 · the bureau's first account
    #[arg(long)]
    pub(crate) admin: PersonId,
    /// 其口令文件 · file with its password
    #[arg(long)]
    pub(crate) password_file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PersonCommand {
    /// 登记账号 · enrol a person
    Add {
        #[command(flatten)]
        actor: ActorArgs,
        /// 新账号 · the new account
        id: PersonId,
        /// 姓名 · name
        #[arg(long)]
        name: String,
        /// 单位 · organisation
        #[arg(long)]
        org: OrgId,
        /// 角色 · role
        #[arg(long, value_enum)]
        role: RoleArg,
        /// 新账号的口令文件 · file with the new account's password
        #[arg(long)]
        new_password_file: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RoleArg {
    Bureau,
    Provider,
    Operator,
    Reviewer,
    Auditor,
}

impl From<RoleArg> for Role {
    fn from(arg: RoleArg) -> Self {
        match arg {
            RoleArg::Bureau => Self::Bureau,
            RoleArg::Provider => Self::Provider,
            RoleArg::Operator => Self::Operator,
            RoleArg::Reviewer => Self::Reviewer,
            RoleArg::Auditor => Self::Auditor,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// 归集：CSV 或 Parquet 入库 · take in a CSV or Parquet file
    Ingest {
        #[command(flatten)]
        actor: ActorArgs,
        /// 目录文件 · catalogue file
        #[arg(long)]
        catalogue: PathBuf,
        /// 数据文件 · data file
        source: PathBuf,
    },
    /// 导出协议的公开结构，供作者用 `sluice guest try` 试运行 · write an agreement's published schema, for authors without a domain
    Schema(SchemaArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
    /// 授权协议 · the agreement
    #[arg(long)]
    pub(crate) agreement: AgreementId,
    /// 写到此文件夹 · folder to write into
    #[arg(long, default_value = "schema")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgreementCommand {
    /// 签订 · sign an agreement
    Sign {
        #[command(flatten)]
        actor: ActorArgs,
        /// 协议文件 · agreement file
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum GuestCommand {
    /// 新建客件项目 · write a new guest project
    New {
        /// 语言 · its language
        #[arg(long, value_enum)]
        lang: GuestLanguage,
        /// 名称 · its name, such as wage-gap
        name: String,
    },
    /// 构建客件项目 · make a project's component
    Build {
        /// 项目文件夹 · the project's folder
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// 检查组件的导入、导出与接口 · check a component's imports, exports and ABI
    Check {
        /// 组件 · the component
        file: PathBuf,
        /// 一并检查的作业文件 · a job file to check with it
        #[arg(long)]
        job: Option<PathBuf>,
    },
    /// 用合成数据试运行作业，显示一切 · try a job on synthetic data, with everything shown
    Try(TryArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TryArgs {
    /// 作业文件，或其所在的项目文件夹 · job file, or the project's folder
    #[arg(default_value = ".")]
    pub(crate) job: PathBuf,
    /// 客体组件，默认为作业文件所写 · guest component, by default the one the job file names
    #[arg(long)]
    pub(crate) guest: Option<PathBuf>,
    /// 公开结构的文件夹，默认为作业旁的 schema · folder of the published schema, by default `schema` beside the job
    #[arg(long, conflicts_with_all = ["catalogue", "agreement"])]
    pub(crate) schema: Option<PathBuf>,
    /// 或逐个指明目录文件 · or catalogue files, one by one
    #[arg(long, requires = "agreement")]
    pub(crate) catalogue: Vec<PathBuf>,
    /// 与授权协议文件 · and an agreement file
    #[arg(long, requires = "catalogue")]
    pub(crate) agreement: Option<PathBuf>,
    /// 虚构多少单位 · how many units to draw
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(8..=20_000))]
    pub(crate) units: u32,
    /// 种子：相同则数据相同 · seed: the same one gives the same data
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// What a guest can be written in.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum GuestLanguage {
    Rust,
    Python,
    Js,
    C,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GateCommand {
    /// 检查用例：规则、隐去与差分，不需要域；未通过时退出码为 3 · check a case without a domain; exit 3 unless it passes
    Check {
        /// 用例文件（tests/cases/README.md）· case file
        case: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// 报价：合约与隐私代价，不提交 · the contract and its cost, without submitting
    Quote(JobFileArgs),
    /// 提交并运行，至出域时刻返回 · submit, run, and return at the release tick
    Submit(SubmitArgs),
    /// 本单位的作业 · your jobs
    List {
        #[command(flatten)]
        actor: ActorArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct JobFileArgs {
    #[command(flatten)]
    pub(crate) actor: ActorArgs,
    /// 作业文件 · job file
    pub(crate) file: PathBuf,
    /// 客体组件，默认为作业文件所写 · guest component, by default the one the job file names
    #[arg(long)]
    pub(crate) guest: Option<PathBuf>,
    /// 建议：如何改合约能少隐去，不看数据 · how to change the contract so that less is withheld, without data
    #[arg(long)]
    pub(crate) suggest: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub(crate) job: JobFileArgs,
    /// 受理后即返回，由 `sluice serve` 运行 · return once accepted and let `sluice serve` run it
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// 运行已受理而未运行的作业 · run an accepted job that has not run
    Start {
        #[command(flatten)]
        actor: ActorArgs,
        /// 作业 · the job
        job: JobId,
    },
    /// 域内重放，比对噪声前结果的承诺 · run again inside the domain and compare commitments
    Replay {
        #[command(flatten)]
        actor: ActorArgs,
        /// 运行 · the run
        run: RunId,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReviewCommand {
    /// 待审候选 · what waits for you
    List {
        #[command(flatten)]
        actor: ActorArgs,
    },
    /// 打开候选 · open a candidate
    Show {
        #[command(flatten)]
        actor: ActorArgs,
        /// 运行 · the run
        run: RunId,
    },
    /// 投票 · vote
    Vote {
        #[command(flatten)]
        actor: ActorArgs,
        /// 运行 · the run
        run: RunId,
        /// 决定 · the decision
        #[arg(long, value_enum)]
        decision: DecisionArg,
        /// 意见，退回与驳回必填 · comment, required on return and reject
        #[arg(long, default_value = "")]
        comment: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum DecisionArg {
    Approve,
    Return,
    Reject,
}

impl From<DecisionArg> for Decision {
    fn from(arg: DecisionArg) -> Self {
        match arg {
            DecisionArg::Approve => Self::Approve,
            DecisionArg::Return => Self::Return,
            DecisionArg::Reject => Self::Reject,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProductCommand {
    /// 产品目录 · the products you may see
    List {
        #[command(flatten)]
        actor: ActorArgs,
    },
    /// 取走文件 · take a product's files
    Fetch {
        #[command(flatten)]
        actor: ActorArgs,
        /// 产品 · the product
        product: ProductId,
        /// 放到哪里 · where to put them
        #[arg(long)]
        out: PathBuf,
    },
    /// 出域已通过且到时的产品 · release what is approved and due
    Release {
        #[command(flatten)]
        actor: ActorArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptCommand {
    /// 离线校验凭证与同目录文件 · check a receipt and the files beside it, offline
    Verify {
        /// 凭证 · the receipt
        file: PathBuf,
        /// 域的公钥（十六进制）· the domain's public key in hex
        #[arg(long)]
        key: Option<String>,
    },
    /// 域在手边：把凭证所依据的一切再推一遍，逐项说相同或不同 · with the domain at hand: work out again what the receipt rests on
    Rederive {
        #[command(flatten)]
        actor: ActorArgs,
        /// 凭证 · the receipt
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MarkCommand {
    /// 追查：发现的表是给谁的那一份 · whose copy a found table is
    Trace {
        #[command(flatten)]
        actor: ActorArgs,
        /// 发现的表（CSV）· the table that was found, as CSV
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// 导出日志 · export the ledger
    Export {
        #[command(flatten)]
        actor: ActorArgs,
        /// 导出到 · file to write
        #[arg(long)]
        out: PathBuf,
    },
    /// 离线核验导出的日志 · verify an exported ledger, offline
    Verify {
        /// 导出文件 · the export
        file: PathBuf,
        /// 域的公钥（十六进制）· the domain's public key in hex
        #[arg(long)]
        key: Option<String>,
        /// 载有旧检查点的凭证 · a receipt that pins an older checkpoint
        #[arg(long)]
        receipt: Option<PathBuf>,
    },
    /// 由备份恢复之后：出示最新的检查点；缺失其后的日志则余下预算全部记为已用 · after restoring a copy: present the newest checkpoint; without the later entries all that was left of the budgets is charged
    Restore {
        #[command(flatten)]
        actor: ActorArgs,
        /// 最新的检查点：凭证、检查点文件或日志导出件 · the newest checkpoint: a receipt, a checkpoint file or an export
        #[arg(long)]
        checkpoint: PathBuf,
        /// 含有其后日志的导出件 · an export that has the later entries
        #[arg(long)]
        entries: Option<PathBuf>,
    },
    /// 隐私账：各数据集根与协议的预算 · the budgets of dataset roots and agreements
    Budget {
        #[command(flatten)]
        actor: ActorArgs,
    },
    /// 由产品追溯到来源 · walk from a product to its sources
    Trace {
        #[command(flatten)]
        actor: ActorArgs,
        /// 产品 · the product
        product: ProductId,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) domain: DomainArgs,
    /// 监听地址 · address to listen on
    #[arg(long, default_value = "127.0.0.1:8043")]
    pub(crate) listen: SocketAddr,
    /// 前有 TLS 代理时，人们所用的主机名 · the host name people use, behind a TLS proxy
    #[arg(long)]
    pub(crate) reached_as: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// 演示域的文件夹，默认为临时文件夹 · folder of the demo domain, temporary by default
    pub(crate) folder: Option<PathBuf>,
    /// 数据文件 · the RAND HIE file
    #[arg(long, default_value = "tests/data/randhie.parquet")]
    pub(crate) data: PathBuf,
    /// 编译好的客体 · folder of the built guests
    #[arg(long, default_value = "target/guests")]
    pub(crate) guests: PathBuf,
    /// 结束后不启动运营台 · end without serving the console
    #[arg(long)]
    pub(crate) no_serve: bool,
    /// 运营台监听地址 · address of the console
    #[arg(long, default_value = "127.0.0.1:8043")]
    pub(crate) listen: SocketAddr,
}
