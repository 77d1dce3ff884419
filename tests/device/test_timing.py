from __future__ import annotations

from fkp_edge.device.timing import BOUNDS_S, StageTimes


def test_durations_are_counted_below_their_bound_and_summed():
    times = StageTimes()
    for duration_ns in (1, 500_000, 500_001, 2_000_000_000):
        times.add("infer", duration_ns)
    counts, sum_s = times.histograms()["infer"]
    assert (counts[0], counts[1], counts[-1], sum(counts)) == (2, 1, 1, 4)
    assert len(counts) == len(BOUNDS_S) + 1
    assert abs(sum_s - 2.001000002) < 1e-9
