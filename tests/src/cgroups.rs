//! Which cgroups a machine mounts.

/// The parameter on the kernel's command line that selects them.
pub const CGROUPS: &str = "vial.cgroups=";

/// The cgroups of a machine whose root is a tmpfs or the initramfs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cgroups {
    /// cgroup2, as systemd mounts it.
    #[default]
    V2,
    /// cgroup2 without nsdelegate.
    Undelegated,
    /// The hierarchies of cgroup v1 alone.
    V1,
    /// Those, and cgroup2 at `unified`.
    Hybrid,
}

impl Cgroups {
    /// All of them.
    pub const ALL: [Cgroups; 4] = [Cgroups::V2, Cgroups::Undelegated, Cgroups::V1, Cgroups::Hybrid];

    /// The value of [`CGROUPS`] on the kernel's command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Cgroups::V2 => "v2",
            Cgroups::Undelegated => "undelegated",
            Cgroups::V1 => "v1",
            Cgroups::Hybrid => "hybrid",
        }
    }

    /// The ones with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == name)
    }
}
