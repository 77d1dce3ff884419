from __future__ import annotations

import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.cli.main import main
from fkp_edge.core.geometry import Crop
from fkp_edge.core.keypoints import FKP15, IBUG68, Schema
from fkp_edge.data import read_ibug_folder
from fkp_edge.data.pictures import portrait
from fkp_edge.errors import InputError
from fkp_edge.label import Labelling, Marked, label

POINTS = Crop(60, 60, 80).to_frame(IBUG68.mean_shape)


class FakeTeacher:
    """Marks the same face in every picture that is not black, and counts how often it was asked."""

    name = "fake"

    def __init__(self, disagreement: float = 0.01, schema: Schema = IBUG68, stop_at: int = 1000) -> None:
        self.schema, self.asked = schema, 0
        self._disagreement, self._stop_at = disagreement, stop_at

    def mark(self, grey: np.ndarray) -> list[Marked]:
        if self.asked == self._stop_at:
            raise KeyboardInterrupt
        self.asked += 1
        return [Marked(POINTS, self._disagreement)] if grey.any() else []


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, value in enumerate((90, 0, 120)):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((120, 120), value, np.uint8))
    return folder


HOW = Labelling(schema=IBUG68)


def test_labelled_faces_are_read_as_any_labelled_faces(pictures, tmp_path):
    found = label(pictures, FakeTeacher(), tmp_path / "out", HOW)
    assert (found.looked_at, found.faces, found.unsure, found.without) == (3, 2, 0, 1)
    faces = read_ibug_folder(tmp_path / "out", IBUG68)
    assert faces.labels == ("0", "2")
    assert np.ptp(faces.points[0], axis=0) == pytest.approx(np.ptp(POINTS, axis=0), abs=0.01)
    assert found.sheet is not None
    assert found.sheet.is_file()


def test_fifteen_points_are_written_where_asked(pictures, tmp_path):
    label(pictures, FakeTeacher(), tmp_path / "out", Labelling(schema=FKP15))
    assert read_ibug_folder(tmp_path / "out", FKP15).points.shape == (2, 15, 2)
    with pytest.raises(InputError, match=r"0.pts has 15 points; expected 68 in the iBUG order"):
        read_ibug_folder(tmp_path / "out", IBUG68)


def test_unsure_faces_are_counted_and_left_out(pictures, tmp_path):
    found = label(pictures, FakeTeacher(0.06), tmp_path / "out", HOW)
    assert (found.faces, found.unsure, found.sheet) == (0, 2, None)
    assert not list((tmp_path / "out").glob("*.pts"))


def test_a_stopped_run_goes_on_where_it_was(pictures, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        label(pictures, FakeTeacher(stop_at=1), tmp_path / "out", HOW)
    teacher = FakeTeacher()
    found = label(pictures, teacher, tmp_path / "out", HOW)
    assert (teacher.asked, found.looked_at, found.faces) == (2, 3, 2)


def test_a_line_cut_short_is_forgotten(pictures, tmp_path):
    label(pictures, FakeTeacher(), tmp_path / "out", HOW)
    lines = tmp_path / "out/about/faces.jsonl"
    lines.write_bytes(lines.read_bytes()[:-9])
    teacher = FakeTeacher()
    assert label(pictures, teacher, tmp_path / "out", HOW).looked_at == 3
    assert teacher.asked == 1
    assert label(pictures, FakeTeacher(stop_at=0), tmp_path / "out", HOW).faces == 2


def test_a_full_disk_leaves_whole_faces_only(pictures, tmp_path, monkeypatch):
    real = os.fsync

    def full(handle: int) -> None:
        if len(list((tmp_path / "out").glob("*.pts"))) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left on device"):
        label(pictures, FakeTeacher(), tmp_path / "out", HOW)
    monkeypatch.undo()
    assert sorted(path.name for path in (tmp_path / "out").glob("*")) == ["0.jpg", "0.pts", "about"]
    assert label(pictures, FakeTeacher(), tmp_path / "out", HOW).faces == 2


def test_labels_made_otherwise_are_not_mixed(pictures, tmp_path):
    label(pictures, FakeTeacher(), tmp_path / "out", HOW)
    with pytest.raises(
        InputError, match=r"holds labels made otherwise \(schema ibug68, now fkp15; sure 0.05, now 0.1\)"
    ):
        label(pictures, FakeTeacher(), tmp_path / "out", Labelling(schema=FKP15, sure=0.1))


def test_a_folder_that_holds_something_else_is_refused(pictures):
    with pytest.raises(InputError, match=r"pictures already holds 0.png, and no labels of this command"):
        label(pictures, FakeTeacher(), pictures, HOW)


def test_a_teacher_of_fewer_points_is_refused(pictures, tmp_path):
    with pytest.raises(InputError, match=r"fake marks 15 points; expected a teacher of 68, or --schema fkp15"):
        label(pictures, FakeTeacher(schema=FKP15), tmp_path / "out", HOW)


def test_a_file_that_is_no_picture_is_named_and_the_rest_labelled(pictures, tmp_path):
    (pictures / "1.png").write_text("no picture")
    found = label(pictures, FakeTeacher(), tmp_path / "out", HOW)
    assert (found.looked_at, found.faces) == (2, 2)
    assert "1.png is not a picture that OpenCV reads" in found.unreadable[0]


def test_pictures_without_faces_are_an_error(tmp_path):
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((9, 9), np.uint8))
    with pytest.raises(InputError, match=r"no face is seen in any of the 1 pictures of .*black.png; expected faces"):
        label(tmp_path / "black.png", FakeTeacher(), tmp_path / "out", HOW)


def test_two_pictures_of_one_name_are_refused(pictures, tmp_path):
    cv2.imwrite(str(pictures / "0.jpg"), np.zeros((9, 9), np.uint8))
    with pytest.raises(InputError, match="have one name"):
        label(pictures, FakeTeacher(), tmp_path / "out", HOW)


def test_a_recording_has_no_pictures(tmp_path):
    (tmp_path / "me.jsonl").write_text('{"type":"recording"}\n')
    with pytest.raises(InputError, match=r"me.jsonl is a recording of points; expected a picture, a folder"):
        label(tmp_path / "me.jsonl", FakeTeacher(), tmp_path / "out", HOW)


def test_frames_of_a_video_are_labelled_some_time_apart(tmp_path):
    video = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 10, (128, 128))
    for _ in range(20):
        writer.write(np.full((128, 128, 3), 90, np.uint8))
    writer.release()
    found = label(video, FakeTeacher(), tmp_path / "out", HOW)
    assert (found.looked_at, found.faces) == (4, 4)
    assert (tmp_path / "out/clip-000015.pts").is_file()


def test_the_command_labels_the_portrait(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("collins.png", portrait())
    assert main(["label", "collins.png", "--out", "out"]) == 0
    assert "labelled: 1 faces in 1 pictures, in out" in capsys.readouterr().out
    (face,) = read_ibug_folder(Path("out"), FKP15).points
    assert FKP15.inter_ocular(face) > 30


@pytest.mark.parametrize("share", ["0", "5", "nan", "five"])
def test_a_share_that_is_none_is_refused(share, capsys):
    with pytest.raises(SystemExit):
        main(["label", "a", "--out", "b", "--sure", share])
    assert "such as 0.05" in capsys.readouterr().err
