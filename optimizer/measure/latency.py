"""Latency of .tflite files on this machine, measured in turn so that a drift of the machine's speed hits all of them alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.measure.interpreter import LoadedFile

WARM_UP_INVOCATIONS = 5
BLOCK_MS = 8.0
MINIMUM_BLOCKS = 12
SECONDS = 2.0
"""How long a measurement takes in all where nothing else is said: with less, the interval around a ratio is wider."""
NOISE_FLOOR = 0.02
"""The same file against itself, interleaved, differs by sigma 0.6 % and 4 % at worst; below 2 % a difference is called a tie."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Latency:
    """Milliseconds of single invocations, as a list of interleaved blocks."""

    blocks_ms: tuple[FloatArray, ...]

    @property
    def samples_ms(self) -> FloatArray:
        """All invocations."""
        return np.concatenate(self.blocks_ms)

    def to_json(self) -> dict[str, Any]:
        """`latency_ms` of METRICS: median, 95th percentile and number of invocations."""
        samples = self.samples_ms
        return {
            "p50": float(np.percentile(samples, 50)),
            "p95": float(np.percentile(samples, 95)),
            "min": float(samples.min()),
            "n": len(samples),
        }


def measure_latency(
    files: Sequence[bytes],
    *,
    threads: int = 1,
    seconds: float | None = None,
    seed: int = 0,
    sample_shape: tuple[int, ...] | None = None,
    check_cancelled: Callable[[], None] | None = None,
) -> list[Latency]:
    """Time several files in interleaved blocks (A B C A B C ...), one invocation (of one sample in what we convert) at a time.

    Args:
        files: Bytes of the .tflite files.
        threads: Threads of each interpreter.
        seconds: About how long to measure in all, SECONDS by default; at least 12 blocks of each are taken however long that lasts.
        seed: Seeds the random inputs. Latency of these graphs does not depend on the values.
        sample_shape: Shape of one sample without the batch axis, for files that leave axes open.
        check_cancelled: Raises when the run should stop.
    """
    random = np.random.default_rng(seed)
    loaded = [LoadedFile(content, threads=threads, sample_shape=sample_shape) for content in files]
    per_block = []
    for file in loaded:
        file.set_every_input(random)
        warm = _block(file, WARM_UP_INVOCATIONS)
        per_block.append(max(1, min(2_000, round(BLOCK_MS / max(float(np.median(warm)), 1e-4)))))
    blocks: list[list[FloatArray]] = [[] for _ in files]
    end = time.monotonic() + (SECONDS if seconds is None else seconds)
    while len(blocks[0]) < MINIMUM_BLOCKS or time.monotonic() < end:
        if check_cancelled is not None:
            check_cancelled()
        for file, number, kept in zip(loaded, per_block, blocks, strict=True):
            kept.append(_block(file, number))
    return [Latency(blocks_ms=tuple(kept)) for kept in blocks]


def _block(file: LoadedFile, invocations: int) -> FloatArray:
    times = np.empty(invocations, dtype=np.float64)
    for index in range(invocations):
        start = time.perf_counter_ns()
        file.invoke()
        times[index] = time.perf_counter_ns() - start
    return times / 1e6


def compare_latency(new: Latency, old: Latency) -> dict[str, Any]:
    """How many times faster `new` is than `old`: the median over blocks of old / new, with a 95 % interval by order statistics.

    Each block gives the ratio of its own minima, so that a disturbance spoils one block and not the comparison.
    """
    ratios = np.sort([float(o.min() / n.min()) for n, o in zip(new.blocks_ms, old.blocks_ms, strict=True)])
    n = len(ratios)
    half = math.ceil(1.96 * math.sqrt(n) / 2)
    low, high = float(ratios[max(0, n // 2 - half)]), float(ratios[min(n - 1, n // 2 + half)])
    ratio = float(np.median(ratios))
    return {"ratio": ratio, "low": low, "high": high, "tie": low <= 1.0 <= high or abs(ratio - 1.0) < NOISE_FLOOR}
