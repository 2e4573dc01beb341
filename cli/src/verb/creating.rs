//! The flags that create and run share.

/// Defines a verb that makes a container: the shared flags and its own.
macro_rules! creating {
    ($(#[$of_verb:meta])* pub struct $Verb:ident { $($own:tt)* }) => {
        #[derive(argh::FromArgs, argh::ArgsInfo, Debug)]
        $(#[$of_verb])*
        pub struct $Verb {
            /// the bundle's directory (default .)
            #[argh(option, short = 'b', arg_name = "dir")]
            bundle: Option<std::path::PathBuf>,
            /// socket to which the terminal's master is sent
            #[argh(option, arg_name = "socket")]
            console_socket: Option<std::path::PathBuf>,
            /// file to read instead of the bundle's config.json
            #[argh(option, short = 'f', arg_name = "file")]
            config: Option<std::path::PathBuf>,
            /// socket to which a pidfd of the process is sent
            #[argh(option, arg_name = "socket")]
            pidfd_socket: Option<std::path::PathBuf>,
            /// file to which the process's pid is written
            #[argh(option, arg_name = "file")]
            pid_file: Option<std::path::PathBuf>,
            /// move the root instead of pivoting it, for a ramdisk
            #[argh(switch)]
            no_pivot: bool,
            /// keep the caller's session keyring
            #[argh(switch)]
            no_new_keyring: bool,
            /// pass on this many file descriptors from 3 on
            #[argh(option, arg_name = "n", default = "0")]
            preserve_fds: u32,
            $($own)*
            /// the container's id
            #[argh(positional)]
            id: String,
        }

        impl $Verb {
            /// The options that these flags give. Call this before any fd is opened.
            fn options(
                &self,
                global: &$crate::flags::Global,
            ) -> Result<$crate::creation::Options, $crate::error::Error> {
                let listen_fds = $crate::creation::listen_fds();
                let preserve_fds = self.preserve_fds.saturating_add(listen_fds.count);
                $crate::creation::check_preserved(preserve_fds)?;
                Ok($crate::creation::Options {
                    bundle: self.bundle.clone(),
                    config: self.config.clone(),
                    console_socket: self.console_socket.clone(),
                    pidfd_socket: self.pidfd_socket.clone(),
                    pid_file: self.pid_file.clone(),
                    no_pivot: self.no_pivot,
                    no_new_keyring: self.no_new_keyring,
                    preserve_fds,
                    listen_fds,
                    cgroups: global.cgroups,
                })
            }
        }
    };
}

pub(super) use creating;
