"""What the command line itself refuses, and how it says so."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fkp_edge.cli.main import main
from fkp_edge.errors import InputError
from fkp_edge.model.shipped import shipped_model

SHIPPED = shipped_model()


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("FKP_EDGE_DEBUG", "1")
    with pytest.raises(InputError, match=r"none\.jpg does not exist"):
        main(["predict", str(tmp_path / "none.jpg")])


CTRL_C_AT_AN_IMPORT = """
import sys

class CtrlC:
    def find_spec(self, name, *rest):
        if name == {name!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, CtrlC())
from fkp_edge.cli.main import main
sys.exit(main())
"""


@pytest.mark.parametrize("name", ["fkp_edge.cli.command_line", "fkp_edge.errors", "cv2"])
@pytest.mark.parametrize(("command", "code"), [("run", 0), ("doctor", 130)])
def test_ctrl_c_while_the_command_is_imported_ends_it_as_later(name: str, command: str, code: int):
    program = [sys.executable, "-c", CTRL_C_AT_AN_IMPORT.format(name=name), command]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (code, "" if code == 0 else "fkp-edge doctor: cut short\n")


def test_errors_of_several_lines_come_as_one(refused, tmp_path: Path):
    path = tmp_path / "two\nlines.jpg"
    assert refused("predict", path).startswith(f"{tmp_path}/two lines.jpg does not exist; expected")


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fly"], "argument COMMAND: 'fly' is none of its values; expected one of run, "),
        (["predit"], "argument COMMAND: 'predit' is none of its values; did you mean predict? expected one of run, "),
        (["run", "--sorce", "demo"], "'--sorce' is not expected; did you mean --source?"),
        (["data", "describe", "a.csv", "--pictur"], "argument --picture: expected one argument"),
        (["data", "describe", "a.csv", "b.csv"], "'b.csv' is not expected; fkp-edge data describe --help lists"),
        (
            ["predict", "a.jpg", "--model", "keypoint-int8"],
            "did you mean keypoints-int8? expected a .tflite file or one",
        ),
        (["predict"], "the following arguments are required: PATH"),
        (["predict", "a.jpg", "--threads", "0"], "argument --threads: '0' is not a positive whole number"),
        (["predict", "a.jpg", "--threads", "two"], "argument --threads: 'two' is not a positive whole number"),
        (["predict", "a.jpg", "--threads", "65"], "argument --threads: 65 is too many; expected at most 64"),
        (["run", "--max-faces", "5"], "argument --max-faces: 5 is too many; expected at most 4"),
        (["watch", "--wait", "soon"], "argument --wait: 'soon' is not a number of seconds, 0 to 86400"),
        (
            ["convert", "m.h5", "--data", ".", "--out", "m.tflite", "--max-loss", "0%"],
            "argument --max-loss: '0%' is not a percentage above 0, such as 1%",
        ),
        (["eval", "m.tflite"], "the following arguments are required: --data"),
        (["eval", "m.tflite", "--data", ".", "--crops", "best"], "argument --crops: 'best' is none of its values;"),
        (["train", "r.toml", "--data", "."], "the following arguments are required: --out"),
    ],
)
def test_wrong_arguments(capsys: pytest.CaptureFixture[str], argv: list[str], complaint: str):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("fkp-edge: error: ")
    assert complaint in line


def test_a_command_without_its_library_says_what_to_install():
    lines = ["import sys", "sys.modules['numpy'] = None", "from fkp_edge.cli.main import main"]  # a Python without it
    program = "; ".join([*lines, "sys.exit(main(['predict', 'a.jpg']))"])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"{sys.executable} has no module numpy, which fkp-edge predict needs; in a clone: make run" in line


def test_a_copy_of_the_shipped_model_is_accepted(refused, tmp_path: Path):
    """What the damaged ones are made from is good: the next error is the picture's."""
    shutil.copy(SHIPPED, tmp_path / "m.tflite")
    (tmp_path / "a.jpg").touch()
    assert "a.jpg is not a picture" in refused("predict", tmp_path / "a.jpg", "--model", tmp_path / "m.tflite")
