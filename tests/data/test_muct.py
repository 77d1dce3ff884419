"""A drawn sample in the exact format of muct76-opencv.csv; its numbers are those of one real row, rounded."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data import load_one
from fkp_edge.data.readers import MUCT_COLUMNS, MUCT_POINTS, read_muct
from fkp_edge.errors import InputError

# MUCT's point -> a place in Kaggle's crop that is stretched to a picture of 480x640
FACE = FKP15.mean_shape * 200 + np.array([140, 260], np.float32)


def row(name: str = "i000qa-fn", tag: str = "0000", hidden: tuple[str, ...] = ()) -> dict[str, str]:
    """A row whose 15 used points are `FACE`, the others somewhere; hidden ones are 0,0 as MUCT writes them."""
    cells = dict.fromkeys(MUCT_COLUMNS, "321.5") | {"name": name, "tag": tag}
    for point, (x, y) in zip(FKP15.names, FACE, strict=True):
        x, y = (0, 0) if point in hidden else (x, y)
        cells |= {f"x{MUCT_POINTS[point]:02}": f"{x:g}", f"y{MUCT_POINTS[point]:02}": f"{y:g}"}
    return cells


@pytest.fixture
def muct(tmp_path: Path, write_csv):
    """Writes a muct76-opencv.csv of the given rows, and their pictures into jpg/ but for those of mirrored rows."""

    def write(*rows: dict[str, str]) -> Path:
        (tmp_path / "jpg").mkdir(exist_ok=True)
        picture = np.full((640, 480), 90, np.uint8)
        for x, y in FACE:
            cv2.circle(picture, (round(float(x)), round(float(y))), 4, 255, -1)
        for cells in rows:
            if not cells["name"].startswith("ir"):
                cv2.imwrite(str(tmp_path / "jpg" / f"{cells['name']}.jpg"), picture)
        return write_csv(tmp_path / "muct76-opencv.csv", *rows)

    return write


def test_the_table_names_each_of_kaggles_points_once():
    assert tuple(MUCT_POINTS) == FKP15.names
    assert len(set(MUCT_POINTS.values())) == 15


def test_points_keep_their_side(muct):
    # a real row, i000qa-fn: the picture's left is the subject's right
    real = {27: (229, 345), 32: (346, 337), 48: (251, 431), 54: (329, 426), 21: (217, 328), 15: (355, 316)}
    for name, index in MUCT_POINTS.items():
        if index in real:
            assert (real[index][0] > 293) == name.startswith(("left", "mouth_left"))


def test_a_sample_is_read(muct):
    faces = load_one(muct(row(), row("i001qb-mn", "0001")), FKP15)
    assert (faces.name, faces.labels, faces.cropped) == ("muct", ("i000qa-fn", "i001qb-mn"), False)
    np.testing.assert_allclose(faces.points[0], FACE, atol=1e-3)
    assert faces.images[0].shape == (640, 480)
    units = faces.crop(0).to_units(faces.points[0])
    assert np.abs(units - FKP15.mean_shape).max() * CROP_SIZE < 2


def test_hidden_points_are_missing(muct):
    points = read_muct(muct(row(hidden=("left_eyebrow_outer_end",)))).points
    assert np.isnan(points[0, 7]).all()
    assert np.isfinite(points).all(2).sum() == 14


def test_mirrored_rows_are_passed_over(muct):
    assert len(read_muct(muct(row(), row("ir000qa-fn")))) == 1


def test_rows_that_frame_no_face_are_left_out_with_a_word(muct, caplog: pytest.LogCaptureFixture):
    faces = read_muct(muct(row(), row("i001qb-mn", hidden=("right_eye_center",))))
    assert len(faces) == 1
    assert "1 rows lack an eye centre or the lower lip and are left out" in caplog.text


def complaint(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_muct(path)
    return str(caught.value)


def test_no_usable_row(muct):
    assert "has no row of a picture with both eye centres" in complaint(muct(row("ir000qa-fn")))


def test_a_cell_that_is_no_number(muct):
    path = muct(row() | {"x36": "left"})
    assert complaint(path) == f"{path} row 2 column x36: 'left' is not a number; expected pixels"


@pytest.mark.parametrize("value", ["inf", "nan", "1e9"])
def test_a_cell_that_is_no_pixel(muct, value: str):
    assert f"column y67: {value!r} is no pixel" in complaint(muct(row() | {"y67": value}))


def test_a_missing_column(tmp_path: Path, write_csv):
    cells = row()
    del cells["x36"]
    path = write_csv(tmp_path / "m.csv", cells)
    assert complaint(path) == f"{path} has no column 'x36'; expected MUCT's name, tag, x00, y00 to x75, y75"


@pytest.mark.parametrize("name", ["i999qa-fn", "../secret"])
def test_a_picture_that_is_not_there(muct, tmp_path: Path, write_csv, name: str):
    (tmp_path / "jpg").mkdir(exist_ok=True)
    (tmp_path.parent / "secret.jpg").touch()
    path = write_csv(tmp_path / "muct76-opencv.csv", row(name))
    assert f"names {name!r}, but there is no {name}.jpg beside it or in jpg/" in complaint(path)


def test_pictures_of_one_subject_are_of_one_person(muct):
    faces = read_muct(muct(row("i000qa-fn"), row("i000qb-fn"), row("i001qa-mn")))
    assert faces.subject.tolist() == [0, 0, 1]
