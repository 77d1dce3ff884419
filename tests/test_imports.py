from __future__ import annotations

import pkgutil
import subprocess
import sys
from importlib.util import find_spec

import pytest

import fkp_edge

BANNED = ("tensorflow", "tf_keras", "tensorflow_model_optimization", "pandas", "sklearn", "matplotlib")
DESKTOP = ("fkp_edge.train", "fkp_edge.convert", "fkp_edge.cli.adapt", "fkp_edge.cli.train", "fkp_edge.cli.convert")
EXTRAS = {
    "fkp_edge.stream.web": ("aiohttp", "web"),
    "fkp_edge.stream.client.websocket": ("aiohttp", "web"),
    "fkp_edge.stream.adapters.osc": ("pythonosc", "osc"),
    "fkp_edge.stream.adapters.mqtt": ("paho", "mqtt"),
    "fkp_edge.label.mesh": ("mediapipe", "label"),
}
"""Modules that need an extra: its library, and its name."""

IMPORT_ALL = """
import importlib, sys
banned, modules = (argument.split(",") for argument in sys.argv[1:])
sys.modules.update(dict.fromkeys(banned))
for module in modules:
    importlib.import_module(module)
print(len(modules), "imported")
"""


def device_modules() -> list[str]:
    """Every module that runs on a device; `__main__` runs a command when imported."""
    names = [info.name for info in pkgutil.walk_packages(fkp_edge.__path__, "fkp_edge.")]
    absent = tuple(name for name, (library, _) in EXTRAS.items() if find_spec(library) is None)
    return [name for name in names if not name.startswith((*DESKTOP, *absent)) and not name.endswith("__main__")]


def import_without(banned: tuple[str, ...], modules: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", IMPORT_ALL, ",".join(banned), ",".join(modules)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_device_part_imports_without_desktop_libraries():
    modules = device_modules()
    done = import_without(BANNED, modules)
    assert done.stdout == f"{len(modules)} imported\n", done.stderr


def test_the_walk_finds_every_part():
    parts = {name.split(".")[1] for name in device_modules()}
    assert {"app", "bench", "cli", "core", "data", "device", "evaluation", "model", "report", "stream"} <= parts


@pytest.mark.parametrize("module", EXTRAS)
def test_a_module_without_its_extra_says_what_to_install(module: str):
    library, extra = EXTRAS[module]
    done = import_without((library,), [module])
    assert done.returncode == 1
    assert "MissingPartError: " in done.stderr
    assert f"pip install 'fkp-edge[{extra}]'" in done.stderr


@pytest.mark.parametrize(
    ("module", "work", "extra"),
    [("fkp_edge.train.networks", "training", "train"), ("fkp_edge.convert.quantize", "converting", "convert")],
)
def test_a_desktop_stage_without_tensorflow_says_what_to_install(module: str, work: str, extra: str):
    done = import_without(BANNED, [module])
    assert done.returncode == 1
    assert f"MissingPartError: {work} needs more than the device part (" in done.stderr
    assert f"pip install 'fkp-edge[{extra}]'" in done.stderr


def test_the_stream_part_imports_with_msgspec_alone():
    modules = [name for name in device_modules() if name.startswith("fkp_edge.stream")]
    modules = [name for name in modules if not name.startswith(tuple(EXTRAS))]
    done = import_without(
        (*BANNED, "numpy", "cv2", "ai_edge_litert", *(library for library, _ in EXTRAS.values())), modules
    )
    assert done.stdout == f"{len(modules)} imported\n", done.stderr


def test_the_command_line_starts_without_any_library():
    done = import_without((*BANNED, "numpy", "cv2", "ai_edge_litert", "msgspec"), ["fkp_edge.cli.command_line"])
    assert done.stdout == "1 imported\n", done.stderr
