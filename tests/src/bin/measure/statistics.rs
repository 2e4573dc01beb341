//! Summarises the samples of a row.

/// Median, spread and minimum of some samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    /// The median.
    pub(crate) median: f64,
    /// Half the interquartile range: about half of all samples are this close to
    /// the median.
    pub(crate) spread: f64,
    /// The minimum: what it takes when nothing else disturbs.
    pub(crate) least: f64,
}

impl Summary {
    /// Returns None without samples.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let spread = (quantile(&sorted, 0.75)? - quantile(&sorted, 0.25)?) / 2.0;
        Some(Self { median: quantile(&sorted, 0.5)?, spread, least: *sorted.first()? })
    }
}

/// A quantile, linearly interpolated between the two nearest samples.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    let (low, high) = (sorted.get(below)?, sorted.get(above)?);
    Some(low + (high - low) * place.fract())
}
