"""Opens a finder's model file with a TFLite runtime and reads proposals out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkp_edge.errors import ModelFileError
from fkp_edge.model.edgetpu import Accelerator, check_made_for
from fkp_edge.model.file import ModelFile, read_model_file
from fkp_edge.model.finder_maps import INPUT_SIZE, LEAST, LEVELS, SHAPE_CHANNELS, Proposal, decode_maps, letterbox
from fkp_edge.model.interpreter import Arithmetic, KeypointModel, arithmetic_of, dequantise, load_interpreter
from fkp_edge.model.rehearsal import rehearse
from fkp_edge.model.runtimes import find_runtime

__all__ = ["FinderModel", "Maps", "open_any", "open_finder"]

Maps = tuple[NDArray[Any], ...]
"""Heat (rows, columns) and shape (rows, columns, 5) of each of `finding.LEVELS`, in turn."""


class FinderModel:
    """A finder ready to run. Not for use by two threads at once."""

    def __init__(self, file: ModelFile, *, threads: int = 1) -> None:
        """Loads `file` on `threads` CPU threads.

        Raises:
            ModelFileError: it is a keypoint network, damaged, or has other inputs or outputs than a finder.
            MissingPartError: no TFLite runtime is installed.
        """
        if file.card and file.card.kind != "finder":
            raise ModelFileError(
                f"{file.path} is a keypoint network, which looks at one face; expected a finder such as finder-int8"
            )
        self.file = file
        self.runtime = find_runtime()
        self._interpreter = load_interpreter(file, self.runtime, threads)
        self._input = self._check_input()
        self._outputs = self._check_outputs()

    def _check_input(self) -> dict[str, Any]:
        details = self._interpreter.get_input_details()
        shape = (1, INPUT_SIZE[1], INPUT_SIZE[0], 1)
        found = [(tuple(int(v) for v in d["shape"]), np.dtype(d["dtype"]).name) for d in details]
        if found not in ([(shape, "uint8")], [(shape, "float32")]):
            raise ModelFileError(f"{self.file.path} takes {found}, expected a finder's one input {shape} uint8")
        return dict(details[0])

    def _check_outputs(self) -> list[dict[str, Any]]:
        """Outputs by their sizes: tensor names and order are the converter's whim."""
        details = {tuple(int(v) for v in d["shape"]): dict(d) for d in self._interpreter.get_output_details()}
        wanted = [(1, *level.shape, channels) for level in LEVELS for channels in (1, SHAPE_CHANNELS)]
        if sorted(details) != sorted(wanted):
            raise ModelFileError(f"{self.file.path} gives outputs {sorted(details)}, expected a finder's {wanted}")
        return [details[shape] for shape in wanted]

    @property
    def arithmetic(self) -> Arithmetic:
        """What the network computes with, whatever its card says."""
        return arithmetic_of(self._interpreter)

    def invoke(self, pixels: NDArray[np.uint8]) -> Maps:
        """Raw maps of `pixels` (128, 160), in the model's own types."""
        shaped = pixels.reshape(self._input["shape"]).astype(self._input["dtype"], copy=False)
        try:
            self._interpreter.set_tensor(self._input["index"], shaped)
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise ModelFileError(f"{self.file.path} cannot be run: {error}; convert the model again") from error
        found = [self._interpreter.get_tensor(output["index"])[0] for output in self._outputs]
        return tuple(array[..., 0] if array.shape[-1] == 1 else array for array in found)

    def decode(self, maps: Maps, *, most: int, least: float = LEAST) -> list[Proposal]:
        """At most so many proposals of raw `maps` that score at least so much, pixels of the input, the best first."""
        values = [dequantise(raw, detail) for raw, detail in zip(maps, self._outputs, strict=True)]
        return decode_maps(list(zip(values[::2], values[1::2], strict=True)), most=most, least=least)

    def propose(self, grey: NDArray[np.uint8], *, most: int, least: float = LEAST) -> list[Proposal]:
        """At most so many crops that may frame a face in `grey` (H, W), its pixels, the best first; see `decode`."""
        pixels, place = letterbox(grey)
        found = self.decode(self.invoke(pixels), most=most, least=least)
        return [Proposal(place.to_frame(p.crop), p.score) for p in found]


def open_finder(path: Path, *, threads: int = 1, card_required: bool = True) -> FinderModel:
    """The finder at `path`, checked and ready; see `read_model_file` and `FinderModel` for the errors."""
    file = read_model_file(path, card_required=card_required)
    rehearse(file, find_runtime(), threads=threads)
    return FinderModel(file, threads=threads)


def open_any(
    path: Path, *, card_required: bool = True, accelerator: Accelerator = "cpu"
) -> KeypointModel | FinderModel:
    """The model at `path`, whichever kind its card names: a keypoint network where it has none."""
    file = read_model_file(path, card_required=card_required)
    if accelerator == "cpu":
        check_made_for(file, accelerator)
        rehearse(file, find_runtime())
    if file.card and file.card.kind == "finder":
        return FinderModel(file)
    return KeypointModel(file, accelerator=accelerator)
