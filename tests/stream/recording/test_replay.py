from __future__ import annotations

import csv
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from fkp_edge.errors import InputError
from fkp_edge.stream import Measures, Position, TcpAddress, UnixAddress, connect, encode
from fkp_edge.stream.recording.recording import Recorder
from fkp_edge.stream.recording.replay import Replay, export_csv
from fkp_edge.stream.server.publishers import Access


@pytest.fixture
def lines(hello, line):
    """Half a second at 100 observations a second."""
    return [encode(hello), *(line(i, faces=i % 3, sent_ns=i * 10_000_000) for i in range(51))]


@pytest.fixture
def recording(tmp_path, lines):
    path = tmp_path / "a.jsonl.gz"
    with Recorder(path) as recorder:
        for line in lines:
            recorder.write(line)
    return path


@pytest.mark.parametrize("kind", ["tcp", "unix", "ws"])
def test_at_full_speed_clients_get_every_byte(recording, lines, tmp_path, kind):
    if kind == "ws":
        pytest.importorskip("aiohttp", reason="needs fkp-edge[web]")
        from fkp_edge.stream import WebAddress

        address = WebAddress("127.0.0.1", 0)
    else:
        address = TcpAddress("127.0.0.1", 0) if kind == "tcp" else UnixAddress(str(tmp_path / "s"))
    replay = Replay(recording, [address], Access())
    player = threading.Thread(target=lambda: replay.run(fast=True))
    player.start()
    with connect(str(replay.outputs.addresses[0]), reconnect=False) as client:
        got = list(client.lines())
    player.join()
    assert got == lines


def test_at_its_own_pace_observations_come_as_they_were_sent(recording, lines):
    replay = Replay(recording, [TcpAddress("127.0.0.1", 0)], Access())
    with connect(str(replay.outputs.addresses[0]), reconnect=False) as client:
        player = threading.Thread(target=lambda: replay.run(fast=False))
        player.start()
        got = list(client.lines())
        player.join()
    remaining = iter(lines)
    assert all(line in remaining for line in got)  # a busy machine may skip some, changes none and keeps their order
    assert (got[0], got[-1]) == (lines[0], lines[-1])


def test_a_replay_can_be_stopped(recording):
    replay = Replay(recording, [TcpAddress("127.0.0.1", 0)], Access())
    replay.stop()
    assert replay.run(fast=True) == 0


def test_a_recording_of_a_replay_is_the_recording(recording, tmp_path, lines):
    replay = Replay(recording, [TcpAddress("127.0.0.1", 0)], Access())
    player = threading.Thread(target=lambda: replay.run(fast=True))
    player.start()
    client = connect(str(replay.outputs.addresses[0]), reconnect=False)
    with client, Recorder(tmp_path / "b.jsonl") as again:
        for line in client.lines():
            again.write(line)
    player.join()
    assert (tmp_path / "b.jsonl").read_bytes().splitlines(keepends=True)[1:] == lines


def test_csv_has_a_row_for_each_face_and_each_frame_without(recording, tmp_path, hello):
    out = tmp_path / "a.csv"
    assert export_csv(recording, out) == 17 * (1 + 1 + 2)
    header, none, one, two, three = [line.split(",") for line in out.read_text().splitlines()[:5]]
    assert (
        header[:14]
        == "sequence captured_ns sent_ns state dropped face score box_x box_y box_width box_height yaw "
        "pitch roll".split()
    )
    assert header[14:16] == ["left_eye_center_x", "left_eye_center_y"]
    assert none == ["0", "1", "0", "tracking", "0"]
    assert one[:11] == "1 1 10000000 tracking 0 1 0.987 1.5 2.5 200.25 200.25".split()
    assert one[11:16] == ["", "", "", "123.45", "234.56"]
    assert (two[0], three[0]) == ("2", "2")
    assert len(one) == 14 + 2 * len(hello.points)


def test_csv_has_measures_where_any_face_has_them(tmp_path, hello, observe):
    plain, face = observe(1), observe(2).faces[0]
    measures = Measures(smile=0.5, blinks=1, blink=(10, 20))
    measured = msgspec.structs.replace(face, measures=measures, position=Position(x=1.5, y=0.0, z=60.0))
    with Recorder(tmp_path / "a.jsonl") as recorder:
        for message in (hello, plain, msgspec.structs.replace(plain, sequence=2, faces=(measured,))):
            recorder.write(encode(message))
    assert export_csv(tmp_path / "a.jsonl", tmp_path / "a.csv") == 2
    first, second = csv.DictReader((tmp_path / "a.csv").read_text().splitlines())
    names = ("smile", "mouth_open", "blinks", "blink_start_ns", "blink_end_ns", "position_x", "position_z")
    assert [second[name] for name in names] == ["0.5", "", "1", "10", "20", "1.5", "60.0"]
    assert {first[name] for name in names} == {""}
    assert first["left_eye_center_x"] == second["left_eye_center_x"] == "123.45"


def test_csv_overwrites_nothing(recording, tmp_path):
    out = tmp_path / "a.csv"
    out.write_text("mine")
    with pytest.raises(InputError, match=r"a\.csv exists already; name another --out, or remove it"):
        export_csv(recording, out)
    assert out.read_text() == "mine"


def test_half_a_table_is_removed(tmp_path, hello, line):
    with Recorder(tmp_path / "a") as recorder:
        for text in (encode(hello), line(1), b"damage\n"):
            recorder.write(text)
    with pytest.raises(InputError, match="b'damage"):
        export_csv(tmp_path / "a", tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists()


def test_csv_holds_no_formula(tmp_path, hello, line):
    import msgspec

    with Recorder(tmp_path / "a") as recorder:
        recorder.write(encode(msgspec.structs.replace(hello, points=("=1+1",) * 15)))
        recorder.write(line(1))
    export_csv(tmp_path / "a", tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().splitlines()[0].split(",")[14] == "'=1+1_x"


def test_a_hello_on_the_way_changes_nothing_of_the_table(tmp_path, hello, line):
    again = msgspec.structs.replace(hello, server_ns=99)
    with Recorder(tmp_path / "a") as recorder:
        for text in (encode(hello), line(1), encode(again), line(2)):
            recorder.write(text)
    assert export_csv(tmp_path / "a", tmp_path / "a.csv") == 2


def test_points_that_change_on_the_way_make_no_table(tmp_path, hello, line):
    other = msgspec.structs.replace(hello, points=hello.points[::-1])
    with Recorder(tmp_path / "a") as recorder:
        for text in (encode(hello), line(1), encode(other), line(2)):
            recorder.write(text)
    with pytest.raises(InputError, match="changes its points on the way; one table cannot hold both"):
        export_csv(tmp_path / "a", tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists()


def test_a_table_that_cannot_be_written_is_an_error(recording):
    with pytest.raises(InputError, match=r"cannot write /nowhere/a\.csv: No such file or directory; name a file in"):
        export_csv(recording, Path("/nowhere/a.csv"))


def test_a_replay_says_what_the_newest_hello_said(tmp_path, hello, line):
    later = msgspec.structs.replace(hello, source="another")
    with Recorder(tmp_path / "a") as recorder:
        for text in (encode(hello), line(1), encode(later), line(2)):
            recorder.write(text)
    playing = Replay(tmp_path / "a", [UnixAddress(str(tmp_path / "s"))], Access())
    running = threading.Thread(target=playing.run, kwargs={"fast": True})
    running.start()
    with connect(f"unix://{tmp_path}/s", reconnect=False) as client:
        seen = [next(client) for _ in range(4)]
    running.join(5)
    assert [getattr(message, "sequence", "hello") for message in seen] == ["hello", 1, "hello", 2]


def test_a_signal_ends_a_replay_and_its_socket(recording, tmp_path):
    """In the middle of a wait; a lock there would be held for ever."""
    socket = tmp_path / "s"
    command = [sys.executable, "-m", "fkp_edge", "replay", str(recording), "--fast", "--stream", f"unix://{socket}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert "streaming" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert "0 observations" in process.stderr.read()
    assert not socket.exists()


def test_without_a_client_a_fast_replay_says_what_it_waits_for(recording):
    replay = Replay(recording, [TcpAddress("127.0.0.1", 0)], Access())
    said = []

    def say(text: str) -> None:
        said.append(text)
        replay.stop()

    assert replay.run(fast=True, say=say) == 0
    assert len(said) == 1
