//! Limits as properties.

use super::*;

fn limits(files: &[(&str, &str)]) -> Vec<Limit> {
    let limit = |(file, value): &(&str, &str)| Limit {
        file: (*file).to_owned(),
        value: (*value).to_owned(),
        origin: String::new(),
        otherwise: (*file == "io.bfq.weight").then(|| ("io.weight".to_owned(), "0".to_owned())),
        in_parents: false,
    };
    files.iter().map(limit).collect()
}

/// Each property as `Name=value`.
fn texts(properties: &[Property]) -> Vec<String> {
    let text = |property: &Property| {
        let value = match &property.value {
            Value::Number(_, u64::MAX) => "infinity".to_owned(),
            Value::Number(_, bits) => bits.to_string(),
            Value::Array(_, values) => {
                let bits = values.iter().map(|value| match value {
                    Value::Number(_, bits) => bits.to_string(),
                    other => format!("{other:?}"),
                });
                bits.collect::<Vec<_>>().join(" ")
            }
            other => format!("{other:?}"),
        };
        format!("{}={value}", property.name)
    };
    properties.iter().map(text).collect()
}

fn of(files: &[(&str, &str)]) -> Vec<String> {
    let mut limits = limits(files);
    fit(&mut limits);
    let properties = of_limits(&limits);
    assert!(properties.iter().all(|property| property.repeats_limit));
    texts(&properties)
}

#[test]
fn each_limit_has_its_property() {
    for (file, value, wanted) in [
        ("memory.max", "4096", "MemoryMax=4096"),
        ("memory.max", "max", "MemoryMax=infinity"),
        ("memory.swap.max", "0", "MemorySwapMax=0"),
        ("memory.high", " 5\n", "MemoryHigh=5"),
        ("pids.max", "0", "TasksMax=1"),
        ("pids.max", "max", "TasksMax=infinity"),
        ("memory.limit_in_bytes", "-1", "MemoryLimit=infinity"),
        ("cpu.weight", "79", "CPUWeight=79"),
        ("cpu.shares", "1024", "CPUShares=1024"),
        ("cpuset.cpus", "0-2, 9,16", "AllowedCPUs=7 2 1"),
        ("cpuset.mems", "1", "AllowedMemoryNodes=2"),
        ("io.weight", "default 200", "IOWeight=200"),
        ("io.weight", "8:0 100\n300", "IOWeight=300"),
        ("io.bfq.weight", "500", "IOWeight=4500"),
        ("io.bfq.weight", "55", "IOWeight=55"),
        ("io.bfq.weight", "1000", "IOWeight=10000"),
    ] {
        assert_eq!(of(&[(file, value)]), [wanted], "{file}: {value}");
    }
    for (file, value) in [
        ("memory.max", "much"),
        ("cpuset.cpus", "0-4294967295"),
        ("cpuset.cpus", "a"),
        ("io.bfq.weight", "8:0 100"),
        ("memory.oom.group", "1"),
        ("hugetlb.2MB.max", "0"),
        ("cpu.idle", "0"),
    ] {
        assert!(of(&[(file, value)]).is_empty(), "{file}: {value}");
    }
}

#[test]
fn idle_is_a_weight_of_nothing() {
    assert_eq!(of(&[("cpu.idle", "1"), ("cpu.weight", "50")]), ["CPUWeight=0"]);
}

#[test]
fn a_quota_is_rounded_up_to_what_systemd_keeps() {
    for (value, quota, period, written) in [
        ("50000 100000", "500000", "100000", "50000 100000"),
        ("12345 50000", "250000", "50000", "12500 50000"),
        ("33333 100000", "340000", "100000", "34000 100000"),
        ("1000 1000000", "10000", "1000000", "10000 1000000"),
        ("max 100000", "infinity", "100000", "max 100000"),
        ("20000", "200000", "100000", "20000 100000"),
    ] {
        let mut limits = limits(&[("cpu.max", value)]);
        fit(&mut limits);
        assert_eq!(limits[0].value, written);
        let wanted =
            [format!("CPUQuotaPerSecUSec={quota}"), format!("CPUQuotaPeriodUSec={period}")];
        assert_eq!(texts(&of_limits(&limits)), wanted, "{value}");
    }
    let v1 = [("cpu.cfs_period_us", "50000"), ("cpu.cfs_quota_us", "12345")];
    assert_eq!(of(&v1), ["CPUQuotaPeriodUSec=50000", "CPUQuotaPerSecUSec=250000"]);
    assert_eq!(of(&[("cpu.cfs_quota_us", "-1")]), ["CPUQuotaPerSecUSec=infinity"]);
    // No quota makes it panic.
    for value in ["18446744073709551615 1", "0 1", "1 0", "1 18446744073709551615", "", "x y"] {
        of(&[("cpu.max", value)]);
    }
}

#[test]
fn a_weight_is_written_as_systemd_writes_it() {
    let mut limits = limits(&[("io.bfq.weight", "500")]);
    fit(&mut limits);
    assert_eq!(limits[0].otherwise, Some(("io.weight".to_owned(), "4500".to_owned())));
}

#[test]
fn devices_of_v1_are_a_list_or_denied() {
    let devices = |entries: &[(&'static str, &str)]| {
        let writes = entries.iter().map(|(file, value)| (*file, (*value).to_owned())).collect();
        let (properties, is_exact) = of_devices(&writes);
        let Value::Array(of, allowed) = &properties[0].value else { panic!("no list") };
        assert_eq!((properties[0].name.as_str(), of.as_str()), ("DeviceAllow", "(ss)"));
        let texts = allowed.iter().map(|value| match value {
            Value::Struct(fields) => match &fields[..] {
                [Value::Text(path), Value::Text(access)] => format!("{path} {access}"),
                _ => panic!("{fields:?}"),
            },
            other => panic!("{other:?}"),
        });
        let Value::Text(policy) = &properties[1].value else { panic!("no policy") };
        (policy.clone(), texts.collect::<Vec<_>>().join(", "), is_exact)
    };
    let row = |policy: &str, list: &str, is_exact| (policy.to_owned(), list.to_owned(), is_exact);
    let deny = ("devices.deny", "a");
    assert_eq!(devices(&[]), row("auto", "", true));
    assert_eq!(devices(&[deny]), row("strict", "", true));
    let list = [
        deny,
        ("devices.allow", "c 1:3 rwm"),
        ("devices.allow", "b 8:* r"),
        ("devices.allow", "c *:* m"),
    ];
    assert_eq!(devices(&list), row("strict", "/dev/char/1:3 rwm, block-8 r, char-* m", true));
    let any_major = [deny, ("devices.allow", "c *:3 r"), ("devices.allow", "c 1:3 r")];
    assert_eq!(devices(&any_major), row("strict", "/dev/char/1:3 r", false));
    // All but some.
    assert_eq!(devices(&[("devices.deny", "c 1:1 rwm")]), row("strict", "", false));
}
