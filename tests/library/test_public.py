"""What `import fkp_edge` gives, and what it does not load."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pydoc
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import fkp_edge

# What users may rely on. A change here is a change for them.
PUBLIC = """
AcceleratorError Accuracy CameraSettings Connection Conversion EngineSettings Face FkpEdgeError Hello InputError
KeypointModel MeasureSettings Measurement Measures MissingPartError ModelFileError ObservationMessage Pose Position
Result Results RunConfig SearchSettings SmoothingSettings SourceError StreamError SupervisionSettings TrackResult
Tracker Training Verification __version__ benchmark connect convert demo_picture evaluate find load run track train
verify
""".split()
WITH_EXAMPLES = """
Face Measures Pose Position Result Results TrackResult Tracker demo_picture find load run track verify
""".split()
DESKTOP = ("train", "convert", "evaluate", "benchmark", "connect")
"""What needs labelled faces, TensorFlow, minutes or a device for an example."""
HEAVY = ("numpy", "cv2", "msgspec", "ai_edge_litert", "tensorflow")


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_public_names_are_what_they_were() -> None:
    assert fkp_edge.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_there_once_asked_for(name: str) -> None:
    assert getattr(fkp_edge, name) is getattr(fkp_edge, name)
    assert not isinstance(getattr(fkp_edge, name), ModuleType)


def test_checkers_and_the_program_find_a_name_in_the_same_place() -> None:
    tree = ast.parse(Path(str(fkp_edge.__file__)).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {
        alias.name: str(node.module).removeprefix("fkp_edge.")
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module != "typing"
        for alias in node.names
    }
    assert told == fkp_edge._PLACE_OF


def test_the_import_loads_nothing_heavy() -> None:
    code = f"import fkp_edge, sys; print([name for name in {HEAVY} if name in sys.modules])"
    assert python(code) == "[]\n"


def test_a_client_needs_no_numpy_and_no_opencv() -> None:
    code = "import sys; sys.modules.update(dict.fromkeys(['numpy', 'cv2', 'ai_edge_litert']))\n"
    assert (
        python(code + "import fkp_edge; print(fkp_edge.connect.__name__, fkp_edge.Hello.__name__)") == "connect Hello\n"
    )


@pytest.mark.parametrize("name", ["train", "convert"])
def test_the_functions_stay_where_packages_have_their_names(name: str) -> None:
    function = getattr(fkp_edge, name)
    setattr(fkp_edge, name, ModuleType(f"fkp_edge.{name}"))  # as the import of the package does
    assert getattr(fkp_edge, name) is function
    assert callable(function)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'trakc'"):
        fkp_edge.trakc  # noqa: B018


def test_help_reads_like_a_page() -> None:
    page = pydoc.plain(pydoc.render_doc(fkp_edge))
    assert "fkp.Tracker(max_faces=2)" in page
    assert "find(picture" in page


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "__version__"])
def test_every_public_name_is_documented(name: str) -> None:
    thing = getattr(fkp_edge, name)
    assert inspect.getdoc(thing)
    if inspect.isfunction(thing):
        parts = inspect.getdoc(thing).split()
        assert "Raises:" in parts or name == "demo_picture"
        if inspect.signature(thing).parameters:
            assert "Args:" in parts


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_example_of_a_name_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    thing = getattr(fkp_edge, name)
    module = importlib.import_module(thing.__module__)
    [found] = [test for test in doctest.DocTestFinder(recurse=False).find(thing, name, module) if test.examples]
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF)
    runner.run(found)
    assert runner.summarize(verbose=False).failed == 0
