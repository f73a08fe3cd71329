//! `plugin new`: a project from the templates.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_policy::Stage;

use crate::embedded::{self, below, text, write};
use crate::{KitError, Language};

/// What a small policy in a language may use; the runtimes of dynamic languages need more than the policy does.
fn limits(language: Language) -> &'static str {
    match language {
        Language::Rust | Language::C => "{memory: 16Mi, deadline: 50ms}",
        Language::Go => "{memory: 64Mi, deadline: 200ms}",
        Language::JavaScript => "{memory: 128Mi, deadline: 500ms}",
        Language::Python => "{memory: 256Mi, deadline: 500ms}",
    }
}

/// The stages for which a language has a template.
pub fn stages(language: Language) -> Vec<Stage> {
    let folder = format!("{language}/stages");
    let has = |stage: &Stage| below(&folder).any(|(file, _)| file.split('.').next() == Some(stage.interface()));
    Stage::ALL.into_iter().filter(has).collect()
}

/// Makes a project in a new folder, and returns the folder.
///
/// # Errors
/// If the name cannot be that of a Plugin and of a package, if the folder has something in it, or if the language has
/// no template for the stage.
pub fn new(name: &str, parent: &Path, language: Language, stage: Stage) -> Result<PathBuf, KitError> {
    let good = name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !good {
        let rule = "a lower-case letter, then lower-case letters, digits and '-'";
        return Err(KitError::Project(format!("{name:?} cannot be a policy's name: use {rule}")));
    }
    let dir = parent.join(name);
    if fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(KitError::Project(format!("{} has something in it already", dir.display())));
    }
    let templates = format!("{language}/stages");
    let policy = below(&templates).find(|(file, _)| file.split('.').next() == Some(stage.interface()));
    let Some((_, policy)) = policy else {
        let known: Vec<&str> = stages(language).into_iter().map(Stage::as_str).collect();
        return Err(KitError::Project(format!("{language} has templates for the stages {}", known.join(", "))));
    };
    let fill = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let crate_name = name.replace('-', "_");
        [
            ("{{name}}", name),
            ("{{crate}}", &crate_name),
            ("{{stage}}", stage.as_str()),
            ("{{limits}}", limits(language)),
            ("{{source}}", language.source()),
        ]
        .iter()
        .fold(text.into_owned(), |text, (from, to)| text.replace(from, to))
    };
    write(&dir.join(language.source()), fill(policy).as_bytes())?;
    let folders = ["project".to_owned(), format!("{language}/project"), format!("stages/{}", stage.interface())];
    for folder in &folders {
        for (path, bytes) in below(folder) {
            // A file that begins with a dot would be one of this repository's own.
            let path = path.replace("dot-", ".");
            write(&dir.join(path), fill(bytes).as_bytes())?;
        }
    }
    embedded::write_sdk(&dir, language)?;
    Ok(dir)
}

/// What to type next.
pub fn next_steps(dir: &Path) -> String {
    let steps = text("next-steps.txt").unwrap_or_default();
    steps.replace("{{dir}}", &dir.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Project;

    #[test]
    fn every_template_makes_a_project() {
        let parent = tempfile::tempdir().expect("a folder");
        for language in Language::ALL {
            for stage in stages(language) {
                let name = format!("a-{language}-{}", stage.interface());
                let dir = new(&name, parent.path(), language, stage).expect("a project");
                let project = Project::open(&dir).expect("which can be opened");
                assert_eq!((project.name(), project.language, project.stage), (name.as_str(), language, stage));
                let resources = crate::cluster::Resources::default();
                let cases = crate::case::read_all(&dir.join("cases"), stage, &resources).expect("cases");
                assert!(cases.len() >= 2, "{name} has {} cases", cases.len());
                for file in [language.source(), "README.md", ".gitignore", "sdk/wit/worlds.wit"] {
                    let text = fs::read_to_string(dir.join(file)).expect(file);
                    let left = ["name", "crate", "stage", "limits", "source", "dir"];
                    let left = left.iter().find(|word| text.contains(&format!("{{{{{word}}}}}")));
                    assert_eq!(left, None, "{name}/{file}");
                }
            }
        }
    }

    #[test]
    fn names_are_those_of_plugins_and_packages() {
        let parent = tempfile::tempdir().expect("a folder");
        let long = "a".repeat(64);
        for name in ["", "A", "1a", "a-", "a.b", "a/b", "..", long.as_str()] {
            let error = new(name, parent.path(), Language::C, Stage::Validator).expect_err(name).to_string();
            assert!(error.contains("cannot be a policy's name"), "{name}: {error}");
        }
        assert_eq!(fs::read_dir(parent.path()).expect("read").count(), 0, "nothing is left behind");
    }

    #[test]
    fn rust_has_every_stage() {
        assert_eq!(stages(Language::Rust), Stage::ALL);
    }
}
