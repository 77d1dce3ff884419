from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from fkp_edge.core.geometry import Crop
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data.kaggle import read_kaggle
from fkp_edge.errors import InputError


@pytest.fixture
def csv(tmp_path: Path, kaggle_row: dict[str, str], write_csv):
    """Writes a training.csv of a valid row and one with the given cells changed."""
    return lambda **cells: write_csv(tmp_path / "training.csv", kaggle_row, kaggle_row | cells)


def pixels(last: str, count: int = 96 * 96) -> str:
    return " ".join([*["7"] * (count - 1), last])


def complaint(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_kaggle(path)
    return str(caught.value)


# what is read


def test_points_come_in_the_schemas_order(csv):
    faces = read_kaggle(csv())
    assert (faces.name, faces.schema, len(faces), faces.points.dtype) == ("training", FKP15, 2, np.float32)
    np.testing.assert_allclose(faces.points[0], FKP15.mean_shape * 96 - 0.5, atol=1e-4)


def test_columns_may_stand_in_any_order(tmp_path: Path, kaggle_row: dict[str, str], write_csv):
    path = write_csv(tmp_path / "t.csv", dict(reversed(kaggle_row.items())))
    np.testing.assert_allclose(read_kaggle(path).points[0], FKP15.mean_shape * 96 - 0.5, atol=1e-4)


def test_pixels_come_row_by_row(csv):
    image = read_kaggle(csv()).images[0]
    assert (image.shape, image.dtype) == ((96, 96), np.uint8)
    np.testing.assert_array_equal(image.ravel(), np.arange(96 * 96) % 256)


def test_empty_cells_are_points_without_a_label(csv):
    points = read_kaggle(csv(nose_tip_x="", nose_tip_y="")).points
    assert np.isnan(points[1, 10]).all()
    assert np.isnan(points).sum() == 2


def test_faces_are_named_by_their_row(csv):
    assert read_kaggle(csv()).labels == ("row 2", "row 3")


def test_pictures_are_used_whole(csv):
    faces = read_kaggle(csv())
    assert faces.cropped
    assert faces.crop(0) == Crop(47.5, 47.5, 96)


def test_a_byte_order_mark_does_not_matter(csv):
    path = csv()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_kaggle(path)) == 2


def test_points_a_little_outside_the_picture_are_kept(csv):
    assert read_kaggle(csv(nose_tip_x="-3.5")).points[1, 10, 0] == -3.5


# what is refused


def test_a_missing_file(tmp_path: Path):
    assert complaint(tmp_path / "none.csv") == (
        f"cannot read {tmp_path / 'none.csv'}: No such file or directory; expected a file of Kaggle's format"
    )


@pytest.mark.parametrize("column", ["Image", "left_eye_center_x", "mouth_center_bottom_lip_y"])
def test_a_missing_column(tmp_path: Path, kaggle_row: dict[str, str], write_csv, column: str):
    del kaggle_row[column]
    path = write_csv(tmp_path / "t.csv", kaggle_row)
    assert complaint(path) == f"{path} has no column {column!r}; expected Kaggle's 30 coordinates and Image"


def test_an_empty_file(tmp_path: Path):
    (tmp_path / "t.csv").touch()
    assert "has no column 'left_eye_center_x'; expected Kaggle's 30 coordinates and Image" in complaint(
        tmp_path / "t.csv"
    )


def test_a_header_without_rows(csv):
    path = csv()
    path.write_text(path.read_text().splitlines()[0] + "\n")
    assert complaint(path) == f"{path} has no rows; expected at least one"


def test_a_row_with_too_few_cells(csv):
    path = csv()
    path.write_text(path.read_text() + "1,2,3\n")
    assert complaint(path) == f"{path} row 4 has 3 cells, expected 31"


@pytest.mark.parametrize("count", [0, 1, 9215, 9217])
def test_a_wrong_number_of_pixels(csv, count: int):
    path = csv(Image=pixels("7", count) if count else "")
    assert complaint(path) == f"{path} row 3 column Image has {count} pixels, expected 9216 (96x96)"


def test_a_coordinate_that_is_no_number(csv):
    path = csv(nose_tip_x="left")
    assert complaint(path) == f"{path} row 3 column nose_tip_x: 'left' is not a number; expected pixels or nothing"


@pytest.mark.parametrize("value", ["nan", "inf", "1e9", "-97"])
def test_a_coordinate_that_no_crop_has(csv, value: str):
    path = csv(nose_tip_y=value)
    assert complaint(path) == f"{path} row 3 column nose_tip_y: {value!r} is far outside the picture; expected 0 to 96"


@pytest.mark.parametrize("value", ["x", "1.5", "1e2", "²", "99999999999999999999"])
def test_a_pixel_that_is_no_whole_number(csv, value: str):
    path = csv(Image=pixels(value))
    assert complaint(path) == f"{path} row 3 column Image: {value!r} is not a pixel; expected whole numbers 0 to 255"


@pytest.mark.parametrize("value", ["256", "-1", "100000"])
def test_a_pixel_out_of_range(csv, value: str):
    path = csv(Image=pixels(value))
    assert complaint(path) == f"{path} row 3 column Image: {value} is not a pixel; expected 0 to 255"


def test_a_cell_that_is_too_long(csv):
    path = csv(Image="7" * 100_000)
    assert complaint(path).startswith(f"{path} row 3: field larger than field limit")
    assert complaint(path).endswith("; expected comma-separated text")


def test_a_picture_named_csv(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xff\xd8\xff\xe0" * 9)
    assert complaint(path).endswith("; expected comma-separated text")


# zip


def make_zip(path: Path, *members: tuple[Path, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for source, name in members:
            archive.write(source, name)
    return path


def test_a_zip_reads_as_its_csv(csv, tmp_path: Path):
    path = make_zip(tmp_path / "training.zip", (csv(), "training.csv"))
    read, plain = read_kaggle(path), read_kaggle(csv())
    np.testing.assert_array_equal(read.points, plain.points)
    np.testing.assert_array_equal(read.images, plain.images)


def test_other_files_in_a_zip_do_not_matter(csv, tmp_path: Path):
    path = make_zip(tmp_path / "t.zip", (csv(), "in/training.csv"), (csv(), "README.txt"))
    assert len(read_kaggle(path)) == 2


@pytest.mark.parametrize("count", [0, 2])
def test_a_zip_without_exactly_one_csv(csv, tmp_path: Path, count: int):
    path = make_zip(tmp_path / "t.zip", *[(csv(), f"{i}.csv") for i in range(count)])
    assert complaint(path) == f"{path} holds {count} .csv files; expected one, training.csv"


def test_what_is_no_zip(csv):
    path = csv().rename(csv().with_suffix(".zip"))
    assert complaint(path) == f"cannot read {path}: File is not a zip file; expected Kaggle's training.zip"


def test_a_missing_zip(tmp_path: Path):
    assert "No such file or directory" in complaint(tmp_path / "none.zip")


def test_a_damaged_zip_is_an_error_wherever_it_is_hit(csv, tmp_path: Path):
    whole = make_zip(tmp_path / "t.zip", (csv(), "training.csv")).read_bytes()
    for at in range(len(whole) // 20, len(whole) // 2, len(whole) // 20):
        (tmp_path / "t.zip").write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        assert str(tmp_path / "t.zip") in complaint(tmp_path / "t.zip")


def test_an_encrypted_zip(csv, tmp_path: Path):
    path = make_zip(tmp_path / "t.zip", (csv(), "training.csv"))
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag, in the member's header and in the directory
    content[content.rfind(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert "is encrypted" in complaint(path)
    assert complaint(path).endswith("; expected Kaggle's training.zip")


def test_errors_in_a_zip_name_row_and_column(csv, tmp_path: Path):
    path = make_zip(tmp_path / "t.zip", (csv(nose_tip_x="left"), "training.csv"))
    assert complaint(path) == f"{path} row 3 column nose_tip_x: 'left' is not a number; expected pixels or nothing"
