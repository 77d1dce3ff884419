"""Going on with another number of epochs says what the schedule does."""

from __future__ import annotations

import logging

import pytest

from fkp_edge.train.run import _say_schedule


@pytest.mark.parametrize(
    ("done", "before", "now", "said"),
    [(2, 4, 4, None), (0, 4, 9, None), (2, 4, 8, "planned for 4 epochs"), (4, 4, 2, "4 of 2 epochs are done")],
)
def test_another_number_of_epochs_is_spoken_of(
    done: int, before: int, now: int, said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        _say_schedule(done, before, now)
    assert (said in caplog.text) if said else not caplog.text
