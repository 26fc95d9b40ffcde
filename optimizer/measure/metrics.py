"""METRICS of report.json: every number of one file, gathered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from optimizer.context import RunContext
from optimizer.litert_file import LiteRTFile
from optimizer.measure import memory, operations, size
from optimizer.measure.latency import Latency
from optimizer.measure.quality import Quality, measure_quality


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """METRICS as JSON, and the per-sample quality that paired comparisons need."""

    metrics: dict[str, Any]
    quality: Quality

    def with_latency(self, latency: Latency) -> Measured:
        """The same file's METRICS with `latency_ms`."""
        return Measured(metrics={**self.metrics, "latency_ms": latency.to_json()}, quality=self.quality)


def measure(content: bytes, context: RunContext, *, baseline_outputs: npt.NDArray[np.float32] | None = None) -> Measured:
    """Measure all but the latency of one .tflite, on the test split; this is the only place that looks at that split."""
    file = LiteRTFile(content)
    quality = measure_quality(
        content,
        context.data,
        context.data.dataset.test,
        baseline_outputs=baseline_outputs,
        check_cancelled=context.check_cancelled,
    )
    metrics = {
        "size_bytes": size.size_bytes(content),
        "gzip_bytes": size.gzip_bytes(content),
        **quality.to_json(),
        "arena_bytes": memory.arena_bytes(file),
        "parameters": operations.parameters(file),
        "macs": operations.macs(file),
    }
    return Measured(metrics=metrics, quality=quality)
