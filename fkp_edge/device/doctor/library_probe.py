"""What the doctor runs in a process of its own: loads one library and says what it is, in one line of JSON."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

__all__ = ["MARK", "main"]

MARK = "fkp-edge library: "
"""What its line begins with; libraries print others."""


def main() -> int:
    """Loads the library that the first argument names; 0 where that went well."""
    try:
        facts = _PROBES[sys.argv[1]]()
    except Exception as error:  # whatever it is, the doctor says it in one line
        facts = {"error": " ".join(f"{type(error).__name__}: {error}".split())}
    sys.stdout.write(f"\n{MARK}{json.dumps(facts)}\n")
    return int("error" in facts)


def _numpy() -> dict[str, Any]:
    import numpy as np

    return {"version": np.__version__, "file": np.__file__}


def _opencv() -> dict[str, Any]:
    import cv2

    facts: dict[str, Any] = {"version": cv2.__version__, "file": cv2.__file__, "cascade": None}
    if hasattr(cv2, "CascadeClassifier"):
        from fkp_edge.device.detection.haar import HaarDetector, find_cascade
        from fkp_edge.errors import MissingPartError

        try:
            HaarDetector()
            facts["cascade"] = str(find_cascade())
        except MissingPartError as error:
            facts["problem"] = str(error)
    return facts


def _runtime() -> dict[str, Any]:
    os.environ["FKP_EDGE_DEBUG"] = "1"  # what the runtime says of XNNPACK is what the doctor reads
    import numpy as np

    from fkp_edge.core.geometry import CROP_SIZE
    from fkp_edge.model.interpreter import open_model
    from fkp_edge.model.shipped import shipped_model

    model = open_model(shipped_model("keypoints-float32"))  # XNNPACK takes float32 in every build
    model.invoke(np.zeros((CROP_SIZE, CROP_SIZE), np.uint8))
    return {"name": model.runtime.name, "version": model.runtime.version}


def _picamera2() -> dict[str, Any]:
    from picamera2 import Picamera2

    found = Picamera2.global_camera_info()  # names of sensors; opens none
    return {"cameras": [str(i.get("Model", "?")) for i in found if "/usb" not in str(i.get("Id", ""))]}


_PROBES = {"numpy": _numpy, "opencv": _opencv, "runtime": _runtime, "picamera2": _picamera2}

if __name__ == "__main__":
    sys.exit(main())
