from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.core.keypoints import Points
from fkp_edge.data import FaceSet
from fkp_edge.evaluation.groups import MIN_PICTURES, GroupedPictures, evaluate_groups
from fkp_edge.evaluation.metrics import wilson_interval
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model


@pytest.fixture(scope="module")
def model() -> KeypointModel:
    return open_model(shipped_model())


SIDE = 128


@pytest.fixture(scope="module")
def picture(portrait_faces: FaceSet) -> np.ndarray:
    return cv2.resize(portrait_faces.images[0], (SIDE, SIDE), interpolation=cv2.INTER_AREA)


@pytest.fixture
def portraits(tmp_path: Path, picture: np.ndarray) -> GroupedPictures:
    """As many pictures of group a, sharp, as of group b, in which nothing is seen."""
    paths = tuple(tmp_path / f"{kind}{number}.png" for kind in "ab" for number in range(MIN_PICTURES))
    for path in paths:
        cv2.imwrite(str(path), picture if path.name[0] == "a" else np.zeros_like(picture))
    return GroupedPictures(paths, {"kind": tuple(path.name[0] for path in paths)})


@pytest.fixture
def find(portrait_faces: FaceSet):
    """Reports the portrait's labelled points, and nothing in a black picture."""
    points = portrait_faces.points[0] * (SIDE / portrait_faces.images[0].shape[0])

    def found(grey: np.ndarray) -> list[Points]:
        return [points] if grey.any() else []

    return found


def test_a_group_whose_faces_are_not_found_is_behind(model, portraits, find):
    figures = evaluate_groups(model, portraits, find=find)
    assert (figures["pictures"], figures["all"]["found_percent"]) == (2 * MIN_PICTURES, 50)
    assert figures["groups"]["kind"]["a"]["found_percent"] == 100
    assert figures["groups"]["kind"]["a"]["behind"] == []
    assert figures["groups"]["kind"]["b"]["behind"] == ["found"]
    assert figures["gaps"]["kind"]["found"] == {"best": "a", "worst": "b", "gap_points": 100}


def test_jitter_and_score_are_those_of_found_faces(model, portraits, find):
    groups = evaluate_groups(model, portraits, find=find)["groups"]["kind"]
    assert 0.1 < groups["a"]["jitter_percent"] < 5
    assert groups["a"]["score"] > 0.5
    assert "jitter_percent" not in groups["b"]
    low, high = groups["a"]["jitter_interval"]
    assert low < groups["a"]["jitter_percent"] < high


def test_blur_raises_the_jitter(model, portraits, find, picture):
    picture = cv2.GaussianBlur(picture, (0, 0), 3)
    for path, kind in zip(portraits.paths, portraits.groups["kind"], strict=True):
        if kind == "b":
            cv2.imwrite(str(path), picture)
    figures = evaluate_groups(model, portraits, find=find)
    assert figures["gaps"]["kind"]["jitter"]["worst"] == "b"
    assert figures["groups"]["kind"]["b"]["behind"] == ["jitter"]


def test_small_groups_are_in_no_gap(model, portraits, find):
    groups = ("rare", *("common" for _ in portraits.paths[1:]))
    figures = evaluate_groups(model, GroupedPictures(portraits.paths, {"kind": groups}), find=find)
    assert "behind" not in figures["groups"]["kind"]["rare"]
    assert figures["gaps"]["kind"] == {}


def test_labels_beside_a_picture_give_the_error(tmp_path, portrait_faces, find, write_pts):
    model = open_model(shipped_model("keypoints68-int8"))
    cv2.imwrite(str(tmp_path / "a.png"), portrait_faces.images[0])
    truth = np.random.default_rng(0).uniform(20, 80, (68, 2)).astype(np.float32)
    write_pts(tmp_path / "a.pts", truth)
    pictures = GroupedPictures((tmp_path / "a.png",), {"kind": ("a",)})
    near, far = (evaluate_groups(model, pictures, find=lambda grey, by=by: [truth + by])["all"] for by in (0.5, 99))
    assert near["nme_percent"] == pytest.approx(
        100 * 0.5 * 2**0.5 / float(np.linalg.norm(truth[45] - truth[36])), rel=1e-3
    )
    assert (far["found_percent"], "nme_percent" in far) == (0, False)


def test_an_interval_of_a_share_has_a_width_at_the_ends():
    assert wilson_interval(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson_interval(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
