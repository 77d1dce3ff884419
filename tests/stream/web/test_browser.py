"""The live page of a real run in a real browser."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="needs fkp-edge[web]")
sys.path.insert(0, str(Path(__file__).parent))
from browser import CHROMIUM, Browser

sys.path.pop(0)

CLIENT = Path(__file__).resolve().parents[3] / "clients/fkp_edge.mjs"
OVERLAY = Path(__file__).resolve().parents[3] / "examples/overlay_obs.html"
PORTRAIT = Path(__file__).resolve().parents[3] / "fkp_edge/data/eileen_collins.jpg"
TOKEN = "0123456789abcdef"
RED = """(() => {{
  const view = document.getElementById("{canvas}");
  const data = view.getContext("2d").getImageData(0, 0, view.width, view.height).data;
  let count = 0, sum = 0;
  for (let i = 0; i < data.length; i += 4)
    if (data[i] > 200 && data[i + 1] < 110 && data[i + 2] < 110) count++, sum += i / 4 % view.width;
  return [count, count ? sum / count : 0];
}})()"""
GREY = """(() => {
  const view = document.getElementById("view");
  const data = view.getContext("2d").getImageData(0, 0, 40, 40).data;
  return data.reduce((sum, value, i) => sum + (i % 4 < 3 ? value : 0), 0) / 4800;
})()"""
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; apt-get install chromium")


@contextmanager
def running(cwd: Path, *args: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """`fkp-edge run` with a page on a free port: the page's URL, and what ends the run."""
    command = [sys.executable, "-m", "fkp_edge", "run", "--source", "demo", "--stream", "tcp://127.0.0.1:0"]
    command += ["--web", "127.0.0.1:0", *args]
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        url = next(m[1] for line in process.stderr if (m := re.search(r"live page: (\S+)", line)))

        def end() -> None:
            process.terminate()
            process.communicate(timeout=20)

        try:
            yield url, end
        finally:
            end()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Browser]:
    """A browser whose console must have no complaint at the end."""
    with Browser(tmp_path / "profile") as browser:
        yield browser
        if shots := os.environ.get("FKP_EDGE_SCREENSHOTS"):  # to look at them
            browser.screenshot(Path(shots) / f"{tmp_path.name}.png")


def test_measures_are_bars_beside_the_heads_axes(page: Browser, tmp_path: Path) -> None:
    with running(tmp_path, "--measures", "--model", "keypoints68-int8") as (url, _):
        page.open(url)
        page.wait_for("!document.getElementById('measured').hidden")
        assert page.evaluate("document.querySelectorAll('#bars meter').length") == 7
        assert 0.5 < page.evaluate("document.getElementById('eye_open_left').value") < 1.5
        assert re.fullmatch(
            r"-?\d+ right, -?\d+ down, \d+ cm away; \d+ blinks",
            page.evaluate("document.getElementById('place').textContent"),
        )
        assert page.evaluate(RED.format(canvas="axes"))[0] > 50


def test_points_move_on_the_picture_and_numbers_tell(page: Browser, tmp_path: Path) -> None:
    with running(tmp_path, "--preview") as (url, _):
        page.open(url)
        page.wait_for("document.getElementById('state').textContent === 'tracking'")
        page.wait_for("parseFloat(document.getElementById('rate').textContent) > 3")
        page.wait_for("document.getElementById('age').textContent.endsWith(' ms')")
        count, x = page.evaluate(RED.format(canvas="view"))
        assert count > 50
        assert page.evaluate(GREY) > 20  # the picture is there
        page.wait_for(f"Math.abs({RED.format(canvas='view')}[1] - {x}) > 10")
        assert page.evaluate("document.getElementById('note').hidden && document.getElementById('measured').hidden")
        assert "15 points, from demo" in page.evaluate("document.getElementById('source').textContent")
        assert page.errors == []


def test_points_can_be_switched_off(page: Browser, tmp_path: Path) -> None:
    with running(tmp_path) as (url, _):
        page.open(url)
        page.wait_for("document.querySelectorAll('#toggles input').length === 15")
        page.wait_for(f"{RED.format(canvas='view')}[0] > 50")
        assert page.evaluate(GREY) == 0  # no picture without --preview
        assert "Start with --preview" in page.evaluate("document.getElementById('note').textContent")
        page.evaluate("document.getElementById('points').open = true, document.getElementById('none').click()")
        page.wait_for(f"{RED.format(canvas='view')}[0] === 0")
        assert page.errors == []


def test_a_photograph_is_answered(page: Browser, tmp_path: Path) -> None:
    with running(tmp_path, "--preview") as (url, _):
        page.open(url)
        page.wait_for("document.getElementById('state').textContent === 'tracking'")
        page.choose_file("#file", PORTRAIT)
        page.wait_for("document.getElementById('answer').textContent.startsWith('a face at ')")
        assert page.evaluate(RED.format(canvas="photo"))[0] > 50
        drop = "const event = new DragEvent('drop', { dataTransfer: new DataTransfer(), cancelable: true });"
        drop += "event.dataTransfer.items.add(new File(['no picture'], 'a.txt'));"
        page.evaluate(f"{drop} document.getElementById('drop').dispatchEvent(event); 1")
        page.wait_for(
            "document.getElementById('answer').textContent === 'a.txt is not a picture that this browser reads'"
        )
        assert page.errors == []


def test_it_fits_a_phone_and_wears_glasses(page: Browser, tmp_path: Path) -> None:
    page.resize(390, 844)
    with running(tmp_path, "--preview", "--effect", "glasses") as (url, _):
        page.open(url)
        page.wait_for("document.getElementById('state').textContent === 'tracking'")
        page.wait_for("parseFloat(document.getElementById('rate').textContent) > 3")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate(RED.format(canvas="view"))[0] < 20  # no point lies on the glasses
        chart = "document.getElementById('chart')"
        assert page.evaluate(f"{chart}.width / {chart}.clientWidth") == page.evaluate("devicePixelRatio")
        assert page.errors == []


def test_it_says_that_the_run_has_ended_and_comes_back(page: Browser, tmp_path: Path) -> None:
    with running(tmp_path) as (url, end):
        page.open(url)
        page.wait_for("document.getElementById('state').textContent === 'tracking'")
        end()
        page.wait_for("document.getElementById('state').textContent === 'connection lost'")
    with running(tmp_path, "--web", url.removeprefix("http://").rstrip("/")):
        page.wait_for("document.getElementById('state').textContent === 'tracking'")


def test_with_a_token_the_page_opens_and_without_it_does_not(page: Browser, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with running(tmp_path, "--token-file", "token") as (url, _):
        page.open(url.replace("TOKEN", "wrong"))
        page.wait_for("document.body.innerText.startsWith('this stream asks for its token')")
        page.open(url.replace("TOKEN", TOKEN))
        page.wait_for("document.getElementById('state')?.textContent === 'tracking'")
        page.choose_file("#file", PORTRAIT)
        page.wait_for("document.getElementById('answer').textContent.startsWith('a face at ')")
        assert [error for error in page.errors if "401 (Unauthorized)" not in error] == []


def test_the_overlay_for_obs_draws_points_on_nothing(page: Browser, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with running(tmp_path, "--token-file", "token") as (url, _):
        stream = f"{url.split('/?')[0].replace('http', 'ws')}/stream"
        page.open(f"{OVERLAY.as_uri()}?token={TOKEN}&url={stream}")
        red = RED.replace('getElementById("{canvas}")', 'querySelector("canvas")').replace("{{", "{").replace("}}", "}")
        page.wait_for(f"{red}[0] > 50")
        assert page.evaluate("document.querySelector('canvas').width") == 640
        assert page.errors == []


def test_the_javascript_client_reads_a_websocket_in_a_browser(page: Browser, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with running(tmp_path, "--token-file", "token") as (url, _):
        source = base64.b64encode(CLIENT.read_bytes()).decode()
        stream = f"{url.split('/?')[0].replace('http', 'ws')}/stream"
        seen = page.evaluate(f"""(async () => {{
          const {{ connect }} = await import("data:text/javascript;base64,{source}");
          const seen = [];
          for await (const message of connect("{stream}", {{ token: "{TOKEN}" }})) {{
            seen.push(message.type);
            if (seen.length === 5) return seen;
          }}
        }})()""")
        assert seen[0] == "hello"  # it comes again when the first frame tells its size
        assert seen.count("hello") <= 2
        assert {*seen[2:]} == {"observation"}
