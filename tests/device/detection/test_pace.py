"""When the next search may begin, and how old an answer may be, by clocks that are told."""

from __future__ import annotations

import pytest

from fkp_edge.device.detection.threaded import Pace


@pytest.mark.parametrize(("share", "rest_s"), [(1.0, 0.0), (0.5, 3.0), (0.25, 9.0)])
def test_after_a_search_it_rests_until_its_share_of_a_core_is_kept(share: float, rest_s: float) -> None:
    pace = Pace(cpu_share=share)
    assert pace.may_begin(0.0)
    pace.ended(100.0, 4.0, 3.0)
    assert pace.may_begin(100.1 + rest_s)
    assert not rest_s or not pace.may_begin(99.9 + rest_s)


@pytest.mark.parametrize(
    ("age_s", "took_s", "does"),
    [(0.45, 0.01, True), (0.9, 0.01, False), (7.0, 4.0, True), (17.0, 4.0, False), (4.0, 1.0, False)],
)
def test_an_answer_is_fresh_for_a_while_or_as_long_as_searches_take(age_s: float, took_s: float, does: bool) -> None:
    pace = Pace()
    assert pace.counts(age_s, took_s) is does
    for at_s in (0.0, 0.03, 0.06):
        pace.looked(at_s)
    assert pace.counts(age_s, took_s) is does


def test_where_frames_come_rarely_an_answer_may_be_a_frame_older() -> None:
    pace = Pace()
    for at_s in (0.0, 0.03, 0.06, 10.0, 20.0, 30.0):  # it was quick before
        pace.looked(at_s)
    assert pace.counts(9.0, 0.1)
    pace.looked(30.03)
    assert not pace.counts(9.0, 0.1)


@pytest.mark.parametrize(
    ("took_s", "said"),
    [([2.0, 2.0], 0), ([2.0, 2.0, 2.0], 1), ([2.0, 2.0, 0.5, 2.0, 2.0], 0), ([2.0] * 9, 1), ([0.5] * 9, 0)],
)
def test_three_slow_searches_in_a_row_are_said_once(
    took_s: list[float], said: int, caplog: pytest.LogCaptureFixture
) -> None:
    pace = Pace(remedy="take fewer pixels")
    for took in took_s:
        pace.ended(0.0, took, 0.1)
    assert [record.getMessage().endswith("take fewer pixels") for record in caplog.records] == [True] * said
