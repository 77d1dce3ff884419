from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from fkp_edge.bench.records import BLOCKS, latency, read_result
from fkp_edge.errors import InputError


def test_a_latency_has_the_percentiles_of_its_durations():
    found = latency([n * 1_000_000 for n in range(1, 102)])
    assert (found.count, found.p50_ms, found.p90_ms, found.p99_ms, found.max_ms) == (101, 51, 91, 100, 101)


def test_blocks_are_medians_in_the_order_of_time():
    found = latency([n * 1_000_000 for n in range(10 * BLOCKS)])
    assert found.blocks_ms == tuple(np.arange(BLOCKS) * 10 + 4.5)


def test_tails_are_of_spans_that_have_some():
    assert latency([1_000_000] * 240).tails_ms == (1,) * 4
    assert len(latency(range(1, 10_000)).tails_ms) == BLOCKS
    assert latency([1_000_000, 3_000_000]).tails_ms == (pytest.approx(2.98),)


def test_few_durations_are_their_own_blocks():
    assert latency([3_000_000, 1_000_000]).blocks_ms == (3, 1)


def test_a_result_comes_back_from_its_file(make_result, tmp_path: Path):
    path, result = tmp_path / "a.json", make_result(errors=[4.0, 5.0])
    path.write_bytes(msgspec.json.encode(result) + b"\n")
    assert read_result(path) == result


@pytest.mark.parametrize(
    "content", [b"", b"no JSON", b"[1]", b'{"format": 1}', b'{"kind": "fkp-edge bench", "format": 1}']
)
def test_what_is_no_result_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json is no result of fkp-edge bench .*; expected what --json printed"):
        read_result(path)


def spoilt(result: Any, path: str, value: Any) -> bytes:
    """`result` as JSON with `value` at the dotted `path`; lists by number."""
    *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
    content = holder = msgspec.json.decode(msgspec.json.encode(result))
    for part in parents:
        holder = holder[part]
    holder[last] = value
    return msgspec.json.encode(content)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("models.0.accuracy.nme_by_face", [4.0], "errors of 1 faces, but 2 in the sets - at `$.models[0].accuracy`"),
        ("reference.p50_ms", 0, "reference.p50_ms is 0"),
        ("reference.blocks_ms", [], "Expected `array` of length >= 1 - at `$.reference.blocks_ms`"),
        ("models.0.network", {"one": None}, "Expected `str` matching regex"),
        ("models.0.start", [], "Expected `array` of length >= 1 - at `$.models[0].start`"),
        ("models.0.closed.missed", 401, "401 of 400 frames missed - at `$.models[0].closed`"),
        ("models.0.closed.seconds", 0, "Expected `float` > 0.0 - at `$.models[0].closed.seconds`"),
        ("models.0.closed.stages.infer.p50_ms", -1, "Expected `float` >= 0.0 - at"),
        ("models", [], "Expected `array` of length >= 1 - at `$.models`"),
    ],
)
def test_a_result_that_cannot_be_is_refused(make_result, tmp_path: Path, path: str, value: Any, said: str):
    file = tmp_path / "a.json"
    file.write_bytes(spoilt(make_result(errors=[4.0, 5.0]), path, value))
    with pytest.raises(InputError) as caught:
        read_result(file)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_models_of_one_name_are_refused(make_result, tmp_path: Path):
    content = msgspec.json.decode(msgspec.json.encode(make_result()))
    (path := tmp_path / "a.json").write_bytes(msgspec.json.encode(content | {"models": content["models"] * 2}))
    with pytest.raises(InputError, match="two models of one name"):
        read_result(path)


def test_another_version_is_refused_by_its_number(tmp_path: Path):
    path = tmp_path / "a.json"
    path.write_bytes(b'{"kind": "fkp-edge bench", "format": 2, "new": {}}')
    with pytest.raises(InputError, match="has format 2; this fkp-edge reads 1"):
        read_result(path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"cannot read .*none\.json: No such file or directory; expected"):
        read_result(tmp_path / "none.json")
