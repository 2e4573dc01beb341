//! config.json `hooks` (config.md, "POSIX-platform Hooks").

use super::object;

object! {
    /// Programs to run at points of the life cycle.
    #[derive(Clone, Debug, Default)]
    pub struct Hooks {
        /// Deprecated: as createRuntime, and before it.
        pub prestart: Vec<Hook> = "prestart",
        /// In the runtime's namespaces, before pivot_root.
        pub create_runtime: Vec<Hook> = "createRuntime",
        /// Of the host, in the container's namespaces, before pivot_root.
        pub create_container: Vec<Hook> = "createContainer",
        /// In the container, before the process is executed.
        pub start_container: Vec<Hook> = "startContainer",
        /// In the runtime's namespaces, after the process was executed.
        pub poststart: Vec<Hook> = "poststart",
        /// In the runtime's namespaces, after the container was deleted.
        pub poststop: Vec<Hook> = "poststop",
    }

    /// A program to run.
    #[derive(Clone, Debug, Default)]
    pub struct Hook {
        /// Its absolute path.
        pub path: String = "path" needed,
        /// The arguments; the first is the program's name.
        pub args: Vec<String> = "args",
        /// The environment; None is that of vial, or of the process in the container.
        pub env: Option<Vec<String>> = "env",
        /// After how many seconds it is killed.
        pub timeout: Option<i64> = "timeout",
    }
}

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
