from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.core.keypoints import FKP15, IBUG68
from fkp_edge.data.readers import MAX_PTS_BYTES, read_ibug_folder, read_pts, read_scenes
from fkp_edge.errors import InputError

POINTS = np.stack([np.arange(68) * 1.5, np.arange(68) + 20.0], 1)
BLOCK = "\n".join(f"{x + 1} {y + 1}" for x, y in POINTS)


@pytest.fixture
def pts(tmp_path: Path) -> Callable[..., Path]:
    """Writes text as a .pts file, or the given block of points in a valid one."""

    def write(block: str = BLOCK, *, text: str | None = None) -> Path:
        path = tmp_path / "a.pts"
        path.write_text(f"version: 1\nn_points: 68\n{{\n{block}\n}}\n" if text is None else text)
        return path

    return write


# .pts


def test_points_are_made_0_based(pts):
    points = read_pts(pts())
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points, POINTS)


def test_line_ends_and_spaces_do_not_matter(pts):
    np.testing.assert_array_equal(read_pts(pts(text="{ " + BLOCK.replace("\n", "\r\n  ") + " }")), POINTS)


def test_a_missing_pts(tmp_path: Path):
    path = tmp_path / "none.pts"
    with pytest.raises(InputError, match=r"cannot read .*none\.pts: .*No such file.*; expected a text file"):
        read_pts(path)


@pytest.mark.parametrize(
    ("block", "count"), [(BLOCK.rsplit("\n", 1)[0], "67"), (BLOCK + "\n1 1", "69"), (BLOCK + " 1", "68.5"), ("", "0")]
)
def test_another_number_of_points(pts, block: str, count: str):
    path = pts(block)
    with pytest.raises(InputError) as caught:
        read_pts(path)
    assert str(caught.value) == f"{path} has {count} points; expected 68 in the iBUG order"


def test_a_point_that_is_no_number(pts):
    path = pts(BLOCK.replace("21.0", "left", 1))
    with pytest.raises(InputError) as caught:
        read_pts(path)
    assert str(caught.value) == f"{path} has 'left' among its points; expected numbers"


@pytest.mark.parametrize("value", ["nan", "inf", "-1e39", "2e6"])
def test_a_point_that_no_picture_has(pts, value: str):
    with pytest.raises(InputError, match=r"has a point that is not finite or beyond 1e\+06; expected pixels"):
        read_pts(pts(BLOCK.replace("21.0", value, 1)))


@pytest.mark.parametrize("text", ["", "1 2\n3 4", "} {", "{ 1 2"])
def test_a_file_without_a_block_of_points(pts, text: str):
    path = pts(text=text)
    with pytest.raises(InputError) as caught:
        read_pts(path)
    assert str(caught.value) == f"{path} has no {{ ... }} block of points; expected the iBUG .pts format"


def test_a_pts_that_is_no_text(tmp_path: Path):
    path = tmp_path / "a.pts"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(InputError, match=r"cannot read .*a\.pts: .*can't decode.*; expected a text file"):
        read_pts(path)


def test_a_pts_that_is_too_large(pts):
    path = pts(BLOCK + " " * MAX_PTS_BYTES)
    with pytest.raises(InputError, match=f"has over {MAX_PTS_BYTES} bytes; expected a text file"):
        read_pts(path)


# folders


def test_a_folder_gives_its_faces_by_name(tmp_path: Path, write_pts):
    write_pts(tmp_path / "set" / "b.pts", POINTS + 5)
    write_pts(tmp_path / "set" / "a.pts", POINTS)
    faces = read_ibug_folder(tmp_path / "set", IBUG68)
    assert (faces.name, faces.labels, len(faces), faces.cropped) == ("set", ("a", "b"), 2, False)
    np.testing.assert_allclose(faces.points, np.stack([POINTS, POINTS + 5]), atol=1e-3)


def test_a_folder_gives_the_points_of_the_schema(tmp_path: Path, write_pts):
    write_pts(tmp_path / "a.pts", POINTS)
    faces = read_ibug_folder(tmp_path, FKP15)
    assert faces.points.shape == (1, 15, 2)
    np.testing.assert_allclose(faces.points[0, 10], POINTS[30])


def test_each_face_has_its_own_picture(tmp_path: Path, write_pts):
    for value, name in ((50, "a"), (150, "b")):
        write_pts(tmp_path / f"{name}.pts", picture=False)
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((value, 120), value, np.uint8))
    images = read_ibug_folder(tmp_path, FKP15).images
    assert [(image.shape, image[0, 0]) for image in images] == [((50, 120), 50), ((150, 120), 150)]


def test_a_drawn_face_is_framed_by_its_labels(tmp_path: Path, write_pts):
    write_pts(tmp_path / "a.pts")
    faces = read_ibug_folder(tmp_path, FKP15)
    units = faces.crop(0).to_units(faces.points[0])
    np.testing.assert_allclose(units[:2].mean(0), [0.5, 0.39], atol=1e-4)


def test_a_pts_without_its_picture(tmp_path: Path, write_pts):
    write_pts(tmp_path / "a.pts")
    path = write_pts(tmp_path / "b.pts", picture=False)
    with pytest.raises(InputError) as caught:
        read_ibug_folder(tmp_path, FKP15)
    assert str(caught.value) == f"{path} has no picture beside it; expected b.jpg or .png"


def test_a_folder_without_pts(tmp_path: Path):
    with pytest.raises(InputError) as caught:
        read_ibug_folder(tmp_path, FKP15)
    assert str(caught.value) == f"no .pts files in {tmp_path}; expected NAME.pts beside NAME.jpg"


def test_a_bad_pts_in_a_folder_is_named(tmp_path: Path, write_pts):
    write_pts(tmp_path / "a.pts")
    write_pts(tmp_path / "b.pts", POINTS[:67])
    with pytest.raises(InputError, match=r"b\.pts has 67 points; expected 68 in the iBUG order"):
        read_ibug_folder(tmp_path, FKP15)


# scenes


@pytest.fixture
def scenes(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder with the pictures a.png and b.png, faces.json and, where given, unannotated.json."""

    def write(faces: object, ignore: object = None) -> Path:
        for name in ("a.png", "b.png"):
            cv2.imwrite(str(tmp_path / name), np.zeros((9, 9), np.uint8))
        (tmp_path / "faces.json").write_text(faces if isinstance(faces, str) else json.dumps(faces))
        if ignore is not None:
            (tmp_path / "unannotated.json").write_text(json.dumps(ignore))
        return tmp_path

    return write


def test_scenes_are_read_by_name(scenes):
    folder = scenes({"b.png": [], "a.png": [POINTS.tolist()] * 2})
    first, second = read_scenes(folder)
    assert (first.path, len(first.faces), second.path, second.faces) == (folder / "a.png", 2, folder / "b.png", ())
    np.testing.assert_allclose(first.faces[1], POINTS)


def test_boxes_to_ignore_belong_to_their_scene(scenes):
    first, second = read_scenes(scenes({"a.png": [], "b.png": []}, {"b.png": [[1, 2, 3, 4.5]]}))
    assert (first.ignore, second.ignore) == ((), ((1.0, 2.0, 3.0, 4.5),))


def test_a_missing_faces_json(tmp_path: Path):
    with pytest.raises(InputError, match=r"has no faces.json; expected"):
        read_scenes(tmp_path)


@pytest.mark.parametrize("text", ["", "{", '{"a.png": ' + "[" * 100_000], ids=["empty", "cut", "deep"])
def test_a_faces_json_that_is_no_json(scenes, text: str):
    with pytest.raises(InputError, match=r"faces\.json is not JSON: "):
        read_scenes(scenes(text))


@pytest.mark.parametrize("value", [[1], {"a.png": 3}, "a"])
def test_a_faces_json_of_another_kind(scenes, value: object):
    with pytest.raises(InputError, match=r"faces\.json is not an object of lists; expected file name -> list of faces"):
        read_scenes(scenes(json.dumps(value)))


@pytest.mark.parametrize("name", ["none.png", "../a.png", "/etc/hostname"])
def test_a_scene_that_is_not_in_the_folder(scenes, name: str):
    folder = scenes({name: []})
    with pytest.raises(InputError) as caught:
        read_scenes(folder)
    assert str(caught.value) == f"{folder / 'faces.json'} names {name!r}, which is not in {folder}"


BAD_FACES = [
    [[1, 2]],
    [POINTS[:67].tolist()],
    [[["x", 2]] * 68],
    [[[1e50, 2]] * 68],
    [[[float("nan"), 2]] * 68],
    [None],
]


@pytest.mark.parametrize("faces", BAD_FACES, ids=["pair", "67", "text", "far", "nan", "null"])
def test_a_scene_with_a_bad_face(scenes, faces: object):
    with pytest.raises(InputError, match=r": a\.png: .*; expected 68 \[x, y\] a face and \[x, y, w, h\] a box"):
        read_scenes(scenes({"a.png": faces}))


@pytest.mark.parametrize("boxes", [[[1, 2, 3]], [["a", 1, 1, 1]], [4]], ids=["three", "text", "number"])
def test_a_scene_with_a_bad_box(scenes, boxes: object):
    with pytest.raises(InputError, match=r": a\.png: .*; expected 68 \[x, y\] a face and \[x, y, w, h\] a box"):
        read_scenes(scenes({"a.png": []}, {"a.png": boxes}))


# the research data, where it is


def test_afw_has_337_faces(research_data: Path):
    faces = read_ibug_folder(research_data / "test" / "afw", FKP15)
    assert (faces.name, len(faces), len(faces.images)) == ("afw", 337, 337)
    assert np.isfinite(faces.points).all()


def test_afw_points_are_0_based(research_data: Path):
    folder = research_data / "test" / "afw"
    faces = read_ibug_folder(folder, IBUG68)
    first = (folder / f"{faces.labels[0]}.pts").read_text().split("{")[1].split()[:2]
    np.testing.assert_allclose(faces.points[0, 0] + 1, [float(v) for v in first], rtol=1e-5)


def test_afw_scenes_have_185_photographs_and_337_faces(research_data: Path):
    scenes = read_scenes(research_data / "test" / "scenes")
    assert (len(scenes), sum(len(s.faces) for s in scenes), sum(len(s.ignore) for s in scenes)) == (185, 337, 71)


def test_points_all_in_one_place_are_no_face(pts):
    path = pts("5 5\n" * 68)
    with pytest.raises(InputError, match="has all its points in one place; expected a face"):
        read_pts(path)
