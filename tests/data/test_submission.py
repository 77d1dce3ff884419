from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fkp_edge.cli.main import main
from fkp_edge.data.competition import Wanted, read_lookup, submission
from fkp_edge.data.kaggle import COLUMNS, read_kaggle, read_kaggle_test
from fkp_edge.errors import InputError

PIXELS = " ".join(["7"] * 96 * 96)


@pytest.fixture
def kaggle(tmp_path: Path, write_csv, kaggle_row: dict[str, str]) -> Path:
    """A folder with the competition's test.csv, IdLookupTable.csv, and labels that it never published."""
    write_csv(tmp_path / "test.csv", *[{"ImageId": str(i), "Image": PIXELS} for i in (1, 2)])
    wanted = [("1", "left_eye_center_x"), ("2", "mouth_center_bottom_lip_y")]
    rows = [{"RowId": str(i), "ImageId": w[0], "FeatureName": w[1], "Location": ""} for i, w in enumerate(wanted, 1)]
    write_csv(tmp_path / "IdLookupTable.csv", *rows)
    coordinates = {column: kaggle_row[column] for column in COLUMNS}
    write_csv(tmp_path / "test_labels.csv", *[{"ImageId": str(i)} | coordinates for i in (2, 1)])
    return tmp_path


def test_the_lookup_is_read(kaggle: Path):
    assert read_lookup(kaggle / "IdLookupTable.csv") == [Wanted(1, 1, 0), Wanted(2, 2, 29)]


def test_coordinates_stand_in_the_lookups_order_clipped_to_the_picture():
    points = {1: np.full((15, 2), -3, np.float32), 2: np.full((15, 2), 98.5, np.float32)}
    points[2][14, 1] = 61.25
    text = submission([Wanted(4, 2, 29), Wanted(5, 1, 0), Wanted(6, 2, 28)], points)
    assert text == "RowId,Location\n4,61.2500\n5,0.0000\n6,96.0000\n"


def test_the_command_writes_it(kaggle: Path):
    assert main(["data", "submit", "--data", str(kaggle), "--out", str(kaggle / "s.csv")]) == 0
    lines = (kaggle / "s.csv").read_text().splitlines()
    assert lines[0] == "RowId,Location"
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2"]
    assert all(0 <= float(line.split(",")[1]) <= 96 for line in lines[1:])


def test_a_model_of_other_points_is_refused(kaggle: Path, tiny_tflite, capsys: pytest.CaptureFixture[str]):
    model = kaggle / "m.tflite"
    model.write_bytes(tiny_tflite(outputs=(136, 1)))
    arguments = [
        "data",
        "submit",
        "--model",
        str(model),
        "--no-card",
        "--data",
        str(kaggle),
        "--out",
        str(kaggle / "s"),
    ]
    assert main(arguments) == 2
    assert "speaks ibug68; expected a model of Kaggle's 15 points, fkp15" in capsys.readouterr().err


def test_test_pictures_take_the_labels_beside_them_by_id(kaggle: Path):
    faces = read_kaggle(kaggle / "test.csv")
    assert (faces.name, faces.labels, faces.cropped) == ("test", ("ImageId 1", "ImageId 2"), True)
    assert faces.points.shape == (2, 15, 2)
    assert read_kaggle_test(kaggle / "test.csv")[0] == (1, 2)


# what is refused


def complaint(read, path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    return str(caught.value)


def test_a_test_set_without_labels(kaggle: Path):
    (kaggle / "test_labels.csv").unlink()
    assert "has no labels (Kaggle keeps those of its test set); expected test_labels.csv beside it" in complaint(
        read_kaggle, kaggle / "test.csv"
    )


def test_labels_that_lack_a_picture(kaggle: Path):
    labels = (kaggle / "test_labels.csv").read_text().splitlines()
    (kaggle / "test_labels.csv").write_text("\n".join(labels[:2]) + "\n")
    assert "has no row for ImageId 1 of test.csv" in complaint(read_kaggle, kaggle / "test.csv")


def test_a_picture_that_comes_twice(kaggle: Path, write_csv):
    path = write_csv(kaggle / "test.csv", *[{"ImageId": "1", "Image": PIXELS}] * 2)
    assert complaint(read_kaggle_test, path) == f"{path} has ImageId 1 twice; expected each once"


@pytest.mark.parametrize("cell", ["0", "-1", "one", "1.5", ""])
def test_an_id_that_is_no_number(kaggle: Path, write_csv, cell: str):
    path = write_csv(kaggle / "test.csv", {"ImageId": cell, "Image": PIXELS})
    text = complaint(read_kaggle_test, path)
    assert text == f"{path} row 2 column ImageId: {cell!r} is not a whole number; expected 1 or more"


def test_a_feature_that_kaggle_does_not_have(kaggle: Path, write_csv):
    cells = {"RowId": "1", "ImageId": "1", "FeatureName": "left_eye_centre_x"}
    path = write_csv(kaggle / "IdLookupTable.csv", cells)
    text = complaint(read_lookup, path)
    assert text == (
        f"{path} row 2 column FeatureName: 'left_eye_centre_x' is no coordinate; did you mean 'left_eye_center_x'?"
    )


def test_a_lookup_of_other_pictures():
    with pytest.raises(InputError, match=r"asks for ImageId 9, which test.csv lacks; expected files of one set"):
        submission([Wanted(1, 9, 0)], {})
