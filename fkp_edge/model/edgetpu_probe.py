"""What `edgetpu.py` runs in a subprocess: library, device, one inference of the flatbuffer on stdin.

Each step is announced before it begins, so that a crash shows where it happened.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Literal

__all__ = ["LIBRARY", "MARK", "Step", "main"]

Step = Literal["start", "library", "device", "model", "inference", "done"]
LIBRARY = "libedgetpu.so.1"
MARK = "fkp-edge probe: "
"""What its lines begin with; the library and the runtime print others."""


def main() -> int:
    """Goes through the steps; 0 where all went well."""
    step: Step = "start"

    def say(error: str = "") -> None:
        sys.stdout.write(f"\n{MARK}{json.dumps({'step': step, 'error': error})}\n")
        sys.stdout.flush()

    try:
        import numpy as np

        from fkp_edge.model.runtimes import find_runtime

        flatbuffer, runtime = sys.stdin.buffer.read(), find_runtime()
        step = "library"
        say()
        ctypes.CDLL(LIBRARY)
        step = "device"
        say()
        delegate = runtime.load_delegate(LIBRARY)
        step = "model"
        say()
        interpreter = runtime.interpreter(model_content=flatbuffer, experimental_delegates=[delegate])
        interpreter.allocate_tensors()
        step = "inference"
        say()
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
        interpreter.invoke()
        step = "done"
        say()
    except Exception as error:  # whatever it is, the parent says it in one line
        say(" ".join(f"{type(error).__name__}: {error}".split()))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
