"""Makes the screenshots of docs/gallery.md, with chromium, from the bundled portrait alone.

python docs/gallery/shots.py
"""

from __future__ import annotations

import html
import subprocess
import sys
import tempfile
from pathlib import Path

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
    return 0


if __name__ == "__main__":
    sys.exit(main())
