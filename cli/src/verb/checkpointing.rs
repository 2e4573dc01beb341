//! The flags that checkpoint and restore share.

/// Defines a verb that has criu work: the shared flags and its own.
macro_rules! checkpointing {
    ($(#[$of_verb:meta])* pub struct $Verb:ident { $($own:tt)* }) => {
        #[derive(argh::FromArgs, argh::ArgsInfo, Debug)]
        $(#[$of_verb])*
        pub struct $Verb {
            /// directory of the images (default checkpoint)
            #[argh(option, arg_name = "dir")]
            image_path: Option<std::path::PathBuf>,
            /// directory of criu's log (default that of the images)
            #[argh(option, arg_name = "dir")]
            work_path: Option<std::path::PathBuf>,
            /// allow established TCP connections
            #[argh(switch)]
            tcp_established: bool,
            /// allow unix sockets that lead out of the container
            #[argh(switch)]
            ext_unix_sk: bool,
            /// allow a session or terminal of the host's
            #[argh(switch)]
            shell_job: bool,
            /// allow file locks
            #[argh(switch)]
            file_locks: bool,
            /// bring memory only when it is used, by userfaultfd(2)
            #[argh(switch)]
            lazy_pages: bool,
            /// what criu does to cgroups: soft (default), full, strict or ignore
            #[argh(option, arg_name = "mode")]
            manage_cgroups_mode: Option<String>,
            /// accepted: network. Its devices and addresses are never dumped
            #[argh(option, arg_name = "namespace")]
            empty_ns: Vec<String>,
            /// drop pages of images that are not needed any more
            #[argh(switch)]
            auto_dedup: bool,
            $($own)*
            /// the container's id
            #[argh(positional)]
            id: String,
        }

        impl $Verb {
            /// What the shared flags say.
            fn shared(&self) -> $crate::criu::Options {
                use $crate::criu::option;
                $crate::criu::Options {
                    images: self.image_path.clone().unwrap_or_else(|| "checkpoint".into()),
                    work: self.work_path.clone(),
                    switches: vec![
                        (option::TCP_ESTABLISHED, self.tcp_established),
                        (option::EXT_UNIX_SK, self.ext_unix_sk),
                        (option::SHELL_JOB, self.shell_job),
                        (option::FILE_LOCKS, self.file_locks),
                        (option::LAZY_PAGES, self.lazy_pages),
                        (option::AUTO_DEDUP, self.auto_dedup),
                    ],
                    cgroups_mode: self.manage_cgroups_mode.clone(),
                    empty_namespaces: self.empty_ns.clone(),
                }
            }
        }
    };
}

pub(super) use checkpointing;
