"""SavedModels whose graphs reach out of themselves are refused before they are loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow_model_optimization", reason="needs fkp-edge[convert]")

from fkp_edge.convert.backend import SavedModelProto
from fkp_edge.convert.load import load_network
from fkp_edge.convert.recipe import Foreign
from fkp_edge.errors import InputError
from fkp_edge.train.backend import keras, tf

PIXELS = tf.TensorSpec((None, 96, 96, 1), tf.float32, name="image")


class Served(tf.Module):
    """A network whose serving function also does what it is given."""

    def __init__(self, also: Callable[[tf.Tensor], tf.Tensor]) -> None:
        super().__init__()
        self.kernel = tf.Variable(np.zeros((96 * 96, 30), np.float32))
        self.also = also

    @tf.function(input_signature=[PIXELS])
    def serve(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"points": self.also(tf.reshape(image, (-1, 96 * 96)) @ self.kernel)}


def exported(folder: Path, also: Callable[[tf.Tensor], tf.Tensor]) -> Path:
    module = Served(also)
    tf.saved_model.save(module, str(folder), signatures=module.serve)
    return folder


def writes(place: Path) -> Callable[[tf.Tensor], tf.Tensor]:
    def also(points: tf.Tensor) -> tf.Tensor:
        tf.io.write_file(str(place), "written")
        return points

    return also


def calls_python(points: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(tf.numpy_function(lambda x: x, [points], tf.float32), (None, 30))


def prints(points: tf.Tensor) -> tf.Tensor:
    tf.print("hello", output_stream="file:///tmp/fkp-edge-never")
    return points


def deep(points: tf.Tensor) -> tf.Tensor:
    """Reads a file in a branch within a loop."""
    return tf.while_loop(
        lambda x: tf.reduce_sum(x) < 0,
        lambda x: (
            tf.cond(
                tf.reduce_sum(x) < 1,
                lambda: x + tf.cast(tf.strings.length(tf.io.read_file("a")), tf.float32),
                lambda: x,
            ),
        ),
        (points,),
    )[0]


@pytest.mark.parametrize(
    ("also", "operator"),
    [
        (writes(Path("never")), "WriteFile"),
        (calls_python, "PyFunc"),
        (prints, "(PrintV2|StringFormat)"),
        (deep, "(ReadFile|StringLength)"),
    ],
)
def test_a_graph_that_reaches_out_is_refused(
    tmp_path: Path, also: Callable[[tf.Tensor], tf.Tensor], operator: str
) -> None:
    path = exported(tmp_path / "model", also)
    with pytest.raises(InputError, match=f"has the operator {operator}, .* or add --trust-model-code"):
        load_network(path, Foreign())


def test_a_file_is_written_only_where_the_code_is_trusted(tmp_path: Path) -> None:
    path, place = exported(tmp_path / "model", writes(tmp_path / "written")), tmp_path / "written"
    network = load_network(path, Foreign(), trust_code=True)
    network.saved.serve(tf.zeros((1, 96, 96, 1)))
    assert place.exists()


def test_what_runs_when_a_model_is_loaded_is_looked_at(tmp_path: Path) -> None:
    class Table(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            words = tmp_path / "words"
            words.write_text("a\nb\n")
            init = tf.lookup.TextFileInitializer(
                str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            )
            self.table = tf.lookup.StaticHashTable(init, -1)

        @tf.function(input_signature=[PIXELS])
        def serve(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
            found = tf.cast(self.table.lookup(tf.constant(["a"])), tf.float32)
            return {"points": tf.reshape(image, (-1, 96 * 96))[:, :30] + found}

    module = Table()
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.serve)
    with pytest.raises(InputError, match="has the operator "):
        load_network(tmp_path / "model", Foreign())


def test_a_savers_operators_are_refused_where_they_would_run(tmp_path: Path) -> None:
    path = exported(tmp_path / "model", lambda points: points)
    saved = SavedModelProto.FromString((path / "saved_model.pb").read_bytes())
    library = saved.meta_graphs[0].graph_def.library.function
    saver = next(f.signature.name for f in library if "_traced_save_" in f.signature.name)
    wrapper = next(f for f in library if "signature_wrapper" in f.signature.name)
    node = wrapper.node_def.add()
    node.name, node.op = "also", "StatefulPartitionedCall"
    node.attr["f"].func.name = saver
    (path / "saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(
        InputError, match=r"has the operator (MergeV2Checkpoints|SaveV2|ShardedFilename|String|StaticRegex)"
    ):
        load_network(path, Foreign())


def test_what_tf_keras_exports_is_taken(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Conv2D(4, 5, 4, activation="swish", input_shape=(96, 96, 1)),
            layers.BatchNormalization(),
            layers.SeparableConv2D(8, 3, activation="relu"),
            layers.Dropout(0.2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(30, activation="tanh"),
        ]
    )
    model.export(str(tmp_path / "exported"))
    model.save(tmp_path / "saved", save_format="tf")
    capfd.readouterr()
    for name in ("exported", "saved"):
        assert load_network(tmp_path / name, Foreign()).schema.name == "fkp15"
