"""Writes a row for each face and frame: time, number, score, pose, and the points' x and y.

python examples/log_csv.py faces.csv              # of the bundled demo
python examples/log_csv.py faces.csv picamera     # until Ctrl-C
"""

from __future__ import annotations

import contextlib
import csv
import sys

import fkp_edge as fkp


def main(out: str, source: str) -> None:
    """Writes until the source ends, or Ctrl-C."""
    rows = 0
    with open(out, "x", newline="") as file, contextlib.suppress(KeyboardInterrupt):  # noqa: PTH123
        table = csv.writer(file)
        for result in fkp.track(source, max_faces=4):
            if not rows and len(result):
                points = [f"{name}_{axis}" for name in result.names for axis in "xy"]
                table.writerow(["time_s", "state", "id", "score", "yaw", "pitch", "roll", *points])
            for face in result:
                pose = [round(angle, 1) for angle in face.pose]
                values = [round(float(value), 2) for value in face.points.ravel()]
                table.writerow([f"{result.time_s:.3f}", result.state, face.id, round(face.score, 3), *pose, *values])
                rows += 1
    print(f"{rows} rows: {out}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: log_csv.py FILE.csv [SOURCE]")
    try:
        main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "demo")
    except FileExistsError as error:
        sys.exit(f"error: {error.filename} exists; name another file")
    except (fkp.FkpEdgeError, OSError) as error:
        sys.exit(f"error: {error}")
