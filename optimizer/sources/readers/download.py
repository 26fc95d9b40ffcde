"""Fetching the data sets that Litesmith knows by name but does not bring along. Nothing is parsed here.

`python -m optimizer.sources.readers.download NAME FOLDER` prints an error as JSON where it fails: the runner downloads in a process of
its own, for the worker that reads the files has no network.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from optimizer.errors import InputError

CHUNK_BYTES = 1024 * 1024
TIMEOUT_S = 30
_KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file with the hash that it must have.

    Args:
        digest: Name of the hash and its hex digits, e.g. "sha256:731c...".
    """

    url: str
    digest: str
    size_bytes: int

    @property
    def name(self) -> str:
        """Its name in the cache."""
        return self.url.rpartition("/")[2]


def _fashion(name: str, md5: str, size_bytes: int) -> RemoteFile:
    return RemoteFile(url=f"{_KERAS}{name}-ubyte.gz", digest=f"md5:{md5}", size_bytes=size_bytes)


REMOTE: dict[str, tuple[RemoteFile, ...]] = {
    "mnist": (
        RemoteFile(
            url=f"{_KERAS}mnist.npz",
            digest="sha256:731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
            size_bytes=11_490_434,
        ),
    ),
    # Zalando publishes MD5 only: good against a damaged download; the files are read without pickle all the same.
    "fashion_mnist": (
        _fashion("train-images-idx3", "8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
        _fashion("train-labels-idx1", "25c81989df183df01b3e8a0aad5dffbe", 29_515),
        _fashion("t10k-images-idx3", "bef4ecab320f06d8554ea6380940ec79", 4_422_102),
        _fashion("t10k-labels-idx1", "bb300cfdad3c16e7a12a480ee83cd310", 5_148),
    ),
    # The binary edition: the one for Python is pickled.
    "cifar10": (
        RemoteFile(
            url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            digest="sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            size_bytes=170_052_171,
        ),
    ),
}


def is_cached(name: str, cache: Path) -> bool:
    """Whether a bundled set needs no download: it comes with scikit-learn, or its files are in the cache."""
    return all(cached(file, cache).is_file() for file in REMOTE.get(name, ()))


def cached(file: RemoteFile, cache: Path) -> Path:
    """Where a downloaded file is, or would be."""
    return cache / "datasets" / file.name


def download(name: str, cache: Path, *, say: Callable[[str], None] = lambda text: None) -> None:
    """Fetch what is missing of a bundled set. A file appears in the cache only when it is whole and its hash is right.

    Raises:
        InputError: NO_NETWORK.
    """
    for file in REMOTE.get(name, ()):
        target = cached(file, cache)
        if not target.is_file():
            say(f"Downloading {file.name} ({file.size_bytes / 1e6:.0f} MB)")
            try:
                _fetch(file, target)
            except OSError as error:
                raise no_network(name, str(error) or type(error).__name__) from error


def no_network(name: str, received: str = "") -> InputError:
    """The error for a set that is not in the cache and cannot be fetched."""
    return InputError(
        f"The data set {name} could not be downloaded",
        code="NO_NETWORK",
        received=received,
        fix="Check the network connection, use the digits (they need none), or bring the data as an .npz file.",
    )


def _fetch(file: RemoteFile, target: Path) -> None:
    """Download one file. Raises OSError, also where the bytes are not the ones that are expected."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{secrets.token_hex(4)}.partial")
    kind, expected = file.digest.split(":")
    digest, size = hashlib.new(kind), 0
    try:
        with urllib.request.urlopen(file.url, timeout=TIMEOUT_S) as source, partial.open("xb") as copy:  # noqa: S310 (https only, see REMOTE)
            while chunk := source.read(CHUNK_BYTES):
                size += len(chunk)
                if size > 2 * file.size_bytes:
                    raise OSError(f"{file.name} is larger than expected")
                digest.update(chunk)
                copy.write(chunk)
            copy.flush()
            os.fsync(copy.fileno())
        if digest.hexdigest() != expected:
            raise OSError(f"{file.name} has other bytes than expected ({kind} {digest.hexdigest()})")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def main() -> int:
    """Download one set for the runner."""
    try:
        download(sys.argv[1], Path(sys.argv[2]))
    except InputError as error:
        print(json.dumps(error.to_json()))  # noqa: T201
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
