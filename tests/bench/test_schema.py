"""The published schema of a result, and the results that people sent."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fkp_edge.bench.records import read_result
from fkp_edge.errors import InputError

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEMA = REPOSITORY / "docs/bench.schema.json"
BOARDS = REPOSITORY / "benchmarks/results/boards"


def unreadable(folder: Path) -> Iterator[str]:
    """Why results in `folder` cannot be read."""
    for path in sorted(folder.glob("*.json")):
        try:
            read_result(path)
        except InputError as error:
            yield str(error)


def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema (fkp-edge[dev])")
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))


def test_the_schema_is_made_of_the_records():
    program = runpy.run_path(str(REPOSITORY / "docs/bench_schema.py"))
    schema = program["schema"]()
    assert json.loads(SCHEMA.read_text()) == schema, "run python docs/bench_schema.py"
    assert {kind.__name__ for kind in program["KINDS"]} == set(schema["$defs"])


def test_a_result_is_valid(make_result):
    validator().validate(json.loads(msgspec.json.encode(make_result(errors=[4.0, 5.0]))))


@pytest.mark.parametrize("change", [{"kind": "a"}, {"format": 2}, {"models": []}, {"seconds": 0}])
def test_what_is_no_result_is_not_valid(make_result, change: dict[str, Any]):
    assert not validator().is_valid(json.loads(msgspec.json.encode(make_result())) | change)


def test_a_result_without_its_version_is_not_valid(make_result):
    content = json.loads(msgspec.json.encode(make_result()))
    del content["format"]
    assert not validator().is_valid(content)


def test_a_bad_result_among_good_ones_is_found(make_result, tmp_path: Path):
    (tmp_path / "good.json").write_bytes(msgspec.json.encode(make_result()))
    (tmp_path / "bad.json").write_text("{}")
    (error,) = unreadable(tmp_path)
    assert error.startswith(f"{tmp_path}/bad.json is no result of fkp-edge bench")


def test_every_result_that_somebody_sent_can_be_read():
    assert list(unreadable(BOARDS)) == []
