from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.cli.main import main
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data import FaceSet
from fkp_edge.data.description import describe, draw_overview, draw_samples


@pytest.fixture
def faces() -> FaceSet:
    """Twelve crops of noise with points near the mean shape; rows 8 to 11 have the common points only."""
    rng = np.random.default_rng(0)
    points = FKP15.mean_shape * 96 - 0.5 + rng.normal(0, 0.7, (12, 15, 2))
    points[8:, [i for i in range(15) if i not in (0, 1, 10, 14)]] = np.nan
    images = list(rng.integers(0, 256, (12, 96, 96), np.uint8))
    return FaceSet(
        "t", FKP15, points.astype(np.float32), images, tuple(f"row {i + 2}" for i in range(12)), cropped=True
    )


def with_point(faces: FaceSet, row: int, point: str, place: tuple[float, float]) -> FaceSet:
    points = faces.points.copy()
    points[row, FKP15.names.index(point)] = place
    return replace(faces, points=points)


def test_counts_and_missing_values(faces: FaceSet):
    found = describe(faces)
    assert (found.rows, found.complete_rows, found.picture_sizes) == (12, 8, {"96x96": 12})
    assert found.labelled_per_row == {"15": 8, "4": 4}
    by_name = {point.name: point for point in found.points}
    assert by_name["nose_tip"].labelled == 12
    assert by_name["mouth_left_corner"].missing_percent == pytest.approx(100 / 3)


def test_spread_of_each_point(faces: FaceSet):
    nose = describe(faces).points[10]
    np.testing.assert_allclose(nose.mean_px, faces.points[:, 10].mean(0), rtol=1e-5)
    np.testing.assert_allclose(nose.spread_px, faces.points[:, 10].std(0), rtol=1e-4)


def test_a_point_that_nobody_labelled(faces: FaceSet):
    points = faces.points.copy()
    points[:, 13] = np.nan
    lip = describe(replace(faces, points=points)).points[13]
    assert (lip.labelled, lip.missing_percent, lip.mean_px) == (0, 100, None)


def test_nothing_is_suspicious_in_sound_labels(faces: FaceSet):
    found = describe(faces)
    assert (found.duplicates, found.suspicious) == ((), ())


def test_equal_pictures_are_found(faces: FaceSet):
    images = [*faces.images[:11], faces.images[3]]
    assert describe(replace(faces, images=images)).duplicates == (("row 5", "row 13"),)


@pytest.mark.parametrize(
    ("point", "place", "what"),
    [
        ("nose_tip", (20.0, 20.0), "nose_tip lies"),
        ("mouth_left_corner", (120.0, 70.0), "mouth_left_corner_x = 120.0 is outside the picture, 0 to 95"),
        ("left_eye_center", (10.0, 37.0), "the subject's left eye lies left of the right one"),
    ],
)
def test_a_wrong_label_is_suspicious(faces: FaceSet, point: str, place: tuple[float, float], what: str):
    found = describe(with_point(faces, 4, point, place)).suspicious
    assert found[0].row == "row 6"
    assert any(what in item.what for item in found)


def test_a_flat_picture_is_suspicious(faces: FaceSet):
    images = [np.full((96, 96), 80, np.uint8), *faces.images[1:]]
    found = describe(replace(faces, images=images)).suspicious
    assert [(item.row, item.what) for item in found] == [("row 2", "the picture is flat: grey levels spread by 0.0")]


def test_the_overview_marks_where_points_are(faces: FaceSet):
    picture = draw_overview(faces, describe(faces))
    x, y = np.round((describe(faces).points[10].mean_px + np.array(0.5)) * 6).astype(int)
    blue, green, red = (int(v) for v in picture[y, x])
    assert red > 2 * max(blue, green)


def test_samples_show_as_many_faces_as_asked_for(faces: FaceSet):
    assert draw_samples(faces, count=9, seed=0).shape == (2 * 192, 8 * 192, 3)
    assert draw_samples(faces, count=99, seed=0).shape == (2 * 192, 8 * 192, 3)


def test_the_commands(tmp_path: Path, kaggle_row: dict[str, str], write_csv, capsys: pytest.CaptureFixture[str]):
    path = write_csv(tmp_path / "training.csv", kaggle_row, kaggle_row | {"nose_tip_x": "", "nose_tip_y": ""})
    assert main(["data", "describe", str(path), "--picture", str(tmp_path / "p.png")]) == 0
    text = capsys.readouterr().out
    assert "training: 2 rows, 1 complete (1 rows have 15, 1 rows have 14 points)" in text
    assert "row 2 = row 3" in text
    assert main(["data", "describe", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 2
    assert main(["data", "samples", str(path), "--out", str(tmp_path / "s.png"), "--count", "2"]) == 0
    assert cv2.imread(str(tmp_path / "s.png")).shape == (192, 384, 3)
    assert cv2.imread(str(tmp_path / "p.png")) is not None


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["data", "describe", str(tmp_path / "none.csv")]) == 2
    assert (
        capsys.readouterr().err == f"fkp-edge: error: cannot read {tmp_path / 'none.csv'}: No such file or directory; "
        "expected a file of Kaggle's format\n"
    )
