"""Writes what follows from the message types: schema.json, the golden vectors and the tables of ../protocol.md.

    python docs/protocol/generate.py

A test runs it and compares; edit the types, or the page around its tables, and run it again.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import re
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from fkp_edge.stream.protocol import messages
from fkp_edge.stream.protocol.datagrams import encode_datagram
from fkp_edge.stream.protocol.messages import (
    Auth,
    ErrorMessage,
    FaceMessage,
    Hello,
    Measures,
    ObservationMessage,
    Ping,
    Pong,
    Pose,
    Position,
    encode,
)

HERE = Path(__file__).parent
KINDS = (Hello, ObservationMessage, FaceMessage, Pose, Measures, Position, Auth, Ping, Pong, ErrorMessage)
FROM_SERVER = (Hello, ObservationMessage, Pong, ErrorMessage)
FROM_CLIENT = (Auth, Ping)

_FACE = FaceMessage(id=3, score=0.987, box=(10.0, 20.5, 200.25, 200.25), points=((1.25, 2.5), (-3.0, 400.01)))
_SECOND = FaceMessage(
    id=4,
    score=0.5,
    box=(300.0, 20.0, 96.0, 96.0),
    points=((310.5, 40.25), (350.75, 41.0)),
    pose=Pose(yaw=-12.5, pitch=0.0, roll=3.1),
)
_MEASURED = msgspec.structs.replace(
    _SECOND,
    measures=Measures(
        eye_open_left=0.125,
        eye_open_right=1.0,
        mouth_open=0.034,
        mouth_wide=0.912,
        smile=0.0,
        brow_raise_left=1.1,
        brow_raise_right=0.987,
        blinks=2,
        blink=(2**53 - 2**28, 2**53 - 1),
    ),
    position=Position(x=-12.34, y=0.0, z=56.78),
)
_HALF_MEASURED = msgspec.structs.replace(_FACE, measures=Measures(mouth_open=0.5), held=True)
_SEEN = ObservationMessage(sequence=5, captured_ns=10, sent_ns=20, state="tracking", dropped=2, faces=(_FACE,))
GOLDEN: tuple[msgspec.Struct, ...] = (
    Hello(
        model="fkp15",
        model_sha256="ab" * 32,
        points=("left_eye_center", "nose_tip"),
        frame_size=(640, 480),
        source="demo",
        server_ns=7,
    ),
    Hello(model="fkp15", model_sha256="", points=(), frame_size=None, source="v4l2:0", server_ns=2**63 - 1),
    ObservationMessage(sequence=0, captured_ns=1, sent_ns=2, state="searching", dropped=0, faces=()),
    _SEEN,
    msgspec.structs.replace(_SEEN, sequence=6, state="held", faces=(_FACE, _SECOND)),
    msgspec.structs.replace(_SEEN, sequence=7, faces=(_SECOND, msgspec.structs.replace(_FACE, held=True))),
    msgspec.structs.replace(_SEEN, sequence=8, faces=(_MEASURED, _HALF_MEASURED)),
    msgspec.structs.replace(_SEEN, sequence=2**53 + 1, state="no_camera", dropped=2**32 - 1, faces=()),
    Auth(token="0123456789abcdef"),  # noqa: S106 - an example
    Ping(client_ns=2**63 - 1),
    Pong(client_ns=1, server_ns=2),
    ErrorMessage(text='no "newline"\n, but é'),
)


def field_texts(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The string below each field of `kind`."""
    body = ast.parse(inspect.getsource(kind)).body[0].body  # type: ignore[attr-defined]
    return {
        field.target.id: " ".join(ast.literal_eval(text.value).split())
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr)
    }


def schema() -> dict[str, Any]:
    """JSON Schema of every line: what a server sends, or a client."""
    (server, client), parts = msgspec.json.schema_components(
        [messages.ServerMessage, messages.ClientMessage], ref_template="#/$defs/{name}"
    )
    for kind in KINDS:
        for name, text in field_texts(kind).items():
            parts[kind.__name__]["properties"][name]["description"] = text
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"fkp-edge stream, version {messages.PROTOCOL}: one line",
        "anyOf": [{"$ref": "#/$defs/FromServer"}, {"$ref": "#/$defs/FromClient"}],
        "$defs": {"FromServer": server, "FromClient": client, **parts},
    }


def table(kind: type[msgspec.Struct]) -> str:
    """The fields of `kind` as a table in Markdown, with what the type is for."""
    texts = field_texts(kind)
    types = get_type_hints(kind)
    absent = kind.__struct_config__.omit_defaults
    rows = [f"| `{name}` | {type_text(types[name], absent=absent)} | {texts[name]} |" for name in texts]
    return "\n".join(["", inspect.getdoc(kind) or "", "", "| field | type | |", "|---|---|---|", *rows, ""])


def type_text(hint: Any, *, absent: bool) -> str:
    """A Python type as readers of JSON say it; `absent`: what is not known is left out, not null."""
    text = re.sub(
        r"typing\.|fkp_edge\.stream\.protocol\.messages\.", "", hint.__name__ if isinstance(hint, type) else str(hint)
    )
    for pattern, words in (
        (r"^tuple\[tuple\[float, float\], \.\.\.\]$", "array of [x, y]"),
        (r"^tuple\[str, \.\.\.\]$", "array of strings"),
        (r"^tuple\[FaceMessage, \.\.\.\]$", "array of faces"),
        (r"^tuple\[float, float, float, float\]$", "[number, number, number, number]"),
        (r"^(Pose|Measures|Position) \| None$", "object or absent"),
        (r"^tuple\[int, int\] \| None$", "[integer, integer] or absent" if absent else "[integer, integer] or null"),
        (r"^float \| None$", "number or absent"),
        (r"^int \| None$", "integer or absent"),
        (r"^Literal\[(.*)\]$", r"\1"),
        ("^bool$", "boolean or absent"),
        ("^int$", "integer"),
        ("^float$", "number"),
        ("^str$", "string"),
    ):
        text = re.sub(pattern, words, text)
    return text.replace("'", "`")


def page(text: str) -> str:
    """The page with its tables made anew: each stands between `<!-- NAME -->` and `<!-- end -->`."""
    for kind in KINDS:
        pattern = rf"(<!-- {kind.__name__} -->\n).*?(<!-- end -->)"
        text = re.sub(pattern, lambda m, kind=kind: m[1] + table(kind) + "\n" + m[2], text, flags=re.DOTALL)
    return text


def files() -> dict[Path, str]:
    """What this program writes."""
    lines = b"".join(encode(message) for message in GOLDEN)  # type: ignore[arg-type]
    datagrams = "".join(
        json.dumps({"datagram": encode_datagram(m).hex(), "line": encode(m).decode()[:-1]}) + "\n"
        for m in GOLDEN
        if isinstance(m, Hello | ObservationMessage)
    )
    protocol = HERE.parent / "protocol.md"
    return {
        HERE / "schema.json": json.dumps(schema(), indent=1) + "\n",
        HERE / "lines.jsonl": lines.decode(),
        HERE / "datagrams.jsonl": datagrams,
        protocol: page(protocol.read_text()),
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
