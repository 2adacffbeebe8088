//! `sluice guest new`, `sluice guest build`: an author's folder and its component. No
//! domain is opened and nothing is checked for safety; `guest check` and the domain do.

use std::path::Path;

use sluice_domain::{Digest, Kind, Refusal, text};
use sluice_guest_build::{BuildError, Language, Name, Toolchain, build, create};

use super::Failure;
use crate::{args::GuestLanguage, output::Output};

/// Writes a new project into the folder `name`.
pub(super) fn new(language: GuestLanguage, name: &str, output: &Output) -> Result<(), Failure> {
    let name = Name::parse(name).ok_or_else(|| bad_name(name))?;
    let folder = Path::new(".").join(name.to_string());
    let language = match language {
        GuestLanguage::Rust => Language::Rust,
        GuestLanguage::Python => Language::Python,
        GuestLanguage::Js => Language::JavaScript,
        GuestLanguage::C => Language::C,
    };
    create(&folder, &name, language).map_err(refusal)?;
    let steps = format!("cd {name} && sluice guest build && sluice guest try");
    output.say(&text(
        format!("下一步：{steps}；要改什么见 {name}/README.md"),
        format!("next: {steps}; {name}/README.md says what to change"),
    ));
    output.data(&serde_json::json!({ "project": name.to_string() }), &name.to_string());
    Ok(())
}

/// Builds the project in `folder`; its component is written beside its job.
pub(super) fn make(folder: &Path, output: &Output) -> Result<(), Failure> {
    let (file, component) = build(folder, &Toolchain::find()).map_err(refusal)?;
    let path = folder.join(file);
    std::fs::write(&path, &component).map_err(|error| refusal(BuildError::File { path: path.clone(), error }))?;
    let (path, digest, bytes) = (path.display().to_string(), Digest::of(&component), component.len());
    output.data(
        &serde_json::json!({ "file": path, "guest": digest, "bytes": bytes }),
        &format!("{path}\t{digest}\t{bytes}"),
    );
    Ok(())
}

fn bad_name(name: &str) -> Refusal {
    Refusal::new(
        Kind::Usage,
        "guest.name",
        text(format!("`{name}` 不能作项目名"), format!("`{name}` is no name for a project")),
        text("用小写字母、数字与 - ，如 wage-gap", "use lower-case letters, digits and -, such as wage-gap"),
    )
}

/// The builder's error as a person is told it. A compiler's words stay as they are: they
/// name the file and the line.
fn refusal(error: BuildError) -> Refusal {
    let said = error.to_string();
    match error {
        BuildError::NoTool { tool, language } => {
            Refusal::failed("guest.toolchain", text(format!("没有安装 {tool}"), said), install(language))
        }
        BuildError::Compiler { .. } => Refusal::refused(
            "guest.build",
            text(format!("编译未通过：\n{said}\n"), format!("it does not compile:\n{said}\n")),
            text("按上面的文件与行号修改，再构建", "mend the file and line named above and build again"),
        ),
        BuildError::Module(_) => Refusal::refused(
            "guest.build",
            text(format!("不成组件：{said}"), said),
            text("Rust 客件须调用 sluice_guest::inner!", "a Rust guest has to call sluice_guest::inner!"),
        ),
        BuildError::NoProject { folder, why } => Refusal::new(
            Kind::Usage,
            "guest.build",
            text(format!("不是客件项目：{why}"), format!("this is no guest project: {why}")),
            text("用 sluice guest new 建一个", "make one with sluice guest new"),
        )
        .at(folder.display().to_string()),
        BuildError::Exists(folder) => Refusal::new(
            Kind::Usage,
            "guest.exists",
            text("该文件夹已存在", "the folder exists already"),
            text("换一个名字，或先移走它", "choose another name, or move it away first"),
        )
        .at(folder.display().to_string()),
        BuildError::File { path, error } => Refusal::failed(
            "guest.file",
            text(format!("读写失败：{error}"), format!("cannot be read or written: {error}")),
            text("检查路径与权限", "check the path and its permissions"),
        )
        .at(path.display().to_string()),
    }
}

fn install(language: Language) -> sluice_domain::lang::Text {
    let how = match language {
        Language::Rust => "rustup target add wasm32-unknown-unknown",
        Language::Python => "pip install componentize-py==0.25.1",
        Language::JavaScript => "npm install --global componentize-qjs@0.4.5",
        Language::C => "apt-get install clang-19 lld-19",
    };
    text(format!("先安装：{how}（见 docs/guests.md）"), format!("install it first: {how} (see docs/guests.md)"))
}
