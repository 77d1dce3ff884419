"""A real measurement of some seconds, and its parts."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from fkp_edge.bench.accuracy import measure_accuracy
from fkp_edge.bench.loops import PacedFrames, Timeline, frame_at, record_frames
from fkp_edge.bench.records import Result
from fkp_edge.bench.run import Plan
from fkp_edge.bench.start import watch_run
from fkp_edge.cli.main import main
from fkp_edge.data import FaceSet
from fkp_edge.errors import InputError, SourceError
from fkp_edge.model.file import read_model_file
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """What a quick run found, and its report."""
    path = tmp_path_factory.mktemp("bench") / "bench.json"
    assert main(["bench", "keypoints-int8", "--quick", "--threads", "1", "--report", str(path)]) == 0
    return msgspec.json.decode(path.read_bytes(), type=Result), path


def test_every_stage_is_measured(measured):
    model = measured[0].models[0]
    staged = {"crop", "infer", "decode", "filter", "pose", "engine", "encode", "send", "end to end"}
    assert staged <= set(model.closed.stages)
    assert staged | {"capture wait"} <= set(model.open.first_minute.stages)


def test_a_frame_takes_at_least_its_parts(measured):
    stages = measured[0].models[0].closed.stages
    assert sum(stages[name].p50_ms for name in ("crop", "infer", "decode")) <= stages["engine"].p50_ms
    assert stages["engine"].p50_ms <= stages["end to end"].p50_ms


def test_frames_are_all_accounted_for(measured):
    opened = measured[0].models[0].open.first_minute
    assert opened.frames + opened.dropped in range(55, 64)  # two seconds of 30
    assert opened.stages["end to end"].count == opened.frames - opened.missed


def test_start_and_memory_are_those_of_run(measured):
    (start,) = measured[0].models[0].start
    assert 0 < start.listening_s <= start.first_observation_s <= start.first_keypoints_s
    assert 20 < start.peak_mb < 1000


def test_two_seconds_are_no_steady_state(measured):
    assert measured[0].models[0].open.steady is None
    assert measured[0].quick


def test_a_result_compared_with_itself_is_no_regression(measured, capsys: pytest.CaptureFixture[str]):
    path = str(measured[1])
    assert main(["bench", "compare", path, path, "--fail-on", "1"]) == 0
    assert "worse" not in capsys.readouterr().out


def test_a_regression_is_exit_code_1(make_result, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, ms in zip(paths, (0.3, 0.4), strict=True):
        path.write_bytes(msgspec.json.encode(make_result(infer_ms=ms)))
    assert main(["bench", "compare", *map(str, paths), "--fail-on", "10%", "--json"]) == 1
    out, err = capsys.readouterr()
    assert len(msgspec.json.decode(out)["regressions"]) == err.count("worse by") == 7


def test_a_run_that_does_not_start_says_why(tmp_path: Path):
    with pytest.raises(SourceError, match=r"fkp-edge run did not start: source '.*none\.mp4' does not exist"):
        watch_run(str(tmp_path / "none.mp4"), shipped_model(), seconds=1)


FROM_68 = (slice(42, 48), slice(36, 42), 42, 45, 39, 36, 22, 26, 21, 17, 30, 54, 48, 51, 57)
"""Which of iBUG's points each of the 15 is."""


@pytest.fixture
def labelled(tmp_path: Path, portrait_faces: FaceSet, write_pts) -> Path:
    """A folder with the portraits and their points."""
    for i, (image, points) in enumerate(zip(portrait_faces.images, portrait_faces.points, strict=True)):
        cv2.imwrite(str(tmp_path / f"{i}.png"), image)
        every = np.tile(points[10], (68, 1))
        for place, point in zip(FROM_68, points, strict=True):
            every[place] = point  # the eyes' contours come first: their corners are then set apart
        write_pts(tmp_path / f"{i}.pts", every, picture=False)
    return tmp_path


def test_models_are_compared_with_the_float_one_on_the_same_crops(labelled):
    told: list[str] = []
    models = {name: open_model(shipped_model(name)) for name in ("keypoints-int8", "keypoints-float32")}
    after, before = measure_accuracy(models, labelled, told.append)
    assert (after.baseline, before.baseline) == ("keypoints-float32",) * 2
    assert before.loss is None
    assert after.loss.overall.before_percent == pytest.approx(before.nme_percent, abs=1e-3)
    assert after.latency.count == before.latency.count == after.crops == 15


class Halved(KeypointModel):
    """What a file with float16 weights tells of itself."""

    full_weights = False


def test_the_most_precise_of_two_float_models_is_the_baseline(labelled):
    file = read_model_file(shipped_model("keypoints-float32"))
    models = {"int8": open_model(shipped_model()), "float16": Halved(file), "float32": KeypointModel(file)}
    assert {found.baseline for found in measure_accuracy(models, labelled, print)} == {"float32"}
    del models["float32"]
    assert {found.baseline for found in measure_accuracy(models, labelled, print)} == {"float16"}


def test_without_a_float_model_the_first_is_the_baseline(labelled):
    names = ("keypoints-small-int8", "keypoints-int8")
    models = {name: open_model(shipped_model(name)) for name in names}
    assert {found.baseline for found in measure_accuracy(models, labelled, print)} == {"keypoints-small-int8"}


def test_a_folder_without_labels_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no labelled faces in"):
        measure_accuracy({"a": open_model(shipped_model())}, tmp_path, print)


def test_files_of_one_name_are_told_apart_by_their_paths():
    plan = Plan((Path("a/m.tflite"), Path("b/m.tflite"), Path("n.tflite")))
    assert plan.names == ["a/m.tflite", "b/m.tflite", "n.tflite"]


def test_frames_play_there_and_back():
    frames = record_frames("demo")[:3]
    order = [frame_at(frames, i, 0).grey is frames[k].grey for i, k in enumerate((0, 1, 2, 1, 0, 1))]
    assert all(order)


def test_paced_frames_are_due_at_their_rate():
    with PacedFrames(record_frames("demo")[:2], 100.0) as source:
        first, second = source.read(), source.read()
    assert second.captured_ns - first.captured_ns == 10_000_000
    assert source.read() is None


def test_a_timeline_gives_what_ended_within_a_span():
    times = Timeline()
    for end, duration in ((10, 1), (20, 2), (30, 3)):
        times.add_at("crop", end, duration)
    assert times.between(10, 30) == {"crop": [1, 2]}
    assert times.between(40, 50) == {}
