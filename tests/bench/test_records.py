from __future__ import annotations

from pathlib import Path

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


def test_another_version_is_refused_by_its_number(tmp_path: Path):
    path = tmp_path / "a.json"
    path.write_bytes(b'{"kind": "fkp-edge bench", "format": 2, "new": {}}')
    with pytest.raises(InputError, match="has format 2; this fkp-edge reads 1"):
        read_result(path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"cannot read .*none\.json: No such file or directory; expected"):
        read_result(tmp_path / "none.json")
