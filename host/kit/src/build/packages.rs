//! Tools that come as Python packages: componentize-py, and compilers of other languages.

use std::path::PathBuf;
use std::process::Command;

use crate::{KitError, tools};

/// A Python environment with one package in it, made if it is not there.
pub(super) fn python(package: &str, version: &str, language: &'static str) -> Result<PathBuf, KitError> {
    tools::ensure(&format!("{package}-{version}"), |folder| {
        let lacking = |missing: &str| KitError::Toolchain {
            language,
            missing: missing.to_owned(),
            remedy: format!(
                "install Python 3 with venv (`apt-get install python3-venv`), which brings {package} {version}"
            ),
        };
        let python = tools::find("python3").ok_or_else(|| lacking("there is no python3"))?;
        eprintln!("installing {package} {version} with pip");
        let environment = tools::run(Command::new(python).args(["-m", "venv"]).arg(folder));
        environment.map_err(|_| lacking("python3 makes no environment"))?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        tools::run(pip.arg(format!("{package}=={version}"))).map_err(|_| lacking("pip installs nothing here"))
    })
}
