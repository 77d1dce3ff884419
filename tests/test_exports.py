from __future__ import annotations

import importlib
import pkgutil

import pytest

import fkp_edge
from fkp_edge import errors

MODULES = [i.name for i in pkgutil.walk_packages(fkp_edge.__path__, "fkp_edge.") if not i.name.endswith("__main__")]
DESKTOP = ("fkp_edge.train", "fkp_edge.convert", "fkp_edge.cli.adapt", "fkp_edge.cli.train", "fkp_edge.cli.convert")
EXTRAS = {
    "fkp_edge.stream.web": "aiohttp",
    "fkp_edge.stream.client.websocket": "aiohttp",
    "fkp_edge.stream.adapters.osc": "pythonosc",
    "fkp_edge.stream.adapters.mqtt": "paho",
    "fkp_edge.label.mesh": "mediapipe",
}


def load(name: str):
    if name.startswith(DESKTOP):
        pytest.importorskip("tensorflow", reason="needs fkp-edge[convert]")
    for prefix, library in EXTRAS.items():
        if name.startswith(prefix):
            pytest.importorskip(library, reason=f"{name} needs an extra")
    return importlib.import_module(name)


@pytest.mark.parametrize("name", MODULES)
def test_every_export_exists_once(name: str):
    exported = getattr(load(name), "__all__", ())
    assert [missing for missing in exported if not hasattr(load(name), missing)] == []
    assert len(set(exported)) == len(exported)


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith(DESKTOP)])
def test_every_module_says_what_it_exports(name: str):
    module = load(name)
    assert hasattr(module, "__path__") or module.__all__  # a package's rooms say it


def test_every_error_is_one_of_ours_and_a_builtin_one():
    for name in set(errors.__all__) - {"FkpEdgeError"}:
        bases = getattr(errors, name).__mro__
        assert errors.FkpEdgeError in bases
        assert {ValueError, ImportError, OSError} & set(bases)
