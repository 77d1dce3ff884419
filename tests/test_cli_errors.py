"""Each bad input ends with exit code 2 and one line that names the value and the remedy, and writes nothing."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from fkp_edge.cli import main
from fkp_edge.errors import InputError
from fkp_edge.model_file import read_model_file, write_model_file
from fkp_edge.models import shipped_model

SHIPPED = shipped_model()
FREE = "tcp://127.0.0.1:0"


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], error_lists: ModuleType) -> Callable[..., str]:
    """Runs a command that must fail before it says anything else; gives the error without its prefix."""
    page = error_lists.PAGE.read_text()

    def run(*argv: object) -> str:
        assert main([str(arg) for arg in argv]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        assert line.startswith("fkp-edge: error: ")
        assert error_lists.find(line, page), f"{line!r} cannot be found in {error_lists.PAGE.name}"
        return line.removeprefix("fkp-edge: error: ")

    return run


@pytest.fixture
def text_file(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a text file under any name."""

    def write(name: str) -> Path:
        path = tmp_path / name
        path.write_text("This is a text file, whatever its name says.\n" * 20)
        return path

    return write


@pytest.fixture
def video(tmp_path: Path) -> Callable[..., Path]:
    """Writes a video of 20 frames of noise and keeps a share of its bytes."""

    def write(name: str, codec: str, *, kept: float) -> Path:
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, (96, 64))
        rng = np.random.default_rng(0)
        for _ in range(20):
            writer.write(rng.integers(0, 256, (64, 96, 3), np.uint8))
        writer.release()
        content = path.read_bytes()
        path.write_bytes(content[: int(kept * len(content))])
        return path

    return write


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    path = tmp_path / "empty"
    path.mkdir()
    return path


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A folder for --draw, which must not be filled."""
    return tmp_path / "drawn"


# predict


def test_predict_a_missing_path(refused, tmp_path: Path, drawn: Path):
    path = tmp_path / "none.jpg"
    error = refused("predict", path, "--draw", drawn)
    assert error == f"{path} does not exist; expected a picture or a folder of pictures"
    assert not drawn.exists()


def test_predict_a_text_file_named_jpg(refused, text_file, drawn: Path):
    path = text_file("a.jpg")
    error = refused("predict", path, "--draw", drawn)
    assert error == f"{path} is not a picture that OpenCV can read; expected JPEG, PNG or the like"
    assert not [*drawn.glob("*")]


def test_predict_a_folder_without_pictures(refused, empty: Path, drawn: Path):
    assert refused("predict", empty, "--draw", drawn).startswith(
        f"no pictures in {empty}; expected files ending in .bmp,"
    )
    assert not drawn.exists()


def test_predict_one_missing_path_among_good_ones(refused, tmp_path: Path, drawn: Path):
    good = tmp_path / "good.png"
    cv2.imwrite(str(good), np.zeros((50, 50), np.uint8))
    assert "none.png does not exist" in refused("predict", good, tmp_path / "none.png", "--draw", drawn)
    assert not drawn.exists()


def test_predict_into_a_folder_that_is_a_file(refused, text_file, tmp_path: Path):
    picture, taken = tmp_path / "a.png", text_file("taken")
    cv2.imwrite(str(picture), np.zeros((50, 50), np.uint8))
    assert refused("predict", picture, "--draw", taken) == (
        f"cannot make folder {taken}: File exists; name another --draw"
    )


# model files


@pytest.fixture
def predict_with(refused, tmp_path: Path) -> Callable[..., str]:
    """The error of `predict --model` on a good picture."""
    picture = tmp_path / "good.png"
    cv2.imwrite(str(picture), np.zeros((50, 50), np.uint8))
    return lambda model, *options: refused("predict", picture, "--model", model, *options)


def test_a_missing_model(predict_with, tmp_path: Path):
    path = tmp_path / "none.tflite"
    assert predict_with(path) == f"cannot read {path}: No such file or directory; expected a .tflite file"


def test_a_text_file_named_tflite(predict_with, text_file):
    path = text_file("m.tflite")
    assert predict_with(path) == f"{path} is not a TFLite model: bytes 4 to 8 are b' is ', expected b'TFL3'"


def test_a_damaged_model(predict_with, tmp_path: Path):
    path = tmp_path / "m.tflite"
    content = bytearray(SHIPPED.read_bytes())
    content[50_000] ^= 1
    path.write_bytes(content)
    error = predict_with(path)
    assert error.startswith(f"{path} is damaged: the flatbuffer's sha256 is ")
    assert error.endswith("; copy or convert it again")


def test_a_truncated_model(predict_with, tmp_path: Path):
    path = tmp_path / "m.tflite"
    path.write_bytes(SHIPPED.read_bytes()[:100_000])
    assert predict_with(path).startswith(f"{path} has no card; ")
    assert predict_with(path, "--no-card").startswith(f"{path} cannot be loaded: ")


def test_a_model_without_a_card(predict_with, tiny_tflite, tmp_path: Path):
    path = tmp_path / "m.tflite"
    path.write_bytes(tiny_tflite())
    assert predict_with(path).endswith("expected a file that fkp-edge convert wrote, or add --no-card")


@pytest.mark.parametrize(
    ("side", "outputs", "complaint"),
    [
        (64, (30, 1), "takes [((1, 64, 64, 1), 'float32')], expected one input (1, 96, 96, 1) uint8 of raw grey"),
        (96, (10,), "gives outputs [(1, 10)], expected (1, 30) or (1, 136) and at most one (1, 1)"),
    ],
    ids=["input", "output"],
)
def test_a_model_of_other_shapes(predict_with, tiny_tflite, tmp_path: Path, side: int, outputs, complaint: str):
    path = tmp_path / "m.tflite"
    path.write_bytes(tiny_tflite(side, outputs))
    assert predict_with(path, "--no-card") == f"{path} {complaint}"


# verify


def test_verify_a_missing_file(refused, tmp_path: Path):
    path = tmp_path / "none.tflite"
    assert refused("verify", path) == f"cannot read {path}: No such file or directory; expected a .tflite file"


def test_verify_a_text_file(refused, text_file):
    path = text_file("m.tflite")
    assert refused("verify", path).startswith(f"{path} is not a TFLite model: ")


def test_verify_a_file_without_a_card(refused, tiny_tflite, tmp_path: Path):
    path = tmp_path / "m.tflite"
    path.write_bytes(tiny_tflite())
    assert refused("verify", path) == f"{path} has no golden cases; expected a file that fkp-edge convert wrote"


def test_verify_a_file_without_golden_cases(refused, tmp_path: Path):
    path, shipped = tmp_path / "m.tflite", read_model_file(SHIPPED)
    write_model_file(path, shipped.flatbuffer, shipped.card, ())
    assert refused("verify", path) == f"{path} has no golden cases; expected a file that fkp-edge convert wrote"


# eval


def test_eval_on_missing_data(refused, tmp_path: Path):
    path = tmp_path / "none"
    assert refused("eval", SHIPPED, "--data", path) == (
        f"{path} does not exist; expected a folder of .pts files or Kaggle's training.csv or .zip"
    )


def test_eval_on_a_folder_without_labels(refused, empty: Path):
    error = refused("eval", SHIPPED, "--data", empty)
    assert error == f"no labelled faces in {empty}; expected NAME.pts beside NAME.jpg, there or one folder below"


def test_eval_on_a_csv_without_a_column(refused, tmp_path: Path, kaggle_row, write_csv):
    del kaggle_row["nose_tip_y"]
    path = write_csv(tmp_path / "training.csv", kaggle_row)
    assert refused("eval", SHIPPED, "--data", path) == (
        f"{path} has no column 'nose_tip_y'; expected Kaggle's 30 coordinates and Image"
    )


def test_eval_on_a_csv_with_a_bad_cell(refused, tmp_path: Path, kaggle_row, write_csv):
    path = write_csv(tmp_path / "training.csv", kaggle_row | {"nose_tip_y": "low"})
    assert refused("eval", SHIPPED, "--data", path) == (
        f"{path} row 2 column nose_tip_y: 'low' is not a number; expected pixels or nothing"
    )


def test_eval_on_a_text_file_named_zip(refused, text_file):
    path = text_file("training.zip")
    assert refused("eval", SHIPPED, "--data", path) == (
        f"cannot read {path}: File is not a zip file; expected Kaggle's training.zip"
    )


def test_eval_on_a_pts_with_too_few_points(refused, tmp_path: Path, write_pts):
    path = write_pts(tmp_path / "a.pts", np.ones((67, 2)))
    assert refused("eval", SHIPPED, "--data", tmp_path) == f"{path} has 67 points; expected 68 in the iBUG order"


def test_eval_of_a_missing_model(refused, tmp_path: Path):
    assert "none.tflite: No such file" in refused("eval", tmp_path / "none.tflite", "--data", tmp_path)


def test_eval_frames_no_ready_crops(capsys, tmp_path: Path, kaggle_row, write_csv):
    path = write_csv(tmp_path / "training.csv", kaggle_row)
    assert main(["eval", str(SHIPPED), "--data", str(path), "--crops", "haar"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == "fkp-edge: error: training holds ready 96x96 crops; expected --crops gt, got haar"


# run: sources


def test_run_on_a_missing_file(refused, tmp_path: Path):
    path = tmp_path / "none.mp4"
    assert refused("run", "--source", path, "--stream", FREE) == (
        f"source '{path}' does not exist; expected auto, picamera, v4l2:N, demo, a video file, a folder, "
        "a URL such as rtsp://HOST/PATH, or gray:WIDTHxHEIGHT for frames on standard input"
    )


def test_run_on_a_text_file_named_mp4(refused, text_file):
    path = text_file("a.mp4")
    assert refused("run", "--source", path, "--stream", FREE) == (
        f"{path} cannot be read as a video; expected a complete MP4, AVI, MKV or the like"
    )


def test_run_on_a_video_cut_before_its_index(refused, video):
    path = video("a.mp4", "mp4v", kept=0.5)
    assert refused("run", "--source", path, "--stream", FREE) == (
        f"{path} cannot be read as a video; expected a complete MP4, AVI, MKV or the like"
    )


def test_run_on_a_video_cut_in_its_frames_plays_them_and_fails(capsys, video):
    path = video("a.avi", "MJPG", kept=0.5)
    assert main(["run", "--source", str(path), "--stream", FREE, "--fast"]) == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    start, _, end = error.partition(" ends after ")
    assert start == f"fkp-edge: error: {path}"
    assert 5 < int(end.split()[0]) < 15
    assert end.endswith(" of 20 frames: it is truncated or damaged; copy or record it again")


def test_run_on_an_empty_folder(refused, empty: Path):
    assert refused("run", "--source", empty, "--stream", FREE).startswith(f"no pictures in {empty}; expected files")


def test_run_on_a_folder_with_a_bad_picture(capsys, text_file, tmp_path: Path):
    path = text_file("a.jpg")
    assert main(["run", "--source", str(tmp_path), "--stream", FREE, "--fast"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == f"fkp-edge: error: {path} is not a picture that OpenCV can read; expected JPEG, PNG or the like"


def test_run_on_an_absent_camera(refused):
    error = refused("run", "--source", "v4l2:99", "--stream", FREE)
    assert error.startswith("/dev/video99 does not exist; plug the camera in, or name one that is there: ")


@pytest.mark.parametrize("source", ["v4l2:x", "v4l2:", "v4l2:-1", "v4l2:0 1"])
def test_run_on_a_camera_without_a_number(refused, source: str):
    error = refused("run", "--source", source, "--stream", FREE)
    assert error == f"source {source!r} has no device number; expected v4l2:0 for /dev/video0"


# run: streams


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_run_on_a_port_in_use(refused, taken_port: int):
    assert refused("run", "--source", "demo", "--stream", f"tcp://127.0.0.1:{taken_port}") == (
        f"port {taken_port} on 127.0.0.1 is in use; stop the program that listens there (another fkp-edge run?) "
        "or name another port with --stream tcp://127.0.0.1:PORT"
    )


@pytest.mark.parametrize("url", ["tcp://0.0.0.0:0", "tcp://[::]:0", "tcp://192.0.2.1:8765"])
def test_run_beyond_loopback(refused, url: str):
    error = refused("run", "--source", "demo", "--stream", url)
    assert url in error
    assert "--insecure" in error


@pytest.mark.parametrize("url", ["127.0.0.1:8765", "tcp://127.0.0.1", "http://127.0.0.1:8765", ""])
def test_run_on_no_address(refused, url: str):
    assert refused("run", "--source", "demo", "--stream", url) == (
        f"stream address {url!r} is not understood; "
        "expected tcp://HOST:PORT, ws://HOST:PORT, unix:///PATH, udp://, osc:// or opentrack://HOST:PORT, "
        "or mqtt://HOST:PORT"
    )


def test_watch_a_stream_of_another_kind(refused):
    assert "'http://127.0.0.1:8765' is not understood; expected tcp:" in refused("watch", "http://127.0.0.1:8765")


def test_run_sending_datagrams_beyond_loopback(refused):
    error = refused("run", "--source", "demo", "--stream", FREE, "--stream", "udp://192.0.2.1:9000")
    assert error.startswith("udp://192.0.2.1:9000 sends faces over the network, and datagrams carry no token;")


@pytest.mark.parametrize("command", [["run", "--source", "demo"], ["watch"]])
def test_a_token_file_without_a_token(refused, empty: Path, command: list[str]):
    path = empty / "token"
    path.write_text("short")
    assert refused(*command, "--token-file", path).startswith(f"token file {path} holds no token of 16 to 200 ASCII")
    assert refused(*command, "--token-file", empty / "none").startswith(f"cannot read token file {empty / 'none'}: No")


def test_run_with_half_of_a_certificate(refused, text_file):
    assert refused("run", "--source", "demo", "--tls-cert", text_file("cert.pem")) == (
        "a certificate and its key go together; expected both --tls-cert FILE and --tls-key FILE"
    )


def test_run_with_a_certificate_that_is_none(refused, text_file):
    cert, key = text_file("cert.pem"), text_file("key.pem")
    error = refused("run", "--source", "demo", "--tls-cert", cert, "--tls-key", key)
    assert error.startswith(f"cannot use certificate {cert} with key {key}: ")


def test_run_wss_without_a_certificate(refused):
    pytest.importorskip("aiohttp", reason="needs fkp-edge[web]")
    assert refused("run", "--source", "demo", "--stream", "wss://127.0.0.1:0") == (
        "wss://127.0.0.1:0 needs a certificate; name it with --tls-cert FILE --tls-key FILE"
    )


# run: the page


@pytest.mark.parametrize("place", ["8080", "127.0.0.1", "127.0.0.1:8080/x", "http://127.0.0.1:8080", "[::1"])
def test_run_with_a_page_nowhere(refused, place: str):
    assert refused("run", "--source", "demo", "--web", place) == (
        f"page address {place!r} is not understood; expected HOST:PORT, such as 127.0.0.1:8080"
    )


def test_run_with_a_page_beyond_loopback(refused):
    error = refused("run", "--source", "demo", "--web", "0.0.0.0:0")
    assert error.startswith("http://0.0.0.0:0/ can be reached from other machines; bind 127.0.0.1, ask for a token")


def test_run_with_a_page_on_a_port_in_use(refused, taken_port: int):
    pytest.importorskip("aiohttp", reason="needs fkp-edge[web]")
    error = refused("run", "--source", "demo", "--stream", FREE, "--web", f"127.0.0.1:{taken_port}")
    assert error.startswith(f"port {taken_port} on 127.0.0.1 is in use; ")
    assert error.endswith("or name another port with --web 127.0.0.1:PORT")


def test_run_with_a_preview_or_effect_that_nothing_shows(refused):
    assert refused("run", "--source", "demo", "--preview") == (
        "--preview shows on the live page's picture; expected --web with it"
    )
    assert refused("run", "--source", "demo", "--web", "127.0.0.1:0", "--effect", "glasses") == (
        "--effect shows on the live page's picture; expected --preview with it"
    )


def test_run_with_an_effect_that_is_no_picture(refused, text_file):
    pytest.importorskip("aiohttp", reason="needs fkp-edge[web]")
    path = text_file("a.png")
    arguments = ["--stream", FREE, "--web", "127.0.0.1:0", "--preview", "--effect", path]
    assert refused("run", "--source", "demo", *arguments).startswith(f"effect {path} is no PNG with transparency;")


# recordings


@pytest.mark.parametrize("command", [["run", "--source", "demo"], ["watch"]])
def test_record_over_a_file(refused, text_file, command: list[str]):
    path = text_file("a.jsonl")
    error = refused(*command, "--record", path)
    assert error == f"recording {path} exists already; name another file, or remove it"


@pytest.mark.parametrize("command", [["replay"], ["export", "--out", "/nowhere/a.csv"]])
def test_what_is_no_recording(refused, text_file, command: list[str]):
    path = text_file("a.jsonl")
    assert refused(*command, path).startswith(f"{path} does not start as a recording does")


def test_a_recording_that_is_missing(refused, empty: Path):
    path = empty / "none"
    assert refused("replay", path) == f"cannot read {path}: No such file or directory; expected a recording"


# convert


@pytest.fixture
def converts(refused, tmp_path: Path) -> Callable[..., str]:
    """The error of `convert`; nothing may have been written."""
    pytest.importorskip("tensorflow", reason="needs fkp-edge[convert]")

    def run(model: Path, *options: object, out: Path = tmp_path / "out.tflite") -> str:
        before = sorted(tmp_path.rglob("*"))
        error = refused("convert", model, *options, "--data", tmp_path, "--out", out)
        assert sorted(tmp_path.rglob("*")) == before
        return error

    return run


def test_convert_a_missing_model(converts, tmp_path: Path):
    (tmp_path / "model.json").write_text('{"schema": "fkp15", "mean_shape": [], "recipe": {}, "parameters": 1}')
    path = tmp_path / "model.keras"
    assert converts(path) == f"{path} does not exist; expected the model.keras of a training run"


def test_convert_a_model_with_an_unfinished_description(converts, text_file, tmp_path: Path):
    (tmp_path / "model.json").write_text('{"schema": "fkp15"}')
    assert "model.json lacks schema, mean_shape, recipe or parameters" in converts(text_file("model.keras"))


@pytest.mark.parametrize("loss", ["0%", "much", "-1", "101%", "nan"])
def test_convert_with_a_loss_that_is_none(loss: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["convert", "model.keras", "--data", ".", "--out", "out.tflite", f"--max-loss={loss}"])
    assert ended.value.code == 2
    assert f"--max-loss: '{loss}' is not a percentage above 0, such as 1%" in capsys.readouterr().err


def test_convert_requires_all_mapped_of_the_edge_tpu_only(converts, text_file):
    error = converts(text_file("model.keras"), "--require-all-mapped")
    assert error == "--require-all-mapped is about the Edge TPU's compiler; add --edgetpu"


def test_convert_for_the_edge_tpu_without_its_compiler(converts, text_file, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    error = converts(text_file("model.keras"), "--edgetpu")
    assert "edgetpu_compiler" in error
    assert "https://coral.ai/docs/edgetpu/compiler/" in error


def test_convert_a_text_file_named_keras(converts, text_file, tmp_path: Path):
    (tmp_path / "model.json").write_text('{"schema": "fkp15", "mean_shape": [], "recipe": {}, "parameters": 1}')
    path = text_file("model.keras")
    assert converts(path).startswith(f"{path} cannot be loaded as a tf-keras model: ")


@pytest.mark.parametrize("taken", ["net-int8.tflite", "net-float32.tflite"])
def test_convert_to_a_file_that_exists(converts, tmp_path: Path, taken: str):
    (tmp_path / taken).write_text("mine")
    error = converts(tmp_path / "model.keras", out=tmp_path / "net-int8.tflite")
    assert error == f"{tmp_path / taken} already exists; name another --out or add --overwrite"
    assert (tmp_path / taken).read_text() == "mine"


def test_convert_to_a_missing_folder(converts, tmp_path: Path):
    folder = tmp_path / "none"
    error = converts(tmp_path / "model.keras", out=folder / "out.tflite")
    assert error == f"{folder} is not a folder; make it, or name another --out"


def test_convert_with_an_unknown_key(converts, tmp_path: Path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[calibration]\ncuont = 3\n")
    error = converts(tmp_path / "model.keras", recipe)
    assert error.startswith(f"{recipe} [calibration]: unknown key 'cuont'; did you mean 'count'? known: ")


# train


@pytest.fixture
def trains(refused, tmp_path: Path) -> Callable[..., str]:
    """The error of `train` with a small recipe, changed by `extra` lines at its top."""
    pytest.importorskip("tensorflow", reason="needs fkp-edge[train]")

    def run(extra: str = "", *, out: Path = tmp_path / "run", data: Path = tmp_path) -> str:
        recipe = tmp_path / "recipe.toml"
        recipe.write_text(f'name = "a"\n{extra}\n[data]\nval = ["val"]\ntrain = {{"train" = 1}}\n[fit]\nepochs = 1\n')
        return refused("train", recipe, "--data", data, "--out", out)

    return run


def test_train_with_an_unknown_key(trains, tmp_path: Path):
    assert trains('shema = "fkp15"').startswith(
        f"{tmp_path / 'recipe.toml'}: unknown key 'shema'; did you mean 'schema'? known: name, "
    )
    assert not (tmp_path / "run").exists()


def test_train_with_an_unknown_schema(trains):
    assert trains('schema = "fkp14"') == "keypoint schema 'fkp14' is not known; expected one of fkp15, ibug68"


def test_train_with_a_wrong_type(trains, tmp_path: Path):
    assert trains("schema = 15") == f"{tmp_path / 'recipe.toml'}: Expected `str`, got `int` - at `$.schema`"


def test_train_on_a_missing_folder(trains, tmp_path: Path):
    assert trains(data=tmp_path / "none") == (
        f"{tmp_path / 'none' / 'train'} does not exist; "
        "expected a folder of .pts files or Kaggle's training.csv or .zip"
    )
    assert not (tmp_path / "run").exists()


def test_train_into_a_run_that_exists(trains, tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "history.jsonl").write_text("{}\n")
    assert trains() == f"{tmp_path / 'run'} already holds a training run; add --resume to go on, or name another --out"
    assert (tmp_path / "run" / "history.jsonl").read_text() == "{}\n"


def test_train_with_a_missing_recipe(refused, tmp_path: Path):
    pytest.importorskip("tensorflow", reason="needs fkp-edge[train]")
    path = tmp_path / "none.toml"
    error = refused("train", path, "--data", tmp_path, "--out", tmp_path / "run")
    assert error == f"cannot read {path}: No such file or directory; expected a TOML file"


# bench


def test_bench_a_missing_model(refused, tmp_path: Path):
    path = tmp_path / "none.tflite"
    assert refused("bench", path, "--quick").startswith(f"cannot read {path}: No such file or directory")


def test_bench_into_a_report_of_unknown_kind(refused, tmp_path: Path):
    error = refused("bench", "--quick", "--report", tmp_path / "a.pdf")
    assert error == f"--report {tmp_path}/a.pdf has no known suffix; expected .html, .md, .json"


def test_bench_on_a_folder_without_labels(refused, empty: Path):
    error = refused("bench", "keypoints-int8", "--quick", "--data", empty)
    assert error.startswith(f"no labelled faces in {empty}; expected NAME.pts")


def test_bench_on_a_pipe(refused):
    assert refused("bench", "--source", "gray:640x480").startswith("bench reads its source more than once")


def test_bench_on_an_edge_tpu_without_a_model(refused):
    error = refused("bench", "--accelerator", "edgetpu")
    assert error == "--accelerator edgetpu needs a model compiled for it; name one"


def test_bench_for_no_time(refused):
    assert refused("bench", "--seconds", "0") == "--seconds 0 is too short or too long; expected 1 to 3600"


def test_compare_one_result(refused, text_file):
    error = refused("bench", "compare", text_file("a.json"))
    assert error == "bench compare takes two results, got 1; expected A.json B.json of bench --json"


def test_compare_what_is_no_result(refused, text_file):
    path = text_file("a.json")
    assert refused("bench", "compare", path, path).startswith(f"{path} is no result of fkp-edge bench (")


def test_compare_with_an_option_for_measuring(refused):
    error = refused("bench", "compare", "a.json", "b.json", "--quick")
    assert error == "--quick is for measuring; bench compare takes --fail-on and --json"


def test_fail_on_without_compare(refused):
    error = refused("bench", "--fail-on", "5")
    assert error == "--fail-on is about two results; expected bench compare A.json B.json --fail-on P%"


# the command line itself


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("FKP_EDGE_DEBUG", "1")
    with pytest.raises(InputError, match=r"none\.jpg does not exist"):
        main(["predict", str(tmp_path / "none.jpg")])


def test_errors_of_several_lines_come_as_one(refused, tmp_path: Path):
    path = tmp_path / "two\nlines.jpg"
    assert refused("predict", path).startswith(f"{tmp_path}/two lines.jpg does not exist; expected")


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["predict"], "the following arguments are required: PATH"),
        (["predict", "a.jpg", "--threads", "0"], "argument --threads: '0' is not a positive whole number"),
        (["predict", "a.jpg", "--threads", "two"], "argument --threads: 'two' is not a positive whole number"),
        (["predict", "a.jpg", "--threads", "65"], "argument --threads: 65 is too many; expected at most 64"),
        (["run", "--max-faces", "5"], "argument --max-faces: 5 is too many; expected at most 4"),
        (["watch", "--wait", "soon"], "argument --wait: 'soon' is not a number of seconds, 0 to 86400"),
        (
            ["convert", "m.h5", "--data", ".", "--out", "m.tflite", "--max-loss", "0%"],
            "argument --max-loss: '0%' is not a percentage above 0, such as 1%",
        ),
        (["eval", "m.tflite"], "the following arguments are required: --data"),
        (["eval", "m.tflite", "--data", ".", "--crops", "best"], "argument --crops: invalid choice: 'best'"),
        (["train", "r.toml", "--data", "."], "the following arguments are required: --out"),
    ],
)
def test_wrong_arguments(capsys: pytest.CaptureFixture[str], argv: list[str], complaint: str):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


def test_a_copy_of_the_shipped_model_is_accepted(refused, tmp_path: Path):
    """What the damaged ones are made from is good: the next error is the picture's."""
    shutil.copy(SHIPPED, tmp_path / "m.tflite")
    (tmp_path / "a.jpg").touch()
    assert "a.jpg is not a picture" in refused("predict", tmp_path / "a.jpg", "--model", tmp_path / "m.tflite")
