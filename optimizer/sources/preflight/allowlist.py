"""What an architecture may be made of. The lists themselves are data: allowlist.json, beside this file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def _flat(groups: Mapping[str, Iterable[str]]) -> frozenset[str]:
    return frozenset(name for names in groups.values() for name in names)


_DATA: Mapping[str, Any] = json.loads(Path(__file__).with_name("allowlist.json").read_text(encoding="utf-8"))
_KERAS_3: Mapping[str, Any] = _DATA["keras_3"]

MODULES: frozenset[str] = frozenset(_DATA["modules"])
"""First parts of the module names that a config may name."""

INITIALIZER_MODULES: frozenset[str] = frozenset(_DATA["initializer_modules"])
"""TensorFlow's own modules that an initializer may come from: tf.zeros_initializer() stands so in a config, EfficientNetV2's for one."""

INITIALIZERS: frozenset[str] = frozenset(_DATA["parts"]["initializers"])

LAYERS: frozenset[str] = _flat(_DATA["layers"])
"""Layer classes of tf-keras, without those that carry code or read files."""

MODELS: frozenset[str] = frozenset(_DATA["models"])
"""Classes of models with a readable architecture."""

OPERATORS: frozenset[str] = _flat(_DATA["operators"])
"""TensorFlow functions that a TFOpLambda may call: arithmetic on tensors, nothing that reads, writes or runs code."""

WRAPPED: Mapping[str, str] = _DATA["wrapped"]
"""Training wrappers of TFMOT, with what the person can do."""


@dataclass(frozen=True, kw_only=True)
class Allowlist:
    """What the configs of one generation of Keras may name.

    `classes` are all class names that may stand in a config, `activations` the functions; `refused` are dangerous classes of Keras's own
    with the reason as it stands in the sentence, `refused_operators` those of them that stand for an op.
    """

    classes: frozenset[str]
    activations: frozenset[str]
    refused: Mapping[str, str]
    refused_operators: frozenset[str]


KERAS_2 = Allowlist(
    classes=LAYERS | MODELS | _flat(_DATA["parts"]),
    activations=frozenset(_DATA["activations"]),
    refused={**_DATA["refused"], **_DATA["refused_operators"]},
    refused_operators=frozenset(_DATA["refused_operators"]),
)

KERAS_3 = Allowlist(
    classes=KERAS_2.classes | frozenset(_KERAS_3["layers"]) | _flat(_KERAS_3["operations"]) | _flat(_KERAS_3["parts"]),
    activations=KERAS_2.activations | frozenset(_KERAS_3["activations"]),
    refused={**KERAS_2.refused, **_KERAS_3["refused"], **_KERAS_3["refused_operators"]},
    refused_operators=KERAS_2.refused_operators | frozenset(_KERAS_3["refused_operators"]),
)
