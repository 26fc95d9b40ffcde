"""From a worker's `out` folder into the object store: what a worker left is checked before it counts as a result."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from optimizer.errors import RunError
from optimizer.runs.messages import no_number
from optimizer.runs.objects import Objects

REPORT = "report.json"
MAX_ARTIFACTS = 32
MAX_ARTIFACT_BYTES = 4 * 1024**3
MAX_REPORT_BYTES = 64 * 1024**2
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_TFLITE_MARK = b"TFL3"


def take_in(objects: Objects, folder: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Store every file of a finished job's `out` folder.

    Returns:
        The sha256 of each file by name, and the content of report.json.

    Raises:
        RunError: BAD_RESULT for anything that is not a plain file, too large, or does not agree with the report; DISK_FULL.
    """
    report = read_report(folder)
    hashes: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        if not _NAME.fullmatch(path.name) or len(hashes) >= MAX_ARTIFACTS:
            raise _bad_result(path.name, "a file that no job makes")
        with _open_plainly(path, MAX_ARTIFACT_BYTES) as stream:
            if path.suffix == ".tflite":
                _check_tflite(stream, path.name)
            hashes[path.name] = objects.add(stream, path.name).sha256
    for name, sha256 in _promised_hashes(report).items():
        if hashes.get(name) != sha256:
            raise _bad_result(name, "other bytes than the report says")
    return hashes, report


def read_report(folder: Path) -> dict[str, Any]:
    """The parsed report.json of a folder. Raises RunError BAD_RESULT."""
    with _open_plainly(folder / REPORT, MAX_REPORT_BYTES) as stream:
        content = stream.read(MAX_REPORT_BYTES)
    try:
        report = json.loads(content, parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        raise _bad_result(REPORT, "no valid JSON") from error
    if not isinstance(report, dict):
        raise _bad_result(REPORT, "no JSON object")
    return report


def part(report: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object inside a report. Raises RunError BAD_RESULT where there is none."""
    value = report.get(name)
    if not isinstance(value, dict):
        raise _bad_result(REPORT, f"no `{name}`")
    return value


def _promised_hashes(report: Mapping[str, Any]) -> dict[str, str]:
    entries = report.get("artifacts", [])
    if not isinstance(entries, list):
        raise _bad_result(REPORT, "no list of artifacts")
    return {
        str(entry["name"]): str(entry["sha256"])
        for entry in entries
        if isinstance(entry, dict) and {"name", "sha256"} <= set(entry)
    }


def _open_plainly(path: Path, limit_bytes: int) -> BinaryIO:
    """Open a regular file, and nothing else: no link, pipe or device that a worker may have put there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.EACCES, errno.ENOTDIR):
            raise _bad_result(path.name, "nothing, or no plain file") from error
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size > limit_bytes:
        os.close(descriptor)
        raise _bad_result(path.name, f"no plain file of at most {limit_bytes} bytes")
    return os.fdopen(descriptor, "rb")


def _check_tflite(stream: BinaryIO, name: str) -> None:
    head = stream.read(8)
    stream.seek(0)
    if head[4:8] != _TFLITE_MARK:
        raise _bad_result(name, "no .tflite file")


def _bad_result(place: str, received: str) -> RunError:
    return RunError(
        "The run's process left a result that cannot be used",
        code="BAD_RESULT",
        place=place,
        received=received,
        fix="Run it again; if it happens again, the log says more.",
    )
