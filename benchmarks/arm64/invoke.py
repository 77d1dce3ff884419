"""What instructions.py runs in the emulated userland: invokes model files between marks of the counting plugin.

Usage: python3 invoke.py INVOKES MODEL.tflite [MODEL.tflite ...]
"""

import os
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def invoke(path: str, invokes: int) -> None:
    """`invokes` inferences on noise, two marks each: the integer kernels' counts do not depend on the pixels."""
    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        noise = rng.integers(0, 100, detail["shape"]).astype(detail["dtype"])
        interpreter.set_tensor(detail["index"], noise)
    for _ in range(invokes):
        os.getppid()
        interpreter.invoke()
        os.getppid()


def main(invokes: int, paths: list[str]) -> None:
    """One process for all files: starting Python costs over a hundred times an inference."""
    for path in paths:
        invoke(path, invokes)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
