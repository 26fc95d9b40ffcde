"""Data sets that need no file: scikit-learn's digits, and MNIST, Fashion-MNIST and CIFAR-10 by download."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from optimizer.errors import InputError
from optimizer.sources.readers.parts import Parts

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


def _downloaded(name: str, class_names: tuple[str, ...] = ()) -> Parts:
    import tf_keras

    try:
        (x, y), (x_test, y_test) = getattr(tf_keras.datasets, name).load_data()
    # tf_keras wraps every download failure (no route, DNS, HTTP status, time-out) in a plain Exception.
    except Exception as error:
        raise InputError(
            f"The data set {name} could not be downloaded",
            code="NO_NETWORK",
            received=str(error) or type(error).__name__,
            fix="Check the network connection, use the digits (they need none), or bring the data as an .npz file.",
        ) from error
    return Parts(x=x, y=y.reshape(-1), x_test=x_test, y_test=y_test.reshape(-1), kind="images", class_names=class_names)


BUNDLED: dict[str, Callable[[], Parts]] = {
    "digits": _digits,
    "mnist": lambda: _downloaded("mnist"),
    "fashion_mnist": lambda: _downloaded("fashion_mnist", FASHION_NAMES),
    "cifar10": lambda: _downloaded("cifar10", CIFAR10_NAMES),
}
