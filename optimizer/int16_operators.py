"""Operators that TensorFlow's converter and LiteRT's kernels get right between them in int16; told from the float file, before calibration."""

from __future__ import annotations

from optimizer.float_regions import float_regions
from optimizer.litert_file import LiteRTFile

RIGHT_IN_INT16 = frozenset({
    "ABS", "ADD", "ADD_N", "ARG_MAX", "AVERAGE_POOL_2D", "BATCH_MATMUL", "BATCH_TO_SPACE_ND", "BROADCAST_TO", "CAST",
    "CONCATENATION", "CONV_2D", "CONV_3D", "COS", "CUMSUM", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DIV", "ELU", "EXP",
    "FULLY_CONNECTED", "GATHER", "GATHER_ND", "GELU", "HARD_SWISH", "L2_NORMALIZATION", "LEAKY_RELU",
    "LOCAL_RESPONSE_NORMALIZATION", "LOG", "LOGISTIC", "LOG_SOFTMAX", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MIRROR_PAD",
    "MUL", "NEG", "PACK", "PAD", "POW", "PRELU", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "RELU", "RESHAPE",
    "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "RSQRT", "SIN", "SOFTMAX", "SPACE_TO_BATCH_ND",
    "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQRT", "SQUARE", "STRIDED_SLICE", "SUB", "TANH", "TILE", "TOPK_V2", "TRANSPOSE",
    "TRANSPOSE_CONV", "UNPACK",
})  # fmt: skip
"""Each was converted alone behind a convolution and ran as near to Keras as with the operator in float (TensorFlow 2.21, LiteRT 2.3).

Of the others, SELECT gave 79 % and SUM 7 % error without a word; SQUARED_DIFFERENCE (in every LayerNormalization), PADV2, comparisons with a
constant and UNIDIRECTIONAL_SEQUENCE_LSTM gave files that LiteRT refuses. litert-quantizer leaves what has no int16 kernel in float.
"""


def not_right_in_int16(float_file: bytes) -> list[str]:
    """What in a float .tflite TensorFlow's converter cannot be trusted with in int16: names of operators, in alphabetical order."""
    file = LiteRTFile(float_file)
    found = sorted({operator.name for operator in file.operators} - RIGHT_IN_INT16 | _too_wide(float_file))
    return [*found, "shared layers"] if _shares_weights(file) else found


def _too_wide(float_file: bytes) -> set[str]:
    """A masked softmax, and an exponential that something is added to (softplus, mish): 65,536 levels are too few for their ranges."""
    return {name for name, _ in float_regions(float_file) if name in ("EXP", "SOFTMAX")}


def _shares_weights(file: LiteRTFile) -> bool:
    """Whether two operators use one bias: in int16 it gets the scale of the first one's input, which is not the other's."""
    used = [
        (operator.subgraph, operator.inputs[2])
        for operator in file.operators
        if len(operator.inputs) > 2 and file.is_constant(operator.subgraph, operator.inputs[2])
    ]
    return len(used) > len(set(used))
