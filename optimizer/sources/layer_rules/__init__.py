"""Shape, weights and multiply-accumulates of each kind of layer, one family a file. Importing it fills the registry of rules."""

from optimizer.sources.layer_rules import (  # noqa: F401
    applications,
    attention,
    computing_functions,
    convolution,
    dense,
    elementwise,
    local,
    merging,
    normalization,
    operators,
    pooling,
    recurrent,
    reshaping,
    wrappers,
)
from optimizer.sources.layer_rules.facts import RULES, UNKNOWN, ConfigError, LayerCall, LayerFacts, UnknownDimensionError

__all__ = ["RULES", "UNKNOWN", "ConfigError", "LayerCall", "LayerFacts", "UnknownDimensionError"]
