"""One job in a process of its own, which optimizer.runs.confined has started and confined.

A worker imports what its kind of job needs, says that it is ready, waits for the path of one job's folder, does the job, says how
it went, and ends. It is killed without ceremony on cancel and time-out, and dies with its runner.
"""

from __future__ import annotations

import importlib
import json
import os
import secrets
import signal
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optimizer.context import Event
from optimizer.errors import InputError, OptimizerError
from optimizer.job import data_source_from_json, job_from_json
from optimizer.runs.artifacts import REPORT
from optimizer.runs.failures import known_failure
from optimizer.runs.messages import message_line
from optimizer.runs.run import RunKind
from optimizer.runs.sandbox.limits import limit_cpu
from optimizer.runs.workspace import JOB_FILE, OUT

TRAINING, INSPECTION, COMMAND = "training", "inspection", "command"
BENCH = "bench"
"""The kind of a job that only the command line has: compare the latency of .tflite files."""


def serve(kind: str, *, control_fd: int, event_fd: int, missing_layers: Sequence[str] = ()) -> None:
    """Do one job. Never returns: the process ends without TensorFlow's slow and crash-prone shutdown.

    Args:
        kind: TRAINING, INSPECTION or COMMAND.
        control_fd: Pipe that brings the job's folder.
        event_fd: Pipe for what the worker says.
        missing_layers: Layers of the sandbox that this kernel does not offer.
    """
    voice = Voice(event_fd)
    warm_up(kind)
    voice.say("ready", data={"missing_layers": " ".join(missing_layers)})
    fetching = prefetch() if kind == INSPECTION else None
    folder = wait_for_job(control_fd)
    voice.say("begun")  # Before a look at any file: what ends a worker that has not said it, was nothing in its job.
    work(folder, voice, fetching)
    os._exit(0)


def warm_up(kind: str) -> None:
    """Import what a job of this kind needs. A command's job imports as it goes: what is wrong with its files is said before TensorFlow's import."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    if kind == COMMAND:
        return
    if kind == INSPECTION:
        import optimizer.sources.inspection

        return
    from optimizer.technique import registry

    registry()  # Before TensorFlow: a technique that cannot be imported shows at once.
    import tensorflow
    import tensorflow_model_optimization

    import optimizer.pipeline  # noqa: F401

    del tensorflow, tensorflow_model_optimization


def prefetch() -> threading.Thread:
    """Import in a thread what inspections of data will import (a second in all); those of a model need none of it."""

    def fetch() -> None:
        for name in ("sklearn.datasets", "sklearn.model_selection", "PIL.Image", "pandas"):
            importlib.import_module(name)

    thread = threading.Thread(target=fetch, name="prefetch", daemon=True)
    thread.start()
    return thread


def wait_for_job(control_fd: int) -> Path:
    """Block until the runner names the job's folder and time limit. From then on a thread watches the pipe: it ends when the runner does."""
    control = os.fdopen(control_fd, "rb", buffering=0)
    line = control.readline()
    if not line:
        os._exit(0)

    def watch() -> None:
        while control.read(1):
            pass
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, name="runner-watch", daemon=True).start()
    order = json.loads(line)
    if order["timeout_s"] is not None:
        limit_cpu(order["timeout_s"])
    return Path(order["folder"])


class Voice:
    """The pipe to the runner. Lines of several threads do not mix."""

    def __init__(self, event_fd: int) -> None:
        self._descriptor = event_fd
        self._lock = threading.Lock()

    def say(self, type_: str, *, kind: str = "", data: Mapping[str, Any] | None = None) -> None:
        """Send one message."""
        line = message_line(type_, kind=kind, data=data)
        with self._lock:
            while line:
                line = line[os.write(self._descriptor, line) :]

    def report(self, event: Event) -> None:
        """Send an event of the pipeline."""
        self.say("event", kind=event.kind, data=event.data)


def work(folder: Path, voice: Voice, fetching: threading.Thread | None = None) -> None:
    """Do the job of a folder and say how it went. Expected failures are told in full; of others only an id leaves the log."""
    try:
        record = json.loads((folder / JOB_FILE).read_text(encoding="utf-8"))
        if fetching is not None and record["data"] is not None:
            fetching.join()  # Two threads that import the same packages can meet half-made modules.
        result = perform(record, voice)
        if result is not None:
            (folder / OUT / REPORT).write_text(json.dumps(result, allow_nan=False), encoding="utf-8")
    except OptimizerError as error:
        traceback.print_exc()
        voice.say("error", data=error.to_json())
    # Whatever else goes wrong in a technique or in TensorFlow must end as one calm line for the person and a traceback in the log.
    except Exception as error:  # noqa: BLE001
        error_id = secrets.token_hex(4)
        print(f"error id {error_id}", flush=True)  # noqa: T201
        traceback.print_exc()
        known = known_failure(error)
        if known is None:
            voice.say("crash", data={"error_id": error_id, "type": type(error).__name__})
        else:
            voice.say("error", data=known.to_json())
    else:
        voice.say("done")


def perform(record: Mapping[str, Any], voice: Voice) -> dict[str, Any] | None:
    """Do the work that job.json describes. Returns the report where it is not written yet."""
    if record["kind"] == BENCH:
        return _bench(record)
    kind = RunKind(record["kind"])
    if kind is RunKind.INSPECT_MODEL:
        return _inspect_model(record)
    if kind is RunKind.INSPECT_DATA:
        return _inspect_data(record)
    from optimizer.pipeline import perform as perform_job

    perform_job(job_from_json(record["job"]), voice.report, lambda: False)
    return None


def _bench(record: Mapping[str, Any]) -> dict[str, Any]:
    from optimizer.measure.latency import compare_latency, measure_latency
    from optimizer.sources.litert_model import check_timeable

    paths = [Path(path) for path in record["files"]]
    for path in paths:
        check_timeable(path)
    contents = [path.read_bytes() for path in paths]
    latencies = measure_latency(contents, threads=record["threads"], seconds=record["seconds"])
    return {
        "files": [
            {
                "name": path.name,
                "size_bytes": len(content),
                "latency_ms": latency.to_json(),
                "speed": compare_latency(latency, latencies[0]),
            }
            for path, content, latency in zip(paths, contents, latencies, strict=True)
        ]
    }


def _inspect_model(record: Mapping[str, Any]) -> dict[str, Any]:
    """Read a model; where the project has data, see whether they still fit. They not fitting is no failure of the model."""
    from optimizer.sources.inspection import inspect_model

    model = inspect_model(Path(record["model"]), record["model_name"])
    report: dict[str, Any] = {"model": model, "data": None, "data_error": None}
    if record["data"] is not None:
        try:
            report["data"] = _inspect_data(record)["data"]
        except InputError as error:
            report["data_error"] = error.to_json()
    return report


def _inspect_data(record: Mapping[str, Any]) -> dict[str, Any]:
    from optimizer.sources.inspection import inspect_data

    path = None if record["model"] is None else Path(record["model"])
    return {"data": inspect_data(data_source_from_json(record["data"]), path, record["model_name"], record["seed"])}
