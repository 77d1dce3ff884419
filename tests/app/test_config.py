"""What a run is told: file, then options."""

from __future__ import annotations

import re
import socket
import tomllib
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from fkp_edge.app import defaults
from fkp_edge.app.config import RunConfig, check_config, path_or_none
from fkp_edge.app.defaults import SEARCHES
from fkp_edge.cli.command_line import build_parser
from fkp_edge.cli.main import main
from fkp_edge.cli.run import IN_TABLES, read_run_config
from fkp_edge.core.settings import Settings, format_toml, parse_settings, read_toml
from fkp_edge.device.detection.search import Method
from fkp_edge.device.tracking import engine
from fkp_edge.device.tracking.engine import EngineSettings
from fkp_edge.errors import InputError

TCP = ["--stream", "tcp://127.0.0.1:8765"]
PAGE = ["--web", "127.0.0.1:0"]
EXAMPLE = Path(__file__).resolve().parents[2] / "device/config.toml"


def config_of(*options: str) -> RunConfig:
    return read_run_config(build_parser().parse_args(["run", *options]))


def keys(values: dict[str, object]) -> list[str]:
    inner = [f"{key}.{name}" for key, value in values.items() if isinstance(value, dict) for name in value]
    return sorted([*values, *inner])


def test_the_documented_file_has_every_key_with_its_default() -> None:
    assert read_toml(EXAMPLE, RunConfig) == RunConfig()
    assert keys(tomllib.loads(EXAMPLE.read_text())) == keys(msgspec.to_builtins(RunConfig()))


def test_a_check_says_what_would_run_and_opens_no_address(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        stream = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        assert main(["run", "--stream", stream, "--source", "picamera", "--check"]) == 0
    assert re.fullmatch(r"the defaults: good, with .*keypoints-int8\.tflite \(\w{8}\)\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--stream", "tcp://127.0.0.1:99999"], "has port 99999; expected 0 to 65535"),
        (["--model", "none.tflite"], "cannot read none.tflite"),
        (["--source", "nonsense"], "source 'nonsense' does not exist; expected auto, picamera"),
        (["--source", "v4l2:abc"], "source 'v4l2:abc' has no device number"),
        (["--source", "rtps://x/y"], "source 'rtps://x/y' does not exist; expected auto, picamera"),
        (["--source", "gray:64x48:none"], "source 'gray:64x48:none': none does not exist; make it with mkfifo"),
        (["--record", "none/a.jsonl"], "cannot record to none/a.jsonl: there is no folder none; make it, or record"),
        (["--record", "."], "cannot record to .: it is a folder; expected a file in it"),
        (["--keep", "none/a"], "--keep none/a cannot be written; expected a folder, or a name in one that exists"),
        (["--sheet", "none/a.png"], "--sheet none/a.png cannot be written; expected FILE.png in a folder that exists"),
        (["--sheet", "x.jpg"], "--sheet x.jpg cannot be written; expected FILE.png in a folder that exists"),
        ([*PAGE, "--preview", "--effect", "none.png"], "cannot read none.png: No such file or directory; expected gla"),
        (["--stream", "unix://none/a"], "cannot listen on unix://none/a: there is no folder none; make it, or name"),
        ([*TCP, *TCP], "tcp://127.0.0.1:8765 and tcp://127.0.0.1:8765 listen at the same place; name another port or"),
        (["--stream", "unix://a", "--stream", "unix://a"], "unix://a and unix://a listen at the same place"),
        ([*TCP, "--stream", "tcp://0.0.0.0:8765", "--insecure"], "and tcp://0.0.0.0:8765 listen at the same place"),
        ([*TCP, "--web", "127.0.0.1:8765"], "and http://127.0.0.1:8765/ listen at the same place"),
        (["--stream", "wss://127.0.0.1:0"], "wss://127.0.0.1:0 needs a certificate; name it with --tls-cert FILE"),
    ],
)
def test_a_check_refuses_what_a_run_would(
    options: list[str], error: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for check in ([], ["--check"]):
        assert main(["run", "--source", "demo", *options, *check]) == 2
        assert error in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    "options",
    [
        ["--source", "v4l2:99"],  # a camera may come later
        ["--source", "rtsp://192.0.2.1/x"],
        ["--stream", "unix:///run/fkp-edge/faces.sock"],  # systemd makes the folder
        ["--stream", "tcp://127.0.0.1:0", "--stream", "tcp://127.0.0.1:0"],
        [*TCP, "--stream", "tcp://[::1]:8765"],
        [*TCP, "--stream", "udp://127.0.0.1:8765"],
        [*TCP, "--stream", "tcp://localhost:8766"],
    ],
)
def test_a_check_takes_what_can_run_elsewhere_or_later(options: list[str]) -> None:
    assert main(["run", *options, "--check"]) == 0


def test_measures_are_a_table_with_two_options() -> None:
    measures = config_of("--measures", "--field-of-view", "90").measures
    assert (measures.enabled, measures.field_of_view) == (True, 90.0)


@pytest.mark.parametrize("given", ["5", "171", "wide", "nan"])
def test_no_camera_shows_that_much(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--measures", "--field-of-view", given])
    (line,) = capsys.readouterr().err.splitlines()
    assert f"'{given}' is no field of view in degrees, 10 to 170" in line


def test_every_option_of_run_is_a_key() -> None:
    args = vars(build_parser().parse_args(["run"]))
    read = {key for key in args if key not in ("command", "config", "check", "print_config")}
    flat = {key for key in RunConfig.__struct_fields__ if not isinstance(getattr(RunConfig(), key), Settings)}
    assert read == flat | set(IN_TABLES)
    assert config_of() == RunConfig()


def test_the_method_of_search_is_an_option_and_a_key() -> None:
    assert get_args(Method) == SEARCHES
    assert config_of("--search", "both").search.method == "both"
    assert main(["run", "--search", "haar", "--check"]) == 0


def test_options_override_the_file(tmp_path: Path) -> None:
    path = tmp_path / "device.toml"
    path.write_text('source = "v4l2:0"\nthreads = 2\nstream = ["udp://127.0.0.1:9"]\n[tracking]\nhold_s = 1\n')
    config = config_of("--config", str(path), "--source", "demo", "--stream", "tcp://127.0.0.1:0")
    assert (config.source, config.threads, config.tracking.hold_s) == ("demo", 2, 1.0)
    assert config.stream == ("tcp://127.0.0.1:0",)


def test_what_is_printed_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--print-config", "--threads", "3", "--sheet", 'a "b".png']) == 0
    printed = parse_settings(tomllib.loads(capsys.readouterr().out), RunConfig, "printed")
    assert printed == msgspec.structs.replace(RunConfig(), threads=3, sheet='a "b".png')
    assert format_toml(printed).count("[tracking]") == 1


def test_texts_of_all_kinds_read_back_and_those_without_unicode_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    odd = 'ü\U0001f600\x7f\t"\\.png'
    assert tomllib.loads(format_toml(RunConfig(sheet=odd)))["sheet"] == odd
    assert main(["run", "--print-config", "--sheet", "a\udcff.png"]) == 2
    assert "sheet = 'a\\udcff.png' is not UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (RunConfig(threads=0), r"^RunConfig: threads = 0 cannot be used; expected a whole number >= 1$"),
        (
            RunConfig(stream="tcp://127.0.0.1:0"),
            r"^RunConfig: stream = \"tcp://127.0.0.1:0\" cannot be used; expected an arr",
        ),
        (RunConfig(tracking=EngineSettings(max_faces=9)), r"^RunConfig: tracking\.max_faces = 9 cannot be used"),
        (RunConfig(source=b"demo"), r"^RunConfig: source = "),
        (RunConfig(source=3j), r"^RunConfig: 3j cannot be used; expected a text"),
    ],
)
def test_a_record_made_in_python_is_checked_before_it_is_run(config: RunConfig, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_config(config)


def test_a_path_in_a_record_is_its_text() -> None:
    assert check_config(RunConfig(record=Path("a.jsonl"))) == RunConfig(record="a.jsonl")


def test_what_is_not_set_is_no_path() -> None:
    assert (path_or_none(""), path_or_none("a.jsonl")) == (None, Path("a.jsonl"))


def test_the_option_allows_as_many_faces_as_the_engine() -> None:
    assert defaults.MAX_FACES == engine.MAX_FACES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sorce = 'demo'", r"unknown key 'sorce'; did you mean 'source'\? known: source, stream"),
        ("max_faces = 2", r"unknown key 'max_faces'; it belongs into the table \[tracking\]"),
        ("[search]\nmax_faces = 2", r"\[search\]: unknown key 'max_faces'; it belongs into the table \[tracking\]$"),
        ("[search]\nmax_face = 2", r"did you mean 'max_faces', which belongs into the table \[tracking\]\?$"),
        ("min_cutof = 2", r"did you mean 'min_cutoff_hz', which belongs into the table \[smoothing\]\?$"),
        ("[tracking]\nsource = 'demo'", r"\[tracking\]: unknown key 'source'; it belongs above all tables$"),
        ("[tracking]\nhold = 1", r"\[tracking\]: unknown key 'hold'; did you mean 'hold_s'\?"),
        ("[tracking]\nhold_s = -1", r"tracking\.hold_s = -1 cannot be used; expected a number >= 0\.0$"),
        (
            "[tracking]\nfound_score = nan",
            r"tracking\.found_score = NaN cannot be used; expected a number [<>]= [01]\.0$",
        ),
        ("threads = 1000", r"threads = 1000 cannot be used; expected a whole number <= 64$"),
        ("[camera]\nsize = [640]", r"camera\.size = \[640\] cannot be used; expected an array of length 2, got 1$"),
        ("[camera]\nsize = [640, 1]", r"camera\.size\[1\] = 1 cannot be used; expected a whole number >= \d+$"),
        ("[measures]\nfield_of_view = 5", r"measures\.field_of_view = 5 cannot be used; expected a number >= 10\.0$"),
        ("[measures]\nfield_of_view = 'wide'", r"field_of_view = 'wide' cannot be used; expected auto, or a number$"),
        ("web = 8080", r"web = 8080 cannot be used; expected a text$"),
        ("accelerator = 'gpu'", r"accelerator = 'gpu'; did you mean '\w+'\? expected one of cpu, edgetpu"),
    ],
)
def test_a_file_that_says_what_we_do_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    assert main(["run", "--config", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"fkp-edge: error: {path}")
    assert re.search(message, line)
