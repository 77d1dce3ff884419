"""Opens a model file with a TFLite runtime, on the CPU or an Edge TPU, and reads points out of it."""

from __future__ import annotations

import struct
import threading
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.core.keypoints import SCHEMAS, Points, Schema, schema_named
from fkp_edge.errors import ModelFileError
from fkp_edge.model.edgetpu import Accelerator, check_made_for, open_edgetpu
from fkp_edge.model.file import ModelFile, Operator, read_model_file
from fkp_edge.model.rehearsal import rehearse
from fkp_edge.model.runtimes import TfliteRuntime, find_runtime, without_remark

__all__ = [
    "Arithmetic",
    "KeypointModel",
    "arithmetic_of",
    "dequantise",
    "list_operators",
    "load_interpreter",
    "open_model",
]

Arithmetic = Literal["integer", "float", "mixed"]
MAX_UNITS = 100.0
"""Crop units that a mean shape may lie away."""
INPUT_SHAPE = (1, CROP_SIZE, CROP_SIZE, 1)


class KeypointModel:
    """A network ready to run. Threads that share it take turns, an inference each."""

    def __init__(self, file: ModelFile, *, threads: int = 1, accelerator: Accelerator = "cpu") -> None:
        """Loads `file` for use, on the Edge TPU after a probe of some seconds.

        Args:
            file: a keypoint network's.
            threads: CPU threads of the network.
            accelerator: `cpu`, or `edgetpu` for a file compiled for it.

        Raises:
            ModelFileError: the flatbuffer is damaged, its input or outputs have other shapes than the contract's, or
                it was made for the other accelerator.
            MissingPartError: no TFLite runtime, or no library for the Edge TPU, is installed.
            AcceleratorError: the Edge TPU is absent, may not be opened, or does not work with library or runtime.
        """
        if file.card and file.card.kind == "finder":
            raise ModelFileError(
                f"{file.path} is a finder, which proposes where faces are; expected a keypoint network such "
                "as keypoints-int8"
            )
        self.file = file
        self.runtime = find_runtime()
        self.accelerator = accelerator
        self._turn = threading.Lock()
        check_made_for(file, accelerator)
        delegates = [open_edgetpu(file, self.runtime)] if accelerator == "edgetpu" else None
        self._interpreter = load_interpreter(file, self.runtime, threads, delegates)
        self._input = self._check_input()
        self._keypoints, self._score, self.schema = self._check_outputs()
        card = file.card
        # without a card the contract's word is all there is: offsets from the schema's own mean shape
        self.mean_shape: Points = np.array(card.mean_shape if card else self.schema.mean_shape, np.float32)
        """What the keypoints output is an offset from, (K, 2); the schema's mean shape, not this, frames crops."""
        if self.mean_shape.shape != (self.schema.size, 2):
            raise ModelFileError(f"{file.path}: mean shape {self.mean_shape.shape}, expected ({self.schema.size}, 2)")
        if not np.abs(self.mean_shape).max() <= MAX_UNITS:
            raise ModelFileError(f"{file.path}: its mean shape is not finite or lies far outside the crop")

    def _check_input(self) -> dict[str, Any]:
        details = self._interpreter.get_input_details()
        shapes = [(tuple(int(v) for v in d["shape"]), np.dtype(d["dtype"]).name) for d in details]
        if shapes != [(INPUT_SHAPE, "uint8")] and shapes != [(INPUT_SHAPE, "float32")]:
            raise ModelFileError(f"{self.file.path} takes {shapes}, expected one input {INPUT_SHAPE} uint8 of raw grey")
        return dict(details[0])

    def _check_outputs(self) -> tuple[dict[str, Any], dict[str, Any] | None, Schema]:
        """Outputs by their sizes, 2K and 1: tensor names and order are the converter's whim."""
        details = self._interpreter.get_output_details()
        sizes = [tuple(int(v) for v in d["shape"]) for d in details]
        card = self.file.card
        expected = [schema_named(card.schema)] if card else list(SCHEMAS.values())
        for schema in expected:
            keypoints = [d for d, size in zip(details, sizes, strict=True) if size == (1, 2 * schema.size)]
            scores = [d for d, size in zip(details, sizes, strict=True) if size == (1, 1)]
            if len(keypoints) == 1 and len(scores) <= 1 and len(details) == 1 + len(scores):
                if card and card.has_score != bool(scores):
                    raise ModelFileError(f"{self.file.path}: its card and its outputs disagree on having a score")
                return dict(keypoints[0]), dict(scores[0]) if scores else None, schema
        wanted = " or ".join(f"(1, {2 * schema.size})" for schema in expected)
        raise ModelFileError(f"{self.file.path} gives outputs {sizes}, expected {wanted} and at most one (1, 1)")

    @property
    def arithmetic(self) -> Arithmetic:
        """What the network computes with, whatever its card says."""
        return arithmetic_of(self._interpreter)

    @property
    def full_weights(self) -> bool:
        """Whether all weights are float32: those of a file with float16 are not, though its arithmetic is float."""
        return {np.dtype(d["dtype"]).name for d in self._interpreter.get_tensor_details()} <= {"float32", "int32"}

    @property
    def has_score(self) -> bool:
        """False for a network that does not say whether its crop holds a face."""
        return self._score is not None

    def invoke(self, crop: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The network's raw outputs, in the model's own types.

        Args:
            crop: (96, 96) uint8, grey.

        Returns:
            Keypoints (2K,), and the score (1,), or (0,) of a network without one.

        Raises:
            ModelFileError: the runtime cannot compute what the flatbuffer says.
        """
        pixels = crop.reshape(INPUT_SHAPE).astype(self._input["dtype"], copy=False)
        with self._turn:
            try:
                self._interpreter.set_tensor(self._input["index"], pixels)
                self._interpreter.invoke()
            except (ValueError, RuntimeError) as error:
                raise ModelFileError(f"{self.file.path} cannot be run: {error}; convert the model again") from error
            keypoints = self._interpreter.get_tensor(self._keypoints["index"])[0]
            score = self._interpreter.get_tensor(self._score["index"])[0] if self._score else keypoints[:0]
        return keypoints, score

    def decode(self, keypoints: NDArray[Any], score: NDArray[Any]) -> tuple[Points, float]:
        """What raw outputs mean.

        Args:
            keypoints: (2K,), as `invoke` gives them.
            score: (1,) or (0,), as `invoke` gives it.

        Returns:
            Points (K, 2) in crop units, 0 to 1 across the crop, and the score, 1.0 for a network without one.
        """
        offsets = dequantise(keypoints, self._keypoints)
        value = float(dequantise(score, self._score)[0]) if self._score else 1.0
        return offsets.reshape(-1, 2) + self.mean_shape, value

    def predict(self, crop: NDArray[np.uint8]) -> tuple[Points, float]:
        """The points and the score of one crop.

        Args:
            crop: (96, 96) uint8, grey.

        Returns:
            Points (K, 2) in crop units, 0 to 1 across the crop, and the score, 1.0 for a network without one.

        Raises:
            ModelFileError: the runtime cannot compute what the flatbuffer says.

        >>> import fkp_edge as fkp
        >>> import numpy as np
        >>> points, score = fkp.load().predict(np.zeros((96, 96), np.uint8))
        >>> points.shape, score < 0.5
        ((15, 2), True)
        """
        return self.decode(*self.invoke(crop))


def load_interpreter(file: ModelFile, runtime: TfliteRuntime, threads: int, delegates: list[Any] | None = None) -> Any:
    """An interpreter of `file` that is ready to run; for as long as it lives it reads the flatbuffer that `file` keeps.

    Raises:
        ModelFileError: the flatbuffer is damaged.
    """
    try:
        with without_remark():
            interpreter = runtime.interpreter(
                model_content=file.flatbuffer, num_threads=threads, experimental_delegates=delegates
            )
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelFileError(f"{file.path} cannot be loaded: {error}; convert the model again") from error
    return interpreter


def arithmetic_of(interpreter: Any) -> Arithmetic:
    """What a loaded network computes with."""
    names = {np.dtype(detail["dtype"]).name for detail in interpreter.get_tensor_details()}
    if "float32" not in names:
        return "integer"
    return "mixed" if names & {"int8", "uint8", "int16"} else "float"


def dequantise(raw: NDArray[Any], detail: dict[str, Any]) -> NDArray[np.float32]:
    """Raw values of an output as numbers, by the scale and zero point of its `detail`; floats stay."""
    scale, zero = detail["quantization"]
    values = raw.astype(np.float32)
    if scale:
        values -= zero
        values *= scale
    return values


def open_model(
    path: Path, *, threads: int = 1, card_required: bool = True, accelerator: Accelerator = "cpu"
) -> KeypointModel:
    """The model at `path`, checked and ready; see `read_model_file` and `KeypointModel` for the errors.

    A file that did not come with the package runs in a child first, once for each user (`rehearse`).
    """
    file = read_model_file(path, card_required=card_required)
    if accelerator == "cpu":  # an Edge TPU's file is probed in a child when it is opened
        check_made_for(file, accelerator)
        rehearse(file, find_runtime(), threads=threads)
    return KeypointModel(file, threads=threads, accelerator=accelerator)


def list_operators(flatbuffer: bytes) -> tuple[Operator, ...]:
    """The operators of a TFLite flatbuffer with version and count, by name.

    Raises:
        ModelFileError: it cannot be read as one.
    """
    from ai_edge_litert import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    found: Counter[tuple[str, int]] = Counter()
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer))
        for operator in model.subgraphs[0].operators:
            code = model.operatorCodes[operator.opcodeIndex]
            builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
            name = (code.customCode or b"").decode() or names.get(builtin, str(builtin))
            found[name, code.version] += 1
    except (struct.error, IndexError, TypeError, ValueError, AttributeError) as error:  # flatbuffers, on damage
        raise ModelFileError(f"the flatbuffer cannot be read ({error}); convert the model again") from error
    return tuple(Operator(name=name, version=version, count=n) for (name, version), n in sorted(found.items()))
