//! resources.blockIO.

use super::{Limits, only_v1, wrong};
use crate::config::resources::BlockIo;
use crate::error::Error;

/// Adds the weights and throttles.
pub(super) fn block_io(io: &BlockIo, is_v1: bool, limits: &mut Limits) -> Result<(), Error> {
    let weight = |limits: &mut Limits, device: &str, weight, field: &str| {
        checked(weight, field)?;
        match is_v1 {
            true => v1_weight(limits, device, weight, field),
            false => v2_weight(limits, device, weight, field),
        }
        Ok::<(), Error>(())
    };
    let leaf = |limits: &mut Limits, file: &str, device: &str, weight, field: &str| {
        if !is_v1 {
            return Err(only_v1(field));
        }
        checked(weight, field)?;
        limits.add(file, format_args!("{device}{weight}"), field);
        Ok(())
    };
    if let Some(own) = io.weight.filter(|weight| *weight != 0) {
        weight(limits, "", own, "blockIO.weight")?;
    }
    if let Some(own) = io.leaf_weight.filter(|weight| *weight != 0) {
        leaf(limits, "blkio.leaf_weight", "", own, "blockIO.leafWeight")?;
    }
    for (index, device) in io.weight_device.iter().enumerate() {
        let field = format!("blockIO.weightDevice[{index}]");
        let place = format!("{} ", numbers(device.major, device.minor, &field)?);
        if let Some(own) = device.weight.filter(|weight| *weight != 0) {
            weight(limits, &place, own, &field)?;
        }
        if let Some(own) = device.leaf_weight.filter(|weight| *weight != 0) {
            leaf(limits, "blkio.leaf_weight_device", &place, own, &format!("{field}.leafWeight"))?;
        }
    }
    for (name, devices, key, file) in [
        ("throttleReadBpsDevice", &io.throttle_read_bps_device, "rbps", "read_bps"),
        ("throttleWriteBpsDevice", &io.throttle_write_bps_device, "wbps", "write_bps"),
        ("throttleReadIOPSDevice", &io.throttle_read_iops_device, "riops", "read_iops"),
        ("throttleWriteIOPSDevice", &io.throttle_write_iops_device, "wiops", "write_iops"),
    ] {
        for (index, device) in devices.iter().enumerate() {
            let field = format!("blockIO.{name}[{index}]");
            let (place, rate) = (numbers(device.major, device.minor, &field)?, device.rate);
            match is_v1 {
                true => {
                    let file = format!("blkio.throttle.{file}_device");
                    limits.add(&file, format_args!("{place} {rate}"), &field);
                }
                false => limits.add("io.max", format_args!("{place} {key}={rate}"), &field),
            }
        }
    }
    Ok(())
}

/// A block device, as in `8:0`. The kernel's dev_t has 12 bits for the major and 20
/// bits for the minor number.
fn numbers(major: i64, minor: i64, field: &str) -> Result<String, Error> {
    for (name, number, bits) in [("major", major, 12), ("minor", minor, 20)] {
        if !(0..1 << bits).contains(&number) {
            let field = format_args!("linux.resources.{field}.{name}");
            return Err(wrong(field, format_args!("{number} is not a device number")));
        }
    }
    Ok(format!("{major}:{minor}"))
}

fn checked(weight: u16, field: &str) -> Result<(), Error> {
    match (10..=1000).contains(&weight) {
        true => Ok(()),
        false => {
            let field = format_args!("linux.resources.{field}");
            Err(wrong(field, format_args!("a weight of {weight} is not 10 to 1000")))
        }
    }
}

/// The first file is that of the scheduler cfq, which Linux 5.0 removed.
fn v1_weight(limits: &mut Limits, device: &str, weight: u16, field: &str) {
    let [file, other] = match device {
        "" => ["blkio.weight", "blkio.bfq.weight"],
        _ => ["blkio.weight_device", "blkio.bfq.weight_device"],
    };
    limits.add(file, format_args!("{device}{weight}"), field);
    limits.otherwise(other, format_args!("{device}{weight}"));
}

/// Writes a weight of blkio, 10 to 1000, to io.bfq.weight unchanged, or, without the
/// bfq scheduler, to io.weight, scaled to 1 to 10000.
fn v2_weight(limits: &mut Limits, device: &str, weight: u16, field: &str) {
    limits.add("io.bfq.weight", format_args!("{device}{weight}"), field);
    let converted = 1 + (u64::from(weight) - 10) * 9999 / 990;
    limits.otherwise("io.weight", format_args!("{device}{converted}"));
}
