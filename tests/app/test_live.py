"""How a run joins its parts, and what it leaves to whom."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.app import live
from fkp_edge.app.config import RunConfig
from fkp_edge.app.publishing import PageFinder
from fkp_edge.cli.main import main
from fkp_edge.data.portrait import portrait
from fkp_edge.device.sources import FakeCamera
from fkp_edge.errors import MissingPartError
from fkp_edge.model.interpreter import open_model
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

    def open_again(path: Path, **options: object) -> object:
        asked.append(path)
        return open_model(path)

    monkeypatch.setattr("fkp_edge.app.publishing.open_model", open_again)
    grey = np.asarray(cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY))
    assert len(PageFinder(RunConfig(), model)(grey)) == 1
    assert len(asked) == opened
