"""Where a Keras kernel ended up in a .tflite."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.litert_file import LiteRTFile, StoredTensor

Array = npt.NDArray[Any]
SIMILAR_ENOUGH = 0.5
WORTH_A_LOOK = 0.25
"""Two kernels of which a few thousand numbers are less alike than this are not compared whole: strangers come to 0.05 or so."""
THE_SAME = 1 - 1e-7
"""As alike as float16 makes a kernel to itself; the rest of the file, which may hold a hundred kernels of this shape, is not compared."""
SAMPLED_NUMBERS = 2**15
MAX_PERMUTED_RANK = 5
GATES = 4
NO_KERNELS = frozenset({"COMPLEX64", "INT32", "INT64"})
"""Types of biases, shapes and axes, and of spectra."""


def locate(file: LiteRTFile, kernel: Array) -> StoredTensor | None:
    """Find where a Keras kernel of any layout ended up, or None where nothing resembles it.

    Folding a BatchNormalization multiplies whole output channels, quantization rounds, and converters transpose: so the
    tensors of the same size are compared channel by channel after normalization, in every layout that fits.
    """
    best, best_score = None, SIMILAR_ENOUGH
    for tensor in file.constants:
        if best_score > THE_SAME:
            break
        if tensor.values.size == kernel.size > 0 and tensor.dtype not in NO_KERNELS:
            score = max((_similarity(layout, tensor.values) for layout in _layouts(kernel, tensor.values.shape)), default=0.0)
            if score > best_score:
                best, best_score = tensor, score
    return best


def locate_parts(file: LiteRTFile, kernel: Array) -> tuple[StoredTensor, ...]:
    """As `locate`, for a kernel that may be stored in several tensors: that of an LSTM has one for each of its four gates.

    Empty where nothing resembles it.
    """
    whole = locate(file, kernel)
    if whole is not None:
        return (whole,)
    if kernel.ndim != 2 or kernel.shape[-1] % GATES:
        return ()
    gates = [locate(file, gate) for gate in np.split(kernel, GATES, axis=-1)]
    found = tuple(gate for gate in gates if gate is not None)
    return found if len({id(gate) for gate in found}) == GATES else ()


def _layouts(kernel: Array, shape: tuple[int, ...]) -> Iterator[Array]:
    """Every transposition of `kernel` that has `shape` once axes of one element are left out and neighbouring axes made one.

    A depthwise kernel (h, w, channels, multiplier) is stored as (1, h, w, channels * multiplier), that of an attention
    (units, heads, size) as (heads * size, units).
    """
    wanted = tuple(n for n in shape if n != 1)
    squeezed = kernel.squeeze()
    if squeezed.ndim > MAX_PERMUTED_RANK:
        return
    for joined in _with_axes_joined(squeezed, len(wanted)):
        for order in itertools.permutations(range(joined.ndim)):
            if tuple(joined.shape[axis] for axis in order) == wanted:
                yield joined.transpose(order).reshape(shape)


def _with_axes_joined(kernel: Array, rank: int) -> Iterator[Array]:
    """The kernel in `rank` axes, each of which is one or several neighbouring axes of it."""
    if rank == kernel.ndim:
        yield kernel
    elif 0 < rank < kernel.ndim:
        for ends in itertools.combinations(range(1, kernel.ndim), rank - 1):
            yield kernel.reshape(
                [math.prod(kernel.shape[first:last]) for first, last in itertools.pairwise((0, *ends, kernel.ndim))]
            )


def _similarity(a: Array, b: Array) -> float:
    """Mean cosine between the channels of two arrays of one shape, the better of channels first and channels last."""
    if a.ndim == 0:
        return 0.0
    if a.size > SAMPLED_NUMBERS:
        # A large net has dozens of kernels of one shape, each of which would be compared with all others.
        sampled = _sample(a), _sample(b)
        if all(part.any() for part in sampled) and _mean_cosine(*sampled) < WORTH_A_LOOK:
            return 0.0
    return _mean_cosine(a, b)


def _sample(values: Array) -> Array:
    """At most SAMPLED_NUMBERS of the values or so, evenly from each axis."""
    largest = max(2, round(SAMPLED_NUMBERS ** (1 / max(1, sum(n > 1 for n in values.shape)))))
    return values[tuple(slice(None, None, math.ceil(n / largest)) for n in values.shape)]


def _mean_cosine(a: Array, b: Array) -> float:
    return max(_channel_cosine(a, b), _channel_cosine(np.moveaxis(a, -1, 0), np.moveaxis(b, -1, 0)))


def _channel_cosine(a: Array, b: Array) -> float:
    flat_a, flat_b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    # Channels of a single element always have cosine 1; they say nothing, so the whole tensor is compared instead.
    if flat_a.shape[1] == 1:
        flat_a, flat_b = flat_a.T, flat_b.T
    if a.size == 1:
        return 1.0 - float(abs(flat_a - flat_b).max() / max(abs(flat_a).max(), abs(flat_b).max(), 1e-30))
    norms = np.sqrt(_dots(flat_a, flat_a) * _dots(flat_b, flat_b))
    alive = norms > 0
    if not alive.any():
        return 1.0 if not flat_a.any() and not flat_b.any() else 0.0
    return float((np.abs(_dots(flat_a, flat_b)[alive]) / norms[alive]).mean())


def _dots(a: Array, b: Array) -> npt.NDArray[np.float64]:
    """Products of the rows (rows, n) of both; summed in double precision, without a copy in it."""
    found: npt.NDArray[np.float64] = np.einsum("ij,ij->i", a, b, dtype=np.float64, casting="same_kind")
    return found
