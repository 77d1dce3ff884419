from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.core.geometry import box_around, crop_from_track
from fkp_edge.core.keypoints import FKP15
from fkp_edge.core.observation import Face, Frame, Observation, State
from fkp_edge.data import FaceSet
from fkp_edge.data.chips import cut_chip
from fkp_edge.device.keeping import FaceKeeper, KeepSettings
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model


@pytest.fixture(scope="module")
def model() -> KeypointModel:
    return open_model(shipped_model())


@pytest.fixture
def keep(tmp_path: Path, model: KeypointModel, portrait_faces: FaceSet):
    """Shows a keeper a portrait at these times in seconds, with these scores, and gives the files that it kept."""

    def run(times: list[float], scores: list[float] | None = None, *, held: bool = False, **settings) -> list[Path]:
        with FaceKeeper(tmp_path / "kept", KeepSettings(**settings), model) as keeper:
            for number, time_s in enumerate(times):
                grey = np.full_like(portrait_faces.images[0], number) + portrait_faces.images[0] // 2
                score = scores[number] if scores else 0.98
                points = portrait_faces.points[0]
                box = box_around(crop_from_track(points, FKP15.mean_shape))
                faces = () if score < 0 else (Face(1, score, box, points, held=held),)
                state = State.TRACKING if faces else State.SEARCHING
                captured_ns = round(1e9 * (5 + time_s))
                keeper(Frame(grey, captured_ns, number), Observation(number, captured_ns, state, faces))
        return sorted((tmp_path / "kept").iterdir())

    return run


def test_one_frame_in_so_many_seconds_is_kept(keep):
    kept = keep([0, 0.5, 0.9, 1.1, 1.9, 2.2], every_s=1.0)
    assert [path.name for path in kept] == ["face-000001.jpg", "face-000002.jpg", "face-000003.jpg"]
    assert cv2.imread(str(kept[0])).shape[0] > 150


def test_nothing_is_kept_without_a_face(keep):
    assert keep([0, 1, 2], [-1, -1, -1]) == []
    assert keep([0, 1, 2], held=True) == []


def test_the_least_sure_frame_is_kept(keep, portrait_faces):
    (kept,) = keep([0, 0.25, 0.5, 0.75, 1.0], [0.98, 0.98, 0.6, 0.98, 0.98], every_s=1.0, unsure=True)
    shown = [cut_chip(portrait_faces.images[0] // 2 + number, portrait_faces.points[0]) for number in range(5)]
    assert int(np.argmin([abs(chip.picture.mean() - cv2.imread(str(kept), 0).mean()) for chip in shown])) == 2


def test_keeping_ends_at_so_many_faces_also_of_earlier_runs(keep, caplog):
    assert len(keep([0, 1], max_faces=3)) == 2
    assert len(keep([0, 1, 2, 3], max_faces=3)) == 3
    assert "3 faces and" in caplog.text
    assert len(caplog.records) == 1


def test_keeping_ends_at_so_many_bytes(keep):
    kept = keep([0, 1, 2, 3, 4], max_mb=0.02)
    assert 0 < sum(path.stat().st_size for path in kept) <= 20_000


def test_a_folder_that_goes_away_ends_the_keeping_not_the_run(keep, tmp_path, caplog, model):
    keeper = FaceKeeper(tmp_path / "gone", KeepSettings(), model)
    (tmp_path / "gone").rmdir()
    points = Face(1, 0.9, (0, 0, 9, 9), FKP15.mean_shape * 90)
    for second in (1, 3):
        frame = Frame(np.zeros((99, 99), np.uint8), second * 10**9, second)
        keeper(frame, Observation(second, frame.captured_ns, State.TRACKING, (points,)))
    keeper.close()
    assert "keeping faces in" in caplog.text
    assert keeper.kept == 0
