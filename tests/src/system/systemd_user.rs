//! Containers of an ordinary user, in scopes of the user's own systemd.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use vial_targets::disk::USER;

use super::container::{cgroup_of, wait_until, words};
use super::edit;
use super::userns::{own, rootless};
use crate::bundle::Bundle;
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "systemd_user",
    scope_of_a_user_is_in_the_users_slice [Systemd, Cgroup2, UserNamespaces],
    limits_of_a_user_survive_a_reload [Systemd, Cgroup2, UserNamespaces],
    systemd_is_reached_by_the_session_bus [Systemd, Cgroup2, UserNamespaces],
    root_of_a_users_namespace_uses_the_users_systemd [Systemd, Cgroup2, UserNamespaces],
    user_without_systemd_is_told [Systemd, Cgroup2, UserNamespaces],
);

/// A user whose systemd runs, and who calls vial from a cgroup that belongs to root.
struct User<'a> {
    context: &'a Context,
    id: u32,
    runtime: PathBuf,
    /// The binaries and the state directory.
    place: PathBuf,
}

impl<'a> User<'a> {
    fn ready(context: &'a Context) -> Result<Self, String> {
        context.run(Command::new("loginctl").args(["enable-linger", USER]))?.success()?;
        let id = fs::metadata(format!("/home/{USER}")).map_err(words)?.uid();
        let runtime = PathBuf::from(format!("/run/user/{id}"));
        wait_until("the user's systemd", || runtime.join("systemd/private").exists())?;
        wait_until("the user's bus", || runtime.join("bus").exists())?;
        let user = format!("--machine={USER}@.host");
        let wait = ["--user", &user, "is-system-running", "--wait"];
        context.run(Command::new("systemctl").args(wait))?; // Also if a unit has failed.
        let place = context.directory.join("user");
        fs::create_dir_all(&place).map_err(words)?;
        lchown(&place, Some(id), Some(id)).map_err(words)?;
        for name in ["vial", "vial-init"] {
            let copy = place.join(name);
            fs::copy(context.vial.with_file_name(name), &copy).map_err(words)?;
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).map_err(words)?;
        }
        Ok(User { context, id, runtime, place })
    }

    fn bundle(&self, edit: impl FnOnce(&mut Value)) -> Result<Bundle, String> {
        let bundle = self.context.bundle(|config| {
            rootless(config);
            let map = json!([{ "containerID": 0, "hostID": self.id, "size": 1 }]);
            config["linux"]["uidMappings"] = map.clone();
            config["linux"]["gidMappings"] = map;
            edit::deeds(config, &["sleep", "60"]);
            edit(config);
        })?;
        own(&bundle, self.id)?;
        Ok(bundle)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.place.join("vial"));
        command.arg("--root").arg(self.place.join("state")).arg("--systemd-cgroup");
        command.args(arguments).uid(self.id).gid(self.id);
        command.env("XDG_RUNTIME_DIR", &self.runtime).env_remove("DBUS_SESSION_BUS_ADDRESS");
        command
    }

    fn vial(&self, arguments: &[&str]) -> Result<Done, String> {
        Ok(self.context.run(&mut self.command(arguments))?)
    }

    /// Starts a container, and returns its id and the cgroup of its process.
    fn start(&self, bundle: &Bundle) -> Result<(String, PathBuf), String> {
        let id = self.context.id();
        let path = bundle.path.to_string_lossy();
        self.vial(&["run", "--detach", "--bundle", &path, &id])?.success()?;
        let state = self.vial(&["state", &id])?.success()?.json()?;
        let cgroup = cgroup_of(state["pid"].as_u64().unwrap_or_default())?;
        Ok((id, cgroup))
    }

    fn systemctl(&self, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new("systemctl");
        command.arg("--user").arg(format!("--machine={USER}@.host")).args(words);
        Ok(self.context.run(&mut command)?.success()?.stdout.trim().to_owned())
    }

    fn property(&self, unit: &str, name: &str) -> Result<String, String> {
        self.systemctl(&["show", "--value", "-p", name, unit])
    }

    /// The cgroup of a scope in the user's default slice.
    fn cgroup(&self, scope: &str) -> PathBuf {
        let id = self.id;
        let slice = format!("user.slice/user-{id}.slice/user@{id}.service/user.slice");
        Path::new("/sys/fs/cgroup").join(slice).join(scope)
    }
}

fn read(path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(text.trim().to_owned())
}

fn scope_of_a_user_is_in_the_users_slice(context: &Context) -> Outcome {
    let user = User::ready(context)?;
    let bundle = user.bundle(|config| {
        config["linux"]["resources"] = json!({ "pids": { "limit": 33 } });
    })?;
    let (id, cgroup) = user.start(&bundle)?;
    let scope = format!("vial-{id}.scope");
    same("the cgroup", &cgroup, &user.cgroup(&scope))?;
    same("pids.max", read(&cgroup.join("pids.max"))?.as_str(), "33")?;
    for (name, value) in [("Slice", "user.slice"), ("Delegate", "yes"), ("TasksMax", "33")] {
        same(name, user.property(&scope, name)?.as_str(), value)?;
    }
    // The caller's cgroup belongs to root, so that the user may not leave it.
    let exec = ["exec", &id, "/probe", "cat", "/proc/self/cgroup"];
    let seen = user.vial(&exec)?.success()?.stdout;
    same("the exec's cgroup", seen.trim().ends_with(&scope), true)
        .map_err(|e| format!("{e}: {seen}"))?;
    user.vial(&["pause", &id])?.success()?;
    same("frozen", read(&cgroup.join("cgroup.freeze"))?.as_str(), "1")?;
    user.vial(&["resume", &id])?.success()?;
    user.vial(&["delete", "--force", &id])?.success()?;
    same("the cgroup is there", cgroup.exists(), false)?;
    Ok(same("the scope", user.property(&scope, "LoadState")?.as_str(), "not-found")?)
}

fn limits_of_a_user_survive_a_reload(context: &Context) -> Outcome {
    let user = User::ready(context)?;
    let bundle = user.bundle(|config| {
        config["linux"]["resources"] = json!({
            "pids": { "limit": 33 },
            "memory": { "limit": 64 << 20, "swap": 64 << 20 },
            "cpu": { "quota": 33_333, "period": 100_000 },
        });
    })?;
    let (id, cgroup) = user.start(&bundle)?;
    let files = || {
        let names = ["pids.max", "memory.max", "memory.swap.max", "cpu.max", "cpu.weight"];
        names.map(|name| read(&cgroup.join(name)).unwrap_or_default()).join(" ")
    };
    let wanted = "33 67108864 0 34000 100000 100";
    same("the files", files().as_str(), wanted)?;
    user.systemctl(&["daemon-reload"])?;
    same("the files after a reload", files().as_str(), wanted)?;
    Ok(user.vial(&["delete", "--force", &id])?.success().map(drop)?)
}

fn systemd_is_reached_by_the_session_bus(context: &Context) -> Outcome {
    let user = User::ready(context)?;
    let bundle = user.bundle(|_| {})?;
    let (path, id) = (bundle.path.to_string_lossy(), context.id());
    // Neither systemd's own socket nor the bus is in this one.
    let runtime = user.place.join("runtime");
    fs::create_dir_all(&runtime).map_err(words)?;
    let bus = format!("unix:path={}/bus,guid=0f", user.runtime.display());
    let call = |arguments: &[&str]| -> Result<Done, String> {
        let mut command = user.command(arguments);
        command.env("XDG_RUNTIME_DIR", &runtime).env("DBUS_SESSION_BUS_ADDRESS", &bus);
        Ok(context.run(&mut command)?)
    };
    call(&["run", "--detach", "--bundle", &path, &id])?.success()?;
    let scope = format!("vial-{id}.scope");
    same("the scope", user.property(&scope, "ActiveState")?.as_str(), "active")?;
    call(&["exec", &id, "/probe", "exit", "0"])?.success()?;
    call(&["delete", "--force", &id])?.success()?;
    Ok(same("the scope", user.property(&scope, "LoadState")?.as_str(), "not-found")?)
}

/// As podman runs vial: in a user namespace in which the user is root.
fn root_of_a_users_namespace_uses_the_users_systemd(context: &Context) -> Outcome {
    let user = User::ready(context)?;
    let bundle = user.bundle(|config| {
        edit::without_namespace(config, "user");
        edit::without_maps(config);
        // setgroups(2) is denied in such a namespace.
        config["annotations"] = json!({ "run.oci.keep_original_groups": "1" });
        config["linux"]["resources"] = json!({ "pids": { "limit": 33 } });
    })?;
    let (path, id) = (bundle.path.to_string_lossy(), context.id());
    let probe = user.place.join("probe");
    fs::copy(&context.probe, &probe).map_err(words)?;
    fs::set_permissions(&probe, fs::Permissions::from_mode(0o755)).map_err(words)?;
    let call = |arguments: &[&str]| -> Result<Done, String> {
        let vial = user.command(arguments);
        let mut command = Command::new(&probe);
        command.args(["be", "namespaced-root"]).arg(vial.get_program()).args(vial.get_args());
        command.uid(user.id).gid(user.id).env("XDG_RUNTIME_DIR", &user.runtime);
        Ok(context.run(&mut command)?)
    };
    call(&["run", "--detach", "--bundle", &path, &id])?.success()?;
    let scope = format!("vial-{id}.scope");
    let state = call(&["state", &id])?.success()?.json()?;
    let cgroup = cgroup_of(state["pid"].as_u64().unwrap_or_default())?;
    same("the cgroup", &cgroup, &user.cgroup(&scope))?;
    same("pids.max", read(&cgroup.join("pids.max"))?.as_str(), "33")?;
    call(&["delete", "--force", &id])?.success()?;
    Ok(same("the scope", user.property(&scope, "LoadState")?.as_str(), "not-found")?)
}

fn user_without_systemd_is_told(context: &Context) -> Outcome {
    let user = User::ready(context)?;
    let bundle = user.bundle(|_| {})?;
    let path = bundle.path.to_string_lossy();
    let runtime = user.place.join("runtime");
    fs::create_dir_all(runtime.join("systemd")).map_err(words)?;
    let socket = runtime.join("systemd/private");
    let run = || -> Result<Done, String> {
        let mut command = user.command(&["run", "--bundle", &path, &context.id()]);
        Ok(context.run(command.env("XDG_RUNTIME_DIR", &runtime))?)
    };
    let before = context.leftovers();
    edit::words_of_refusal(
        &run()?,
        &["connect to systemd at ", "ENOENT", "loginctl enable-linger"],
    )?;
    // One that ends each connection.
    let listener = UnixListener::bind(&socket).map_err(words)?;
    lchown(&socket, Some(user.id), Some(user.id)).map_err(words)?;
    let other = std::thread::spawn(move || listener.accept().map(drop));
    edit::words_of_refusal(&run()?, &["systemd closed the connection at "])?;
    let _ = other.join(); // It has accepted, as the error shows.
    Ok(context.nothing_left_since(&before)?)
}
