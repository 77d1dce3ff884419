"""Shows a camera's or video's faces with their points in a window; q closes it.

    python examples/draw_points.py                    # the bundled demo
    python examples/draw_points.py v4l2:0             # a USB camera
    python examples/draw_points.py demo out.png       # no window: the last frame as a file

The window needs OpenCV with one: `pip install opencv-python` in place of opencv-python-headless.
"""

from __future__ import annotations

import sys

import cv2

import fkp_edge as fkp


def main(source: str, out: str | None) -> None:
    """Shows every frame, or saves the last one that has a face."""
    last = None
    for result in fkp.track(source, max_faces=4, fast=out is not None):
        if out is None:
            cv2.imshow("faces", result.draw())
            if cv2.waitKey(1) == ord("q"):
                break
        elif len(result):
            last = result
    if out is not None:
        print(f"drawn: {last.save(out)}" if last else "no face")


if __name__ == "__main__":
    try:
        main(*(sys.argv[1:3] + ["demo", None][len(sys.argv) - 1 :]))
    except fkp.FkpEdgeError as error:
        sys.exit(f"error: {error}")
    except cv2.error as error:
        sys.exit(f"error: this OpenCV opens no window ({error.func}); pip install opencv-python, or name a file")
