"""Data sets that need no file: scikit-learn's digits, and MNIST, Fashion-MNIST and CIFAR-10 by download."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from optimizer.errors import InputError
from optimizer.sources.dataset import Array
from optimizer.sources.readers.download import REMOTE, cached, download
from optimizer.sources.readers.parts import Parts

CACHE_VARIABLE = "LITESMITH_CACHE"

FASHION_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
CIFAR10_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def read_bundled(name: str) -> Parts:
    """Read the bundled set of that name.

    Raises:
        InputError: UNKNOWN_DATA for another name, NO_NETWORK where the download fails.
    """
    reader = BUNDLED.get(name)
    if reader is None:
        raise InputError(
            f"There is no bundled data set named {name!r}", code="UNKNOWN_DATA", expected="one of " + ", ".join(BUNDLED)
        )
    return reader()


def parts_sha256(parts: Parts) -> str:
    """Hex SHA-256 over the arrays' dtypes, shapes and bytes."""
    digest = hashlib.sha256()
    for array in (parts.x, parts.y, parts.x_test, parts.y_test):
        if array is not None:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _digits() -> Parts:
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = (digits.images[..., np.newaxis] / 16.0).astype(np.float32)
    return Parts(x=x, y=digits.target.astype(np.int64), kind="images")


def _files(name: str) -> list[Path]:
    """The downloaded files of a set. Where they are missing, it is tried to fetch them, which a sandboxed process cannot."""
    cache = Path(os.environ.get(CACHE_VARIABLE) or "~/.litesmith/cache").expanduser()
    download(name, cache)
    return [cached(file, cache) for file in REMOTE[name]]


def _mnist() -> Parts:
    (path,) = _files("mnist")
    with np.load(path, allow_pickle=False) as arrays:
        x, y, x_test, y_test = (arrays[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    return Parts(x=x, y=y, x_test=x_test, y_test=y_test, kind="images")


def _fashion_mnist() -> Parts:
    x, y, x_test, y_test = (_idx(path) for path in _files("fashion_mnist"))
    return Parts(x=x, y=y, x_test=x_test, y_test=y_test, kind="images", class_names=FASHION_NAMES)


def _idx(path: Path) -> Array:
    """uint8 array of an IDX file: two zero bytes, type 8, the number of axes, their lengths in big-endian, the values."""
    with gzip.open(path) as file:
        content = file.read()
    axes = content[3]
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", axes, 4))
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _cifar10() -> Parts:
    (path,) = _files("cifar10")
    records: list[Array] = []
    with tarfile.open(path, "r:gz") as archive:
        for name in (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"):
            member = archive.extractfile(f"cifar-10-batches-bin/{name}")
            if member is None:
                raise InputError("The downloaded archive lacks a part", code="MISSING_PART", place=name)
            # Each record is a label and 1024 red, 1024 green, 1024 blue values, row by row.
            records.append(np.frombuffer(member.read(), np.uint8).reshape(-1, 3073))
    train, test = np.concatenate(records[:-1]), records[-1]
    x, x_test = (part[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).copy() for part in (train, test))
    return Parts(x=x, y=train[:, 0].copy(), x_test=x_test, y_test=test[:, 0].copy(), kind="images", class_names=CIFAR10_NAMES)


BUNDLED: dict[str, Callable[[], Parts]] = {
    "digits": _digits,
    "mnist": _mnist,
    "fashion_mnist": _fashion_mnist,
    "cifar10": _cifar10,
}
