//! Tells what each tier of the store does and holds.

use prometheus::Registry;
use prometheus::proto::{Bucket, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::metrics::{DeclareError, counter, gauges, set};
use crate::event::Tier;
use crate::tally::{Fault, Gone, LATENCIES, TierState};

/// The metrics that tell of the tiers. What counts them is theirs: they are written anew each time.
pub(super) fn families(tiers: &[TierState<'_>]) -> Result<Vec<MetricFamily>, DeclareError> {
    let registry = Registry::new();
    count(&registry, tiers)?;
    hold(&registry, tiers)?;
    let mut families = registry.gather();
    if tiers.iter().any(|state| state.tier != Tier::Memory) {
        families.push(latencies(tiers));
    }
    Ok(families)
}

fn count(registry: &Registry, tiers: &[TierState<'_>]) -> Result<(), DeclareError> {
    let counter = |name, help, labels: &[&str]| counter(registry, name, help, labels);
    let lookups = counter(
        "forebay_tier_lookups_total",
        "Look-ups by what came of them.",
        &["tier", "result"],
    )?;
    let stores =
        counter("forebay_tier_stores_total", "Stored responses that were written.", &["tier"])?;
    let moved = counter(
        "forebay_tier_moved_bytes_total",
        "Bytes that were read and written below memory.",
        &["tier", "direction"],
    )?;
    let faults = counter(
        "forebay_tier_faults_total",
        "What went wrong; it was a miss then, or was not stored.",
        &["tier", "fault"],
    )?;
    let evictions = counter(
        "forebay_tier_evictions_total",
        "Stored responses that a tier let go of, by why.",
        &["tier", "cause"],
    )?;
    for TierState { tier, tally, .. } in tiers {
        let tier = tier.token();
        lookups.with_label_values(&[tier, "hit"]).inc_by(tally.hits.get());
        lookups.with_label_values(&[tier, "miss"]).inc_by(tally.misses.get());
        stores.with_label_values(&[tier]).inc_by(tally.stores.get());
        moved.with_label_values(&[tier, "read"]).inc_by(tally.bytes_read.get());
        moved.with_label_values(&[tier, "written"]).inc_by(tally.bytes_written.get());
        for fault in Fault::ALL {
            let count = tally.faults(*fault).get();
            faults.with_label_values(&[tier, fault.name()]).inc_by(count);
        }
        for cause in Gone::ALL {
            let count = tally.gone(*cause).get();
            evictions.with_label_values(&[tier, cause.name()]).inc_by(count);
        }
    }
    Ok(())
}

fn hold(registry: &Registry, tiers: &[TierState<'_>]) -> Result<(), DeclareError> {
    let gauges = |name, help| gauges(registry, name, help, &["tier"]);
    let bytes = gauges("forebay_tier_bytes", "Bytes of stored responses.")?;
    let most = gauges("forebay_tier_limit_bytes", "Bytes that stored responses may take.")?;
    let entries =
        gauges("forebay_tier_entries", "Stored responses; in memory, the keys that have any.")?;
    let up = gauges("forebay_tier_up", "Whether the tier can be used: 1, or 0.")?;
    for TierState { tier, holds, is_up, .. } in tiers {
        let labels = &[tier.token()];
        set(&up.with_label_values(labels), u64::from(*is_up));
        let Some(holds) = holds else { continue };
        set(&bytes.with_label_values(labels), holds.bytes);
        set(&most.with_label_values(labels), holds.most_bytes);
        set(&entries.with_label_values(labels), holds.entries);
    }
    Ok(())
}

/// How long look-ups took below memory.
fn latencies(tiers: &[TierState<'_>]) -> MetricFamily {
    let metric = |state: &TierState<'_>| {
        let (ranges, seconds) = state.tally.latencies();
        let mut total = 0;
        let buckets = ranges.iter().zip(&LATENCIES).map(|(count, end)| {
            total += count;
            let mut bucket = Bucket::default();
            bucket.set_cumulative_count(total);
            bucket.set_upper_bound(end.as_secs_f64());
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(ranges.iter().sum());
        histogram.set_sample_sum(seconds);
        let mut label = LabelPair::default();
        label.set_name("tier".to_owned());
        label.set_value(state.tier.token().to_owned());
        let mut metric = Metric::from_label(vec![label]);
        metric.set_histogram(histogram);
        metric
    };
    let below = tiers.iter().filter(|state| state.tier != Tier::Memory);
    let mut family = MetricFamily::default();
    family.set_name("forebay_tier_lookup_seconds".to_owned());
    family.set_help("How long look-ups below memory took.".to_owned());
    family.set_field_type(MetricType::HISTOGRAM);
    family.set_metric(below.map(metric).collect());
    family
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus::TextEncoder;

    use super::*;
    use crate::tally::{Holds, Tally};

    #[test]
    fn tells_what_each_tier_does_and_holds() {
        let (memory, disk) = (Tally::default(), Tally::default());
        memory.hits.add(3);
        disk.misses.one();
        disk.faults(Fault::Torn).one();
        disk.gone(Gone::Entries).add(2);
        disk.took(Duration::from_micros(60));
        let holds = Some(Holds { bytes: 5, most_bytes: 10, entries: 2 });
        let tiers = [
            TierState { tier: Tier::Memory, tally: &memory, holds, is_up: true },
            TierState { tier: Tier::Disk, tally: &disk, holds: None, is_up: false },
        ];
        let text = TextEncoder::new().encode_to_string(&families(&tiers).unwrap()).unwrap();
        for line in [
            r#"forebay_tier_lookups_total{result="hit",tier="memory"} 3"#,
            r#"forebay_tier_lookups_total{result="miss",tier="disk"} 1"#,
            r#"forebay_tier_faults_total{fault="torn",tier="disk"} 1"#,
            r#"forebay_tier_evictions_total{cause="entries",tier="disk"} 2"#,
            r#"forebay_tier_bytes{tier="memory"} 5"#,
            r#"forebay_tier_up{tier="memory"} 1"#,
            r#"forebay_tier_up{tier="disk"} 0"#,
            r#"forebay_tier_limit_bytes{tier="memory"} 10"#,
            r#"forebay_tier_lookup_seconds_bucket{tier="disk",le="0.00005"} 0"#,
            r#"forebay_tier_lookup_seconds_bucket{tier="disk",le="0.0001"} 1"#,
            r#"forebay_tier_lookup_seconds_count{tier="disk"} 1"#,
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        assert!(!text.contains(r#"forebay_tier_bytes{tier="disk"}"#), "{text}");
    }
}
