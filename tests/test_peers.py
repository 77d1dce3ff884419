"""The pure parts of benchmarks/peers, its protocol with our own worker, and that what is published was measured."""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from fkp_edge.core.geometry import Crop
from fkp_edge.core.keypoints import FKP15, IBUG68
from fkp_edge.errors import InputError
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model

REPOSITORY = Path(__file__).resolve().parents[1]
PEERS = REPOSITORY / "benchmarks/peers"
RESULT = PEERS.parent / "results/peers.json"
MIRRORED = {362: 133, 385: 158, 387: 160, 263: 33, 373: 144, 380: 153, 285: 55, 336: 107, 300: 70, 291: 61}
"""MediaPipe's points of the left half, as its drawing of the mesh numbers them, and their partners."""
FACE = Crop(120, 90, 80, 0.3)
HABIT = np.random.default_rng(0).normal(0, 0.02, (15, 2))


@pytest.fixture(autouse=True)
def _on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (PEERS, PEERS / "workers"):
        monkeypatch.syspath_prepend(str(folder))


def faces(*crops: Crop, habit: Any = 0.0) -> np.ndarray:
    return np.stack([crop.to_frame(FKP15.mean_shape + habit) for crop in crops])


# mapping


def test_mediapipes_points_are_the_same_on_both_sides() -> None:
    indices = import_module("mapping").MEDIAPIPE
    pairs = MIRRORED | {right: left for left, right in MIRRORED.items()}
    for name, partner in zip(FKP15.names, FKP15.flip, strict=True):
        assert {pairs.get(i, i) for i in indices[name]} == set(indices[FKP15.names[partner]])


def test_each_of_the_15_is_the_mean_of_its_points() -> None:
    mapping = import_module("mapping")
    points = np.random.default_rng(0).normal(size=(468, 2))
    found = mapping.to_fkp15(points)
    assert found[FKP15.names.index("nose_tip")] == pytest.approx(points[4])
    assert found[FKP15.names.index("left_eyebrow_inner_end")] == pytest.approx((points[285] + points[336]) / 2)


def test_dlibs_points_are_ibugs() -> None:
    assert import_module("mapping").to_fkp15(IBUG68.mean_shape) == pytest.approx(FKP15.mean_shape, abs=0.01)


def test_points_of_nobody_are_refused() -> None:
    with pytest.raises(ValueError, match="478 points; expected 15"):
        import_module("mapping").to_fkp15(np.zeros((478, 2)))


# accuracy


def test_a_habit_is_taken_off_faces_of_any_place_size_and_roll() -> None:
    accuracy = import_module("accuracy")
    true, seen = (faces(FACE, Crop(50, 60, 40, -0.5), habit=habit) for habit in (HABIT, 0.0))
    offsets = accuracy.fit_offsets(seen, true)
    elsewhere = Crop(300, 200, 200, 1.0)
    moved = accuracy.without_habit(faces(elsewhere), offsets)
    assert moved == pytest.approx(faces(elsewhere, habit=HABIT), abs=1e-3)


def test_one_face_that_went_wrong_does_not_move_a_habit() -> None:
    accuracy = import_module("accuracy")
    true = np.concatenate([faces(FACE, FACE, FACE, habit=HABIT), faces(Crop(400, 400, 80))])
    assert accuracy.fit_offsets(faces(FACE, FACE, FACE, FACE), true) == pytest.approx(HABIT, abs=0.02)


def test_a_missed_face_stays_missed_and_is_counted() -> None:
    accuracy = import_module("accuracy")
    seen = faces(FACE, FACE)
    seen[1] = np.nan
    row = accuracy.compare({"int8": seen, "a": seen}, dict.fromkeys(("int8", "a"), HABIT), faces(FACE, FACE), "int8")
    assert (row["a"]["found"], row["a"]["raw"]["faces"], row["a"]["raw"]["nme_percent"]) == (1, 1, 0)
    assert row["a"]["without_habit"]["nme_percent"] > 1


def test_two_peers_are_compared_on_the_faces_that_both_found() -> None:
    beside = import_module("accuracy").beside
    found = beside(np.array([0.05, np.nan, 0.07]), np.array([0.04, 0.5, 0.04]))
    assert [found[key] for key in ("faces", "theirs_percent", "ours_percent")] == [2, 6, 4]
    assert found["difference_interval_percent"] == [-3, -1]


# matching


def test_a_report_is_taken_once_and_by_the_face_it_is_on() -> None:
    here, there = FKP15.mean_shape * 100, FKP15.mean_shape * 100 + 300
    assert import_module("matching").match([there, here], [here, here + 1, there]) == [1, None, 0]


def test_a_false_face_is_on_no_labelled_face_nor_on_an_ignored_one() -> None:
    reported = [FKP15.mean_shape * 100 + shift for shift in (0, 300, 600)]
    count = import_module("matching").false_faces([reported], [[FKP15.mean_shape * 100]], [[(600, 600, 100, 100)]])
    assert count == 1


def test_a_face_is_framed_as_the_detector_framed_others() -> None:
    matching = import_module("matching")
    seen, other = (Crop(*place).to_frame(FKP15.mean_shape) for place in ((100, 90, 80), (300, 200, 160)))
    box = (70, 60, 60, 60)
    usual = matching.usual_framing([box], [seen])
    assert matching.framed(usual, seen) == pytest.approx(box)
    assert matching.framed(usual, other) == pytest.approx((239.5, 139.5, 120, 120))


# speed


def test_a_frame_is_tracked_where_all_had_a_face_then_and_before() -> None:
    seen = [np.array([1, 1, 1, 0, 1, 1], bool), np.array([1, 1, 1, 1, 1, 1], bool)]
    assert import_module("speed").tracked_frames(seen).tolist() == [False, True, True, False, False, True]


def test_a_ratio_is_taken_within_each_round() -> None:
    theirs, ours = np.array([[40, 40, 90], [20, 20, 20], [30, 30, 0]]), np.array([[20] * 3, [5] * 3, [10] * 3])
    assert import_module("speed").ratio(theirs, ours) == {"median": 3, "lowest": 2, "highest": 4}


def test_only_tracked_frames_are_timed(tmp_path: Path) -> None:
    videos, material = import_module("videos"), import_module("material")
    found = {"picture": np.array([0, 1, 3]), "points": np.zeros((3, 15, 2)), "boxes": np.zeros((3, 4))}
    clock = np.array([9, 2, 9, 9]) * 1_000_000
    run = found | {"wall_ns": clock, "cpu_ns": clock // 2}
    runs = {"clip": {name: [run, run] for name in (*videos.TRACKING, "dlib", videos.PREDICTOR)}}
    group = videos.group([material.Video("clip", tmp_path, 4, (8, 8), 1)], runs)
    assert group["tracked"] == 1
    assert (group["peers"]["dlib"]["wall_ms"], group["peers"]["dlib"]["cpu_ms"]) == (2, 1)


# the protocol


@pytest.fixture
def demo(tmp_path: Path) -> Any:
    return import_module("material").write_demo(tmp_path, 3)


def test_data_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no val/lfpw, .*clips; expected the folders val, test and clips"):
        import_module("material").check(tmp_path)


def start(model: str, work: Path) -> Any:
    environments = import_module("environments")
    peer = environments.Peer("ours", "ours", None, ("fkp_edge_worker.py", "engine", model))
    return environments.Worker(peer, Path(sys.executable), max(os.sched_getaffinity(0)), work)


def test_a_worker_gives_points_and_times_of_each_frame(demo: Any, tmp_path: Path) -> None:
    videos = import_module("videos")
    with start("keypoints-int8", tmp_path) as worker:
        found = videos.read(worker.do(demo.job() | {"out": str(tmp_path / "found.npz")}))
        assert worker.versions["model_sha256"] == open_model(shipped_model()).file.sha256
    assert found["picture"].tolist() == [0, 1, 2]
    assert (found["wall_ns"] > 0).sum() == 3
    assert videos.error(found, demo) < 0.05


def test_a_worker_that_ends_is_reported_with_its_last_words(demo: Any, tmp_path: Path) -> None:
    with start("no-such-model", tmp_path) as worker, pytest.raises(SystemExit, match="no-such-model"):
        worker.do(demo.job() | {"out": str(tmp_path / "found.npz")})


def test_a_video_without_faces_has_an_empty_result(demo: Any) -> None:
    worker = import_module("worker")
    found = worker.run(demo.job(), worker.Looker(lambda *_: None, lambda *_: []))
    assert (found["picture"].shape, found["boxes"].shape, found["wall_ns"].shape) == ((0,), (0, 4), (3,))


def test_a_given_box_is_passed_on_and_grey_is_shown_as_colour(demo: Any, tmp_path: Path) -> None:
    worker: ModuleType = import_module("worker")
    np.save(tmp_path / "boxes.npy", np.arange(12.0).reshape(3, 4))
    looker = worker.Looker(
        lambda picture, box, _: (picture.shape, box), lambda seen, _: [worker.Face(np.zeros((1, 2)), seen[1])], "rgb"
    )
    found = worker.run(demo.job() | {"boxes": str(tmp_path / "boxes.npy")}, looker)
    assert found["boxes"].tolist() == np.arange(12.0).reshape(3, 4).tolist()
    assert next(worker.read_pictures(demo.job(), "rgb")).shape == (480, 640, 3)


# what is published


@pytest.fixture
def record() -> Any:
    return json.loads(RESULT.read_text())


def test_the_picture_is_that_of_the_results(record: Any) -> None:
    page = import_module("page")
    assert page.caption(record) in page.PICTURE.read_text()


def test_the_file_that_ships_was_measured_and_the_work_was_done(record: Any) -> None:
    assert record["accuracy"]["versions"]["int8"] == record["speed"]["versions"]["int8"]
    assert record["speed"]["versions"]["int8"]["model_sha256"] == open_model(shipped_model()).file.sha256
    demo = next(video for video in record["speed"]["videos"] if video["name"] == "demo")
    assert all(row["median_nme_percent"] < 10 for row in demo["peers"].values())
    assert all(row["rounds_agree"] for video in record["speed"]["videos"] for row in video["peers"].values())


def test_the_goals_are_judged_by_the_results(record: Any) -> None:
    assert record["goals"] == import_module("run").goals(record)


@pytest.mark.parametrize(("peer", "least"), [("mediapipe", 4), ("dlib", 35)])
def test_what_must_hold_does_by_both_clocks(record: Any, peer: str, least: float) -> None:
    row = record["speed"]["groups"]["demo"]["peers"][peer]
    assert min(row["cpu_ratio"]["median"], row["wall_ratio"]["median"]) >= least


def test_what_the_page_says_beside_the_table_is_so(record: Any) -> None:
    afw, whole = (record["accuracy"]["own_detector"][name]["peers"] for name in ("test/afw", "test/scenes"))
    pair = afw["mediapipe_settled"]["beside_base"]["theirs_without_habit"]
    low, high = pair["difference_interval_percent"]
    assert low < 0 < high
    assert afw["mediapipe_settled"]["beside_base"]["both_without_habit"]["difference_interval_percent"][1] < 0
    assert afw["mediapipe_settled"]["found"] > afw["int8"]["found"]
    assert whole["int8"]["cpu_ms_a_picture"] > 5 * whole["mediapipe"]["cpu_ms_a_picture"]


def test_searching_costs_less_in_smaller_frames(record: Any) -> None:
    demo, clips = (record["speed"]["groups"][group]["peers"] for group in ("demo", "clips"))
    assert all(clips[name]["cpu_ratio"]["median"] < demo[name]["cpu_ratio"]["median"] for name in ("dlib", "haar"))
