"""Makes the screenshots of docs/gallery.md, with chromium, from the bundled portrait alone.

python docs/gallery/shots.py
"""

from __future__ import annotations

import html
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import fkp_edge as fkp

HERE = Path(__file__).parent
FKP = [sys.executable, "-m", "fkp_edge"]
TERMINAL = """<body style="margin:0;background:#12161c;color:#d8dee9;font:15px/1.45 monospace">
<pre style="margin:14px 18px"><b style="color:#8fbcbb">$ {command}</b>
{output}</pre></body>"""


def shoot(url: str, name: str, size: tuple[int, int]) -> None:
    """Writes a picture of a page.

    Args:
        url: what chromium opens.
        name: the picture's, without its ending.
        size: width and height in pixels.
    """
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--screenshot={shot}"]
        options += [f"--window-size={size[0]},{size[1]}", f"--user-data-dir={folder}/profile"]
        subprocess.run(["chromium", *options, url], check=True, capture_output=True, timeout=120)
        cv2.imwrite(str(HERE / f"{name}.jpg"), cv2.imread(str(shot)), [cv2.IMWRITE_JPEG_QUALITY, 85])


def shoot_command(words: str, name: str, lines: int) -> None:
    """Writes a picture of a command and the first `lines` of what it prints."""
    done = subprocess.run([*FKP, *words.split()[1:]], capture_output=True, text=True, timeout=120, check=False)
    output = "\n".join(line[:110] for line in done.stdout.splitlines()[:lines])
    with tempfile.NamedTemporaryFile("w", suffix=".html") as page:
        page.write(TERMINAL.format(command=html.escape(words), output=html.escape(output)))
        page.flush()
        shoot(f"file://{page.name}", name, (1010, 60 + 22 * (output.count("\n") + 1)))


def shoot_programs(names: Sequence[str], name: str, lines: int) -> None:
    """Writes a picture of examples, each with the last `lines` that it prints of the demo."""
    parts = []
    for program in names:
        words = f"python examples/{program}"
        path, *given = program.split()
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, str(HERE.parents[1] / "examples" / path), *given],
                cwd=folder, capture_output=True, text=True, timeout=300, check=True,
            )  # fmt: skip
        parts += [words, *done.stdout.splitlines()[-lines:], ""]
    command, output = parts[0], "\n".join(f"$ {part}" if part.startswith("python ") else part for part in parts[1:-1])
    with tempfile.NamedTemporaryFile("w", suffix=".html") as page:
        page.write(TERMINAL.format(command=html.escape(command), output=html.escape(output)))
        page.flush()
        shoot(f"file://{page.name}", name, (1010, 60 + 22 * (output.count("\n") + 1)))


def shoot_measures() -> None:
    """The live page of a run with measures, as the browser of the tests shows it."""
    spec = importlib.util.spec_from_file_location("browser", HERE.parents[1] / "tests/stream/web/browser.py")
    assert spec is not None
    assert spec.loader is not None
    browser = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(browser)
    command = [*FKP, "run", "--source", "demo", "--model", "keypoints68-int8", "--measures", "--preview"]
    command += ["--stream", "tcp://127.0.0.1:0", "--web", "127.0.0.1:0"]
    with tempfile.TemporaryDirectory() as folder, browser.Browser(Path(folder) / "profile") as page:
        with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as run:
            assert run.stderr is not None
            page.open(next(m[1] for line in run.stderr if (m := re.search(r"live page: (\S+)", line))))
            page.wait_for("!document.getElementById('measured').hidden")
            page.wait_for("parseFloat(document.getElementById('rate').textContent) > 3")
            page.screenshot(Path(folder) / "shot.png")
            run.terminate()
            run.communicate(timeout=20)
        shot = cv2.imread(str(Path(folder) / "shot.png"))
        cv2.imwrite(str(HERE / "measures.jpg"), shot[:705], [cv2.IMWRITE_JPEG_QUALITY, 85])


def plot_notebook() -> None:
    """What the notebook plots."""
    import matplotlib as mpl

    mpl.use("agg")
    names: dict[str, Any] = {}
    for cell in json.loads((HERE.parents[1] / "examples/notebook.ipynb").read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec(compile(cell["source"], "notebook.ipynb", "exec"), names)
    names["figure"].savefig(HERE / "notebook.png", dpi=90)


def draw_faces() -> None:
    """The points of the bundled portrait, large."""
    picture = fkp.demo_picture()
    result = fkp.find(cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))
    cv2.imwrite(str(HERE / "find.jpg"), np.asarray(result.draw()), [cv2.IMWRITE_JPEG_QUALITY, 85])


def main() -> int:
    """Makes all of them."""
    draw_faces()
    shoot_command("fkp-edge models", "models", 12)
    shoot_command("fkp-edge verify keypoints-int8", "verify", 8)
    shoot_programs(("count_faces.py", "blink_counter.py", "follow_face.py", "smile_camera.py"), "examples", 3)
    shoot_measures()
    plot_notebook()
    return 0


if __name__ == "__main__":
    sys.exit(main())
