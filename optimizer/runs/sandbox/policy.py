"""Whose files are opened where the sandbox is not whole: nobody's but our own, unless the person says otherwise."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optimizer.errors import InputError
from optimizer.runs.sandbox.probe import missing_layers

TRUST_VARIABLE = "LITESMITH_TRUST_UPLOADS"
_SAMPLE = Path(__file__).parents[3] / "assets" / "models" / "digits_cnn.keras"


def uploads_are_trusted() -> bool:
    """Whether LITESMITH_TRUST_UPLOADS=1 is set."""
    return os.environ.get(TRUST_VARIABLE) == "1"


def require_sandbox(missing: Sequence[str], *, trusted: bool) -> None:
    """Refuse a stranger's file where layers are missing and the person has not said that files are trusted.

    Raises:
        InputError: NO_SANDBOX.
    """
    if missing and not trusted:
        raise InputError(
            "This machine cannot keep a file from doing harm while it is read, so files are not accepted",
            code="NO_SANDBOX",
            expected="a Linux kernel with Landlock and seccomp",
            received=f"a kernel without {' and '.join(missing)}",
            fix=f"Use another machine; or, for files that you made yourself, set {TRUST_VARIABLE}=1 (--trust-uploads on the command line).",
        )


def require_sandbox_for_uploads() -> None:
    """`require_sandbox` for this machine and this process's environment. Raises InputError NO_SANDBOX."""
    if not uploads_are_trusted():
        require_sandbox(missing_layers(), trusted=False)


def sandbox_warning() -> str:
    """What every page says as long as files are opened without a whole sandbox; empty where that is not so."""
    if not uploads_are_trusted() or not missing_layers():
        return ""
    return f"{warning_about(missing_layers())} {TRUST_VARIABLE}=1 is set."


def warning_about(missing: Sequence[str]) -> str:
    """The danger of opening files without these layers."""
    return (
        f"Files are opened without a full sandbox: this machine lacks {' and '.join(missing)}. A model or data file from someone else "
        "could read and change everything that you can. Only use files that you made yourself."
    )


def holds_upload(inputs: Mapping[str, Any]) -> bool:
    """Whether a run's inputs name any file that did not come with Litesmith."""
    data = inputs.get("data") or {}
    files = [inputs.get("model"), inputs.get("second_model"), data if "sha256" in data else None, data.get("test")]
    return any(file is not None and file["sha256"] != _sample_sha256() for file in files)


def is_sample(path: Path) -> bool:
    """Whether a file is the sample model that comes with Litesmith."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == _sample_sha256()


@functools.cache
def _sample_sha256() -> str:
    return hashlib.sha256(_SAMPLE.read_bytes()).hexdigest()
