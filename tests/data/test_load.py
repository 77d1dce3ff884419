from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from fkp_edge.core.geometry import Crop
from fkp_edge.core.keypoints import FKP15, IBUG68
from fkp_edge.data import load, load_one, read_ibug_folder
from fkp_edge.errors import InputError


def test_a_folder_of_pts(tmp_path: Path, write_pts):
    write_pts(tmp_path / "afw" / "a.pts")
    (faces,) = load(tmp_path / "afw")
    assert (faces.name, faces.schema, len(faces)) == ("afw", FKP15, 1)


def test_a_folder_of_folders_by_name(tmp_path: Path, write_pts):
    for name in ("ytf", "afw", "helen"):
        write_pts(tmp_path / name / "a.pts")
    (tmp_path / "empty").mkdir()
    assert [faces.name for faces in load(tmp_path)] == ["afw", "helen", "ytf"]


def test_a_folder_that_has_both(tmp_path: Path, write_pts):
    write_pts(tmp_path / "set" / "a.pts")
    write_pts(tmp_path / "set" / "more" / "b.pts")
    assert [faces.labels for faces in load(tmp_path / "set")] == [("a",), ("b",)]


def test_another_schema(tmp_path: Path, write_pts):
    write_pts(tmp_path / "a.pts")
    (faces,) = load(tmp_path, IBUG68)
    assert faces.points.shape == (1, 68, 2)


@pytest.mark.parametrize("name", ["training.csv", "TRAINING.CSV"])
def test_a_kaggle_csv(tmp_path: Path, kaggle_row, write_csv, name: str):
    (faces,) = load(write_csv(tmp_path / name, kaggle_row))
    assert (faces.name, faces.cropped, len(faces)) == (name.split(".")[0], True, 1)


def test_a_kaggle_zip(tmp_path: Path, kaggle_row, write_csv):
    with zipfile.ZipFile(tmp_path / "training.zip", "w") as archive:
        archive.write(write_csv(tmp_path / "training.csv", kaggle_row), "training.csv")
    assert len(load(tmp_path / "training.zip")[0]) == 1


@pytest.mark.parametrize("name", ["training.csv", "training.zip"])
def test_a_folder_with_kaggles_file(tmp_path: Path, kaggle_row, write_csv, name: str):
    path = write_csv(tmp_path / "training.csv", kaggle_row)
    if name.endswith(".zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.write(path, path.name)
        path.unlink()
    assert [(faces.name, len(faces)) for faces in load(tmp_path)] == [("training", 1)]


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("m.tflite", b"\0\0\0\0TFL3 and so on", "a model file"),
        ("a.jpg", b"\xff\xd8\xff\xe0\x01", "a picture"),
        ("a.mp4", b"\0\0\0\x18ftypmp42", "a video"),
        ("notes.txt", b"words", "a text file"),
        ("a.pts", b"version: 1", "the points of one picture"),
        ("a.jsonl", b"{}", "a recording of points"),
        ("odd", b"\0\1\2", "a file of an unknown kind"),
        ("empty.txt", b"", "an empty file"),
    ],
)
def test_a_file_that_holds_no_faces_is_told_what_it_is(tmp_path: Path, name: str, content: bytes, kind: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        load(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name} is {kind}; expected labelled faces: ")


def test_kaggle_has_no_68_points(tmp_path: Path, kaggle_row, write_csv):
    path = write_csv(tmp_path / "training.csv", kaggle_row)
    with pytest.raises(InputError) as caught:
        load(path, IBUG68)
    assert str(caught.value) == f"{path} labels Kaggle's 15 points; expected a model of schema fkp15, got ibug68"


def test_a_missing_folder(tmp_path: Path):
    path = tmp_path / "none"
    with pytest.raises(InputError) as caught:
        load(path)
    assert str(caught.value) == (
        f"{path} does not exist; expected a folder of .pts files or Kaggle's training.csv or .zip"
    )


def test_a_folder_without_labels(tmp_path: Path):
    with pytest.raises(InputError) as caught:
        load(tmp_path)
    assert str(caught.value) == (
        f"no labelled faces in {tmp_path}; expected NAME.pts beside NAME.jpg, there or one folder below, or Kaggle's "
        "training.csv or .zip"
    )


def test_several_sets_where_one_is_wanted(tmp_path: Path, write_pts):
    for name in ("one", "two"):
        write_pts(tmp_path / name / "a.pts")
    with pytest.raises(InputError, match=r"holds 2 face sets; expected a folder with \.pts files or one CSV"):
        load_one(tmp_path, IBUG68)


def test_faces_as_ready_crops_keep_their_points_on_them(portrait_faces):
    crops = portrait_faces.as_crops()
    assert [image.shape for image in crops.images] == [(96, 96)] * 3
    assert crops.points[0] == pytest.approx(crops.points[1], abs=0.5)  # the same face at another size
    assert crops.crop(0) == Crop(47.5, 47.5, 96)
    assert crops.as_crops() is crops


def test_files_named_by_person_tell_whose_face_it_is(tmp_path: Path, write_pts) -> None:
    names = ["Ann_Doe_00", "Ann_Doe_01", "Bo_van_Dam_0001", "image_01", "image_02", "1051618982_1", "1051618982_2"]
    for name in names:
        write_pts(tmp_path / f"{name}.pts")
    faces = read_ibug_folder(tmp_path, FKP15)
    of = dict(zip(faces.labels, faces.subject.tolist(), strict=True))
    assert of["Ann_Doe_00"] == of["Ann_Doe_01"]
    assert len(set(of.values())) == 6
