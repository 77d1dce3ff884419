"""A new model file takes the place of another only if it is good, and back."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from fkp_edge.cli.main import main
from fkp_edge.cli.models import next_step
from fkp_edge.errors import InputError, ModelFileError
from fkp_edge.model.deployment import install_model, previous_of, replaced_at, roll_back
from fkp_edge.model.file import read_model_file, write_model_file
from fkp_edge.model.shipped import shipped_model

INT8, FLOAT = shipped_model(), shipped_model("keypoints-float32")
SMALL = shipped_model("keypoints-small-int8")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A place that holds the int8 file."""
    path = tmp_path / "model.tflite"
    assert install_model(INT8, path).is_new
    return path


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    path = tmp_path / "damaged.tflite"
    content = bytearray(FLOAT.read_bytes())
    content[50_000] ^= 1
    path.write_bytes(content)
    return path


@pytest.fixture
def differing(tmp_path: Path) -> Path:
    """A whole file whose golden cases do not reproduce."""
    file = read_model_file(FLOAT)
    assert file.card is not None
    cases = tuple(replace(case, raw_keypoints=case.raw_keypoints + 0.5) for case in file.golden)
    write_model_file(tmp_path / "differing.tflite", file.flatbuffer, file.card, cases)
    return tmp_path / "differing.tflite"


def files(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.parent.glob("*model.tflite*")}


def test_the_first_file_has_none_before_it(place: Path):
    assert files(place) == {"model.tflite": INT8.read_bytes()}


def test_a_good_file_takes_the_place_and_the_one_before_is_kept(place: Path):
    assert install_model(FLOAT, place).is_new
    assert files(place) == {"model.tflite": FLOAT.read_bytes(), "model.tflite.previous": INT8.read_bytes()}


def test_the_same_file_again_changes_nothing(place: Path):
    install_model(FLOAT, place)
    before = files(place)
    assert not install_model(FLOAT, place).is_new
    assert files(place) == before


def test_a_damaged_file_is_refused(place: Path, damaged: Path):
    before = files(place)
    with pytest.raises(ModelFileError, match="is damaged: the flatbuffer's sha256 is"):
        install_model(damaged, place)
    assert files(place) == before


def test_a_file_that_gives_other_points_here_is_refused(place: Path, differing: Path):
    before = files(place)
    assert install_model(differing, place).verification.first is not None
    assert files(place) == before


def test_rolling_back_twice_is_back(place: Path):
    install_model(FLOAT, place)
    roll_back(place)
    assert files(place) == {"model.tflite": INT8.read_bytes(), "model.tflite.previous": FLOAT.read_bytes()}
    roll_back(place)
    assert place.read_bytes() == FLOAT.read_bytes()


def test_rolling_back_to_a_damaged_file_is_refused(place: Path, damaged: Path):
    previous_of(place).write_bytes(damaged.read_bytes())
    with pytest.raises(ModelFileError):
        roll_back(place)
    assert place.read_bytes() == INT8.read_bytes()


def test_nothing_to_roll_back_to(place: Path):
    with pytest.raises(InputError, match=r"model\.tflite\.previous does not exist; expected the file that an earlier"):
        roll_back(place)


@pytest.mark.parametrize("cut", range(1, 4))
@pytest.mark.parametrize("change", [lambda place: install_model(SMALL, place), roll_back], ids=["install", "roll back"])
def test_a_power_cut_at_any_rename_loses_no_file(place: Path, monkeypatch: pytest.MonkeyPatch, change, cut: int):
    install_model(FLOAT, place)
    renames, replace = itertools.count(1), Path.replace

    def rename(path: Path, to: Path) -> None:
        if next(renames) == cut:
            raise OSError(5, "the power is gone")
        replace(path, to)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", rename)
        with pytest.raises(InputError, match="the power is gone"):
            change(place)
    assert {INT8.read_bytes(), FLOAT.read_bytes()} <= set(files(place).values())
    current = place.read_bytes()
    roll_back(place)
    assert {place.read_bytes(), previous_of(place).read_bytes()} >= {current}
    assert set(files(place)) == {"model.tflite", "model.tflite.previous"}


@pytest.mark.parametrize("cut", [2, 3])
def test_a_roll_back_that_was_cut_off_is_ended_by_the_next_change(place: Path, cut: int):
    install_model(FLOAT, place)
    replaced_at(place).write_bytes(FLOAT.read_bytes())  # what the first of its steps does
    if cut == 3:
        place.write_bytes(INT8.read_bytes())  # and the second
    roll_back(place)
    assert place.read_bytes() == (INT8 if cut == 2 else FLOAT).read_bytes()
    assert previous_of(place).read_bytes() == (FLOAT if cut == 2 else INT8).read_bytes()


def test_a_first_install_that_was_cut_off_can_be_rolled_back(place: Path):
    replaced_at(place).write_bytes(place.read_bytes())  # all that it did but its last step
    place.write_bytes(FLOAT.read_bytes())
    told = []
    assert roll_back(place, tell=lambda path, _: told.append(path)).is_new
    assert files(place) == {"model.tflite": INT8.read_bytes(), "model.tflite.previous": FLOAT.read_bytes()}
    assert told == [previous_of(place)]


def test_what_a_change_left_that_was_cut_off_before_the_new_file_came_is_removed(place: Path):
    replaced_at(place).write_bytes(place.read_bytes())
    assert not install_model(INT8, place).is_new
    assert files(place) == {"model.tflite": INT8.read_bytes()}


def test_an_install_that_fails_leaves_what_was_there(place: Path, monkeypatch: pytest.MonkeyPatch):
    renames, replace = itertools.count(1), Path.replace

    def rename(path: Path, to: Path) -> None:
        if next(renames) == 2:
            raise OSError(errno.ENOSPC, "the disk is full")
        replace(path, to)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", rename)
        with pytest.raises(InputError, match="the disk is full"):
            install_model(FLOAT, place)
    assert files(place) == {"model.tflite": INT8.read_bytes()}


def test_a_file_before_without_a_card_is_refused(place: Path):
    previous_of(place).write_bytes(read_model_file(FLOAT).flatbuffer)
    with pytest.raises(ModelFileError, match="has no card, or is cut off; expected a whole file that fkp-edge convert"):
        roll_back(place, tell=lambda *_: None)
    assert place.read_bytes() == INT8.read_bytes()


def fail_to_sync(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Makes the disk refuse to sync a folder, the time `at` and after it."""
    count, sync = itertools.count(1), os.fsync

    def failing(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode) and next(count) >= at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(handle)

    monkeypatch.setattr("fkp_edge.core.files.os.fsync", failing)


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("change", [lambda place: install_model(SMALL, place), roll_back], ids=["install", "roll back"])
def test_what_is_said_after_a_fault_is_what_is_on_the_disk(
    place: Path, monkeypatch: pytest.MonkeyPatch, change, at: int
):
    install_model(FLOAT, place)
    with monkeypatch.context() as patched:
        fail_to_sync(patched, at)
        with pytest.raises(InputError) as caught:
            change(place)
    changed = place.read_bytes() != FLOAT.read_bytes()
    assert (f" is at {place} now" in str(caught.value)) == changed == (at > 1)
    assert ("nothing was changed" in str(caught.value)) == (not changed)
    assert FLOAT.read_bytes() in files(place).values()


def test_what_a_killed_write_left_is_removed(place: Path):
    for name in (".model.tflite.ab12_xyz", ".model.tflite.replaced.abcdefgh"):
        (place.parent / name).write_bytes(b"half")
    (place.parent / ".model.tflite.swp").write_bytes(b"an editor's")
    install_model(FLOAT, place)
    assert sorted(files(place)) == [".model.tflite.swp", "model.tflite", "model.tflite.previous"]


def test_a_link_stays(place: Path, tmp_path: Path):
    link = tmp_path / "links" / "service.tflite"
    link.parent.mkdir()
    link.symlink_to(place)
    install_model(FLOAT, link)
    assert link.is_symlink()
    assert [path.name for path in link.parent.iterdir()] == ["service.tflite"]
    assert files(place) == {"model.tflite": FLOAT.read_bytes(), "model.tflite.previous": INT8.read_bytes()}
    roll_back(link)
    assert place.read_bytes() == INT8.read_bytes()


def test_rolling_back_names_what_it_takes(place: Path, capsys: pytest.CaptureFixture[str]):
    install_model(FLOAT, place)
    assert main(["model", "rollback", str(place)]) == 0
    assert f"taking {previous_of(place)}: " in capsys.readouterr().err


def test_rolling_back_to_what_runs_already_does_nothing(place: Path, capsys: pytest.CaptureFixture[str]):
    previous_of(place).write_bytes(place.read_bytes())
    before = files(place)
    assert main(["model", "rollback", str(place)]) == 0
    assert "is this file already" in capsys.readouterr().out
    assert files(place) == before


def test_a_file_that_is_cut_off(place: Path, tmp_path: Path):
    (tmp_path / "cut.tflite").write_bytes(FLOAT.read_bytes()[:-3000])
    with pytest.raises(ModelFileError, match=r"cut\.tflite has no card, or is cut off; expected a whole file"):
        install_model(tmp_path / "cut.tflite", place)


def test_a_place_that_is_a_folder(tmp_path: Path):
    (tmp_path / "a.tflite").mkdir()
    for folder in (tmp_path, tmp_path / "a.tflite"):
        with pytest.raises(
            InputError, match="is a folder; name the file in it that the configuration's model key names"
        ):
            install_model(INT8, folder)


def test_a_place_that_is_no_model_file(tmp_path: Path):
    with pytest.raises(InputError, match=r"config\.toml does not end in \.tflite"):
        install_model(INT8, tmp_path / "config.toml")


# the command


def test_the_command_says_what_it_did_and_how_to_go_back(place: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["model", "install", str(FLOAT), str(place)]) == 0
    done, back, restart = capsys.readouterr().out.splitlines()
    assert done.startswith(f"{FLOAT} is at {place} (")
    assert back.endswith(f"back: fkp-edge model rollback {place}")
    assert restart == next_step(place)


@pytest.mark.parametrize(
    ("config", "step"),
    [
        ('model = "/m/a.tflite"', "the service takes it when it starts: sudo systemctl restart fkp-edge"),
        ('model = "b.tflite"', "the service does not take it: "),
        ("", 'says model = "keypoints-int8"; write model = "/m/a.tflite" there, then sudo systemctl restart fkp-edge'),
        ("mode = 1", "unknown key 'mode'; did you mean 'model'?"),
        (None, "no service is configured here; fkp-edge run --model /m/a.tflite takes it"),
    ],
)
def test_the_next_step_depends_on_what_the_service_is_told(tmp_path: Path, config: str | None, step: str):
    if config is not None:
        (tmp_path / "config.toml").write_text(config)
    assert step in next_step(Path("/m/a.tflite"), tmp_path / "config.toml")


def test_a_file_that_differs_is_exit_code_1(place: Path, differing: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["model", "install", str(differing), str(place)]) == 1
    assert capsys.readouterr().out.endswith(f"{place} is as it was\n")


def test_a_folder_that_is_not_there_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["model", "install", str(INT8), str(tmp_path / "none/m.tflite")]) == 2
    assert "No such file or directory; name a folder that is there" in capsys.readouterr().err
