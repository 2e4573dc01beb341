//! What a row of samples comes to.

/// The middle of some samples, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    /// The median.
    pub(crate) median: f64,
    /// Half of what lies between the quartiles: half of all samples are about
    /// this close to the median.
    pub(crate) spread: f64,
    /// The least: what it takes where nothing else disturbs.
    pub(crate) least: f64,
}

impl Summary {
    /// None of no samples.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let spread = (quantile(&sorted, 0.75)? - quantile(&sorted, 0.25)?) / 2.0;
        Some(Self { median: quantile(&sorted, 0.5)?, spread, least: *sorted.first()? })
    }
}

/// Between two samples, as far from each as it is from theirs.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    let (low, high) = (sorted.get(below)?, sorted.get(above)?);
    Some(low + (high - low) * place.fract())
}
