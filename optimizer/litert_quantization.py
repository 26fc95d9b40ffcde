"""Low-bit files by litert-quantizer, which works on a float32 .tflite."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from typing import Any

import numpy as np

from optimizer.errors import RunError
from optimizer.float_regions import float_regions
from optimizer.litert_calibration import made_calibratable, ranges_of, with_names_of
from optimizer.litert_packing import packed

FULLY_INTEGER_OPERATORS = frozenset({"Conv1D", "Conv2D", "Dense"})
"""Layers whose kernels dynamic-range quantization stores in int8. Depthwise kernels are few and slow to unpack at every call."""

SMALL_SCALE = 2.0**-20
"""For zeros in int16. A sum brings its operands to the larger of their scales: a large one would round the other operand away."""


def quantize_tflite(
    float_file: bytes,
    *,
    weights: str,
    activations: str,
    samples: Any,
    sample_shape: tuple[int, ...],
    per_tensor: bool,
    integer_input_output: bool,
) -> bytes:
    """Quantize a float32 .tflite for which there is no Keras model.

    Args:
        float_file: The .tflite.
        weights: "float16", "int8" or "int4".
        activations: "float32", "int16" or "int8".
        samples: Calibration inputs (n, ...), for several inputs a mapping of them by the signature's names; None for float32 activations.
        sample_shape: Shape of one sample without the batch axis.
        per_tensor: One scale a kernel instead of one an output channel.
        integer_input_output: Whether the result takes and gives integers; integer activations only.

    Raises:
        RunError: QUANTIZATION_FAILED.
    """
    signed = made_calibratable(float_file, sample_shape)
    if weights == "float16":
        return quantize_float16(signed)
    if weights == "int4":
        return quantize_int4(
            signed,
            activations=activations,
            samples=samples,
            per_tensor=per_tensor,
            integer_input_output=integer_input_output,
        )
    if samples is None:
        return quantize_int8_weights(signed, per_tensor=per_tensor)
    bits = int(activations.removeprefix("int"))
    return quantize_int8_kernels(
        signed, samples, activation_bits=bits, per_tensor=per_tensor, integer_input_output=integer_input_output
    )


def quantize_int8_weights(float_file: bytes, *, per_tensor: bool) -> bytes:
    """Dynamic range: int8 weights, float32 activations that are quantized on the fly (litert-quantizer's dynamic_wi8_afp32)."""
    from litert_quantizer import qtyping, recipe_manager

    recipe = recipe_manager.RecipeManager()
    operators = qtyping.TFLOperationName
    for operator in (operators.CONV_2D, operators.FULLY_CONNECTED, operators.EMBEDDING_LOOKUP, operators.BATCH_MATMUL):
        recipe.add_dynamic_config(regex=".*", operation_name=operator, num_bits=8, granularity=_granularity(per_tensor))
    return _quantized(float_file, recipe, samples=None)


def quantize_float16(float_file: bytes) -> bytes:
    """Kernels of convolutions, dense and embedding operators in float16; everything is computed in float32."""
    from litert_quantizer import algorithm_manager, qtyping, recipe_manager

    operators = qtyping.TFLOperationName
    half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=half, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True
    )
    recipe = recipe_manager.RecipeManager()
    for operator in (
        operators.CONV_2D,
        operators.DEPTHWISE_CONV_2D,
        operators.CONV_2D_TRANSPOSE,
        operators.FULLY_CONNECTED,
        operators.EMBEDDING_LOOKUP,
    ):
        recipe.add_quantization_config(
            regex=".*",
            operation_name=operator,
            op_config=config,
            algorithm_key=algorithm_manager.AlgorithmName.FLOAT_CASTING,
        )
    return _quantized(float_file, recipe, samples=None)


def quantize_int8_kernels(
    float_file: bytes,
    samples: Any,
    *,
    activation_bits: int,
    per_tensor: bool,
    integer_input_output: bool = False,
    roots_in_float: bool = False,
) -> bytes:
    """int8 weights with int8 or int16 activations, calibrated.

    TensorFlow's converter cannot give an int16 file one scale a kernel where it holds a depthwise convolution.

    Args:
        float_file: A float32 .tflite.
        samples: Calibration inputs (n, ...).
        activation_bits: 8 or 16.
        per_tensor: One scale a kernel instead of one an output channel.
        integer_input_output: Whether the file takes and gives integers.
        roots_in_float: Whether 1 / sqrt(x) stays float, with what it is computed from and what it multiplies.
    """
    from litert_quantizer import qtyping, recipe_manager

    recipe = recipe_manager.RecipeManager()
    recipe.add_static_config(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        activation_num_bits=activation_bits,
        weight_num_bits=8,
        weight_granularity=_granularity(per_tensor),
    )
    if activation_bits == 16:
        # LiteRT's int16 kernels of these are too coarse for a normalization's small variances, or sum up wrongly.
        _keep_float(recipe, qtyping.TFLOperationName.RSQRT, qtyping.TFLOperationName.SUM)
    _keep_regions_float(recipe, float_file, roots=roots_in_float)
    if not integer_input_output:
        _keep_float_input_output(recipe)
    return _quantized(float_file, recipe, samples=samples)


def quantize_int4(
    float_file: bytes,
    *,
    activations: str,
    samples: Any,
    per_tensor: bool,
    integer_input_output: bool,
) -> bytes:
    """Weights of convolutions, dense and embedding operators in int4, all other kernels in int8.

    Args:
        float_file: A float32 .tflite.
        activations: "float32" (dynamic range), "int8" or "int16" (static, calibrated).
        samples: Calibration inputs (n, ...) for static ranges; a mapping of them by name for several inputs.
        per_tensor: One scale a kernel instead of one an output channel.
        integer_input_output: Whether the file takes and gives integers; static ranges only.
    """
    from litert_quantizer import algorithm_manager, qtyping, recipe_manager

    operators = qtyping.TFLOperationName
    octav = algorithm_manager.AlgorithmName.OCTAV
    recipe = recipe_manager.RecipeManager()
    granularity = _granularity(per_tensor)
    if activations == "float32":
        for operator in (operators.CONV_2D, operators.FULLY_CONNECTED, operators.EMBEDDING_LOOKUP):
            recipe.add_dynamic_config(
                regex=".*", operation_name=operator, num_bits=4, granularity=granularity, algorithm_key=octav
            )
        return _quantized(float_file, recipe, samples=None)
    bits = int(activations.removeprefix("int"))
    everywhere = {"regex": ".*", "activation_num_bits": bits, "weight_granularity": granularity}
    recipe.add_static_config(operation_name=operators.ALL_SUPPORTED, weight_num_bits=8, **everywhere)
    for operator in (operators.CONV_2D, operators.FULLY_CONNECTED):
        recipe.add_static_config(operation_name=operator, weight_num_bits=4, algorithm_key=octav, **everywhere)
    _keep_regions_float(recipe, float_file)
    if not integer_input_output:
        _keep_float_input_output(recipe)
    return _quantized(float_file, recipe, samples=samples)


def _keep_float_input_output(recipe: Any) -> None:
    from litert_quantizer import qtyping

    _keep_float(recipe, qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT)


def _keep_regions_float(recipe: Any, float_file: bytes, *, roots: bool = False) -> None:
    """Operators whose integers would hold little of what matters; those that litert-quantizer does not know stay float by themselves."""
    from litert_quantizer import qtyping

    known = {operator.value: operator for operator in qtyping.TFLOperationName}
    for name, tensor in float_regions(float_file, roots=roots):
        if name in known:
            _keep_float(recipe, known[name], regex=f"^{re.escape(tensor)};")


def _keep_float(recipe: Any, *operators: Any, regex: str = ".*") -> None:
    from litert_quantizer import algorithm_manager

    for operator in operators:
        recipe.add_quantization_config(
            regex=regex, operation_name=operator, algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE
        )


def _granularity(per_tensor: bool) -> Any:
    from litert_quantizer import qtyping

    return qtyping.QuantGranularity.TENSORWISE if per_tensor else qtyping.QuantGranularity.CHANNELWISE


def _quantized(float_file: bytes, recipe: Any, *, samples: Any) -> bytes:
    from litert_quantizer import quantizer

    engine = quantizer.Quantizer(bytearray(float_file), recipe.get_quantization_recipe())
    quiet = io.StringIO()
    try:
        # It prints sizes on standard output, which belongs to our own JSON, warns of its own calibration, and divides by the empty
        # range of all-zero channels.
        with (
            contextlib.redirect_stdout(quiet),
            contextlib.redirect_stderr(quiet),
            np.errstate(divide="ignore", invalid="ignore"),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            calibration = None if samples is None else ranges_of(float_file, recipe, samples)
            content = engine.quantize(calibration).quantized_model
    except (ValueError, RuntimeError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise _failure(str(error)) from error
    if content is None:
        raise _failure("no file came out")
    return repaired(with_names_of(float_file, bytes(content)))


def _failure(reason: str) -> RunError:
    return RunError(
        "litert-quantizer refused the model",
        code="QUANTIZATION_FAILED",
        received=reason,
        fix="Choose int8 weights with int8 activations, which go through TensorFlow's converter.",
    )


def repaired(content: bytes) -> bytes:
    """Mend what LiteRT would refuse in a file of integers.

    Constants and channels of them that are all zero get a scale: 1, or SMALL_SCALE where they are int16. Pruning makes such channels; their
    range is empty, so their scale comes out as 0. XNNPACK refuses a file with a zero scale for int4, and LiteRT aborts the process where an
    int16 constant has one. And outputs that nothing reads (one half of a split) get the type of the others.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    # Larger files keep their buffers behind the tables, which packing anew would cut off: this brings them in.
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    changes = [_mend_zero_scales(subgraph) + _mend_unread_outputs(subgraph) for subgraph in model.subgraphs]
    return packed(model) if any(changes) else content


def _mend_zero_scales(subgraph: Any) -> int:
    """How many tensors got scales."""
    from ai_edge_litert import schema_py_generated as schema

    changes = 0
    for tensor in subgraph.tensors:
        scale = None if tensor.quantization is None else tensor.quantization.scale
        if scale is not None and len(scale) and not np.all(np.asarray(scale)):
            given = SMALL_SCALE if tensor.type == schema.TensorType.INT16 else 1.0
            tensor.quantization.scale = np.where(np.asarray(scale) == 0, given, scale).astype(np.float32)
            changes += 1
    return changes


def _mend_unread_outputs(subgraph: Any) -> int:
    """How many tensors got the type and the scale of another output of their operator (a split's): litert-quantizer leaves them float."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = schema.TensorType
    torn = ({kinds.FLOAT32, kinds.INT8}, {kinds.FLOAT32, kinds.INT16})
    read = {int(tensor) for operator in subgraph.operators for tensor in operator.inputs} | set(map(int, subgraph.outputs))
    changes = 0
    for operator in subgraph.operators:
        if {subgraph.tensors[number].type for number in operator.outputs} in torn:
            example = next((subgraph.tensors[number] for number in operator.outputs if int(number) in read), None)
            for number in operator.outputs:
                if int(number) not in read and example is not None:
                    tensor = subgraph.tensors[number]
                    tensor.type, tensor.quantization = example.type, example.quantization
                    changes += 1
    return changes
