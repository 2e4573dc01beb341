//! The system tests: one topic a file, and each test is named after its claim.

use crate::runner::Topic;

mod bad_config;
mod bad_rootfs;
mod bad_surroundings;
mod bind_links;
mod binds;
mod cgroup;
mod cgroup_places;
mod cgroup_reuse;
mod cgroup_v1;
mod checkpoint;
mod children;
mod chroot;
mod chroot_verbs;
mod command_line;
mod container;
mod crowd;
mod debug_log;
mod device_binds;
mod doctor;
mod edit;
mod endings;
mod escapes;
mod events;
mod exec;
mod exec_cgroup;
mod fallbacks;
mod features;
mod foreground;
mod global;
mod harness;
mod hidden;
mod hooks;
mod hostile;
mod id_maps;
mod joined;
mod kept;
mod keyring;
mod labels;
mod lifecycle;
mod links;
mod masks;
mod mount_order;
mod mounted;
mod moved;
mod names;
mod namespaces;
mod net_devices;
mod no_process;
mod notify;
mod oom;
mod own_inode;
mod pidfd;
mod plan;
mod preserve_fds;
mod process_setup;
mod procfs;
mod root_mounts;
mod rootfs;
mod run;
mod scheduling;
mod sd_notify;
mod seccomp;
mod security;
mod selinux;
mod signals;
mod stuck;
mod systemd_cgroup;
mod systemd_user;
mod terminal;
mod tight;
mod unfiltered;
mod units;
mod unwaited;
mod update;
pub(crate) mod userns;
mod userns_sources;
mod views;
mod warnings;

pub(crate) use container::at_once;

/// Every topic; later ones build on what earlier ones check.
pub const ALL: &[&Topic] = &[
    &harness::TOPIC,
    &run::TOPIC,
    &lifecycle::TOPIC,
    &foreground::TOPIC,
    &selinux::TOPIC,
    &signals::TOPIC,
    &unwaited::TOPIC,
    &update::TOPIC,
    &stuck::TOPIC,
    &hooks::TOPIC,
    &endings::TOPIC,
    &crowd::TOPIC,
    &events::TOPIC,
    &hostile::TOPIC,
    &terminal::TOPIC,
    &exec::TOPIC,
    &exec_cgroup::TOPIC,
    &moved::TOPIC,
    &checkpoint::TOPIC,
    &children::TOPIC,
    &keyring::TOPIC,
    &oom::TOPIC,
    &own_inode::TOPIC,
    &no_process::TOPIC,
    &labels::TOPIC,
    &process_setup::TOPIC,
    &views::TOPIC,
    &global::TOPIC,
    &command_line::TOPIC,
    &debug_log::TOPIC,
    &features::TOPIC,
    &warnings::TOPIC,
    &preserve_fds::TOPIC,
    &bad_config::TOPIC,
    &bad_rootfs::TOPIC,
    &bad_surroundings::TOPIC,
    &namespaces::TOPIC,
    &names::TOPIC,
    &net_devices::TOPIC,
    &pidfd::TOPIC,
    &plan::TOPIC,
    &kept::TOPIC,
    &joined::TOPIC,
    &rootfs::TOPIC,
    &root_mounts::TOPIC,
    &chroot::TOPIC,
    &chroot_verbs::TOPIC,
    &binds::TOPIC,
    &bind_links::TOPIC,
    &id_maps::TOPIC,
    &security::TOPIC,
    &escapes::TOPIC,
    &procfs::TOPIC,
    &masks::TOPIC,
    &mount_order::TOPIC,
    &links::TOPIC,
    &tight::TOPIC,
    &cgroup::TOPIC,
    &cgroup_places::TOPIC,
    &cgroup_reuse::TOPIC,
    &cgroup_v1::TOPIC,
    &systemd_cgroup::TOPIC,
    &systemd_user::TOPIC,
    &scheduling::TOPIC,
    &sd_notify::TOPIC,
    &seccomp::TOPIC,
    &notify::TOPIC,
    &userns::TOPIC,
    &userns_sources::TOPIC,
    &device_binds::TOPIC,
    &doctor::TOPIC,
    &unfiltered::TOPIC,
    &units::TOPIC,
    &fallbacks::TOPIC,
    &hidden::TOPIC,
];
