//! create, start, state, kill and delete: a container's life cycle, in order and out
//! of order.

use std::fs;

use serde_json::json;

use super::container::{Container, at_once, nothing_left, refused, wait_until, words};
use super::edit;
use crate::context::same;
use crate::runner::topic;
use crate::sys::MovedClock;
use crate::{Context, Outcome};

topic!(
    "lifecycle",
    status_follows_the_life_of_a_container[Root],
    state_has_the_fields_that_engines_read[Root],
    pid_of_a_stopped_container_is_0[Root],
    second_start_is_refused[Root],
    start_of_a_stopped_container_is_refused[Root],
    verbs_on_an_unknown_container_say_that_it_does_not_exist[Root],
    delete_of_a_running_container_is_refused[Root],
    delete_of_a_created_container_kills_it[Root],
    delete_force_of_a_running_container_kills_it[Root],
    delete_force_of_an_unknown_container_succeeds[Root],
    delete_force_kills_what_a_stopped_container_left[Root],
    signal_may_be_a_name_or_a_number[Root],
    unknown_signal_is_refused[Root],
    kill_of_a_stopped_container_is_refused[Root],
    kill_all_reaches_every_process[Root],
    kill_all_of_a_stopped_container_succeeds_and_kills_the_rest[Root],
    start_reports_that_the_program_is_gone[Root],
    id_in_use_is_refused[Root],
    one_of_two_creates_of_one_id_wins[Root],
    creates_at_once_do_not_disturb_each_other[Root],
    one_of_two_starts_wins[Root],
    containers_work_after_the_year_2038[Root, Machine],
);

fn status_follows_the_life_of_a_container(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = Container::created(context, &["echo", "hello", "+", "sleep", "3600"])?;
    container.is("created")?;
    same("what a created container printed", container.output().as_str(), "")?;
    container.vial("start", &[])?.success()?;
    container.is("running")?;
    same("what a started container printed", container.printed(1)?.as_str(), "hello\n")?;
    container.vial("kill", &["KILL"])?.success()?;
    container.ends()?;
    container.vial("delete", &[])?.success()?;
    refused(&container.vial("state", &[])?, "does not exist")?;
    Ok(context.nothing_left_since(&before)?)
}

fn state_has_the_fields_that_engines_read(context: &Context) -> Outcome {
    let container = Container::created_from(context, |config| {
        config["annotations"] = json!({ "org.example.key": "value" });
    })?;
    let state = container.state()?;
    same("ociVersion", state["ociVersion"].as_str(), Some("1.0.2"))?;
    same("id", state["id"].as_str(), Some(&*container.id))?;
    same("status", state["status"].as_str(), Some("created"))?;
    same("bundle", state["bundle"].as_str(), container.bundle.path.to_str())?;
    same("rootfs", state["rootfs"].as_str(), container.bundle.rootfs.to_str())?;
    same("annotations", &state["annotations"], &json!({ "org.example.key": "value" }))?;
    same("owner", state["owner"].as_str(), Some(""))?;
    let created = state["created"].as_str().unwrap_or_default();
    let rfc3339 = created.len() >= 20 && created.ends_with('Z') && created.get(10..11) == Some("T");
    same("created, and whether it is a time in UTC", (created, rfc3339), (created, true))?;
    let pid = state["pid"].as_u64().unwrap_or_default();
    let children = fs::read_to_string("/proc/thread-self/children").map_err(words)?;
    same("the caller's children", children.trim(), pid.to_string().as_str())?;
    Ok(container.remove()?)
}

fn pid_of_a_stopped_container_is_0(context: &Context) -> Outcome {
    let container = Container::started(context, &["exit", "0"])?;
    container.ends()?;
    same("pid", container.pid()?, 0)?;
    Ok(container.remove()?)
}

fn second_start_is_refused(context: &Context) -> Outcome {
    let container = Container::started(context, &["sleep", "3600"])?;
    refused(&container.vial("start", &[])?, "cannot start an already running container")?;
    container.is("running")?;
    Ok(container.remove()?)
}

fn start_of_a_stopped_container_is_refused(context: &Context) -> Outcome {
    let container = Container::started(context, &["exit", "0"])?;
    container.ends()?;
    refused(&container.vial("start", &[])?, "cannot start a container that has stopped")?;
    Ok(container.remove()?)
}

fn verbs_on_an_unknown_container_say_that_it_does_not_exist(context: &Context) -> Outcome {
    for verb in ["start", "state", "kill", "delete", "pause", "resume", "ps"] {
        let done = context.vial(&[verb, "nobody"])?;
        refused(&done, "does not exist").map_err(|why| format!("{verb}: {why}"))?;
    }
    Ok(refused(&context.vial(&["exec", "nobody", "/probe"])?, "does not exist")?)
}

fn delete_of_a_running_container_is_refused(context: &Context) -> Outcome {
    let container = Container::started(context, &["sleep", "3600"])?;
    let text = format!("cannot delete container {} that is not stopped: running", container.id);
    refused(&container.vial("delete", &[])?, &text)?;
    container.is("running")?;
    Ok(container.remove()?)
}

fn delete_of_a_created_container_kills_it(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = Container::created(context, &["echo", "hello"])?;
    container.vial("delete", &[])?.success()?;
    same("what it printed", container.output().as_str(), "")?;
    Ok(context.nothing_left_since(&before)?)
}

fn delete_force_of_a_running_container_kills_it(context: &Context) -> Outcome {
    let before = context.leftovers();
    Container::started(context, &["fork", "3", "+", "sleep", "3600"])?.remove()?;
    Ok(context.nothing_left_since(&before)?)
}

fn delete_force_of_an_unknown_container_succeeds(context: &Context) -> Outcome {
    let done = context.vial(&["delete", "--force", "nobody"])?;
    Ok(same("what it did", (done.code, &*done.stdout, &*done.stderr), (0, "", ""))?)
}

fn delete_force_kills_what_a_stopped_container_left(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = without_pid_namespace(context, &["fork", "3"])?;
    container.ends()?;
    same("the processes left", context.leftovers().since(&before).is_empty(), false)?;
    container.remove()?;
    Ok(nothing_left(context, &before)?)
}

/// A container whose processes outlive its first process.
fn without_pid_namespace<'a>(
    context: &'a Context,
    deeds: &[&str],
) -> Result<Container<'a>, String> {
    let container = Container::created_from(context, |config| {
        edit::deeds(config, deeds);
        edit::without_namespace(config, "pid");
    })?;
    container.vial("start", &[])?.success()?;
    Ok(container)
}

fn signal_may_be_a_name_or_a_number(context: &Context) -> Outcome {
    let container = Container::started(context, &["signals"])?;
    let forms = ["USR1", "SIGUSR1", "sigusr1", "usr1", "10", "-10"];
    for (index, form) in forms.iter().enumerate() {
        container.printed(1 + index)?;
        container.vial("kill", &[form])?.success().map_err(|why| format!("{form}: {why}"))?;
    }
    container.printed(1 + forms.len())?;
    container.vial("kill", &[])?.success()?; // SIGTERM, which ends the probe.
    container.ends()?;
    same("what arrived", container.output().as_str(), "ready\n10\n10\n10\n10\n10\n10\n15\n")?;
    Ok(container.remove()?)
}

fn unknown_signal_is_refused(context: &Context) -> Outcome {
    let container = Container::started(context, &["sleep", "3600"])?;
    for signal in ["NONSENSE", "0x9", "65", "1000", "SIG", ""] {
        let done = container.vial("kill", &[signal])?;
        refused(&done, signal).map_err(|why| format!("{signal:?}: {why}"))?;
    }
    container.is("running")?;
    Ok(container.remove()?)
}

fn kill_of_a_stopped_container_is_refused(context: &Context) -> Outcome {
    let container = Container::started(context, &["exit", "0"])?;
    container.ends()?;
    refused(&container.vial("kill", &["KILL"])?, "container not running")?;
    Ok(container.remove()?)
}

fn kill_all_reaches_every_process(context: &Context) -> Outcome {
    // The kernel drops a SIGTERM that PID 1 of a pid namespace does not handle.
    let container = Container::started(context, &["fork", "3", "+", "sleep", "3600"])?;
    container.printed(1)?;
    same("the processes", container.pids()?.len(), 4)?;
    context.vial(&["kill", "--all", &container.id, "TERM"])?.success()?;
    wait_until("the others to end", || container.pids().is_ok_and(|pids| pids.len() == 1))?;
    container.is("running")?;
    context.vial(&["kill", "--all", &container.id, "9"])?.success()?;
    container.ends()?;
    container.vial("delete", &[])?.success()?;
    Ok(())
}

fn kill_all_of_a_stopped_container_succeeds_and_kills_the_rest(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = without_pid_namespace(context, &["fork", "3"])?;
    container.ends()?;
    same("the processes left", container.pids()?.len(), 3)?;
    context.vial(&["kill", "--all", &container.id, "KILL"])?.success()?;
    wait_until("them to end", || container.pids().is_ok_and(|pids| pids.is_empty()))?;
    context.vial(&["kill", "--all", &container.id, "KILL"])?.success()?;
    container.vial("delete", &[])?.success()?;
    Ok(context.nothing_left_since(&before)?)
}

fn start_reports_that_the_program_is_gone(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = Container::created(context, &["echo", "hello"])?;
    fs::remove_file(container.bundle.rootfs.join("probe")).map_err(words)?;
    refused(&container.vial("start", &[])?, "no such file or directory")?;
    container.ends()?;
    container.vial("delete", &[])?.success()?;
    Ok(context.nothing_left_since(&before)?)
}

fn id_in_use_is_refused(context: &Context) -> Outcome {
    let container = Container::created(context, &["sleep", "3600"])?;
    let pid = container.pid()?;
    refused(&context.run(&mut container.command("create"))?, "already exists")?;
    container.is("created")?;
    same("its pid", container.pid()?, pid)?;
    container.vial("start", &[])?.success()?;
    container.is("running")?;
    Ok(container.remove()?)
}

fn one_of_two_creates_of_one_id_wins(context: &Context) -> Outcome {
    for _ in 0..10 {
        let before = context.leftovers();
        let container = Container::prepared(context, &["sleep", "3600"])?;
        let done = at_once(context, (0..3).map(|_| container.command("create")).collect())?;
        let (won, lost): (Vec<_>, Vec<_>) = done.iter().partition(|done| done.code == 0);
        same("the winners", won.len(), 1).map_err(|why| format!("{why}: {done:?}"))?;
        lost.iter().try_for_each(|done| refused(done, "already exists"))?;
        container.is("created")?;
        container.vial("start", &[])?.success()?;
        container.is("running")?;
        container.remove()?;
        context.nothing_left_since(&before)?;
    }
    Ok(())
}

fn creates_at_once_do_not_disturb_each_other(context: &Context) -> Outcome {
    let before = context.leftovers();
    let containers: Vec<_> = (0..12)
        .map(|_| Container::prepared(context, &["sleep", "3600"]))
        .collect::<Result<_, _>>()?;
    for done in
        at_once(context, containers.iter().map(|container| container.command("create")).collect())?
    {
        done.success()?;
    }
    let starts = containers.iter().map(|container| context.command(&["start", &container.id]));
    for done in at_once(context, starts.collect())? {
        done.success()?;
    }
    containers.iter().try_for_each(|container| container.is("running"))?;
    containers.into_iter().try_for_each(Container::remove)?;
    Ok(context.nothing_left_since(&before)?)
}

fn one_of_two_starts_wins(context: &Context) -> Outcome {
    for _ in 0..10 {
        let container = Container::created(context, &["echo", "once", "+", "sleep", "3600"])?;
        let starts = (0..3).map(|_| context.command(&["start", &container.id]));
        let done = at_once(context, starts.collect())?;
        let (won, lost): (Vec<_>, Vec<_>) = done.iter().partition(|done| done.code == 0);
        same("the winners", won.len(), 1).map_err(|why| format!("{why}: {done:?}"))?;
        lost.iter().try_for_each(|done| refused(done, "already running container"))?;
        same("what it printed", container.printed(1)?.as_str(), "once\n")?;
        container.remove()?;
    }
    Ok(())
}

/// The seconds since 1970 then exceed 31 bits.
fn containers_work_after_the_year_2038(context: &Context) -> Outcome {
    let _clock = MovedClock::ahead(20 * 365 * 86_400).map_err(words)?;
    let container = Container::started(context, &["sleep", "60"])?;
    let state = container.state()?;
    let created = state["created"].as_str().unwrap_or_default();
    same(&format!("{created} is after 2038"), created > "2038-02", true)?;
    container.vial("exec", &["/probe", "echo", "hello"])?.success()?;
    container.vial("delete", &["--force"])?.success()?;
    Ok(())
}
