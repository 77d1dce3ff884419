"""Writes bench.schema.json: the JSON Schema of what `fkp-edge bench --json` prints, from the records.

    python docs/bench_schema.py

A test runs it and compares; edit fkp_edge/bench/records.py and run it again.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import msgspec

from fkp_edge.bench.records import (
    FORMAT,
    Accuracy,
    Latency,
    Loop,
    Measured,
    OpenLoop,
    Result,
    Software,
    Start,
)
from fkp_edge.device.board import Board
from fkp_edge.evaluation.comparison import Comparison, Loss

HERE = Path(__file__).parent
SCHEMA = HERE / "bench.schema.json"
KINDS = (Accuracy, Board, Comparison, Latency, Loop, Loss, Measured, OpenLoop, Result, Software, Start)


def schema() -> dict[str, Any]:
    """JSON Schema of a result, with the string below each field as its description."""
    field_texts = runpy.run_path(str(HERE / "protocol/generate.py"))["field_texts"]
    (result,), parts = msgspec.json.schema_components([Result], ref_template="#/$defs/{name}")
    for kind in KINDS:
        for name, text in field_texts(kind).items():
            parts[kind.__name__]["properties"][name]["description"] = text
    head = parts["Result"]
    head["required"] = ["kind", "format", *head["required"]]  # in spite of their defaults: `read_result` asks for them
    head["properties"]["format"]["const"] = FORMAT
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"fkp-edge bench, format {FORMAT}: a result",
        **result,
        "$defs": parts,
    }


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(schema(), indent=1) + "\n")
