"""Whole model files through the preflight."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from optimizer.errors import InputError
from optimizer.sources.preflight import read_model_summary
from optimizer.sources.preflight.hdf5_texts import AttributeTexts
from optimizer.sources.summary import model_summary_from_json


def test_a_good_h5_tells_layers_shapes_weights_and_macs(good_h5: Path) -> None:
    summary = read_model_summary(good_h5, name="my model.h5")
    assert (summary.name, summary.format, summary.class_name) == ("my model.h5", "h5", "Functional")
    assert (summary.parameters, summary.macs) == (4 * 3 + 3 + 3 * 2 + 2, 4 * 3 + 3 * 2)
    assert summary.input_shapes == ((None, 4),)
    assert summary.output_shapes == ((None, 2),)
    assert summary.output_layers == ("out",)
    assert summary.output_activation == "softmax"
    assert summary.layer("hidden").weight_shapes == {"kernel": (4, 3), "bias": (3,)}
    assert summary.layer("out").inbound == ("hidden",)


def test_the_same_model_as_keras_archive_gives_the_same_layers(good_h5: Path, good_keras: Path) -> None:
    first, second = (read_model_summary(path, name=path.name) for path in (good_h5, good_keras))
    assert first.layers == second.layers
    assert second.format == "keras"


def test_a_summary_survives_json(good_keras: Path) -> None:
    summary = read_model_summary(good_keras, name=good_keras.name)
    assert model_summary_from_json(json.loads(json.dumps(summary.to_json()))) == summary


def test_layers_of_nested_models_are_listed_flat(
    write_h5: Callable[..., Path], write_keras: Callable[..., Path], dense_config: Any, refused_model: Callable[..., InputError]
) -> None:
    inner = copy.deepcopy(dense_config)
    inner["config"]["name"] = inner["name"] = "inner"
    inner["inbound_nodes"] = [[["image", 0, 0, {}]]]
    outer = copy.deepcopy(dense_config)
    outer["config"]["layers"][1:] = [inner]
    outer["config"]["output_layers"] = [["inner", 1, 0]]
    names = {"hidden/kernel": (4, 3), "hidden/bias": (3,), "out/kernel": (3, 2), "out/bias": (2,)}
    h5 = read_model_summary(write_h5(outer, {"inner": names}), name="a.h5")
    paths = {f"layers/functional/{key}": shape for key, shape in _paths().items()}
    archive = read_model_summary(write_keras(outer, paths), name="a.keras")
    assert [layer.name for layer in h5.layers] == ["image", "inner/image", "inner/hidden", "inner/out"]
    assert h5.layers == archive.layers
    assert h5.layer("inner/hidden").inbound == ("inner/image",)
    assert h5.layer("inner/image").inbound == ("image",)
    assert h5.output_layers == ("inner/out",)
    assert h5.macs == 18
    names["out/kernel"] = (3, 5)
    assert "inner/out" in refused_model(write_h5(outer, {"inner": names}), "WEIGHTS_MISMATCH").line


def _paths() -> Any:
    return {
        "layers/dense/vars/0": (4, 3),
        "layers/dense/vars/1": (3,),
        "layers/dense_1/vars/0": (3, 2),
        "layers/dense_1/vars/1": (2,),
    }


def test_a_layer_used_twice_counts_its_work_twice_and_its_weights_once(write_h5: Callable[..., Path], dense_config: Any) -> None:
    config = dense_config["config"]
    config["layers"][1]["config"]["units"] = 4
    config["layers"][1]["inbound_nodes"] = [[["image", 0, 0, {}]], [["hidden", 0, 0, {}]]]
    config["layers"][2]["inbound_nodes"] = [[["hidden", 1, 0, {}]]]
    weights = {"hidden": {"kernel": (4, 4), "bias": (4,)}, "out": {"kernel": (4, 2), "bias": (2,)}}
    summary = read_model_summary(write_h5(dense_config, weights), name="a.h5")
    assert summary.macs == 2 * 16 + 8
    assert summary.parameters == 20 + 10


def test_a_sequential_without_input_layer_is_read(write_h5: Callable[..., Path]) -> None:
    first = {"class_name": "Dense", "config": {"name": "a", "units": 2, "batch_input_shape": [None, 3]}}
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [first]}}
    summary = read_model_summary(write_h5(config, {"a": {"kernel": (3, 2), "bias": (2,)}}), name="a.h5")
    assert summary.input_shapes == ((None, 3),)
    assert [layer.name for layer in summary.layers] == ["a"]
    assert summary.layer("a").inbound == ()


def test_a_layer_name_may_hold_a_slash(write_h5: Callable[..., Path], dense_config: Any, dense_weights: Any) -> None:
    text = json.dumps(dense_config).replace('"hidden"', '"block/hidden"')
    weights = {"block/hidden" if key == "hidden" else key: value for key, value in dense_weights.items()}
    summary = read_model_summary(write_h5(json.loads(text), weights), name="a.h5")
    assert summary.layer("out").inbound == ("block/hidden",)
    assert summary.parameters == 23


def test_reading_a_model_does_not_import_tensorflow(good_h5: Path) -> None:
    code = (
        "import sys, pathlib; from optimizer.sources.preflight import read_model_summary;"
        f"read_model_summary(pathlib.Path({str(good_h5)!r}), name='a.h5');"
        "sys.exit(any(m.split('.')[0] in ('tensorflow', 'tf_keras', 'keras', 'sklearn', 'pandas', 'PIL') for m in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("version", "ordered", "further"),
    [
        *((version, ordered, 0) for version in ("earliest", "v108", "v110", "latest") for ordered in (False, True)),
        ("earliest", False, 7),
    ],
)
def test_texts_are_found_in_every_form_of_hdf5(good_h5: Path, tmp_path: Path, version: str, ordered: bool, further: int) -> None:
    path = tmp_path / "again.h5"
    with h5py.File(good_h5) as old, h5py.File(path, "w", libver=version, track_order=ordered) as new:
        # More attributes than fit into the first piece of an object's header, where that has pieces.
        for number in range(further):
            new.attrs[f"a{number}"] = "x" * 100 * number
            new.attrs[f"b{number}"] = np.zeros(1000)
        for name, value in old.attrs.items():
            new.attrs[name] = value
        old.copy("model_weights", new)
        for group in (new["model_weights"], *new["model_weights"].values()):
            for name, value in list(group.attrs.items()):
                group.attrs.create(name, value, dtype=h5py.string_dtype() if value.size else None)
    assert read_model_summary(path, name="again.h5").layers == read_model_summary(good_h5, name="good.h5").layers


def test_a_model_of_hundreds_of_layers_has_its_names_read(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    names = [f"block{n}_convolution_with_a_long_name/kernel:0" for n in range(1500)]
    with h5py.File(path, "w") as file:
        file.attrs["weight_names"] = [name.encode() for name in names]
        file.attrs["empty"] = ["", "x"]
        texts = AttributeTexts(path, "a.h5")
        file.flush()
        assert texts.all(file, "weight_names") == names
        assert texts.all(file, "empty") == ["", "x"]
        assert texts.one(file, "nothing") is None


def test_more_attributes_than_keras_writes_are_refused_politely_where_they_lie_elsewhere(good_h5: Path) -> None:
    with h5py.File(good_h5, "a", libver="latest") as file:
        text = file.attrs["model_config"]
        other = file.create_group("elsewhere")
        for number in range(12):
            other.attrs[f"a{number}"] = number
        other.attrs["model_config"] = text
    with h5py.File(good_h5) as file, pytest.raises(InputError) as caught:
        AttributeTexts(good_h5, "a.h5").one(file["elsewhere"], "model_config")
    assert caught.value.code == "NOT_A_MODEL"
