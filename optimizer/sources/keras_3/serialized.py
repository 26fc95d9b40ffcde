"""Objects inside a layer's settings: dtype policies, initializers, regularizers, constraints, activations, arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optimizer.sources.keras_3.parts import SourceLayer

FLOATS = ("float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16", "float")
"""Policies that become float32: half-precision weights are widened, for optimization works on float32."""

RENAMED = {"OrthogonalInitializer": "Orthogonal", "IdentityInitializer": "Identity"}
RENAMED_FUNCTIONS = {"softmax_v2": "softmax"}
"""tf.nn.softmax given as an activation: Keras 3 writes this name, and cannot read it again."""
INITIALIZER_SETTINGS = frozenset(["seed", "mean", "stddev", "minval", "maxval", "value", "gain", "scale", "mode", "distribution"])
SPECTRAL_INITIALIZERS = ("STFT", "STFTInitializer")


def dtype_name(value: Any, source: SourceLayer) -> str:
    """The dtype of a layer as tf-keras has it: a plain name. Raises InputError for quantized layers."""
    if isinstance(value, Mapping):
        class_name, config = value.get("class_name"), value.get("config")
        config = config if isinstance(config, Mapping) else {}
        if class_name == "DTypePolicyMap":
            return dtype_name(config.get("default_policy"), source)
        if class_name not in ("DTypePolicy", "FloatDTypePolicy"):
            raise _quantized(source, class_name)
        value = config.get("name")
    if value is None:
        return "float32"
    if not isinstance(value, str):
        raise source.refuse(f"has the dtype {value!r}")
    if "_from_" in value or value in ("float8", "int4"):
        raise _quantized(source, value)
    return "float32" if value in FLOATS else value


def _quantized(source: SourceLayer, policy: object) -> Exception:
    return source.refuse(f"is quantized already ({policy})", "Bring the float model from before model.quantize(...).")


def plain_setting(value: Any) -> Any:
    """A setting without what only Keras 3 knows: shared object ids, modules, registered names; arrays become lists."""
    if isinstance(value, list | tuple):
        return [plain_setting(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    class_name, config = value.get("class_name"), value.get("config")
    if class_name is None:
        return {key: plain_setting(item) for key, item in value.items()}
    if class_name in ("__numpy__", "__tensor__") and isinstance(config, Mapping):
        return config.get("value")
    if class_name == "__tuple__":
        return plain_setting(value.get("items", config))
    if class_name == "function":
        return RENAMED_FUNCTIONS.get(config, config) if isinstance(config, str) else config
    if not isinstance(config, Mapping):
        return {"class_name": class_name, "config": config}
    return _object(str(class_name), config)


def _object(class_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    if class_name in SPECTRAL_INITIALIZERS:
        return {"class_name": "Zeros", "config": {}}
    settings = {key: plain_setting(item) for key, item in config.items()}
    if class_name == "VarianceScaling" or class_name.endswith(("Normal", "Uniform")) or class_name in RENAMED:
        settings = {key: item for key, item in settings.items() if key in INITIALIZER_SETTINGS}
    if isinstance(settings.get("seed"), Mapping):
        settings["seed"] = None
    return {"class_name": RENAMED.get(class_name, class_name), "config": settings}


def with_floats(config: Any, dtype: str) -> Any:
    """A copy of a config that computes in one type of floats, whatever it was written for."""
    if isinstance(config, Mapping):
        return {key: with_floats(item, dtype) for key, item in config.items()}
    if isinstance(config, list | tuple):
        return [with_floats(item, dtype) for item in config]
    return dtype if isinstance(config, str) and config in FLOATS and config != "float" else config
