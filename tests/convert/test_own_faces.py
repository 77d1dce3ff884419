from __future__ import annotations

from pathlib import Path

import pytest

from fkp_edge.convert.own_faces import HELD, TRAIN, OwnFaces, read_own_faces
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data import load_one
from fkp_edge.errors import InputError
from fkp_edge.train.recipe import Data

KNOWN = Data(train={"train/a": 2}, val=("val/a",), scenes="scenes")


@pytest.fixture
def faces(tmp_path: Path, write_pts) -> Path:
    for number in range(40):
        write_pts(tmp_path / f"mine/clip-{number:03d}.pts")
    return tmp_path / "mine"


def test_the_end_of_a_video_judges(faces):
    own = read_own_faces(faces, FKP15)
    assert (len(own.train), len(own.held)) == (30, 10)
    assert own.train[-1].stem < own.held[0].stem


def test_a_person_is_on_one_side(tmp_path, write_pts):
    for number in range(40):
        name = "Ada_Lovelace" if number < 25 else "Bo_Derek"
        write_pts(tmp_path / f"mine/{name}_{number:04d}.pts")
    own = read_own_faces(tmp_path / "mine", FKP15)
    assert (len(own.train), len(own.held)) == (25, 15)


def test_folders_of_one_name_of_file_are_kept_apart(tmp_path, write_pts):
    for folder in ("a", "b"):
        for number in range(20):
            write_pts(tmp_path / f"mine/{folder}/{number:03d}.pts")
    place = read_own_faces(tmp_path / "mine", FKP15).lay_out(tmp_path / "work")
    assert len(load_one(place / TRAIN, FKP15)) == 30
    assert len(load_one(place / HELD, FKP15)) == 10


def test_faces_that_are_held_out_are_named(faces, tmp_path, write_pts):
    for number in range(9):
        write_pts(tmp_path / f"judge/{number}.pts")
    own = read_own_faces(faces, FKP15, held_out=tmp_path / "judge")
    assert (len(own.train), len(own.held)) == (40, 9)
    with pytest.raises(InputError, match="is in --data and in --held-out"):
        read_own_faces(faces, FKP15, held_out=faces)


def test_too_few_faces_are_refused(tmp_path, write_pts):
    for number in range(12):
        write_pts(tmp_path / f"mine/{number:03d}.pts")
    with pytest.raises(
        InputError, match="has 9 labelled faces to train on and 3 to judge on; expected at least 20 and 8"
    ):
        read_own_faces(tmp_path / "mine", FKP15)


def test_own_faces_alone_are_their_own_data(faces):
    own = read_own_faces(faces, FKP15)
    assert own.sets(KNOWN) == ({TRAIN: 1}, (HELD,), ("", ""))
    assert own.times(KNOWN, FKP15, 1 / 3) == 50


def test_own_faces_are_a_third_beside_the_original_ones(faces, tmp_path, write_pts):
    for number in range(180):
        write_pts(tmp_path / f"data/train/a/{number}.pts", picture=number < 180)
    write_pts(tmp_path / "data/val/a/0.pts")
    own = read_own_faces(faces, FKP15, original=tmp_path / "data")
    assert own.sets(KNOWN) == ({TRAIN: 1, "original/train/a": 2}, (HELD, "original/val/a"), ("", ""))
    assert own.times(KNOWN, FKP15, 1 / 3) == 6
    place = own.lay_out(tmp_path / "work")
    assert len(load_one(place / "original/train/a", FKP15)) == 180


def test_original_data_that_lack_a_set_are_refused(faces, tmp_path):
    own = OwnFaces((), (), tmp_path)
    with pytest.raises(InputError, match="has no train/a, which the network learnt from; expected its data folder"):
        own.sets(KNOWN)
    with pytest.raises(InputError, match=r"--original .*none is no folder"):
        read_own_faces(faces, FKP15, original=tmp_path / "none")
