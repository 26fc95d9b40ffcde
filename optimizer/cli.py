"""The command line: everything that the dashboard does, for scripts.

Exit status: 0 done, 2 the input is at fault (one line on standard error), 1 a run failed (one line too). Progress goes to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer import __version__
from optimizer.context import Event
from optimizer.errors import InputError, OptimizerError, printable
from optimizer.failures import failure_in_words
from optimizer.grid import technique_grid
from optimizer.inspection_text import inspection_in_words
from optimizer.job import DataSource, Job
from optimizer.measure.direction import METRIC_WORDS
from optimizer.named_files import check_readable, check_writable, read_recipe
from optimizer.recipe import recipe_from_json
from optimizer.report_text import bench_in_words, report_in_words
from optimizer.sources.dataset import TASK_WORDS
from optimizer.sources.readers.bundled import BUNDLED as BUNDLED_DATA
from optimizer.technique import describe, registry

if TYPE_CHECKING:
    from optimizer.runs.command import Command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except OptimizerError as error:
        print(f"error: {error.line}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:
        # The reader of our output (head, less) went away; that is its right.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("error: Interrupted [INTERRUPTED]", file=sys.stderr)
        return 128 + signal.SIGINT
    except Exception as error:  # noqa: BLE001 (the last resort: one line for the person, the traceback for us)
        print(f"error: {failure_in_words(error)}", file=sys.stderr)
        return 1


class _Parser(argparse.ArgumentParser):
    """argparse that says what is wrong in one line, as every other error of the command line."""

    def error(self, message: str) -> Any:
        print(f"error: {printable(message)}. Try: {self.prog} --help [USAGE]", file=sys.stderr)
        raise SystemExit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m optimizer", description="Shrink a trained model and see what it costs.")
    parser.add_argument("--version", action="version", version=f"Litesmith {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    techniques = commands.add_parser("techniques", help="list every technique with its settings")
    techniques.set_defaults(command=_techniques)

    inspect = commands.add_parser("inspect", help="say what is in a model file, without loading it into TensorFlow")
    inspect.add_argument("model", type=Path, metavar="MODEL")
    inspect.set_defaults(command=_inspect)

    run = _add_run(commands)

    bench = commands.add_parser("bench", help="compare the latency of .tflite files, interleaved")
    bench.add_argument("files", type=Path, nargs="+", metavar="FILE.tflite")
    bench.add_argument("--threads", type=int, default=1)
    bench.add_argument("--seconds", type=float, default=4.0, help="how long to measure in all")
    bench.set_defaults(command=_bench)

    doctor = commands.add_parser("doctor", help="what this machine offers")
    doctor.set_defaults(command=_doctor)

    for command in (inspect, run, bench):
        command.add_argument(
            "--trust-uploads",
            action="store_true",
            help="open the files also where this machine cannot sandbox that; only for your own",
        )
    for command in (techniques, inspect, run, bench, doctor):
        command.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _add_run(commands: Any) -> argparse.ArgumentParser:
    run: argparse.ArgumentParser = commands.add_parser("run", help="run a recipe on a model and data")
    run.add_argument("--model", type=Path, required=True, help=".keras or .h5 of Keras 2 or 3, zipped SavedModel, .tflite")
    run.add_argument("--data", required=True, help=f".npz, .csv, .zip of one folder a class, or one of {', '.join(BUNDLED_DATA)}")
    run.add_argument("--recipe", type=Path, required=True, help="recipe as JSON")
    run.add_argument("--out", type=Path, required=True, help="folder for model.tflite, report.json and recipe.json")
    run.add_argument("--seed", type=int, help="instead of the recipe's seed")
    run.add_argument("--test-data", type=Path, help="a second file that holds the test split")
    run.add_argument("--label", default="", help="label column of a .csv")
    run.add_argument("--second-model", type=Path, help="teacher or student of a distillation")
    run.add_argument(
        "--input-scaling", default="auto", help='"auto" tries what the model expects; or "as stored", "x / 255", ...'
    )
    run.add_argument(
        "--task",
        default="auto",
        help="what the model is for, where its file does not tell: "
        + "; ".join(f"{task.value} ({words})" for task, words in TASK_WORDS.items()),
    )
    run.add_argument("--threads", type=int, default=1, help="threads in latency measurements")
    run.set_defaults(command=_run)
    return run


def _techniques(options: argparse.Namespace) -> int:
    listing = [describe(cls) for cls in registry().values()]
    if options.json:
        print(json.dumps(listing, indent=2))
        return 0
    for entry in listing:
        print(f"{entry['technique']}  ({entry['family']}; {entry['consumes']} -> {entry['produces']})")
        print(f"    {entry['description']}")
        for setting in entry["settings"]:
            print(f"    {setting['name']:<20} default {json.dumps(setting['default'])}, {_domain(setting)}: {setting['help']}")
        print()
    return 0


def _domain(setting: dict[str, Any]) -> str:
    if setting["choices"]:
        return "one of " + ", ".join(setting["choices"])
    if setting["low"] is not None:
        return f"{setting['low']:g} to {setting['high']:g}"
    return {"bool": "true or false", "tuple": "a list of layer names"}[setting["kind"]]


def _inspect(options: argparse.Namespace) -> int:
    from optimizer.runs.run import RunKind
    from optimizer.sources.summary import model_summary_from_json

    check_readable(options.model)
    model = {"kind": RunKind.INSPECT_MODEL.value, "model": str(options.model.absolute()), "model_name": options.model.name}
    found = _in_sandbox(options, lambda folder: {**model, "data": None, "seed": 0}, [options.model]).perform()
    summary = model_summary_from_json(found["model"])
    grid = technique_grid(summary)
    if options.json:
        names = {"output_names": list(summary.names_of_outputs), "expects": found["model"]["expects"]}
        print(json.dumps({"verdict": "accepted", **summary.to_json(), **names, **grid.to_json()}, indent=2))
        return 0
    print(inspection_in_words(summary, grid))
    return 0


def _run(options: argparse.Namespace) -> int:
    from optimizer.runs.home import default_home
    from optimizer.runs.run import RunKind
    from optimizer.runs.sandbox.limits import require_address_space
    from optimizer.sources.fit import chosen_task
    from optimizer.sources.readers.download import download

    require_address_space()
    recipe = read_recipe(options.recipe)
    if options.seed is not None:
        recipe = recipe_from_json({**recipe.to_json(), "seed": options.seed})
    data = _data_source(options)
    chosen_task(options.task)
    check_readable(options.model, data.path, data.test_path, options.second_model)
    check_writable(options.out, options.model)
    if not 1 <= options.threads <= 64:
        raise InputError(
            f"`--threads` must be in [1, 64]. Received: {options.threads}", code="BAD_SETTING", fix="Leave it out for 1."
        )
    if data.path is None:
        download(options.data, default_home() / "cache", say=lambda text: print(text, file=sys.stderr, flush=True))

    def record(folder: Path) -> dict[str, Any]:
        job = Job(
            model=options.model.absolute(),
            model_name=options.model.name,
            data=data,
            recipe=recipe,
            out=folder / "out",
            work=folder / "tmp",
            second_model=None if options.second_model is None else options.second_model.absolute(),
            threads=options.threads,
        )
        return {"kind": RunKind.EXPERIMENT.value, "job": job.to_json()}

    files = [path for path in (options.model, data.path, data.test_path, options.second_model) if path is not None]
    report = _in_sandbox(options, record, files).perform(options.out)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print(report_in_words(report, str(options.out)))
    return 0


def _data_source(options: argparse.Namespace) -> DataSource:
    """The data as named: a file; where there is none of that name, a bundled set."""
    bundled = options.data in BUNDLED_DATA and not Path(options.data).exists()
    if not bundled and not Path(options.data).exists():
        raise InputError(
            "There is no such file, and no bundled data set of this name",
            code="NOT_FOUND",
            place=printable(options.data),
            expected=f"a .npz, .csv or .zip, or one of {', '.join(BUNDLED_DATA)}",
            fix="Check the path or the name.",
        )
    return DataSource(
        name=options.data if bundled else Path(options.data).name,
        path=None if bundled else Path(options.data).absolute(),
        label=options.label,
        test_path=None if options.test_data is None else options.test_data.absolute(),
        scaling=options.input_scaling,
        task=options.task,
    )


def _in_sandbox(
    options: argparse.Namespace, record: Callable[[Path], dict[str, Any]], files: Sequence[Path], *, extra_s: float = 0.0
) -> Command:
    """What parses strangers' files runs in a confined process: a bad one must not crash, hang or take over this one."""
    from optimizer.runs.command import Command

    def warn(text: str) -> None:
        print(f"warning: {text}", file=sys.stderr, flush=True)

    return Command(record=record, files=files, report=_Progress(), warn=warn, trusted=options.trust_uploads, extra_s=extra_s)


class _Progress:
    """Says on standard error how far a run is: one line a stage, and a line that is overwritten on a terminal."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()

    def __call__(self, event: Event) -> None:
        if event.kind == "stage":
            print(f"[{event.data['index'] + 1}/{event.data['count']}] {event.data['name']}", file=sys.stderr, flush=True)
        elif event.kind == "note":
            print(f"      {printable(event.data['text'])}", file=sys.stderr, flush=True)
        elif event.kind == "metrics":
            named = {METRIC_WORDS.get(k, k.replace("_", " ")): v for k, v in event.data.items() if k not in ("epoch", "epochs")}
            numbers = ", ".join(f"{name} {value:.4g}" for name, value in named.items())
            print(f"      epoch {event.data['epoch']}/{event.data['epochs']}: {numbers}", file=sys.stderr, flush=True)
        elif self._live:
            left = event.data.get("seconds_left")
            words = "" if left is None else f", {left:.0f} s left"
            print(f"      {event.data['fraction']:.0%}{words}   ", end="\r", file=sys.stderr, flush=True)


def _bench(options: argparse.Namespace) -> int:
    from optimizer.runs.worker import BENCH

    if not 0.1 <= options.seconds <= 600:
        raise InputError(
            f"`--seconds` must be in [0.1, 600]. Received: {options.seconds}", code="BAD_SETTING", fix="Leave it out for 4."
        )
    check_readable(*options.files)
    for path in options.files:
        with path.open("rb") as file:
            head = file.read(8)
        if head[4:8] != b"TFL3":
            raise InputError(
                "The file is not a .tflite", code="BAD_TFLITE", place=str(path), fix="Name files that end in .tflite."
            )
    files = [path.absolute() for path in options.files]
    order = {"kind": BENCH, "files": [str(path) for path in files], "threads": options.threads, "seconds": options.seconds}
    rows = _in_sandbox(options, lambda folder: order, files, extra_s=options.seconds).perform()["files"]
    # Two results of `run` have the same name: the folder tells them apart.
    rows = [{**row, "name": str(path)} for row, path in zip(rows, options.files, strict=True)]
    if options.json:
        print(json.dumps({"reference": str(options.files[0]), "threads": options.threads, "files": rows}, indent=2))
        return 0
    print(bench_in_words(rows))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from optimizer.doctor import examine

    findings = examine()
    if options.json:
        print(json.dumps(findings, indent=2))
        return 0
    for section, entries in findings.items():
        print(section)
        for name, value in entries.items():
            shown = ("free disk space", f"{value / 2**30:.1f} GiB") if name == "free bytes" else (name, value)
            print(f"    {shown[0]:<32} {shown[1]}")
    return 0
