"""What is committed of the protocol is what the message types give, and valid as it says."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import msgspec
import pytest

from fkp_edge.stream import Hello, ObservationMessage, decode_client, decode_server, encode
from fkp_edge.stream.protocol import messages
from fkp_edge.stream.protocol.datagrams import decode_datagram, encode_datagram

PROTOCOL = Path(__file__).resolve().parents[3] / "docs/protocol"
LINES = [line.encode() + b"\n" for line in (PROTOCOL / "lines.jsonl").read_text().splitlines()]
DATAGRAMS = [json.loads(line) for line in (PROTOCOL / "datagrams.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("generate", PROTOCOL / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_committed_is_what_the_types_give(generator):
    for path, text in generator.files().items():
        assert path.read_text() == text, f"{path.name}: run docs/protocol/generate.py"


def test_every_message_type_is_described(generator):
    kinds = {
        kind
        for name, kind in vars(messages).items()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and name[0] != "_"
    }
    assert set(generator.KINDS) == kinds
    assert {kind for kind in kinds if kind.__struct_config__.tag} == {type(message) for message in generator.GOLDEN}


def test_every_field_is_described(generator):
    for kind in generator.KINDS:
        assert list(generator.field_texts(kind)) == list(kind.__struct_fields__)


def decode(line: bytes) -> msgspec.Struct:
    return (decode_client if json.loads(line)["type"] in ("auth", "ping") else decode_server)(line)


@pytest.mark.parametrize("line", LINES)
def test_golden_lines_are_read_and_written(line):
    assert encode(decode(line)) == line


@pytest.mark.parametrize("vector", DATAGRAMS)
def test_golden_datagrams_are_read_and_written(vector):
    data, message = bytes.fromhex(vector["datagram"]), decode_server(vector["line"].encode())
    assert decode_datagram(data) == message
    assert encode_datagram(message) == data


def test_golden_datagrams_are_of_every_state():
    observations = [m for v in DATAGRAMS if isinstance(m := decode_server(v["line"].encode()), ObservationMessage)]
    assert {message.state for message in observations} == set(messages.StateName.__args__)


@pytest.fixture(scope="module")
def validator():
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema (fkp-edge[dev])")
    return jsonschema.Draft202012Validator(json.loads((PROTOCOL / "schema.json").read_text()))


@pytest.mark.parametrize("line", LINES)
def test_golden_lines_are_valid_with_and_without_a_field_more(validator, line):
    assert not [*validator.iter_errors(json.loads(line))]
    assert not [*validator.iter_errors(json.loads(line) | {"new": 1})]


@pytest.mark.parametrize("field", Hello.__struct_fields__[1:])
def test_a_hello_without_a_field_is_not_valid(validator, field):
    hello = json.loads(LINES[0])
    del hello[field]
    assert [*validator.iter_errors(hello)]
