"""Thousands of damaged files: each is read or refused with a typed error; nothing else comes out."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from optimizer.errors import InputError
from optimizer.sources.preflight.reading import understand

ODD_VALUES = [
    None,
    True,
    -1,
    0,
    3,
    2**40,
    1.5,
    float("inf"),
    "",
    "x",
    "same",
    [],
    [1],
    [[2]],
    [None, 2],
    {},
    {"class_name": "Dense"},
]


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _places(item, (*path, key))


def _changed(config: Any, path: tuple[Any, ...], value: Any) -> Any:
    result = copy.deepcopy(config)
    target = result
    for key in path[:-1]:
        target = target[key]
    if value == "remove":
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return result


def _rich_config() -> dict[str, Any]:
    """One layer of each family, without need for its weights."""
    records: list[tuple[str, dict[str, Any]]] = [
        ("Conv2D", {"filters": 4, "kernel_size": [3, 3], "padding": "same", "strides": [1, 1], "groups": 1}),
        ("BatchNormalization", {"axis": [3]}),
        ("DepthwiseConv2D", {"kernel_size": [3, 3], "depth_multiplier": 1}),
        ("Conv2DTranspose", {"filters": 3, "kernel_size": 2, "strides": 2, "output_padding": 0}),
        ("SeparableConv2D", {"filters": 4, "kernel_size": 1}),
        ("MaxPooling2D", {"pool_size": [2, 2], "strides": None}),
        ("ZeroPadding2D", {"padding": [[1, 1], [0, 2]]}),
        ("Cropping2D", {"cropping": 1}),
        ("UpSampling2D", {"size": 2}),
        ("PReLU", {"shared_axes": [1, 2]}),
        ("TFOpLambda", {"function": "nn.relu"}),
        ("TimeDistributed", {"layer": {"class_name": "Dense", "config": {"units": 3}}}),
        ("Permute", {"dims": [2, 1, 3]}),
        ("Reshape", {"target_shape": [-1, 3]}),
        ("EinsumDense", {"equation": "abc,cd->abd", "output_shape": [None, 5], "bias_axes": "d"}),
        ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}),
        ("Bidirectional", {"layer": {"class_name": "LSTM", "config": {"units": 3, "return_sequences": True}}}),
        ("GRU", {"units": 4}),
        ("RepeatVector", {"n": 2}),
        ("Flatten", {}),
        ("Dense", {"units": 2, "activation": "softmax"}),
    ]
    shape = {"batch_input_shape": [None, 8, 8, 2], "name": "image"}
    layers: list[dict[str, Any]] = [{"class_name": "InputLayer", "config": shape, "name": "image", "inbound_nodes": []}]
    for number, (class_name, settings) in enumerate(records):
        name = f"layer{number}"
        inbound = [[[layers[-1]["name"], 0, 0, {}]]]
        layers.append({"class_name": class_name, "config": {"name": name, **settings}, "name": name, "inbound_nodes": inbound})
    config = {"name": "m", "layers": layers, "input_layers": [["image", 0, 0]], "output_layers": [[layers[-1]["name"], 0, 0]]}
    return {"class_name": "Functional", "config": config}


def test_the_unchanged_config_is_understood() -> None:
    _, inference = understand(_rich_config(), "m")
    assert inference.outputs == ((None, 2),)


def test_any_value_at_any_place_of_a_config_is_read_or_refused() -> None:
    config = _rich_config()
    outcomes = set()
    for path in list(_places(config)):
        for value in [*ODD_VALUES, "remove"]:
            try:
                understand(_changed(config, path, value), "m")
                outcomes.add("read")
            except InputError as error:
                outcomes.add(error.code)
    assert {"read", "BAD_CONFIG", "UNKNOWN_LAYER", "TOO_LARGE"} <= outcomes


def test_arguments_of_tensorflow_functions_of_any_kind(with_layer: Callable[..., Any]) -> None:
    outcomes = set()
    functions = [
        "__operators__.getitem",
        "__operators__.add",
        "math.reduce_mean",
        "reshape",
        "concat",
        "expand_dims",
        "transpose",
    ]
    for function in [*functions, "linalg.matmul"]:
        for key in ("y", "axis", "shape", "perm", "slice_spec"):
            for value in [
                *ODD_VALUES,
                [{"start": 1, "stop": None, "step": 0}] * 3,
                ["hidden", 0, 0],
                ["_CONSTANT_VALUE", -1, 2.0],
            ]:
                call = [["hidden", 0, 0, {key: value}]]
                record = {
                    "class_name": "TFOpLambda",
                    "config": {"name": "op", "function": function},
                    "name": "op",
                    "inbound_nodes": call,
                }
                try:
                    understand(with_layer(record), "m")
                    outcomes.add("read")
                except InputError as error:
                    outcomes.add(error.code)
    assert outcomes == {"read", "BAD_CONFIG"}


FUZZ_FILE = """
import random, sys
from pathlib import Path
from optimizer.errors import InputError
from optimizer.sources.preflight import read_model_summary

good = Path(sys.argv[1])
data, chance, path = good.read_bytes(), random.Random(0), good.with_stem("fuzz")
for _ in range(400):
    damaged = bytearray(data)
    for _ in range(chance.choice((1, 1, 4, 32))):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    path.write_bytes(damaged if chance.random() < 0.8 else damaged[: chance.randrange(len(damaged))])
    try:
        read_model_summary(path, name=path.name)
        print("read")
    except InputError as error:
        print(error.code)
"""


@pytest.mark.parametrize("fixture", ["good_h5", "good_keras"])
def test_bytes_changed_at_random(fixture: str, request: pytest.FixtureRequest) -> None:
    # In a process of its own: libhdf5 can crash or hang on damaged bytes, and must not take the other tests with it.
    command = [sys.executable, "-c", FUZZ_FILE, str(request.getfixturevalue(fixture))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {"read", "TRUNCATED"} <= set(done.stdout.split())


def test_a_thousand_nested_models_do_not_multiply(dense_config: Any) -> None:
    inner = dense_config
    for level in range(12):
        calls = [[["image", 0, 0, {}]]] * 4
        record = {**inner, "name": f"level{level}", "inbound_nodes": calls}
        record["config"] = {**inner["config"], "name": f"level{level}"}
        first = dense_config["config"]["layers"][0]
        outer = {"name": "m", "layers": [first, record], "input_layers": [["image", 0, 0]]}
        inner = {"class_name": "Functional", "config": {**outer, "output_layers": [[f"level{level}", 4, 0]]}}
    with pytest.raises(InputError) as caught:
        understand(json.loads(json.dumps(inner)), "m")
    assert caught.value.code in ("TOO_LARGE", "BAD_CONFIG")
