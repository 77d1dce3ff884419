"""What a detector found on pictures is kept by their content and its settings."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fkp_edge.core.geometry import Box
from fkp_edge.data import FaceSet
from fkp_edge.errors import InputError
from fkp_edge.train.proposals import Proposer, cache_folder, face_boxes, proposals_on

BOX: Box = (1.0, 2.0, 30.0, 30.0)


class Counted:
    """Makes detectors that count their calls."""

    def __init__(self) -> None:
        self.calls, self.threads = 0, set[int]()

    def __call__(self) -> Callable[[np.ndarray], list[Box]]:
        own = threading.get_ident()

        def propose(grey: np.ndarray) -> list[Box]:
            assert threading.get_ident() == own
            self.calls += 1
            return [(*BOX[:3], float(grey[0, 0]))]

        return propose


@pytest.fixture
def pictures() -> list[np.ndarray]:
    return [np.full((40, 50), level, np.uint8) for level in range(20)]


def test_each_picture_keeps_its_place(pictures: list[np.ndarray]) -> None:
    found = proposals_on(pictures, Proposer(Counted(), "a"), "p")
    assert [boxes[0][3] for boxes in found] == list(range(20))
    assert found == proposals_on(pictures, lambda grey: Counted()()(grey), "p")


def test_of_no_pictures_nothing_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    assert proposals_on([], Proposer(Counted(), "a"), "p") == []
    assert capfd.readouterr() == ("", "")


def test_the_same_pictures_are_looked_at_once(pictures: list[np.ndarray]) -> None:
    made = Counted()
    found = proposals_on(pictures, Proposer(made, "a"), "p")
    assert proposals_on([picture.copy() for picture in pictures], Proposer(made, "a"), "renamed") == found
    assert made.calls == 20


@pytest.mark.parametrize("other", ["settings", "a pixel", "a shape", "the order"])
def test_what_was_found_on_others_is_not_taken(pictures: list[np.ndarray], other: str) -> None:
    made = Counted()
    proposals_on(pictures, Proposer(made, "a"), "p")
    changed = [picture.copy() for picture in pictures]
    if other == "a pixel":
        changed[7][3, 3] += 1
    if other == "a shape":
        changed[7] = changed[7].reshape(50, 40)
    if other == "the order":
        changed.reverse()
    proposals_on(changed, Proposer(made, "b" if other == "settings" else "a"), "p")
    assert made.calls == 40


def test_a_run_and_a_conversion_share_what_was_found(faces: FaceSet) -> None:
    made = Counted()
    face_boxes([faces], Proposer(made, "a"))
    face_boxes([faces.in_memory()], Proposer(made, "a"))
    assert made.calls == len(faces)


def test_a_damaged_cache_is_named(pictures: list[np.ndarray]) -> None:
    proposals_on(pictures, Proposer(Counted(), "a"), "p")
    (kept,) = cache_folder().iterdir()
    kept.write_text("[[[1]]]")
    with pytest.raises(InputError, match=r"proposals-\w+\.json is damaged .* delete it"):
        proposals_on(pictures, Proposer(Counted(), "a"), "p")


def test_a_cache_that_cannot_be_written_costs_the_next_run_only(
    pictures: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(proposals_on(pictures, Proposer(Counted(), "a"), "p")) == 20
