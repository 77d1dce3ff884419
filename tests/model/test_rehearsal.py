"""Model files from elsewhere run in a child first: what crashes the runtime is an error in one line."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pytest

from fkp_edge.errors import ModelFileError
from fkp_edge.model.file import ModelFile, encode_model_file, read_model_file
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.rehearsal import rehearse
from fkp_edge.model.runtimes import find_runtime
from fkp_edge.model.shipped import shipped_model

SHIPPED = read_model_file(shipped_model())
CRASHING = {84: 37, 7920: 24, 7922: 0, 7923: 0}
"""Place from 248,208 on -> byte of the shipped flatbuffer, with which LiteRT 2.3.0 ends in SIGSEGV."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def written(path: Path, flatbuffer: bytes) -> Path:
    """The shipped file with another flatbuffer, whose hash its card knows."""
    assert SHIPPED.card
    card = msgspec.structs.replace(
        SHIPPED.card, flatbuffer_sha256=hashlib.sha256(flatbuffer).hexdigest(), flatbuffer_bytes=len(flatbuffer)
    )
    path.write_bytes(encode_model_file(flatbuffer, card, SHIPPED.golden[:1]))
    return path


def mutant(places: dict[int, int]) -> bytes:
    flatbuffer = bytearray(SHIPPED.flatbuffer)
    for place, value in places.items():
        flatbuffer[248_208 + place] = value
    return bytes(flatbuffer)


def marks(cache: Path) -> list[Path]:
    return list(cache.glob("fkp-edge/rehearsed/*"))


def test_a_file_from_elsewhere_is_rehearsed_once(tmp_path: Path, cache: Path) -> None:
    path = written(tmp_path / "mine.tflite", SHIPPED.flatbuffer)
    open_model(path)
    assert len(marks(cache)) == 1
    assert open_model(path).predict(np.zeros((96, 96), np.uint8))[1] < 0.5
    assert len(marks(cache)) == 1


def test_what_ships_is_not(cache: Path) -> None:
    open_model(shipped_model())
    assert marks(cache) == []


def test_a_file_that_crashes_the_runtime_is_refused(tmp_path: Path, cache: Path) -> None:
    path = written(tmp_path / "mine.tflite", mutant(CRASHING))
    with pytest.raises(ModelFileError) as caught:
        open_model(path)
    assert str(caught.value).startswith(f"{path} ")
    assert "\n" not in str(caught.value)
    assert marks(cache) == []


def test_a_service_keeps_its_marks_where_it_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    open_model(written(tmp_path / "mine.tflite", SHIPPED.flatbuffer))
    assert len(marks(tmp_path / "state")) == 1


def test_without_a_home_it_is_rehearsed_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert open_model(written(tmp_path / "mine.tflite", SHIPPED.flatbuffer)).has_score


def test_what_fails_there_says_so(tmp_path: Path) -> None:
    file = ModelFile(tmp_path / "a.tflite", SHIPPED.flatbuffer[:3000], None)
    with pytest.raises(ModelFileError, match=r"a\.tflite cannot be loaded: .*; convert the model again"):
        rehearse(file, find_runtime())


def test_invokes_errors_are_our_own() -> None:
    model = KeypointModel(SHIPPED)
    model._input = model._input | {"index": 10**6}
    with pytest.raises(ModelFileError, match="cannot be run: "):
        model.invoke(np.zeros((96, 96), np.uint8))


def test_a_mean_shape_far_away_is_refused() -> None:
    assert SHIPPED.card
    card = msgspec.structs.replace(SHIPPED.card, mean_shape=((1e30, 0.0), *SHIPPED.card.mean_shape[1:]))
    with pytest.raises(ModelFileError, match="its mean shape is not finite or lies far outside"):
        KeypointModel(ModelFile(Path("a.tflite"), SHIPPED.flatbuffer, card))
