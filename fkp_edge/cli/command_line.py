"""The parser of the command line: what each command takes. What it does stands in the module of its name."""

from __future__ import annotations

import argparse
from pathlib import Path

from fkp_edge import __version__
from fkp_edge.app.defaults import DEFAULT_STREAM
from fkp_edge.cli.arguments import (
    Commands,
    Parser,
    add_accelerator,
    add_data,
    add_model,
    add_search,
    add_streams,
    add_token,
    degrees,
    faces,
    model,
    percent,
    positive,
    seconds,
    some_gigabytes,
    some_seconds,
    threads,
)
from fkp_edge.cli.desktop_arguments import add_data_commands, add_desktop_commands

__all__ = ["build_parser"]

MODEL_PLACE = Path("/var/lib/fkp-edge/model.tflite")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = Parser(prog="fkp-edge", description="Face keypoints on a small board's camera.")
    parser.add_argument("--version", action="version", version=f"fkp-edge {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    _add_run(commands)
    _add_stream_commands(commands)
    _add_network_commands(commands)
    _add_bench(commands)
    _add_device_commands(commands)
    add_desktop_commands(commands)
    add_data_commands(commands.add_parser("data", help="look into labelled files; Kaggle's files and submission"))
    return parser


def _add_run(commands: Commands) -> None:
    run = commands.add_parser("run", help="camera or recording -> keypoints on a socket")
    run.add_argument(
        "--source",
        help="auto, picamera, usb, v4l2:N (or N, or /dev/videoN), demo, a video file, a folder of pictures, a URL such "
        "as rtsp://HOST/PATH, or gray:WIDTHxHEIGHT or yuv420:WIDTHxHEIGHT for raw frames on standard input; auto takes "
        "the Pi camera, else a V4L2 camera, and the bundled demo only where there is no camera device (default: auto)",
    )
    add_streams(run)
    run.add_argument("--web", metavar="HOST:PORT", help="serve a live page there, such as 127.0.0.1:8080")
    run.add_argument("--preview", action="store_true", help="show the camera's picture on the page: it shows people")
    run.add_argument("--effect", metavar="FILE.png", help="glasses, or a picture to put on faces in the preview")
    run.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="write the stream there too, or to FILE-2 and so on where it exists; .gz compresses it",
    )
    run.add_argument("--record-limit", type=some_gigabytes, metavar="GB", help="end the recording there (default: 10)")
    run.add_argument("--fast", action="store_true", help="play a recording or the demo as fast as possible")
    run.add_argument("--loop", action="store_true", help="play the demo, a video or a folder again and again")
    run.add_argument("--threads", type=threads, help="CPU threads of the network (default: 1)")
    run.add_argument("--max-faces", type=faces, metavar="N", help="faces followed at a time, 1 to 4 (default: 1)")
    run.add_argument("--smoothing", action=argparse.BooleanOptionalAction, help="steady the points (default: yes)")
    run.add_argument(
        "--measures", action="store_true", help="also stream open eyes and mouth, blinks, smile, and where the head is"
    )
    run.add_argument(
        "--field-of-view",
        type=degrees,
        metavar="DEGREES",
        help="what the camera shows across, for the head's place (default: the Pi camera's own, else 62)",
    )
    run.add_argument("--sheet", type=Path, metavar="FILE.png", help="write a sheet of annotated frames at the end")
    run.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="keep pictures of faces there, to label and learn from: it keeps people",
    )
    run.add_argument("--keep-every", type=seconds, metavar="S", help="one frame in S seconds (default: 1)")
    run.add_argument(
        "--keep-unsure", action="store_true", help="of the frames in between, the one that the network is least sure of"
    )
    run.add_argument("--json", action="store_true", help="print the summary as JSON")
    add_search(run)
    add_model(run)
    # what is not given comes from the configuration, whose type has the defaults
    run.set_defaults(**{action.dest: None for action in run._actions if action.dest != "help"})
    run.add_argument("--config", type=Path, metavar="FILE.toml", help="read options there; options given here override")
    run.add_argument("--check", action="store_true", help="look whether all this can be used, and end")
    run.add_argument("--print-config", action="store_true", help="print the configuration that results, and end")


def _add_stream_commands(commands: Commands) -> None:
    watch = commands.add_parser("watch", help="show a stream")
    watch.add_argument(
        "url", nargs="?", default=DEFAULT_STREAM, help=f"or HOST, or HOST:PORT (default: {DEFAULT_STREAM})"
    )
    watch.add_argument("--json", action="store_true", help="print the stream's lines")
    watch.add_argument(
        "--wait", type=seconds, default=10.0, metavar="S", help="seconds to wait for the stream to start (default: 10)"
    )
    add_token(watch)
    watch.add_argument("--count", type=positive, metavar="N", help="end after N observations")
    watch.add_argument("--record", type=Path, metavar="FILE", help="write the stream there too; .gz compresses it")
    watch.add_argument(
        "--record-limit", type=some_gigabytes, default=10.0, metavar="GB", help="end the recording there (default: 10)"
    )

    status = commands.add_parser("status", help="how a running service is doing")
    status.add_argument(
        "url", nargs="?", default=DEFAULT_STREAM, help=f"or HOST, or HOST:PORT (default: {DEFAULT_STREAM})"
    )
    status.add_argument(
        "--within", type=some_seconds, default=3.0, metavar="S", help="seconds that a new frame may take (default: 3)"
    )
    add_token(status)
    status.add_argument("--json", action="store_true", help="print it as JSON")

    replay = commands.add_parser("replay", help="stream a recording")
    replay.add_argument("recording", type=Path, metavar="FILE", help="what run or watch --record wrote")
    add_streams(replay)
    replay.add_argument(
        "--fast", action="store_true", help="as fast as clients read, from the first client on, not at its own pace"
    )

    export = commands.add_parser("export", help="recording -> CSV")
    export.add_argument("recording", type=Path, metavar="FILE", help="what run or watch --record wrote")
    export.add_argument("--out", type=Path, required=True, metavar="FILE.csv", help="one row a face")

    tune = commands.add_parser("tune", help="recording -> smoothing that suits it")
    tune.add_argument("recording", type=Path, metavar="FILE", help="what run --no-smoothing --record wrote")
    tune.add_argument("--plot", type=Path, metavar="FILE.png", help="draw jitter against lag of all settings tried")
    tune.add_argument("--json", action="store_true", help="print all settings tried as JSON")


def _add_network_commands(commands: Commands) -> None:
    predict = commands.add_parser("predict", help="faces and keypoints in pictures and videos")
    predict.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="picture, folder of pictures, or video")
    predict.add_argument("--json", action="store_true", help="print one JSON line a picture")
    predict.add_argument("--draw", type=Path, metavar="DIR", help="write each picture or video with its points there")
    predict.add_argument("--threads", type=threads, default=1, help="CPU threads of the network (default: 1)")
    add_search(predict)
    add_model(predict)

    evaluate = commands.add_parser("eval", help="accuracy of model files on labelled faces")
    evaluate.add_argument("models", nargs="+", type=model, metavar="MODEL", help=".tflite file, or a shipped name")
    add_data(evaluate, "labelled faces: a folder of .pts, of such folders, or Kaggle's CSV or zip, or its folder")
    evaluate.add_argument(
        "--crops",
        choices=("gt", "haar", "jitter"),
        default="gt",
        help="framed by the labels, by Haar, or as the tracker does (default: gt)",
    )
    evaluate.add_argument(
        "--scenes", action="store_true", help="also whole photographs, DIR/scenes: the score, and what predict finds"
    )
    add_search(evaluate)
    evaluate.add_argument(
        "--groups",
        metavar="NAMES",
        help="instead, by groups of people in pictures with one face each: age_gender_race reads file names as UTKFace "
        "has them; or a CSV with a column name and one for each attribute",
    )
    evaluate.add_argument(
        "--held-out",
        type=positive,
        default=1,
        metavar="N",
        help="with --groups: only the one picture in N that train/finder.toml keeps out, by a hash of its name",
    )
    evaluate.add_argument("--json", action="store_true", help="print the figures as JSON")
    evaluate.add_argument("--no-card", action="store_true", help="accept a .tflite without a card")
    add_accelerator(evaluate)

    verify = commands.add_parser("verify", help="golden cases of a model file on this device")
    verify.add_argument("model", type=model, metavar="FILE", help="model file, or the name of a shipped one")
    add_accelerator(verify)
    verify.add_argument("--json", action="store_true", help="print every stage of every case as JSON")


def _add_bench(commands: Commands) -> None:
    bench = commands.add_parser(
        "bench",
        help="latency of every stage, and accuracy lost against float, on this device",
        usage="fkp-edge bench [MODEL...] [options]\n       fkp-edge bench compare A.json B.json [--fail-on P%%]",
    )
    bench.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="model files, or names of shipped ones (default: keypoints-int8 keypoints-float32); or compare and two "
        "files that --json or --report wrote: what changed from the first to the second",
    )
    bench.add_argument(
        "--source", default="demo", help="as for run, but no pipe; the demo is the same everywhere (default: demo)"
    )
    bench.add_argument("--data", type=Path, metavar="DIR", help="labelled faces: also measure the accuracy on them")
    bench.add_argument(
        "--seconds", type=seconds, default=75.0, metavar="S", help="of each model's open loop (default: 75)"
    )
    bench.add_argument("--quick", action="store_true", help="some seconds in all: shows that it works, and little else")
    bench.add_argument(
        "--threads",
        type=threads,
        metavar="N",
        help="try the network on 1 to N threads (default: cores, at most 4)",
    )
    bench.add_argument("--report", type=Path, metavar="FILE", help="also write FILE.html, .md or .json")
    bench.add_argument("--overwrite", action="store_true", help="replace a report that exists")
    bench.add_argument("--json", action="store_true", help="print the result as JSON, on one line")
    bench.add_argument("--no-card", action="store_true", help="accept a .tflite without a card")
    bench.add_argument(
        "--fail-on", type=percent, metavar="P%", help="of compare: exit with 1 where something is worse by more"
    )
    bench.add_argument(
        "--accelerator",
        choices=("cpu", "edgetpu"),
        default="cpu",
        help="edgetpu: run files compiled for it on a Coral device, all others on the CPU (default: cpu)",
    )
    bench.set_defaults(default_of=bench.get_default)


def _add_device_commands(commands: Commands) -> None:
    _add_model_commands(commands.add_parser("model", help="change the model file that a service runs, and back"))

    models = commands.add_parser("models", help="the networks that ship: points, size, accuracy, instructions")
    models.add_argument("--json", action="store_true", help="print them as JSON")

    doctor = commands.add_parser("doctor", help="check this device; each finding with its fix")
    doctor.add_argument("--config", type=Path, metavar="FILE.toml", help="what run is given (default: the service's)")
    doctor.add_argument("--model", type=model, metavar="FILE.tflite", help="instead of the configuration's")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")


def _add_model_commands(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    place_help = f"what the configuration's model key names (default: {MODEL_PLACE})"

    install = actions.add_parser("install", help="put a file there if it is good here; the one before is kept")
    install.add_argument("file", type=model, metavar="FILE", help="model file, or the name of a shipped one")
    install.add_argument("place", type=Path, nargs="?", default=MODEL_PLACE, metavar="PLACE", help=place_help)
    add_accelerator(install)

    rollback = actions.add_parser("rollback", help="take the file before again; twice is back")
    rollback.add_argument("place", type=Path, nargs="?", default=MODEL_PLACE, metavar="PLACE", help=place_help)
    add_accelerator(rollback)
