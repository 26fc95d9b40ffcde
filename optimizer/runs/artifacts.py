"""From a worker's `out` folder into the object store: what a worker left is checked before it counts as a result."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from optimizer.errors import RunError
from optimizer.runs.messages import no_number
from optimizer.runs.objects import Objects

REPORT = "report.json"
MAX_ARTIFACTS = 32
MAX_ARTIFACT_BYTES = 4 * 1024**3
MAX_REPORT_BYTES = 64 * 1024**2
MAX_REPORT_DEPTH = 64
SOMETIMES_MADE = frozenset({"model.keras", "promises.json", "model.packed"})
"""Files of a result that not every recipe makes."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
_TFLITE_MARK = b"TFL3"


def take_in(objects: Objects, folder: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Store every file of a finished job's `out` folder.

    Returns:
        The sha256 of each file by name, and the content of report.json.

    Raises:
        RunError: BAD_RESULT for anything that is not a plain file, too large, or does not agree with the report; DISK_FULL.
    """
    report = read_report(folder)
    hashes = {name: objects.add(stream, name).sha256 for name, stream in _checked_files(folder)}
    _check_promises(report, hashes)
    return hashes, report


def hand_over(folder: Path, target: Path) -> dict[str, Any]:
    """Copy every file of a finished job's `out` folder to `target`; each appears there whole or not at all.

    What an earlier run left there and this one did not make (SOMETIMES_MADE) is removed: two runs in one folder would look like one.

    Returns:
        The content of report.json.

    Raises:
        RunError: as `take_in`.
        OSError: `target` cannot be written.
    """
    report = read_report(folder)
    target.mkdir(parents=True, exist_ok=True)
    hashes = {}
    with tempfile.TemporaryDirectory(prefix=".litesmith-", dir=target) as partial:
        for name, stream in _checked_files(folder):
            with (Path(partial) / name).open("wb") as copy:
                shutil.copyfileobj(stream, copy)
            with (Path(partial) / name).open("rb") as copied:
                hashes[name] = hashlib.file_digest(copied, "sha256").hexdigest()
        _check_promises(report, hashes)
        for name in hashes:
            (Path(partial) / name).replace(target / name)
        for name in SOMETIMES_MADE - set(hashes):
            (target / name).unlink(missing_ok=True)
    return report


def _checked_files(folder: Path) -> Iterator[tuple[str, BinaryIO]]:
    for count, path in enumerate(sorted(folder.iterdir())):
        if not _NAME.fullmatch(path.name) or count >= MAX_ARTIFACTS:
            raise _bad_result(path.name, "a file that no job makes")
        with _open_plainly(path, MAX_ARTIFACT_BYTES) as stream:
            if path.suffix == ".tflite":
                _check_tflite(stream, path.name)
            yield path.name, stream


def _check_promises(report: Mapping[str, Any], hashes: Mapping[str, str]) -> None:
    for name, sha256 in _promised_hashes(report).items():
        if hashes.get(name) != sha256:
            raise _bad_result(name, "other bytes than the report says")


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
    _check_storable(report)
    return report


def _check_storable(report: Mapping[str, Any]) -> None:
    """Refuse what JSON can hold and the store cannot: halves of characters, infinity (1e999), nesting without end.

    A report can repeat what stood in a hostile file, or come from a worker that such a file has taken over; the runner must be able to
    write it down. Raises RunError BAD_RESULT.
    """
    pending: list[tuple[Any, int]] = [(report, 1)]
    while pending:
        value, depth = pending.pop()
        if depth > MAX_REPORT_DEPTH:
            raise _bad_result(REPORT, f"more than {MAX_REPORT_DEPTH} levels")
        if isinstance(value, dict):
            pending += [(item, depth + 1) for pair in value.items() for item in pair]
        elif isinstance(value, list):
            pending += [(item, depth + 1) for item in value]
        elif isinstance(value, str) and _HALF_CHARACTER.search(value):
            raise _bad_result(REPORT, "text that is no Unicode")
        elif isinstance(value, float) and not math.isfinite(value):
            raise _bad_result(REPORT, "a number that is not finite")


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
