"""Model files and data files made by hand: good ones, and ones that lie."""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from optimizer.errors import InputError
from optimizer.job import DataSource
from optimizer.sources.dataset import Dataset
from optimizer.sources.preflight import read_model_summary
from optimizer.sources.readers import read_dataset

METADATA = {"keras_version": "2.21.0", "date_saved": "2026-01-01@00:00:00"}


def layer(class_name: str, name: str, inbound: str | list[Any], **settings: Any) -> dict[str, Any]:
    """A layer's record in a functional config."""
    nodes = [[[inbound, 0, 0, {}]]] if isinstance(inbound, str) else inbound
    module = "keras.layers"
    config = {"name": name, "trainable": True, "dtype": "float32", **settings}
    return {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": None,
        "name": name,
        "inbound_nodes": nodes,
    }


def functional(
    layers: list[dict[str, Any]], shape: list[Any], output: str | None = None, dtype: str = "float32"
) -> dict[str, Any]:
    """A functional model's config around an input named "image"."""
    inputs = {"batch_input_shape": [None, *shape], "dtype": dtype, "sparse": False, "ragged": False, "name": "image"}
    first = {"module": "keras.layers", "class_name": "InputLayer", "config": inputs, "name": "image", "inbound_nodes": []}
    last = output or (layers[-1]["name"] if layers else "image")
    config = {"name": "model", "layers": [first, *layers], "input_layers": [["image", 0, 0]], "output_layers": [[last, 0, 0]]}
    return {"module": "keras", "class_name": "Functional", "config": config, "registered_name": "Functional"}


@pytest.fixture
def dense_config() -> dict[str, Any]:
    """4 -> Dense(3, relu) -> Dense(2, softmax)."""
    hidden = layer("Dense", "hidden", "image", units=3, activation="relu", use_bias=True)
    return functional([hidden, layer("Dense", "out", "hidden", units=2, activation="softmax", use_bias=True)], [4])


@pytest.fixture
def dense_weights() -> dict[str, dict[str, tuple[int, ...]]]:
    """The weights of `dense_config` by layer."""
    return {"image": {}, "hidden": {"kernel": (4, 3), "bias": (3,)}, "out": {"kernel": (3, 2), "bias": (2,)}}


@pytest.fixture
def write_h5(tmp_path: Path) -> Callable[..., Path]:
    """Write a whole-model .h5: (config, weights, name) -> path. Values of the weights are zeros."""

    def write(
        config: Any, weights: Mapping[str, Mapping[str, tuple[int, ...]]], name: str = "model.h5", version: str = "2.21.0"
    ) -> Path:
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            file.attrs["keras_version"], file.attrs["backend"] = version, "tensorflow"
            file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
            group = file.create_group("model_weights")
            group.attrs["layer_names"] = [key.encode() for key in weights]
            for key, shapes in weights.items():
                part = group.create_group(key)
                part.attrs["weight_names"] = [f"{key}/{weight}:0".encode() for weight in shapes]
                for weight, shape in shapes.items():
                    part.create_dataset(f"{key}/{weight}:0", data=np.zeros(shape, np.float32))
        return path

    return write


@pytest.fixture
def write_keras(tmp_path: Path) -> Callable[..., Path]:
    """Write a .keras archive: (config, {path: shape}, name, members) -> path; a member that is None is left out."""

    def write(
        config: Any, weights: Mapping[str, tuple[int, ...]], name: str = "model.keras", members: Mapping[str, Any] | None = None
    ) -> Path:
        store = io.BytesIO()
        with h5py.File(store, "w") as file:
            for key, shape in weights.items():
                file.create_dataset(key, data=np.zeros(shape, np.float32))
        text = config if isinstance(config, str) else json.dumps(config)
        parts = {
            "metadata.json": json.dumps(METADATA),
            "config.json": text,
            "model.weights.h5": store.getvalue(),
            **(members or {}),
        }
        path = tmp_path / name
        with zipfile.ZipFile(path, "w") as archive:
            for member, content in parts.items():
                if content is not None:
                    archive.writestr(member, content)
        return path

    return write


DENSE_PATHS = {
    "layers/dense/vars/0": (4, 3),
    "layers/dense/vars/1": (3,),
    "layers/dense_1/vars/0": (3, 2),
    "layers/dense_1/vars/1": (2,),
}


@pytest.fixture
def dense_paths() -> dict[str, tuple[int, ...]]:
    """The weights of `dense_config` as a .keras archive names them."""
    return dict(DENSE_PATHS)


@pytest.fixture
def good_h5(write_h5: Callable[..., Path], dense_config: Any, dense_weights: Any) -> Path:
    """A model that must pass."""
    return write_h5(dense_config, dense_weights)


@pytest.fixture
def good_keras(write_keras: Callable[..., Path], dense_config: Any, dense_paths: Any) -> Path:
    """A model that must pass."""
    return write_keras(dense_config, dense_paths)


@pytest.fixture
def with_layer(dense_config: Any) -> Callable[[dict[str, Any]], Any]:
    """`dense_config` with one more layer between its two."""

    def insert(record: dict[str, Any]) -> Any:
        config = copy.deepcopy(dense_config)
        config["config"]["layers"].insert(2, record)
        config["config"]["layers"][-1]["inbound_nodes"] = [[[record["name"], 0, 0, {}]]]
        return config

    return insert


@pytest.fixture
def refused_model() -> Callable[..., InputError]:
    """Read a model that must be refused with this code; returns the error, whose line must be one line."""

    def read(path: Path, code: str, name: str = "") -> InputError:
        with pytest.raises(InputError) as caught:
            read_model_summary(path, name=name or path.name)
        assert caught.value.code == code, caught.value.line
        assert "\n" not in caught.value.line
        return caught.value

    return read


@pytest.fixture
def read_data() -> Callable[..., Dataset]:
    """Read a data file with seed 0."""

    def read(path: Path, label: str = "", test_path: Path | None = None, seed: int = 0) -> Dataset:
        return read_dataset(DataSource(name=path.name, path=path, label=label, test_path=test_path), seed=seed)

    return read


@pytest.fixture
def refused_data(read_data: Callable[..., Dataset]) -> Callable[..., InputError]:
    """Read data that must be refused with this code; returns the error."""

    def read(path: Path, code: str, label: str = "") -> InputError:
        with pytest.raises(InputError) as caught:
            read_data(path, label)
        assert caught.value.code == code, caught.value.line
        assert "\n" not in caught.value.line
        return caught.value

    return read
