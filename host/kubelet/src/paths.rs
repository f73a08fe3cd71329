//! Where a pod's files are: below one directory a pod, `ROOT/pods/UID`, so that nothing of it is left once that is gone.
//!
//! | path | what |
//! |---|---|
//! | `volumes/…` | its volumes |
//! | `logs/CONTAINER/N.log` | the output of the container's Nth start, in the CRI's format |
//! | `containers/CONTAINER/N/` | what the container sees at the folder of its `terminationMessagePath` |

use std::io;
use std::path::{Component, Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use portcullis_client::ObjectExt;
use portcullis_machinery::Value;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::pods::spec;

#[cfg(test)]
mod tests;

/// The longest termination message; of a log that stands for one, half of it.
const MAX_MESSAGE: usize = 4096;

/// The directories of a node's pods.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pods: PathBuf,
}

/// A name as one part of a path. Names come from the API, which promises this; a directory is too dear to rely on it.
fn part(name: &str) -> io::Result<&str> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(_)), None) => Ok(name),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} cannot name a directory"))),
    }
}

impl Paths {
    pub(crate) fn new(root: &Path) -> Self {
        Self { pods: root.join("pods") }
    }

    fn pod(&self, pod: &Value) -> io::Result<PathBuf> {
        Ok(self.pods.join(part(pod.uid())?))
    }

    /// Makes a pod's directory.
    pub(crate) fn make_pod(&self, pod: &Value) -> io::Result<()> {
        std::fs::create_dir_all(self.pod(pod)?)
    }

    /// Removes all of a pod.
    pub(crate) fn remove_pod(&self, pod: &Value) -> io::Result<()> {
        gone(std::fs::remove_dir_all(self.pod(pod)?))
    }

    /// Removes the directories of pods that are not `kept`, by uid.
    pub(crate) fn remove_orphans(&self, kept: impl Fn(&str) -> bool) -> io::Result<usize> {
        let mut removed = 0;
        let entries = match std::fs::read_dir(&self.pods) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(&kept) {
                gone(std::fs::remove_dir_all(entry.path()))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn logs(&self, pod: &Value, container: &str) -> PathBuf {
        self.pods.join(pod.uid()).join("logs").join(container)
    }

    /// The log of a container's start number `attempt`.
    pub(crate) fn log(&self, pod: &Value, container: &str, attempt: u32) -> PathBuf {
        self.logs(pod, container).join(format!("{attempt}.log"))
    }

    /// Removes the logs and message directories that nobody can ask for any more, now that `attempt` has started: all but
    /// the last two.
    pub(crate) fn drop_old_logs(&self, pod: &Value, container: &str, attempt: u32) -> io::Result<()> {
        let old =
            |name: &str| name.split('.').next().and_then(|n| n.parse::<u32>().ok()).is_some_and(|n| n + 1 < attempt);
        for directory in [self.logs(pod, container), self.pod(pod)?.join("containers").join(part(container)?)] {
            let entries = match std::fs::read_dir(&directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                if !entry.file_name().to_str().is_some_and(old) {
                    continue;
                }
                gone(if entry.file_type()?.is_dir() {
                    std::fs::remove_dir_all(entry.path())
                } else {
                    std::fs::remove_file(entry.path())
                })?;
            }
        }
        Ok(())
    }

    fn messages(&self, pod: &Value, container: &str, attempt: u32) -> io::Result<PathBuf> {
        Ok(self.pod(pod)?.join("containers").join(part(container)?).join(attempt.to_string()))
    }

    /// Makes the directory in which a container leaves its termination message: where it is, and where the container is
    /// to see it.
    pub(crate) fn make_termination_directory(
        &self,
        pod: &Value,
        container: &str,
        attempt: u32,
        message_path: &str,
    ) -> io::Result<(PathBuf, String)> {
        let directory = self.messages(pod, container, attempt)?;
        std::fs::create_dir_all(&directory)?;
        let inside = message_path.rsplit_once('/').map_or("", |(folder, _)| folder);
        Ok((directory, if inside.is_empty() { "/".to_owned() } else { inside.to_owned() }))
    }

    /// What a container that ended left as its message; the end of its log, if its pod wants that and it failed.
    pub(crate) async fn termination_message(
        &self,
        pod: &Value,
        container: &str,
        attempt: u32,
        exit_code: i32,
    ) -> Option<String> {
        let container = spec::container(pod, container)?;
        let given = match container.value.str_at(&["terminationMessagePath"]) {
            "" => "/dev/termination-log",
            path => path,
        };
        let file = given.rsplit('/').next().unwrap_or_default().to_owned();
        let directory = self.messages(pod, container.name(), attempt).ok()?;
        // The container may have put a link there: it is followed inside the directory only.
        let read = tokio::task::spawn_blocking(move || {
            use std::io::Read as _;
            let file = Dir::open_ambient_dir(directory, ambient_authority())?.open(file)?;
            let mut text = Vec::new();
            file.take(MAX_MESSAGE as u64).read_to_end(&mut text)?;
            io::Result::Ok(String::from_utf8_lossy(&text).into_owned())
        });
        let message = read.await.ok()?.unwrap_or_default();
        let wants_log = container.value.str_at(&["terminationMessagePolicy"]) == "FallbackToLogsOnError";
        if message.is_empty() && wants_log && exit_code != 0 {
            return log_tail(&self.log(pod, container.name(), attempt)).await;
        }
        (!message.is_empty()).then_some(message)
    }
}

/// What is gone already need not be removed.
fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// The last 80 lines of a log, at most 2 KiB of them, without the CRI's columns.
async fn log_tail(path: &Path) -> Option<String> {
    let mut file = tokio::fs::File::open(path).await.ok()?;
    let length = file.metadata().await.ok()?.len();
    file.seek(io::SeekFrom::Start(length.saturating_sub(16 * 1024))).await.ok()?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).await.ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut lines: Vec<&str> = text.lines().filter_map(|line| line.splitn(4, ' ').nth(3)).collect();
    let first = lines.len().saturating_sub(80);
    lines.drain(..first);
    let mut message = lines.join("\n");
    message.push('\n');
    let mut start = message.len().saturating_sub(MAX_MESSAGE / 2);
    while !message.is_char_boundary(start) {
        start += 1;
    }
    Some(message.split_off(start))
}
