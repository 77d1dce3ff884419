"""Faces in one picture, whatever it comes as."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import fkp_edge as fkp
from fkp_edge.library import find as finding

PORTRAIT = fkp.demo_picture()


def nose(result: fkp.Result) -> np.ndarray:
    [face] = result
    return face["nose_tip"]


def test_a_file_its_bytes_and_arrays_of_all_kinds_give_the_same_face(tmp_path: Path) -> None:
    path = tmp_path / "portrait.png"
    cv2.imwrite(str(path), PORTRAIT)
    rgb = np.ascontiguousarray(PORTRAIT[:, :, ::-1])
    grey = cv2.cvtColor(PORTRAIT, cv2.COLOR_BGR2GRAY)
    alpha = cv2.cvtColor(PORTRAIT, cv2.COLOR_BGR2BGRA)
    expected = nose(fkp.find(PORTRAIT))
    for given in (path, str(path), path.read_bytes(), grey, grey[:, :, None], alpha):
        assert nose(fkp.find(given)) == pytest.approx(expected)
    for given in (rgb, path, path.read_bytes(), PORTRAIT[:, :, ::-1]):
        assert nose(fkp.find(given, colors="rgb")) == pytest.approx(expected)


def test_a_face_is_an_array_with_names() -> None:
    [face] = fkp.find(PORTRAIT)
    assert np.asarray(face).shape == (15, 2)
    assert np.asarray(face, np.float64).dtype == np.float64
    assert face["nose_tip"].tolist() == face[10].tolist() == list(face)[10].tolist()
    assert len(face) == len(face.names) == 15
    assert (face.id, face.held) == (1, False)
    assert max(map(abs, face.pose)) < 45
    with pytest.raises(fkp.InputError, match=r"^no point is called 'nose_tipp'; did you mean 'nose_tip'\?"):
        face["nose_tipp"]


def test_a_model_of_68_points_names_them() -> None:
    [face] = fkp.find(PORTRAIT, model="keypoints68-int8")
    assert np.asarray(face).shape == (68, 2)
    assert face["chin"][1] > face["nose_tip"][1]


def test_a_drawn_picture_is_a_copy_in_the_same_order_of_channels() -> None:
    before = PORTRAIT.copy()
    drawn = fkp.find(PORTRAIT).draw()
    swapped = fkp.find(np.ascontiguousarray(PORTRAIT[:, :, ::-1]), colors="rgb").draw()
    assert (before == PORTRAIT).all()
    assert (drawn != PORTRAIT).any()
    assert (swapped[:, :, ::-1] == drawn).mean() > 0.99
    assert fkp.find(cv2.cvtColor(PORTRAIT, cv2.COLOR_BGR2GRAY)).draw(boxes=False).shape == (512, 512, 3)


def test_a_result_is_saved_shown_and_turned_into_json(tmp_path: Path) -> None:
    result = fkp.find(PORTRAIT)
    assert cv2.imread(str(result.save(tmp_path / "out.jpg"))).shape == PORTRAIT.shape
    assert cv2.imdecode(np.frombuffer(result._repr_png_(), np.uint8), 1).tolist() == result.draw().tolist()
    [face] = json.loads(json.dumps(result.to_dict()))["faces"]
    assert set(face) == {"id", "score", "box", "points", "pose"}
    assert set(face["pose"]) == {"yaw", "pitch", "roll"}
    assert repr(result).startswith("<Result 1 face in 512x512: [<Face 1: 15 points, score ")
    with pytest.raises(fkp.InputError, match=r"out names no picture format; expected an ending such as \.png"):
        result.save(tmp_path / "out")


def test_no_face_is_an_empty_result() -> None:
    result = fkp.find(np.zeros((100, 100), np.uint8))
    assert (len(result), list(result), bool(result), result.faces) == (0, [], False, ())


@pytest.mark.parametrize("search", ["finder", "haar", "both"])
def test_each_search_finds_the_face(search: str) -> None:
    try:
        fkp.find(PORTRAIT, search=search)
    except fkp.MissingPartError as error:
        pytest.skip(str(error))
    assert nose(fkp.find(PORTRAIT, search=search)) == pytest.approx(nose(fkp.find(PORTRAIT)), abs=3)


def test_the_best_faces_are_kept() -> None:
    two = np.hstack([PORTRAIT, PORTRAIT])
    assert (len(fkp.find(two)), len(fkp.find(two, max_faces=1))) == (2, 1)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (None, {}, "the picture is None; expected a path, the bytes"),
        (PORTRAIT / 255, {}, r"the picture holds float64 pixels; expected .*\(x \* 255\)\.astype\('uint8'\)"),
        (PORTRAIT.astype(np.int32), {}, "the picture holds int32 pixels"),
        (PORTRAIT[None], {}, r"the picture has shape \(1, 512, 512, 3\)"),
        (PORTRAIT[:, :, :2], {}, r"the picture has shape \(512, 512, 2\)"),
        (np.zeros((0, 5), np.uint8), {}, r"the picture has shape \(0, 5\)"),
        ([[1, 2]], {}, "the picture is of type list"),
        (b"", {}, "the picture of 0 bytes is not a picture that OpenCV reads"),
        (b"\x89PNG nonsense", {}, "the picture of 13 bytes is not a picture"),
        ("none.png", {}, "none.png"),
        (Path(), {}, "cannot read"),
        (PORTRAIT, {"colors": "hsv"}, "colors='hsv' is not known; expected 'bgr'"),
        (PORTRAIT, {"search": "dog"}, "search='dog' is not known; expected one of"),
        (PORTRAIT, {"max_faces": 0}, "max_faces=0 cannot be used"),
        (PORTRAIT, {"model": "keypoints-int9"}, "keypoints-int9"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(given: object, options: dict[str, object], message: str) -> None:
    with pytest.raises(fkp.InputError, match=message) as refused:
        fkp.find(given, **options)
    assert "\n" not in str(refused.value)


def test_a_picture_of_pillow_is_refused_with_the_way_to_give_it() -> None:
    class Image:
        __array_interface__ = {"version": 3}  # noqa: RUF012

    with pytest.raises(fkp.InputError, match=r"of type Image; .*; give numpy\.asarray of it and colors='rgb'"):
        fkp.find(Image())


def test_the_model_stays_open_until_another_file_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counted(model: object) -> fkp.KeypointModel:
        asked.append(model)
        return fkp.load(model)

    monkeypatch.setattr(finding, "load", counted)
    monkeypatch.setattr(finding, "_opened", finding.threading.local())
    copy = tmp_path / "mine.tflite"
    copy.write_bytes(fkp.load().file.path.read_bytes())
    for _ in range(2):
        fkp.find(PORTRAIT, model=copy)
    assert len(asked) == 1
    copy.write_bytes(fkp.load("keypoints-small-int8").file.path.read_bytes())
    fkp.find(PORTRAIT, model=copy)
    assert len(asked) == 2


def test_a_loaded_model_is_used_as_it_is() -> None:
    model = fkp.load("keypoints-float32")
    assert fkp.load(model) is model
    assert nose(fkp.find(PORTRAIT, model=model)) == pytest.approx(nose(fkp.find(PORTRAIT)), abs=5)
