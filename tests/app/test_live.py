"""How a run joins its parts, and what it leaves to whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest

from fkp_edge.app import live
from fkp_edge.app.config import RunConfig
from fkp_edge.app.publishing import PageFinder
from fkp_edge.cli.main import main
from fkp_edge.data.pictures import portrait
from fkp_edge.device.sources import FakeCamera
from fkp_edge.errors import MissingPartError
from fkp_edge.model.file import ModelFile
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model


def test_the_source_is_closed_where_the_search_cannot_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    camera = FakeCamera([])

    def no_search(*_: object, **__: object) -> None:
        raise MissingPartError("no cascade")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(live, "open_source", lambda *_, **__: camera)
    monkeypatch.setattr(live, "open_search", no_search)
    assert main(["run", "--source", "demo", "--stream", "tcp://127.0.0.1:0"]) == 2
    assert "no cascade" in capsys.readouterr().err
    assert camera.closed


@pytest.mark.parametrize(("accelerator", "opened"), [("edgetpu", 0), ("cpu", 1)])
def test_photographs_on_the_page_share_an_edge_tpu_which_opens_once_only(
    monkeypatch: pytest.MonkeyPatch, accelerator: str, opened: int
) -> None:
    model = open_model(shipped_model())
    model.accelerator = accelerator
    asked = []

    def open_again(file: ModelFile) -> KeypointModel:
        asked.append(file)
        return KeypointModel(file)

    monkeypatch.setattr("fkp_edge.app.publishing.KeypointModel", open_again)
    grey = np.asarray(cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY))
    assert len(PageFinder(RunConfig(), model)(grey)) == 1
    assert len(asked) == opened


@pytest.mark.parametrize(("url", "measured"), [("opentrack://127.0.0.1:9", True), ("udp://127.0.0.1:9", False)])
def test_what_takes_heads_has_them_measured(url: str, measured: bool) -> None:
    assert live.plan_run(RunConfig(source="demo", stream=(url,))).config.measures.enabled is measured


class Page(NamedTuple):
    """How many look at a page."""

    viewers: int


@pytest.mark.parametrize(
    ("name", "options", "viewers", "again"),
    [
        ("demo", {}, 0, None),
        ("demo", {"loop": True}, 0, True),
        ("clip.mp4", {"loop": True}, 0, True),
        ("demo", {"web": "127.0.0.1:8080"}, 1, True),
        ("demo", {"web": "127.0.0.1:8080"}, 0, False),
        ("demo", {"web": "127.0.0.1:8080", "fast": True}, 1, None),
        ("clip.mp4", {"web": "127.0.0.1:8080"}, 1, None),
        ("v4l2:0", {"loop": True}, 0, None),
        ("gray:64x48", {"loop": True}, 0, None),
        ("rtsp://camera/", {"loop": True}, 0, None),
    ],
)
def test_what_begins_again_at_its_end(
    monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, Any], viewers: int, again: bool | None
) -> None:
    monkeypatch.setattr(live, "PAGE_OPENS_S", 0.0)
    asked = live._another_round(RunConfig(**options), name, Page(viewers))
    assert (asked and asked()) is again


def test_a_network_without_a_score_is_announced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(KeypointModel, "has_score", property(lambda _: False))
    assert main(["run", "--source", "demo", "--fast", "--stream", "tcp://127.0.0.1:0"]) == 0
    assert "keypoints-int8.tflite has no score: " in capsys.readouterr().err
