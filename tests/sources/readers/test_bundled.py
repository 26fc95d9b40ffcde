"""Bundled data sets."""

import dataclasses
import gzip
import hashlib
import io
import socket
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer.errors import InputError
from optimizer.job import DataSource
from optimizer.sources.readers import read_dataset
from optimizer.sources.readers.bundled import read_bundled
from optimizer.sources.readers.download import REMOTE, download, is_cached


def test_the_digits_are_there_without_a_file() -> None:
    dataset = read_dataset(DataSource(name="digits"), seed=0)
    assert dataset.train.x.shape[1:] == (8, 8, 1)
    assert dataset.train.x.dtype == np.float32
    assert (dataset.train.x.min(), dataset.train.x.max()) == (0.0, 1.0)
    assert dataset.counts() == {"train": 1150, "calibration": 144, "validation": 144, "test": 359}
    assert dataset.sha256 == read_dataset(DataSource(name="digits"), seed=5).sha256


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError) as caught:
        read_dataset(DataSource(name="imagenet"), seed=0)
    assert caught.value.code == "UNKNOWN_DATA"
    assert "digits" in caught.value.expected


def test_a_file_of_unknown_kind(tmp_path: Path) -> None:
    (tmp_path / "data.xlsx").write_bytes(b"x")
    with pytest.raises(InputError) as caught:
        read_dataset(DataSource(name="data.xlsx", path=tmp_path / "data.xlsx"), seed=0)
    assert caught.value.code == "UNSUPPORTED_FORMAT"


def test_a_download_without_network_says_what_to_do(monkeypatch: Any, tmp_path: Path) -> None:
    def no_route(*_: Any, **__: Any) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", no_route)
    monkeypatch.setattr(socket, "getaddrinfo", no_route)
    monkeypatch.setenv("LITESMITH_CACHE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError) as caught:
        read_dataset(DataSource(name="fashion_mnist"), seed=0)
    assert caught.value.code == "NO_NETWORK"
    assert "digits" in caught.value.fix


def tiny_cache(cache: Path) -> None:
    """The downloaded files as their makers lay them out, with few samples."""
    folder = cache / "datasets"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    x, y = random.integers(0, 256, (60, 28, 28), np.uint8), np.arange(60, dtype=np.uint8) % 10
    np.savez(folder / "mnist.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    for name, values in {"train": (x[:40], y[:40]), "t10k": (x[40:], y[40:])}.items():
        for kind, array in zip(("images-idx3", "labels-idx1"), values, strict=True):
            head = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
            (folder / f"{name}-{kind}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes()))
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name in (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"):
            records = np.zeros((20, 3073), np.uint8)
            records[:, 0] = np.arange(20) % 10
            records[:, 1:1025] = 200  # Red.
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = records.nbytes
            archive.addfile(member, io.BytesIO(records.tobytes()))


@pytest.mark.parametrize(
    ("name", "shape", "test"), [("mnist", (28, 28), 20), ("fashion_mnist", (28, 28), 20), ("cifar10", (32, 32, 3), 20)]
)
def test_downloaded_sets_are_read_from_the_cache(
    name: str, shape: tuple[int, ...], test: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_cache(tmp_path)
    monkeypatch.setenv("LITESMITH_CACHE", str(tmp_path))
    assert is_cached(name, tmp_path)
    parts = read_bundled(name)
    assert parts.x.shape[1:] == shape
    assert parts.x_test is not None
    assert parts.y is not None
    assert (parts.x.dtype, len(parts.x_test)) == (np.uint8, test)
    assert list(parts.y[:11]) == [*range(10), 0]
    if name == "cifar10":
        assert tuple(parts.x[0, 5, 7]) == (200, 0, 0)


def test_a_download_with_other_bytes_never_reaches_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mnist.npz").write_bytes(b"another file")
    file = dataclasses.replace(REMOTE["mnist"][0], url=(tmp_path / "mnist.npz").as_uri())
    monkeypatch.setitem(REMOTE, "mnist", (file,))
    with pytest.raises(InputError) as caught:
        download("mnist", tmp_path / "cache")
    assert caught.value.code == "NO_NETWORK"
    assert "other bytes" in caught.value.received
    assert not list((tmp_path / "cache" / "datasets").iterdir())
    good = hashlib.sha256(b"another file").hexdigest()
    monkeypatch.setitem(REMOTE, "mnist", (dataclasses.replace(file, digest=f"sha256:{good}"),))
    download("mnist", tmp_path / "cache")
    assert is_cached("mnist", tmp_path / "cache")
