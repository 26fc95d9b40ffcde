"""Bundled data sets."""

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer.errors import InputError
from optimizer.job import DataSource
from optimizer.sources.readers import read_dataset


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
