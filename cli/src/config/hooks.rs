//! config.json `hooks` (config.md, "POSIX-platform Hooks").

use super::object;
use serde::Deserialize;

/// Programs to run at points of the life cycle.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default)]
pub struct Hooks {
    /// Deprecated: as createRuntime, and before it.
    pub prestart: Vec<Hook>,
    /// In the runtime's namespaces, before pivot_root.
    pub create_runtime: Vec<Hook>,
    /// Of the host, in the container's namespaces, before pivot_root.
    pub create_container: Vec<Hook>,
    /// In the container, before the process is executed.
    pub start_container: Vec<Hook>,
    /// In the runtime's namespaces, after the process was executed.
    pub poststart: Vec<Hook>,
    /// In the runtime's namespaces, after the container was deleted.
    pub poststop: Vec<Hook>,
}

/// A program to run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self")]
pub struct Hook {
    /// Its absolute path.
    pub path: String,
    /// The arguments; the first is the program's name.
    #[serde(default)]
    pub args: Vec<String>,
    /// The environment; None is that of vial, or of the process in the container.
    pub env: Option<Vec<String>>,
    /// After how many seconds it is killed.
    pub timeout: Option<i64>,
}

object! { Hooks, Hook }

impl Hooks {
    /// All of them, in the order in which they run, under their names in config.json.
    pub fn lists(&self) -> [(&'static str, &[Hook]); 6] {
        [
            ("prestart", &self.prestart),
            ("createRuntime", &self.create_runtime),
            ("createContainer", &self.create_container),
            ("startContainer", &self.start_container),
            ("poststart", &self.poststart),
            ("poststop", &self.poststop),
        ]
    }

    /// Whether a later verb than create runs any.
    pub fn outlive_create(&self) -> bool {
        !(self.poststart.is_empty() && self.poststop.is_empty())
    }
}

impl Hook {
    /// Its arguments; those of a hook without any are its path alone.
    pub fn arguments(&self) -> &[String] {
        match self.args.is_empty() {
            true => std::slice::from_ref(&self.path),
            false => &self.args,
        }
    }

    /// After how many seconds it is killed; 0 is never.
    pub fn seconds(&self) -> u32 {
        self.timeout.map_or(0, |seconds| u32::try_from(seconds).unwrap_or(u32::MAX))
    }
}
