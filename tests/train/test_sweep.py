"""A sweep: points that change a recipe, a line for each, killed and gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from fkp_edge.cli.main import main
from fkp_edge.errors import InputError
from fkp_edge.train.sweep import read_points

POINTS = "[wide]\nnetwork.head = 24\nfit.epochs = 1\n[light]\nfit = {epochs = 1, learning_rate = 1e-3}\n"


def sweep(tiny: Path, *more: str) -> int:
    words = [str(tiny / "tiny2.toml"), "--sweep", str(tiny / "points.toml"), "--data", str(tiny)]
    return main(["train", *words, "--out", str(tiny / "sweep"), *more])


def test_each_point_is_the_recipe_with_its_changes(tiny: Path) -> None:
    (tiny / "points.toml").write_text(POINTS)
    points = read_points(tiny / "tiny2.toml", tiny / "points.toml")
    assert (points["wide"].network.head, points["wide"].network.stem, points["wide"].fit.epochs) == (24, 8, 1)
    assert (points["light"].network.head, points["light"].fit.learning_rate, points["light"].fit.batch) == (16, 1e-3, 8)


def test_a_sweep_goes_on_where_it_was_ended(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = POINTS.split("[light]")
    (tiny / "points.toml").write_text(first)
    assert sweep(tiny) == 0
    assert "wide mean NME" in capsys.readouterr().out
    made = (tiny / "sweep/wide/model.keras").stat().st_mtime_ns
    (tiny / "points.toml").write_text(f"{first}[light]{second}")
    assert sweep(tiny) == 2
    assert "already holds a training run; add --resume" in capsys.readouterr().err
    assert sweep(tiny, "--resume") == 0
    assert len((tiny / "sweep/sweep.jsonl").read_text().splitlines()) == 2
    assert (tiny / "sweep/wide/model.keras").stat().st_mtime_ns == made
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == {"wide", "light"}
    (tiny / "points.toml").write_text(POINTS.replace("24", "32"))
    assert sweep(tiny, "--resume") == 2
    assert "has the point wide of another recipe; rename it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has 0 points, expected 1 to 1000"),
        ("fit = 3", "fit stands outside a table; expected a point such as [short]"),
        ('["a/b"]\nfit.epochs = 1', "the point 'a/b' names no folder"),
        ("[a]\nfit.epoch = 1", "did you mean"),
    ],
)
def test_points_that_cannot_be(tiny: Path, text: str, said: str) -> None:
    (tiny / "points.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_points(tiny / "tiny2.toml", tiny / "points.toml")
    assert said in str(caught.value)


def test_a_sweep_of_another_kind_of_recipe(tiny: Path) -> None:
    (tiny / "knn.toml").write_text('kind = "knn"\n')
    with pytest.raises(InputError, match="has kind = 'knn'; a sweep is of recipes of kind 'keypointnet'"):
        read_points(tiny / "knn.toml", tiny / "knn.toml")
