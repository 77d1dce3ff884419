from __future__ import annotations

import pytest

pytest.importorskip("tensorflow_model_optimization", reason="needs fkp-edge[convert]")

from fkp_edge.convert.sweep import find_knee


@pytest.mark.parametrize(
    ("costs", "errors", "knee"),
    [
        ([18, 13, 8, 4], [4.0, 4.1, 4.2, 8.0], 2),  # flat, then a cliff
        ([18, 13, 8, 4], [4.0, 4.1, 6.5, 8.0], 1),
        ([4, 8, 13, 18], [8.0, 4.2, 4.1, 4.0], 1),  # in whatever order
    ],
)
def test_the_knee_is_where_less_work_starts_to_cost(costs: list[float], errors: list[float], knee: int):
    assert find_knee(costs, errors) == knee


def test_a_straight_line_has_its_knee_at_an_end():
    assert find_knee([1, 2, 3], [3.0, 2.0, 1.0]) == 0
