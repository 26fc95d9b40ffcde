"""What a run ran on: versions and processor, for the report."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optimizer import __version__

PACKAGES = ("tensorflow", "tf-keras", "tensorflow-model-optimization", "ai-edge-litert", "litert-quantizer", "numpy")
INTEGER_DOT_PRODUCT_FLAGS = ("avx512_vnni", "avx_vnni", "asimddp")


@dataclass(frozen=True, kw_only=True)
class Host:
    """What the processor here can do, as far as it decides which kernels run: `avx` on x86, and instructions for integer dot products."""

    processor: str
    avx: bool
    integer_dot_product: bool


@functools.cache
def this_host() -> Host:
    """The machine that this runs on."""
    model, flags = _processor()
    return Host(processor=model, avx="avx" in flags, integer_dot_product=bool(flags & set(INTEGER_DOT_PRODUCT_FLAGS)))


def environment(*, threads: int = 1) -> dict[str, Any]:
    """Versions, processor and thread count; nothing that names the machine or its user."""
    model, flags = _processor()
    return {
        "litesmith": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": model,
        "integer_dot_product": [flag for flag in INTEGER_DOT_PRODUCT_FLAGS if flag in flags],
        "cores": os.cpu_count(),
        "threads": threads,
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def _processor() -> tuple[str, set[str]]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor(), set()
    fields = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    return named.get("model name", platform.processor()), set(named.get("flags", named.get("Features", "")).split())
