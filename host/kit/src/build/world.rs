//! The interfaces as a project needs them.
//!
//! Compilers leave out imports that a program does not use. The engines of dynamic languages import all that a world has,
//! and a policy in one would need every grant that its stage can have. For those, the world is cut down to the interfaces
//! that the project's own source names.

use std::fs;
use std::path::{Path, PathBuf};

use crate::embedded::{self, write};
use crate::{KitError, Project};

/// The interfaces that a world imports beside types.
const INTERFACES: [&str; 6] = ["log", "clock", "random", "review", "cluster", "signatures"];

/// Writes the interfaces with worlds that import no more than `uses` says, into the project's `build/` folder.
pub(super) fn cut(project: &Project, uses: impl Fn(&str, &str) -> bool) -> Result<PathBuf, KitError> {
    let mut sources = String::new();
    read(&project.dir, &mut sources)?;
    let left_out: Vec<String> = INTERFACES
        .into_iter()
        .filter(|interface| !uses(&sources, interface))
        .map(|interface| format!("    import {interface};"))
        .collect();
    let folder = project.dir.join("build/wit");
    for (path, bytes) in embedded::below("wit") {
        let text = String::from_utf8_lossy(bytes);
        let kept: Vec<&str> = text.lines().filter(|line| !left_out.iter().any(|out| out == line)).collect();
        write(&folder.join(path), (kept.join("\n") + "\n").as_bytes())?;
    }
    Ok(folder)
}

/// The text of a project's own scripts, without the SDK's.
fn read(folder: &Path, sources: &mut String) -> Result<(), KitError> {
    for entry in fs::read_dir(folder).map_err(KitError::file(folder))? {
        let path = entry.map_err(KitError::file(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ours = ["sdk", "build", "cases", "node_modules", "__pycache__"].contains(&&*name) || name.starts_with('.');
        if path.is_dir() && !ours {
            read(&path, sources)?;
        } else if path.extension().is_some_and(|end| end == "js" || end == "mjs" || end == "py") {
            sources.push_str(&fs::read_to_string(&path).map_err(KitError::file(&path))?);
        }
    }
    Ok(())
}

/// Whether a script in JavaScript imports an interface: `from "portcullis:policy/cluster@0.1.0"`.
pub(super) fn in_javascript(sources: &str, interface: &str) -> bool {
    sources.contains(&format!("portcullis:policy/{interface}@"))
}

/// Whether a script in Python imports an interface: `from wit_world.imports import cluster`.
pub(super) fn in_python(sources: &str, interface: &str) -> bool {
    sources
        .lines()
        .filter(|line| line.contains("wit_world.imports"))
        .any(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == interface))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_imports() {
        let check = |sources: &str, javascript: bool, python: bool| {
            assert_eq!(
                (in_javascript(sources, "cluster"), in_python(sources, "cluster")),
                (javascript, python),
                "{sources}"
            );
        };
        check("// reads the cluster\n", false, false);
        check("import { get } from \"portcullis:policy/cluster@0.1.0\";", true, false);
        check("from wit_world.imports import log, cluster\n", false, true);
        check("from wit_world.imports import log\n# the cluster", false, false);
        check("import wit_world.imports.cluster as c", false, true);
    }

    #[test]
    fn a_world_is_cut_down() {
        let dir = tempfile::tempdir().expect("a folder");
        for (name, text) in
            [("package.json", "{}"), ("plugin.yaml", "{}"), ("policy.js", "import \"portcullis:policy/log@0.1.0\"")]
        {
            fs::write(dir.path().join(name), text).expect("written");
        }
        let project = Project {
            dir: dir.path().to_owned(),
            language: crate::Language::JavaScript,
            manifest: serde_json::json!({}),
            stage: portcullis_policy::Stage::Validator,
        };
        let worlds = fs::read_to_string(cut(&project, in_javascript).expect("cut").join("worlds.wit")).expect("read");
        assert!(worlds.contains("    import log;\n") && worlds.contains("    export validator;\n"));
        assert!(!worlds.contains("    import cluster;\n") && !worlds.contains("    import clock;\n"));
    }
}
