from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from fkp_edge.errors import InputError, ModelFileError
from fkp_edge.model.file import MAX_CARD_BYTES, MAX_FILE_BYTES, GoldenCase, read_model_file, write_model_file
from fkp_edge.model.interpreter import list_operators, open_model

FLATBUFFER = b"\x1c\x00\x00\x00TFL3" + bytes(range(200))
"""No network; the model file's reader looks no further than this."""


def golden_case(seed: int = 0) -> GoldenCase:
    rng = np.random.default_rng(seed)
    return GoldenCase(
        frame=rng.integers(0, 256, (30, 40), np.uint8),
        box=(1.5, 2.25, 20.0, 20.0),
        crop=rng.integers(0, 256, (96, 96), np.uint8),
        raw_keypoints=rng.integers(-128, 127, 30).astype(np.int8),
        raw_score=np.array([100], np.int8),
        points=rng.normal(size=(15, 2)).astype(np.float32),
    )


def pack(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def npz(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


@pytest.fixture
def written(tmp_path: Path, card_for) -> Path:
    """A valid model file with one golden case."""
    path = tmp_path / "model.tflite"
    write_model_file(path, FLATBUFFER, card_for(FLATBUFFER), (golden_case(),))
    return path


@pytest.fixture
def assemble(tmp_path: Path, card_for) -> Callable[..., Path]:
    """Writes a model file from raw members, which may be wrong."""

    def write(*, card: bytes | None = None, golden: bytes | None = None) -> Path:
        path = tmp_path / "assembled.tflite"
        card = msgspec.json.encode(card_for(FLATBUFFER)) if card is None else card
        path.write_bytes(FLATBUFFER + pack({"card.json": card, "golden.npz": golden or npz(count=np.array(0))}))
        return path

    return write


def refusal(path: Path, **options: bool) -> str:
    """What reading `path` complains of."""
    with pytest.raises(ModelFileError) as caught:
        read_model_file(path, **options)
    return str(caught.value)


# writing and reading


def test_what_was_written_is_read(written: Path, card_for):
    model = read_model_file(written)
    assert model.flatbuffer == FLATBUFFER
    assert model.card == card_for(FLATBUFFER)
    assert model.path == written
    assert model.sha256 == hashlib.sha256(FLATBUFFER).hexdigest()


def test_golden_cases_are_read_as_written(written: Path):
    (read,), case = read_model_file(written).golden, golden_case()
    assert read.box == case.box
    for name in ("frame", "crop", "raw_keypoints", "raw_score", "points"):
        np.testing.assert_array_equal(getattr(read, name), getattr(case, name), strict=True)


def test_golden_cases_keep_their_order(tmp_path: Path, card_for):
    path = tmp_path / "m.tflite"
    write_model_file(path, FLATBUFFER, card_for(FLATBUFFER), tuple(golden_case(seed) for seed in range(12)))
    for seed, case in enumerate(read_model_file(path).golden):
        np.testing.assert_array_equal(case.frame, golden_case(seed).frame)


def test_a_model_without_score_keeps_an_empty_one(tmp_path: Path, card_for):
    path = tmp_path / "m.tflite"
    case = golden_case()
    no_score = GoldenCase(case.frame, case.box, case.crop, case.raw_keypoints, case.raw_keypoints[:0], case.points)
    write_model_file(path, FLATBUFFER, card_for(FLATBUFFER, has_score=False), (no_score,))
    assert read_model_file(path).golden[0].raw_score.shape == (0,)


def test_the_same_content_gives_the_same_bytes(written: Path, tmp_path: Path, card_for):
    write_model_file(tmp_path / "again.tflite", FLATBUFFER, card_for(FLATBUFFER), (golden_case(),))
    assert (tmp_path / "again.tflite").read_bytes() == written.read_bytes()


def test_reading_and_writing_again_gives_the_same_bytes(shipped: Path, tmp_path: Path):
    model = read_model_file(shipped)
    write_model_file(tmp_path / "copy.tflite", model.flatbuffer, model.card, model.golden)
    assert (tmp_path / "copy.tflite").read_bytes() == shipped.read_bytes()


def test_the_card_can_be_read_by_any_zip_program(written: Path):
    with zipfile.ZipFile(written) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["card.json", "golden.npz"]
        assert b'"name": "made"' in archive.read("card.json")


def test_an_existing_file_is_not_overwritten(written: Path, card_for):
    before = written.read_bytes()
    with pytest.raises(InputError) as caught:
        write_model_file(written, FLATBUFFER, card_for(FLATBUFFER), ())
    assert str(caught.value) == f"{written} already exists; name another --out or add --overwrite"
    assert written.read_bytes() == before


def test_an_existing_file_is_overwritten_when_told(written: Path, card_for):
    write_model_file(written, FLATBUFFER, card_for(FLATBUFFER, name="new"), (), overwrite=True)
    assert read_model_file(written).card.name == "new"


def test_a_missing_folder_cannot_be_written(tmp_path: Path, card_for):
    path = tmp_path / "none" / "m.tflite"
    with pytest.raises(InputError) as caught:
        write_model_file(path, FLATBUFFER, card_for(FLATBUFFER), ())
    assert (
        str(caught.value) == f"cannot write {path}: No such file or directory; name a folder that is there and has room"
    )


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, card_for):
    path = tmp_path / "taken"
    path.mkdir()
    with pytest.raises(
        InputError, match=r"cannot write .*taken: Is a directory; name a folder that is there and has room"
    ):
        write_model_file(path, FLATBUFFER, card_for(FLATBUFFER), (), overwrite=True)
    assert [*tmp_path.iterdir()] == [path]


# what is refused


def test_a_missing_file(tmp_path: Path):
    path = tmp_path / "none.tflite"
    assert refusal(path) == f"cannot read {path}: No such file or directory; expected a .tflite file"


def test_a_text_file(tmp_path: Path):
    path = tmp_path / "notes.tflite"
    path.write_text("buy milk, eggs")
    assert refusal(path).startswith(f"{path} is not a TFLite model, which has TFL3 in bytes 4 to 8; expected ")


def test_an_empty_file(tmp_path: Path):
    (tmp_path / "m.tflite").touch()
    assert "is not a TFLite model, which has TFL3 in" in refusal(tmp_path / "m.tflite")


def test_a_file_that_is_too_large(tmp_path: Path):
    path = tmp_path / "huge.tflite"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)  # sparse: takes no disk
    assert refusal(path).endswith(f"has {MAX_FILE_BYTES + 1} bytes, expected a model of at most {MAX_FILE_BYTES}")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file(written: Path, kept: float):
    content = written.read_bytes()
    written.write_bytes(content[: int(kept * len(content))])
    assert refusal(written).endswith("expected a file that fkp-edge convert wrote, or add --no-card")


@pytest.mark.parametrize("at", [0, 8, 100, len(FLATBUFFER) - 1])
def test_a_changed_byte_in_the_flatbuffer(written: Path, at: int):
    content = bytearray(written.read_bytes())
    content[at] ^= 1
    written.write_bytes(content)
    assert f"{written} is damaged: the flatbuffer's sha256 is" in refusal(written)
    assert refusal(written).endswith("copy or convert it again")


def test_a_changed_byte_in_the_tail_is_an_error_or_harmless(tmp_path: Path, card_for):
    path, blank = tmp_path / "m.tflite", np.zeros((15, 2), np.float32)
    write_model_file(
        path, FLATBUFFER, card_for(FLATBUFFER), (GoldenCase(blank, (0, 0, 1, 1), blank, blank, blank, blank),)
    )
    content = path.read_bytes()
    for at in range(len(FLATBUFFER), len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x21]) + content[at + 1 :])
        try:
            assert read_model_file(path).flatbuffer == FLATBUFFER
        except ModelFileError as error:
            assert str(path) in str(error)  # noqa: PT017 - either outcome is right


def test_a_flatbuffer_without_a_card(tmp_path: Path):
    path = tmp_path / "bare.tflite"
    path.write_bytes(FLATBUFFER)
    assert refusal(path) == (f"{path} has no card; expected a file that fkp-edge convert wrote, or add --no-card")


def test_a_flatbuffer_without_a_card_opens_when_none_is_required(tmp_path: Path):
    path = tmp_path / "bare.tflite"
    path.write_bytes(FLATBUFFER)
    model = read_model_file(path, card_required=False)
    assert (model.flatbuffer, model.card, model.golden) == (FLATBUFFER, None, ())


def test_a_card_is_read_even_where_none_is_required(written: Path):
    assert read_model_file(written, card_required=False).card is not None


def test_a_card_that_does_not_fit_is_refused_even_where_none_is_required(written: Path):
    written.write_bytes(b"\x1d" + written.read_bytes()[1:])
    assert "is damaged" in refusal(written, card_required=False)


@pytest.mark.parametrize("missing", ["card.json", "golden.npz"])
def test_a_tail_without_a_member(tmp_path: Path, card_for, missing: str):
    members = {"card.json": msgspec.json.encode(card_for(FLATBUFFER)), "golden.npz": npz(count=np.array(0))}
    del members[missing]
    path = tmp_path / "m.tflite"
    path.write_bytes(FLATBUFFER + pack(members))
    assert refusal(path) == f"{path} has no {missing} in its tail; expected a file that fkp-edge convert wrote"


def test_a_card_of_another_format(assemble, card_for):
    path = assemble(card=msgspec.json.encode(card_for(FLATBUFFER, format=9)))
    assert refusal(path) == f"{path}: card format 9, this version reads 1; upgrade fkp-edge"


@pytest.mark.parametrize(
    ("card", "complaint"),
    [
        (b"{", "Input data was truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"name": 3}', r"Expected `str`, got `int` - at `\$.name`"),
        (b'{"name": "a"}', "missing required field `schema`"),
        (b'{"training": {"a": ' + b"[" * 50_000, "recursion"),
    ],
    ids=["cut", "list", "type", "missing", "deep"],
)
def test_a_card_that_cannot_be_read(assemble, card: bytes, complaint: str):
    path = assemble(card=card)
    with pytest.raises(ModelFileError, match=rf"its card cannot be read \(.*{complaint}.*\); convert the model again"):
        read_model_file(path)


@pytest.mark.parametrize("make", [lambda: npz(count=np.array([{}])), lambda: pickle.dumps([1])], ids=["npz", "bare"])
def test_pickled_golden_cases(assemble, make: Callable[[], bytes]):
    assert "its golden cases cannot be read" in refusal(assemble(golden=make()))


def huge_array() -> bytes:
    """An array whose header claims a terabyte."""
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117) + b"\n"
    return pack({"count.npy": b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header})


@pytest.mark.parametrize(
    "golden",
    [b"no archive", npz(), npz(count=np.array(1)), npz(count=np.array([1, 2])), npz(count="x"), huge_array()],
    ids=["bytes", "empty", "missing", "list", "text", "huge"],
)
def test_golden_cases_that_cannot_be_read(assemble, golden: bytes):
    path = assemble(golden=golden)
    assert refusal(path).startswith(f"{path}: its golden cases cannot be read (")
    assert refusal(path).endswith("); convert the model again")


def test_a_golden_member_that_is_one_array(assemble):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    assert "its golden cases cannot be read" in refusal(assemble(golden=buffer.getvalue()))


# members that unpack to far more than they take


def test_a_card_that_unpacks_to_too_much(assemble):
    path = assemble(card=b" " * (MAX_CARD_BYTES + 1))
    assert path.stat().st_size < 10_000
    assert (
        refusal(path) == f"{path}: card.json unpacks to {MAX_CARD_BYTES + 1} bytes, expected at most {MAX_CARD_BYTES}; "
        "convert the model again"
    )


def test_golden_cases_that_unpack_to_too_much(assemble):
    path = assemble(golden=pack({"count.npy": bytes(33 * 2**20)}))
    assert path.stat().st_size < 100_000
    assert f"unpacks to {33 * 2**20} bytes, expected at most {32 * 2**20}" in refusal(path)


def test_a_card_that_claims_less_than_it_unpacks_to(assemble):
    path = assemble(card=b" " * (MAX_CARD_BYTES + 1))
    true, claimed = (MAX_CARD_BYTES + 1).to_bytes(4, "little"), (100).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(true, claimed))
    assert "card.json cannot be unpacked" in refusal(path)


# the shipped files


def test_a_shipped_card_describes_its_flatbuffer(shipped: Path):
    model = read_model_file(shipped)
    assert model.card.flatbuffer_bytes == len(model.flatbuffer)
    assert model.card.operators == list_operators(model.flatbuffer)
    assert shipped.stem.endswith(model.card.precision)


def test_a_shipped_card_says_what_the_weights_may_be_used_for(shipped: Path):
    assert "research" in read_model_file(shipped).card.licence


def test_a_shipped_card_gives_accuracy_before_and_after_conversion(shipped: Path):
    accuracy = read_model_file(shipped).card.accuracy
    assert accuracy
    assert all(0 < f["nme_percent"] < 10 and 0 < f["float_nme_percent"] < 10 for f in accuracy.values())


def replay(interpreter, crop: np.ndarray) -> dict[int, np.ndarray]:
    """Outputs by their number of values."""
    interpreter.allocate_tensors()
    detail = interpreter.get_input_details()[0]
    interpreter.set_tensor(detail["index"], crop.reshape(1, 96, 96, 1).astype(detail["dtype"]))
    interpreter.invoke()
    outputs = (interpreter.get_tensor(d["index"])[0] for d in interpreter.get_output_details())
    return {len(values): values for values in outputs}


def test_litert_opens_a_shipped_file_as_it_is(shipped: Path):
    from ai_edge_litert.interpreter import Interpreter

    model = open_model(shipped)
    crop = model.file.golden[0].crop
    outputs, (keypoints, score) = replay(Interpreter(model_path=str(shipped)), crop), model.invoke(crop)
    np.testing.assert_allclose(outputs[len(keypoints)], keypoints, atol=1e-6)
    np.testing.assert_allclose(outputs[1], score, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_tensorflow_opens_a_shipped_file_as_it_is(shipped: Path):
    pytest.importorskip("tensorflow", reason="needs fkp-edge[train]")
    from fkp_edge.train.backend import tf

    model = open_model(shipped)
    crop = model.file.golden[0].crop
    outputs, (keypoints, score) = replay(tf.lite.Interpreter(model_path=str(shipped)), crop), model.invoke(crop)
    exact = keypoints.dtype == np.int8
    np.testing.assert_allclose(outputs[len(keypoints)], keypoints, atol=0 if exact else 1e-4)
    np.testing.assert_allclose(outputs[1], score, atol=0 if exact else 1e-4)


def test_golden_cases_show_faces_and_something_else(shipped: Path):
    model = open_model(shipped)
    assert len(model.file.golden) >= 3
    scores = [model.decode(case.raw_keypoints, case.raw_score)[1] for case in model.file.golden]
    assert max(scores) > 0.7
    assert min(scores) < 0.3
