"""What TensorFlow's converter gets wrong with integer activations; told from the file that it made, so that other models pay nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.litert_calibration import samples_of
from optimizer.litert_file import LiteRTFile, StoredOperator
from optimizer.litert_graph import LiteRTGraph
from optimizer.measure.interpreter import dequantized, quantized

RANGED_LIKE_OUTPUT = frozenset({"ADD_N", "MAXIMUM", "MINIMUM", "SELECT", "SELECT_V2"})
"""What these read gets the range of what they give, which is another one: right only where nothing else reads it, and it is no average."""
JOINING = frozenset({"CONCATENATION", "PACK"})
"""What these read gets their range, and so does what that was moved from. It holds all that they read, at the cost of levels; it does not
hold what a maximum or a mean over some axes was taken of."""
MOVING = frozenset({
    "AVERAGE_POOL_2D", "BATCH_TO_SPACE_ND", "BROADCAST_TO", "DEPTH_TO_SPACE", "DEQUANTIZE", "EXPAND_DIMS", "GATHER",
    "GATHER_ND", "MAX_POOL_2D", "MIRROR_PAD", "PAD", "PADV2", "QUANTIZE", "REDUCE_MAX", "REDUCE_MIN", "RESHAPE", "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR", "REVERSE_SEQUENCE", "REVERSE_V2", "SLICE", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT",
    "SPLIT_V", "SQUEEZE", "STRIDED_SLICE", "TILE", "TRANSPOSE", "UNPACK",
})  # fmt: skip
"""Operators of one scale for what they read and give: a range that is forced upon one of these goes on to what stands before it."""
AVERAGING = frozenset({"AVERAGE_POOL_2D", "RESIZE_BILINEAR"})
"""Of these, those that give less wide a range than they need of what they read."""
FEWEST_LEVELS = 64
"""An int8 tensor that uses fewer of its 256 levels lost two bits or more to the range of another."""
MOST_CLIPPED = 0.02
"""A tensor with a larger share of its values at an end of its range is cut off by the range of another, or below 0 by a ReLU."""
NEVER_BELOW_0 = frozenset({"ABS", "EXP", "LOGISTIC", "RELU", "RELU6", "RELU_0_TO_1", "SOFTMAX", "SQUARE"})
FUSED_RELUS = (1, 3)
"""RELU and RELU6 in the schema's ActivationFunctionType."""
FEW_SAMPLES = 8
COARSEST_EXPONENTIAL = 0.1
"""Largest step of an exponential to which a constant (the 1 in log(1 + exp(x)) and exp(x) - 1) is added."""
FEWEST_ROOT_LEVELS = 8
"""1 / sqrt(x) of the largest x must be as many steps at least: sums of squares near zero (a normalization of vectors) give it too wide a range."""
LAYERS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})
"""Operators whose result is divided by its scale; where it is too small, LiteRT refuses the file."""
EMPTY_SPAN = 3e-6
"""The converter gives a tensor that was nothing but zero (all units of a layer are dead) 2e-6 in int8 and less in int16."""
MASKED = 1e4
"""A softmax that reads numbers as far apart reads a mask of -10,000 or -1,000,000,000, beside which all else is rounded away."""


def faults_in_int8(content: bytes, samples: Any) -> list[str]:
    """Why an int8 file of TensorFlow's converter computes something else than the model: names of operators, in alphabetical order.

    Args:
        content: The file.
        samples: Calibration inputs (n, ...), or a mapping of them by name; a few are run where a file joins tensors or divides.
    """
    file = LiteRTFile(content)
    graph = LiteRTGraph(file)
    found = {
        operator.name
        for operator in graph.operators
        if operator.name in RANGED_LIKE_OUTPUT and _wanted_otherwise(graph, operator)
    }
    # What a sum of several is less than its operands, these cannot be, whoever reads them.
    found |= {"ADD_N" for operator in graph.operators if operator.name == "ADD_N" and _of_integers(graph, operator)}
    joined = {operator.name: _wanted_otherwise(graph, operator) for operator in graph.operators if operator.name in JOINING}
    divides = any(operator.name == "DIV" and graph.type(operator.outputs[0]) == "INT8" for operator in graph.operators)
    if divides or any(joined.values()):
        poor = _poorly_ranged(graph, content, set().union(*joined.values()), samples)
        if poor is None and divides:
            found.add("DIV")
        elif poor is not None:
            found |= {name for name, tensors in joined.items() if tensors & poor}
    return sorted(found.union(coarse_ranges(file)))


def refusal_by_litert(content: bytes) -> str:
    """Why LiteRT does not take a file; empty where it does."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        Interpreter(model_content=content).allocate_tensors()
    except (RuntimeError, ValueError) as error:
        return (str(error).splitlines() or ["without a reason"])[0]
    return ""


def nearest_to_float(float_file: bytes, candidates: Sequence[bytes], samples: Any) -> int:
    """Place of the file whose outputs are nearest to those of the float file; of two alike, the first.

    Args:
        float_file: What the candidates were made from; their signatures have its names.
        candidates: Files of integers.
        samples: Calibration inputs (n, ...), or a mapping of them by name; a few are run.
    """
    wanted = _outputs(float_file, samples)
    distances = [_distance(wanted, _outputs(content, samples)) for content in candidates]
    return distances.index(min(distances))


def _distance(wanted: Mapping[str, Any] | None, given: Mapping[str, Any] | None) -> float:
    """Sum over the outputs of ||difference|| / ||what tells the samples apart||; infinite where LiteRT refused a sample."""
    if wanted is None or given is None:
        return math.inf
    telling = {name: max(float(np.linalg.norm(values - values.mean(0))), 1e-12) for name, values in wanted.items()}
    return sum(float(np.linalg.norm(given[name] - values)) / telling[name] for name, values in wanted.items())


def _outputs(content: bytes, samples: Any) -> dict[str, Any] | None:
    """Each output (samples, ...) by its name, float32; None where LiteRT refuses the file or a sample."""
    from ai_edge_litert.interpreter import Interpreter

    if refusal_by_litert(content):
        return None
    interpreter = Interpreter(model_content=content)
    runner = interpreter.get_signature_runner(next(iter(interpreter.get_signature_list())))
    taken, details = runner.get_input_details(), runner.get_output_details()
    found: dict[str, list[Any]] = {name: [] for name in details}
    for sample in itertools.islice(samples_of(taken, samples), FEW_SAMPLES):
        try:
            interpreter.reset_all_variables()
            given = runner(**{part: quantized(value, taken[part]) for part, value in sample.items()})
        except RuntimeError:
            return None
        for name, values in given.items():
            found[name].append(dequantized(values, details[name]))
    return {name: np.stack(values) for name, values in found.items()}


def coarse_ranges(file: LiteRTFile) -> list[str]:
    """Operators in an integer file whose ranges hold what does not matter (a mask, an exponential that is subtracted from or chosen
    against, the reciprocal root of nearly nothing), so that what matters falls on few levels."""
    graph = LiteRTGraph(file)
    found = set()
    for operator in graph.operators:
        if operator.name == "SOFTMAX" and graph.span(operator.inputs[0]) >= MASKED:
            found.add("SOFTMAX")
        coarse = operator.name == "EXP" and graph.scale(operator.outputs[0]) > COARSEST_EXPONENTIAL
        if coarse and any(reader.name in ("ADD", "SUB") for reader in graph.readers[operator.outputs[0]]):
            found.add("EXP")
        largest = graph.largest(operator.inputs[0]) if operator.name == "RSQRT" else 0.0
        if largest > 0 and FEWEST_ROOT_LEVELS * graph.scale(operator.outputs[0]) > largest**-0.5:
            found.add("RSQRT")
    return sorted(found)


def empty_ranges(file: LiteRTFile) -> list[str]:
    """Layers in an integer file that gave nothing but zero in the calibration: LiteRT refuses the scale that these then get."""
    graph = LiteRTGraph(file)
    layers = (operator for operator in graph.operators if operator.name in LAYERS)
    given = ((operator.name, graph.span(tensor)) for operator in layers for tensor in operator.outputs)
    return sorted({name for name, span in given if 0 < span < EMPTY_SPAN})


def _wanted_otherwise(graph: LiteRTGraph, operator: StoredOperator) -> set[int]:
    """Tensors that get their scale from this operator, and whose other values are needed too: by other readers, or for an average.

    They are its operands, and what these are moved from.
    """
    reached = graph.before(graph.computed(operator), MOVING | JOINING | RANGED_LIKE_OUTPUT)
    givers = [graph.givers[tensor] for tensor in reached if tensor in graph.givers]
    averaged = {tensor for giver in givers if giver.name in AVERAGING for tensor in graph.computed(giver)}
    found = set[int]()
    for tensor in reached:
        giver = graph.givers.get(tensor)
        unpacked = giver is not None and giver.name == "DEQUANTIZE"
        several = len(graph.readers[tensor]) + (tensor in graph.file.outputs) > 1 or (
            giver is not None and len(giver.outputs) > 1
        )
        if several or tensor in averaged:
            # Of what is unpacked for all its readers at once, the integers are meant.
            found.update(graph.computed(giver) if unpacked and giver is not None else [tensor])
    return {tensor for tensor in found if graph.type(tensor) == "INT8"}


def _of_integers(graph: LiteRTGraph, operator: StoredOperator) -> bool:
    return any(graph.type(tensor) == "INT8" or graph.givers[tensor].name == "DEQUANTIZE" for tensor in graph.computed(operator))


def _poorly_ranged(graph: LiteRTGraph, content: bytes, tensors: Iterable[int], samples: Any) -> set[int] | None:
    """Those of the tensors that use few levels over a few samples, or are cut off; None where LiteRT refuses a sample (to divide by 0)."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        # XNNPACK's delegate would take the tensors in between away.
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    name = next(iter(interpreter.get_signature_list()))
    runner = interpreter.get_signature_runner(name)
    taken = runner.get_input_details()
    uses = {tensor: Use() for tensor in tensors}
    for sample in itertools.islice(samples_of(taken, samples), FEW_SAMPLES):
        try:
            runner(**{part: quantized(value, taken[part]) for part, value in sample.items()})
        except RuntimeError:
            return None
        for tensor, use in uses.items():
            use.add(interpreter.get_tensor(tensor))
    return {tensor for tensor, use in uses.items() if use.is_poor(never_below_0=_never_below_0(graph, tensor))}


@dataclass
class Use:
    """How a tensor of int8 uses its levels, over several samples."""

    least: int = 127
    largest: int = -128
    at_least: int = 0
    at_largest: int = 0
    values: int = 0

    def add(self, steps: npt.NDArray[np.int8]) -> None:
        """Count one more sample's values."""
        self.least, self.largest = min(self.least, int(steps.min())), max(self.largest, int(steps.max()))
        self.at_least += int(np.count_nonzero(steps == -128))
        self.at_largest += int(np.count_nonzero(steps == 127))
        self.values += steps.size

    def is_poor(self, *, never_below_0: bool) -> bool:
        """Whether few levels are used, or values are cut off."""
        clipped = max(self.at_largest, 0 if never_below_0 else self.at_least)
        return self.largest - self.least < FEWEST_LEVELS or clipped > MOST_CLIPPED * self.values


def _never_below_0(graph: LiteRTGraph, tensor: int) -> bool:
    """Whether a tensor comes from a ReLU or the like, with nothing but moving and joining between."""
    passed = MOVING | JOINING
    givers = [graph.givers.get(before) for before in graph.before([tensor], passed)]
    return all(
        giver is not None
        and (
            (giver.name in passed and graph.computed(giver))
            or giver.name in NEVER_BELOW_0
            or getattr(giver.options, "fusedActivationFunction", 0) in FUSED_RELUS
        )
        for giver in givers
    )
