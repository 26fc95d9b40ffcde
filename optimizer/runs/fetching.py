"""A download on behalf of a run, in a process of its own: the runner must not wait for it, and a worker has no network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optimizer.errors import OptimizerError, error_from_json
from optimizer.sources.readers.download import is_cached, no_network

_PROJECT = Path(__file__).parents[2]


class Fetch:
    """The download of one bundled data set into the cache."""

    def __init__(self, name: str, cache: Path) -> None:
        self._name = name
        command = [sys.executable, "-m", "optimizer.sources.readers.download", name, str(cache)]
        self._process = subprocess.Popen(
            command, cwd=_PROJECT, env=dict(os.environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )

    @property
    def is_done(self) -> bool:
        """Whether the download has ended, well or badly."""
        return self._process.poll() is not None

    def failure(self) -> OptimizerError | None:
        """Why it failed; None where it did not. Call it when it is done."""
        said = self._process.communicate()[0]
        if self._process.returncode == 0:
            return None
        try:
            return error_from_json(json.loads(said))
        except (ValueError, AttributeError):
            return no_network(self._name, f"the download ended with status {self._process.returncode}")

    def stop(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.communicate()


def fetch_for(inputs: Mapping[str, Any], cache: Path) -> Fetch | None:
    """Begin the download that a run's inputs ask for; None where nothing is missing."""
    name = (inputs.get("data") or {}).get("bundled")
    return None if name is None or is_cached(name, cache) else Fetch(name, cache)
