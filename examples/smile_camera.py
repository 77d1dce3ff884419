"""Takes a picture when somebody smiles; it takes the next one when they have stopped and smile again.

    python examples/smile_camera.py                   # the bundled demo, which smiles
    python examples/smile_camera.py picamera          # full-size stills of the Pi camera, until Ctrl-C

Writes smile-1.jpg, smile-2.jpg and so on into the folder in which it is started.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import fkp_edge as fkp

SMILES, STOPS = 0.6, 0.4
"""Two bounds, so that a smile between them makes one picture."""
MODEL = "keypoints68-int8"


def watch_file(source: str) -> Iterator[tuple[fkp.TrackResult, Callable[[str], object]]]:
    """Each frame with its faces, and what saves it."""
    for result in fkp.track(source, model=MODEL, measures=True):
        yield result, result.save


def watch_camera() -> Iterator[tuple[fkp.TrackResult, Callable[[str], object]]]:
    """The same of the Pi camera: faces come from its small stream, stills from its large one."""
    from picamera2 import Picamera2  # from apt: python3-picamera2

    with Picamera2() as camera, fkp.Tracker(MODEL, measures=True, live=True) as tracker:
        small = {"size": (640, 480), "format": "YUV420"}
        camera.configure(camera.create_video_configuration(main={"size": (2028, 1520)}, lores=small))
        camera.start()
        while True:
            yield tracker(camera.capture_array("lores")[:480, :640]), camera.capture_file


def main(source: str) -> None:
    """Saves until the source ends."""
    smiling, count = False, 0
    with contextlib.suppress(KeyboardInterrupt):
        for result, save in watch_camera() if source == "picamera" else watch_file(source):
            smile = max((face.measures.smile or 0.0 for face in result if face.measures), default=0.0)
            if smile > SMILES and not smiling:
                count = next(n for n in range(count + 1, 10**6) if not Path(f"smile-{n}.jpg").exists())
                save(f"smile-{count}.jpg")
                print(f"smile {smile:.2f}: smile-{count}.jpg", flush=True)
            smiling = smile > (STOPS if smiling else SMILES)


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "demo")
    except (fkp.FkpEdgeError, ImportError) as error:
        sys.exit(f"error: {error}")
