//! The numbers of fields in CRI's messages, as far as the tests use them. They are those
//! of runtime.v1 in k8s.io/cri-api; a module here is a message there.

/// PodSandboxConfig.
pub(crate) mod pod {
    pub(crate) const METADATA: u32 = 1;
    pub(crate) const HOSTNAME: u32 = 2;
    pub(crate) const LOG_DIRECTORY: u32 = 3;
    pub(crate) const LINUX: u32 = 8;
}

/// PodSandboxMetadata. A container's metadata has only the name.
pub(crate) mod metadata {
    pub(crate) const NAME: u32 = 1;
    pub(crate) const UID: u32 = 2;
    pub(crate) const NAMESPACE: u32 = 3;
}

/// LinuxPodSandboxConfig.
pub(crate) mod linux_pod {
    pub(crate) const CGROUP_PARENT: u32 = 1;
    pub(crate) const SECURITY: u32 = 2;
    pub(crate) const SYSCTLS: u32 = 3;
}

/// LinuxSandboxSecurityContext.
pub(crate) mod pod_security {
    pub(crate) const NAMESPACES: u32 = 1;
    pub(crate) const PRIVILEGED: u32 = 6;
}

/// NamespaceOption, and the values of NamespaceMode.
pub(crate) mod namespaces {
    pub(crate) const NETWORK: u32 = 1;
    pub(crate) const PID: u32 = 2;
    pub(crate) const IPC: u32 = 3;
    pub(crate) const TARGET_ID: u32 = 4;
    pub(crate) const USER: u32 = 5;

    pub(crate) const POD: u64 = 0;
    pub(crate) const CONTAINER: u64 = 1;
    pub(crate) const NODE: u64 = 2;
    pub(crate) const TARGET: u64 = 3;
}

/// UserNamespace, and IDMapping within it.
pub(crate) mod user_namespace {
    pub(crate) const UIDS: u32 = 2;
    pub(crate) const GIDS: u32 = 3;
    pub(crate) const HOST_ID: u32 = 1;
    pub(crate) const CONTAINER_ID: u32 = 2;
    pub(crate) const LENGTH: u32 = 3;
}

/// ContainerConfig.
pub(crate) mod container {
    pub(crate) const METADATA: u32 = 1;
    pub(crate) const IMAGE: u32 = 2;
    pub(crate) const COMMAND: u32 = 3;
    pub(crate) const MOUNTS: u32 = 7;
    pub(crate) const DEVICES: u32 = 8;
    pub(crate) const LOG_PATH: u32 = 11;
    pub(crate) const TTY: u32 = 14;
    pub(crate) const LINUX: u32 = 15;
}

/// LinuxContainerConfig.
pub(crate) mod linux_container {
    pub(crate) const RESOURCES: u32 = 1;
    pub(crate) const SECURITY: u32 = 2;
}

/// LinuxContainerSecurityContext.
pub(crate) mod security {
    pub(crate) const CAPABILITIES: u32 = 1;
    pub(crate) const PRIVILEGED: u32 = 2;
    pub(crate) const NAMESPACES: u32 = 3;
    pub(crate) const RUN_AS_USER: u32 = 5;
    pub(crate) const RUN_AS_USERNAME: u32 = 6;
    pub(crate) const READONLY_ROOTFS: u32 = 7;
    pub(crate) const SUPPLEMENTAL_GROUPS: u32 = 8;
    pub(crate) const NO_NEW_PRIVS: u32 = 11;
    pub(crate) const RUN_AS_GROUP: u32 = 12;
    pub(crate) const MASKED_PATHS: u32 = 13;
    pub(crate) const READONLY_PATHS: u32 = 14;
    pub(crate) const SECCOMP: u32 = 15;
    pub(crate) const APPARMOR: u32 = 16;
}

/// Capability.
pub(crate) mod capabilities {
    pub(crate) const ADD: u32 = 1;
    pub(crate) const DROP: u32 = 2;
}

/// SecurityProfile, and the values of its type.
pub(crate) mod profile {
    pub(crate) const TYPE: u32 = 1;
    pub(crate) const LOCALHOST_REF: u32 = 2;

    pub(crate) const RUNTIME_DEFAULT: u64 = 0;
    pub(crate) const UNCONFINED: u64 = 1;
    pub(crate) const LOCALHOST: u64 = 2;
}

/// LinuxContainerResources.
pub(crate) mod resources {
    pub(crate) const CPU_PERIOD: u32 = 1;
    pub(crate) const CPU_QUOTA: u32 = 2;
    pub(crate) const CPU_SHARES: u32 = 3;
    pub(crate) const MEMORY: u32 = 4;
    pub(crate) const OOM_SCORE_ADJ: u32 = 5;
    pub(crate) const CPUSET_CPUS: u32 = 6;
    pub(crate) const UNIFIED: u32 = 9;
    pub(crate) const MEMORY_SWAP: u32 = 10;
}

/// Mount, and a value of MountPropagation.
pub(crate) mod mount {
    pub(crate) const CONTAINER_PATH: u32 = 1;
    pub(crate) const HOST_PATH: u32 = 2;
    pub(crate) const READONLY: u32 = 3;
    pub(crate) const PROPAGATION: u32 = 5;

    pub(crate) const HOST_TO_CONTAINER: u64 = 1;
    pub(crate) const BIDIRECTIONAL: u64 = 2;
}

/// Device.
pub(crate) mod device {
    pub(crate) const CONTAINER_PATH: u32 = 1;
    pub(crate) const HOST_PATH: u32 = 2;
    pub(crate) const PERMISSIONS: u32 = 3;
}

/// ContainerStatus, and values of ContainerState.
pub(crate) mod status {
    pub(crate) const STATE: u32 = 3;
    pub(crate) const EXIT_CODE: u32 = 7;
    pub(crate) const REASON: u32 = 10;

    pub(crate) const RUNNING: u64 = 1;
    pub(crate) const EXITED: u64 = 2;
}

/// ContainerStats: the paths to the numbers.
pub(crate) mod stats {
    pub(crate) const ID: [u32; 2] = [1, 1];
    pub(crate) const CPU_NANOSECONDS: [u32; 3] = [2, 2, 1];
    pub(crate) const MEMORY_WORKING_SET: [u32; 3] = [3, 2, 1];
}
