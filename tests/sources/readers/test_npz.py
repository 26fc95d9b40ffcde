"""NumPy archives: what is read, and what is refused before it is read."""

import io
import pickle
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer.errors import InputError
from optimizer.sources.dataset import Dataset


def save(tmp_path: Path, name: str = "data.npz", **arrays: Any) -> Any:
    np.savez_compressed(tmp_path / name, **arrays)
    return tmp_path / name


def header(shape: Any, dtype: Any = "<f4", data: Any = b"") -> Any:
    """A .npy with any header at all."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def raw(tmp_path: Path, **members: Any) -> Any:
    path = tmp_path / "raw.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def test_the_files_own_test_part_is_kept_untouched(tmp_path: Path, read_data: Callable[..., Dataset]) -> None:
    x, y = np.arange(80.0).reshape(40, 2), np.arange(40) % 2
    dataset = read_data(save(tmp_path, x_train=x, y_train=y, x_test=x[:7] + 1000, y_test=y[:7]))
    np.testing.assert_array_equal(dataset.test.x, x[:7] + 1000)
    np.testing.assert_array_equal(dataset.test.y, y[:7])
    assert dataset.counts() == {"train": 32, "calibration": 4, "validation": 4, "test": 7}
    assert dataset.train.x.dtype == np.float64


def test_x_and_y_are_split_and_no_sample_is_in_two_splits(tmp_path: Path, read_data: Callable[..., Dataset]) -> None:
    path = save(tmp_path, x=np.arange(200).reshape(100, 2), y=np.arange(100) % 4)
    dataset = read_data(path)
    first = np.concatenate([getattr(dataset, part).x[:, 0] for part in dataset.counts()])
    assert sorted(first) == list(range(0, 200, 2))
    assert dataset.counts() == {"train": 64, "calibration": 8, "validation": 8, "test": 20}
    assert len(dataset.sha256) == 64


def test_x_alone_has_no_labels(tmp_path: Path, read_data: Callable[..., Dataset]) -> None:
    dataset = read_data(save(tmp_path, x=np.zeros((50, 3), np.float32)))
    assert dataset.labels == "none"
    assert dataset.train.y is None
    assert dataset.test.y is None


def test_a_second_file_gives_the_test_split(tmp_path: Path, read_data: Callable[..., Dataset]) -> None:
    train = save(tmp_path, "train.npz", x=np.zeros((60, 2)), y=np.arange(60) % 2)
    only_test = save(tmp_path, "test.npz", x_test=np.ones((9, 2)), y_test=np.arange(9) % 2)
    whole = save(tmp_path, "whole.npz", x=np.ones((11, 2)), y=np.arange(11) % 2)
    assert len(read_data(train, test_path=only_test).test) == 9
    dataset = read_data(train, test_path=whole)
    assert dataset.counts()["test"] == 11
    assert dataset.counts()["train"] == 48


def test_pickles_are_never_opened(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    canary = tmp_path / "canary"

    class Bomb:
        def __reduce__(self) -> Any:
            return (open, (str(canary), "w"))

    objects = io.BytesIO()
    np.lib.format.write_array(objects, np.array([Bomb()], dtype=object), allow_pickle=True)
    refused_data(raw(tmp_path, x=objects.getvalue()), "PICKLE_REFUSED")
    refused_data(raw(tmp_path, x=pickle.dumps(Bomb())), "BAD_ARRAY")
    assert not canary.exists()


@pytest.mark.parametrize("shape", ["(20000000000,)", "(-4,)", "(100, 5)", "(3.5,)", "'x'", "(2, -2)"])
def test_headers_that_lie(tmp_path: Path, refused_data: Callable[..., InputError], shape: Any) -> None:
    error = refused_data(raw(tmp_path, x=header(shape, data=b"\0" * 16)), "TOO_LARGE" if "000000000" in shape else "BAD_ARRAY")
    assert "array x" in error.place


def test_a_header_that_claims_74_gib_with_some_data(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    refused_data(raw(tmp_path, x=header("(100000, 100000, 2)", data=b"\0" * 1000)), "TOO_LARGE")


def test_a_gigabyte_of_zeros_in_a_megabyte_costs_no_memory(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    path = tmp_path / "zeros.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w", force_zip64=True) as file:
        file.write(header("(268435456,)"))
        for _ in range(128):
            file.write(b"\0" * 8 * 1024**2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused_data(path, "TOO_LARGE")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_archives_that_are_none(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    (tmp_path / "a.npz").write_bytes(b"")
    refused_data(tmp_path / "a.npz", "EMPTY")
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 rubbish")
    refused_data(tmp_path / "a.npz", "BAD_ZIP")
    whole = save(tmp_path, x=np.random.default_rng(0).random((500, 5)))
    whole.write_bytes(whole.read_bytes()[:-200])
    refused_data(whole, "BAD_ZIP")
    refused_data(raw(tmp_path, x=b"", **{"../y": b""}), "BAD_ARRAY")


def test_missing_arrays_are_named(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    error = refused_data(save(tmp_path, images=np.zeros((50, 2)), labels=np.zeros(50)), "MISSING_ARRAY")
    assert "images" in error.received
    refused_data(save(tmp_path, x_train=np.zeros((50, 2)), y_train=np.zeros(50), x_test=np.zeros((5, 2))), "MISSING_ARRAY")


def test_labels_of_the_test_part_alone(tmp_path: Path, read_data: Callable[..., Dataset]) -> None:
    dataset = read_data(save(tmp_path, x_train=np.zeros((50, 2)), x_test=np.zeros((6, 2)), y_test=np.arange(6) % 2))
    assert dataset.labels == "class"
    assert dataset.train.y is None
    assert dataset.test.y.tolist() == [0, 1, 0, 1, 0, 1]


def test_numbers_that_do_not_agree(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    refused_data(save(tmp_path, x=np.zeros((50, 2)), y=np.zeros(49)), "BAD_ARRAY")
    refused_data(save(tmp_path, x_train=np.zeros((50, 2)), x_test=np.zeros((50, 3))), "BAD_ARRAY")
    refused_data(save(tmp_path, x=np.zeros((5, 2)), y=np.zeros(5)), "TOO_FEW_SAMPLES")
    refused_data(save(tmp_path, x=np.zeros((0, 2))), "TOO_FEW_SAMPLES")
    refused_data(save(tmp_path, x=np.zeros(())), "TOO_FEW_SAMPLES")


def test_samples_that_are_no_finite_numbers(tmp_path: Path, refused_data: Callable[..., InputError]) -> None:
    x = np.zeros((50, 2))
    x[17, 1] = np.nan
    assert "sample 17" in refused_data(save(tmp_path, x=x), "NON_FINITE").received
    refused_data(save(tmp_path, x=np.zeros((50, 2)), y=np.full(50, np.inf)), "NON_FINITE")
    refused_data(save(tmp_path, x=np.full((50, 2), "a")), "BAD_ARRAY")
    refused_data(save(tmp_path, x=np.zeros((50, 2), np.complex64)), "BAD_ARRAY")
    refused_data(save(tmp_path, x=np.zeros((50, 2)), y=np.zeros(50, "datetime64[s]")), "BAD_ARRAY")


def test_a_stored_test_file_without_extension_is_of_the_first_files_kind(
    tmp_path: Path, read_data: Callable[..., Dataset]
) -> None:
    train = save(tmp_path, "train.npz", x=np.zeros((60, 2)), y=np.arange(60) % 2)
    stored = save(tmp_path, "test.npz", x=np.ones((11, 2)), y=np.arange(11) % 2).rename(tmp_path / ("0" * 64))
    dataset = read_data(train, test_path=stored)
    assert dataset.counts()["test"] == 11
    assert dataset.sha256 != read_data(train).sha256


def test_names_of_arrays_may_be_in_capitals(
    tmp_path: Path, read_data: Callable[..., Dataset], refused_data: Callable[..., InputError]
) -> None:
    assert read_data(save(tmp_path, X_train=np.zeros((60, 2)), Y_train=np.arange(60) % 2)).labels == "class"
    refused_data(save(tmp_path, x=np.zeros((60, 2)), X=np.zeros((60, 2))), "DUPLICATE")
