//! Rows about most of what a document may have.

use super::super::when;
use super::Row;

/// This part of the table.
pub(super) const ROWS: &[Row] = rows! {
    // What hides a masked path is up to the runtime: config-linux.md, "Masked Paths", asks
    // only that it cannot be read.
    ["crun", "runc"] "report|mounts|*": "*", "*", when::masked,
        "vial hides paths behind one read-only file and directory of its own";
    ["crun", "runc"] "paths|*|mode": "0555", "1777", when::masked,
        "the directory that hides another is the runtime's";
    ["crun", "runc"] "paths|*": "*", "*", when::masked_file,
        "the others hide a file behind /dev/null, which can be written";

    ["crun", "runc"] "report|mounts|/dev/*": "*", "*", when::bound_device,
        "in a user namespace vial binds nodes that it makes, the others bind the host's";
    ["crun", "runc"] "report|dev|*|uid": "*", "65534", when::bound_device,
        "the host's node belongs to the host's root";
    ["crun", "runc"] "report|dev|*|gid": "*", "65534", when::bound_device,
        "the host's node belongs to the host's root";
    ["crun", "runc"] "paths|/dev/*|owner": "*", "65534:65534", when::bound_device,
        "the host's node belongs to the host's root";

    ["crun", "runc"] "report|dev|*|mode": "*", "*", when::bound_device,
        "a bound node has the mode of the host's, and not that of fileMode";
    ["crun", "runc"] "paths|/dev/*": "*", "*", when::bound_device,
        "a bound node has the mode of the host's, and not that of fileMode";

    ["crun"] "report|mounts|*|propagation": "*", "", when::slave_root,
        "crun makes the rootfs private before it makes it a slave";
    ["crun 1.8", "crun 1.21"] "report|mounts|*|super": "*", "*", when::read_only_super,
        "crun makes the mount read-only and not the filesystem";
    ["crun 1.8", "crun 1.21"] "rootfs|*": "40755 *", "41755 *", when::always,
        "crun makes missing directories with the sticky bit";
    ["crun", "runc"] "paths|/dev/core*": "*", "*", when::always, "the others link /dev/core to the memory of the kernel, which the spec does not ask for";
    ["crun", "runc"] "report|dev|core|*": "", "*", when::always, "the others link /dev/core to the memory of the kernel, which the spec does not ask for";
    ["crun", "runc"] "paths|/dev|read": "*", "*", when::but_for_core, "the others link /dev/core to the memory of the kernel, which the spec does not ask for";
    ["crun"] "report|session_keyring|name": "_ses.*", "vial-differential", when::always,
        "vial names the keyring as runc does";
    ["crun"] "report|session_keyring|permissions": "3f1b0000", "3f130000", when::always,
        "vial lets the user search the keyring, as runc does";
    ["runc"] "report|session_keyring|permissions": "3f1b0000", "3f130008", when::user_namespace,
        "in a user namespace, runc lets everybody search the keyring";
    ["crun 1.8", "crun 1.21"] "report|mounts|*|options": "*", "*", when::loses_flags,
        "crun's read-only path loses flags of the mount that it lies on";
    ["crun", "runc 1.1"] "report|environ": "*", "*", when::same_variables,
        "the last of two variables counts, in its own place; vial adds HOME at the end";
    ["crun 1.8", "crun 1.21"] "report|environ": "*", "*", when::home_missing,
        "crun sets HOME only if /etc/passwd has the user";
    ["crun 1.8", "runc 1.1"] "report|mounts|*|super": "*mode=*", "*", when::tmpfs_mode,
        "a tmpfs without mode= has the mode of the directory that it covers";
    ["runc 1.1"] "report|domainname": "*", "(none)", when::always,
        "runc has domainname since 1.2";
    ["runc 1.1", "crun 1.8"] "report|scheduler|*": "*", "*", when::scheduled,
        "runc has scheduler and ioPriority since 1.2, crun since 1.9";
    ["runc 1.1"] "end": "exit status: 0", "refused: *namespace {*time*} does not exist*",
        when::always, "runc has time namespaces since 1.2";
    ["crun 1.8", "crun 1.21", "runc 1.1"] "end": "exit status: 0", "refused: *ap*: *peration not permitted*",
        when::capabilities_beyond,
        "what cannot be granted is left out with a warning: config.md, \"Linux Process\"";
    ["runc 1.1"] "end": "exit status: 0", "refused: *flags: 0x5000: invalid argument*",
        when::unbindable_root, "runc makes the rootfs unbindable, and then cannot bind it";
    ["crun 1.8", "crun 1.21"] "report|mounts|/sys/fs/cgroup|source": "cgroup", "cgroup2", when::always,
        "vial keeps the source that config.json gives";
    ["crun", "runc"] "*|apparmor": "unconfined", "* (unconfined)", when::always,
        "Debian gives the others a profile that confines nothing, and their containers have it";
    ["crun 1.8", "crun 1.21", "runc 1.1"] "report|mounts|*|options": "*", "*", when::clears_flags,
        "a bind keeps the flags of the mount that its source lies on; crun clears them, runc where another option is given";
    ["crun 1.8", "crun 1.21"] "rootfs|*": "100644 *", "100700 *", when::always,
        "the mode of a file that is made as a mount's target is the runtime's";
    ["runc"] "rootfs|*": "100644 *", "100755 *", when::always,
        "the mode of a file that is made as a mount's target is the runtime's";
    ["crun", "runc"] "rootfs|/dev/core": "", "120777 *", when::always, "the others link /dev/core to the memory of the kernel, which the spec does not ask for";
    ["crun 1.8", "crun 1.21"] "paths|*": "*", "*", when::tmpfs_without_mode,
        "a tmpfs has the mode of the directory that it covers: crun pull request 1331";
    ["runc 1.1.5"] "paths|*": "*", "*", when::tmpfs_with_mode,
        "runc sets the mode of the covered directory even where mode= is given: runc issue 3911";
    ["crun", "runc"] "end": "refused: *has a system call \"not_a_call\"", "exit status: *",
        when::always, "a rule that would deny nothing is refused";
    ["crun 1.8", "crun 1.21"] "end": "exit status: 0", "refused: *openat2 `dangling`: No such file or directory",
        when::always, "vial makes the target of a dangling link, within the rootfs, as runc does";
    ["runc 1.1"] "report|personality": "*", "00000000", when::personality,
        "runc has personality since 1.2";
    ["crun 1.8"] "report|mounts|*|options": "*", "*", when::read_only_within,
        "crun does not make a read-only path read-only that lies in another one";
    ["crun 1.8", "crun 1.21"] "paths|*|write": "EROFS", "*", when::read_only_within,
        "crun does not make a read-only path read-only that lies in another one";
    ["crun 1.8", "crun 1.21"] "report|mounts|*|options": "*", "*", when::later_option,
        "of two options that exclude each other the later counts, as in mount(8)";
    ["runc"] "report|mounts|*|options": "*", "*", when::two_access_times,
        "of two options that exclude each other the later counts, as in mount(8)";
    ["crun 1.8", "crun 1.21"] "report|mounts|*|propagation": "*shared", "*", when::shared_root,
        "mounts on a shared mount are shared; crun makes the rootfs shared after them";
    ["runc"] "end": "exit status: 0", "refused: *error reopening /dev/null*", when::default_device,
        "runc's filter allows a default device only if linux.devices does not list it";
    ["runc"] "paths|*": "*", "EPERM", when::default_device,
        "runc's filter allows a default device only if linux.devices does not list it";
    ["crun"] "paths|*": "EPERM", "*", when::no_device_rules,
        "crun filters devices only if resources.devices has rules; vial and runc always do";
    ["crun 1.8", "crun 1.21"] "report|mounts|*": "", "*", when::below_bind,
        "crun takes a recursive propagation as a recursive bind";
    ["crun 1.8"] "paths|*": "*", "*", when::below_bind,
        "crun takes a recursive propagation as a recursive bind";
    ["crun"] "paths|/sys/fs/cgroup|owner": "65534:65534", "0:0", when::read_only_cgroup,
        "the spec gives a cgroup to the root of a user namespace only if it is mounted read/write";
    ["crun", "runc"] "report|cgroup": "*", "*", when::no_cgroups_path,
        "the place of a container without cgroupsPath is up to the runtime";
    ["runc"] "report|dev|mqueue|gid": "0", "65534", when::user_namespace,
        "runc makes the IPC namespace before it has the group of the container's root";
    ["runc"] "paths|*/mqueue|owner": "0:0", "0:65534", when::user_namespace,
        "runc makes the IPC namespace before it has the group of the container's root";
    ["crun 1.8", "crun 1.21"] "end": "exit status: 0", "refused: invalid target `mnt/*`: it must be mounted at the root",
        when::always, "crun mounts proc and sysfs in their usual places alone";
    ["runc 1.1"] "end": "exit status: 0", "refused: *tmpcopyup: failed to *", when::always,
        "runc follows the link to the destination once more when it copies";
    ["runc"] "report|mounts|*|propagation": "*shared", "*", when::shared_root,
        "runc makes the rootfs private after it was made shared, unless it is a mount of its own";
    ["runc"] "report|groups": "*", "*", when::group_twice, "runc leaves out a group's second entry";
    ["runc"] "report|mounts|*|super": "*", "*", when::read_only_super,
        "runc makes a tmpfs read-only after mounting it";
    ["runc"] "rootfs|/dev/*": "100644 *", "100666 *", when::user_namespace,
        "the mode of a file that is made as a mount's target is the runtime's";
    ["crun"] "end": "exit status: 0", "refused: seccomp_rule_add*: File exists", when::rule_twice,
        "of two rules for the same call the first counts; libseccomp refuses the second";
    ["runc"] "end": "exit status: 0", "refused: *flags: 0x*: operation not permitted*", when::user_namespace,
        "runc changes flags in the user namespace that the host has locked, vial outside of it";
    ["crun"] "end": "exit status: 0", "refused: set propagation for *: Invalid argument", when::two_propagations,
        "of two options that exclude each other the later counts, as in mount(8)";
    ["crun 1.8", "crun 1.21"] "report|mounts|*": "*", "", when::user_namespace,
        "in a user namespace crun binds without what is mounted below the source";
    ["crun"] "end": "refused: *open the source: open_tree(2): EINVAL*", "exit status: 0", when::user_namespace,
        "a copy of a mount that is ro, nosuid, nodev or noexec would let the container take that away; runc refuses, too";
    ["crun"] "end": "refused: *set the mount's flags: mount(2): EPERM*", "exit status: 0", when::user_namespace,
        "a copy of a mount that is ro, nosuid, nodev or noexec would let the container take that away; runc refuses, too";
    ["crun", "runc"] "report|cgroup_files|cgroup.controllers": "*", "*", when::always,
        "vial enables only the controllers that a limit needs";
    ["crun 1.8", "crun 1.21", "runc 1.1"] "cgroup|cpu.weight": "*", "*", when::shares,
        "vial converts shares as crun 1.24 and runc 1.3.2 do";
    ["crun 1.8", "crun 1.21", "runc 1.1"] "report|cgroup_files|cpu.weight": "*", "*", when::shares,
        "vial converts shares as crun 1.24 and runc 1.3.2 do";
    ["crun", "runc"] "signals|ignored": "0000000000001000", "*1000", when::always,
        "vial resets the signals that its caller ignores";
    ["runc 1.1"] "report|rlimits|RLIMIT_NOFILE|soft": "*", "*", when::no_nofile,
        "Go raises its own limit, and runc passes it on: runc issue 4195";
    ["runc"] "report|mounts|*|super": "memory_recursiveprot nsdelegate *", "*", when::always,
        "runc's mount takes the host's own mount of cgroup2 these options";
    ["crun 1.8", "runc 1.1"] "prctl|timerslack": "0", "50000", when::scheduled,
        "runc has scheduler since 1.2, crun since 1.9";
    ["crun", "runc"] "calls|*": "*", "*", when::two_actions,
        "of two rules for the same call the first that matches counts; libseccomp sorts them";
    ["crun 1.8", "crun 1.21"] "report|mounts|*|options": "*", "*", when::two_access_times,
        "of two options that exclude each other the later counts, as in mount(8)";
    ["runc"] "report|dev|*": "*", "*", when::bound_device,
        "a bound node has the owner of the host's";
    ["runc 1.1"] "end": "exit status: 0", "refused: *cannot run executable found relative to current directory*",
        when::empty_path_entry, "an empty entry in PATH is the working directory: execvp(3)";
    ["crun", "runc"] "left|mount|*": "", "yes", when::always,
        "where mounts are shared, the others mount on the host's /dev/null when they mount on a path that they masked with it";
    ["runc"] "report|mounts|*": "", "*", when::masked_above,
        "vial masks first, and below that leaves nothing to make read-only";
    ["crun", "runc"] "report|mounts|*": "*", "*", when::mounted_twice,
        "runc makes a tmpfs read-only by its path after all mounts; crun mounts some in another order";
    ["runc"] "paths|*|write": "ok", "EROFS", when::mounted_twice,
        "runc makes a tmpfs read-only by its path after all mounts";
    ["runc"] "end": "exit status: 0", "refused: *flags: 0x*: invalid argument*", when::user_namespace,
        "runc cannot bind without what the host has mounted below, vial does so outside of the user namespace";
    ["crun 1.21"] "report|mounts|*": "", "*", when::masked_bind,
        "crun masks a path of a shared mount, and with it the same directory elsewhere";
    ["crun 1.21"] "report|dev|*": "*", "*", when::masked_bind,
        "crun masks a path of a shared mount, and with it the same directory elsewhere";
    ["crun 1.21"] "end": "exit status: 0", "refused: unshare: Invalid argument",
        when::time_namespace_without_pids, "crun cannot make a time namespace in a PID namespace that exists";
    ["crun"] "end": "refused: *EROFS*the rootfs is read-only on the host*", "exit status: 0", when::always,
        "crun makes a bind read-only after all mounts, so that more can be mounted in it; runc refuses, too";
    ["crun"] "end": "refused: *make the device node: mknodat(2): EROFS*", "exit status: 0", when::always,
        "crun makes a bind read-only after all mounts and devices, so that some can be made in it; runc refuses, too";
    ["crun"] "paths|*|write": "EROFS", "*", when::read_only_above,
        "crun's read-only path loses flags of the mount that it lies on";
    ["runc"] "end": "exit status: 0", "refused: *can't mask path*invalid argument*", when::always,
        "runc masks a path by its name once more after it was masked";
    ["runc"] "end": "exit status: 0", "refused: *flags: 0x10*: no such file or directory*", when::always,
        "runc makes a tmpfs read-only by its path after all mounts";
    ["runc"] "end": "exit status: 0", "refused: *flags: 0x102*: invalid argument*", when::always,
        "runc makes a tmpfs read-only by its path after all mounts";
    ["runc 1.1.15"] "report|mounts|*|propagation": "master shared", "shared", when::slave_root,
        "runc makes the mount below the rootfs private, and with it what is mounted in the rootfs";
    ["crun 1.21"] "end": "exit status: 0", "refused: *internal error: cannot use MS_MOVE with MS_BIND*",
        when::recursive_times, "crun takes rrelatime for something else";
    ["crun"] "paths|*": "*", "EACCES", when::later_option,
        "of two options that exclude each other the later counts, as in mount(8)";
    ["crun 1.21"] "paths|*": "*", "*", when::covered_null,
        "crun mounts on the host's /dev/null, with which it masks other paths";
    ["crun"] "report|dev|*": "*", "*", when::bound_device,
        "a bound node has the owner of the host's";
    ["crun", "runc"] "paths|*|owner": "*", "0:0", when::mounted_twice,
        "vial's tmpcopyup copies the owner of the directory itself, too";
    ["runc"] "report|mounts|*|options": "*", "*", when::later_option,
        "of two options that exclude each other the later counts, as in mount(8)";
    ["runc"] "paths|*|write": "*", "EROFS", when::later_option,
        "of two options that exclude each other the later counts, as in mount(8)";
    ["runc"] "end": "exit status: 0", "refused: *adding seccomp rule*file exists*", when::rule_twice,
        "of two rules for the same call the first counts; libseccomp refuses the second";
    ["crun"] "report|mounts|*|propagation": "shared", "", when::private_root,
        "crun makes the root private after all mounts";
    ["runc 1.1"] "report|mounts|*|propagation": "shared", "", when::shared_above,
        "a mount on a shared mount is shared; runc makes some of them private";
    ["crun 1.21"] "report|mounts|*|options": "rw", "relatime rw", when::user_namespace,
        "crun does not set strictatime where the kernel has locked the access time";
    ["crun 1.21"] "report|mounts|*|options": "noatime rw", "relatime rw", when::user_namespace,
        "crun does not set noatime where the kernel has locked the access time";
    ["crun 1.21"] "report|namespaces|pid": "host's", "own", when::time_namespace_without_pids,
        "crun makes a PID namespace together with a time namespace";
    ["crun 1.21"] "report|p*pid": "*", "*", when::time_namespace_without_pids,
        "crun makes a PID namespace together with a time namespace";
    ["crun 1.21"] "report|pid": "*", "*", when::time_namespace_without_pids,
        "crun makes a PID namespace together with a time namespace";
    ["crun 1.21"] "paths|/proc/1/environ|*": "*", "*", when::time_namespace_without_pids,
        "crun makes a PID namespace together with a time namespace";
    ["crun 1.21"] "end": "exit status: 0", "refused: open `/proc/self/timens_offsets`: Permission denied",
        when::user_namespace, "crun writes the offsets when the user namespace may no longer";
    ["crun 1.8", "crun 1.21"] "end": "exit status: 0", "refused: mount_setattr `*`: Invalid argument",
        when::recursive_times, "crun does not clear the field of the access time";
    ["crun 1.21"] "report|mounts|*|options": "*", "*nosymfollow*", when::recursive_times,
        "crun takes rrelatime for rnosymfollow";
    ["crun"] "paths|*|write": "*", "EROFS", when::later_option,
        "of two options that exclude each other the later counts, as in mount(8)";
    ["crun 1.8", "runc"] "report|mounts|/sys/fs/cgroup|propagation": "*", "", when::always,
        "the others leave out the propagation of a cgroup mount";
    ["runc"] "paths|/sys/fs/cgroup|*": "*", "*", when::user_namespace,
        "vial gives the cgroup to the container's root also where no controller is enabled";
    ["crun 1.21"] "report|dev|*|mode": "0755", "1755", when::always,
        "crun makes missing directories with the sticky bit";
    ["runc 1.1.15"] "report|mounts|*|propagation": "master", "", when::slave_root,
        "runc makes the mount below the rootfs private, and with it what is mounted in the rootfs";
    ["crun", "runc"] "report|mounts|*|propagation": "*", "*", when::one_root_propagation,
        "the others set a propagation that is not recursive on the host's root, and not on the rootfs";
};
