"""Write a .tflite again after a change."""

from __future__ import annotations

from typing import Any

ALIGNMENT = 16
"""The schema's `force_align` of a buffer's bytes: microcontrollers compute with them where they lie."""


def packed(model: Any) -> bytes:
    """Bytes of a model that flatbuffer_utils read into objects; its own packing would leave the buffers wherever they fall."""
    from ai_edge_litert.tools import flatbuffer_utils

    class Builder(flatbuffer_utils.flatbuffers.Builder):  # type: ignore[misc]
        def StartVector(self, element_size: int, count: int, alignment: int) -> Any:
            return super().StartVector(element_size, count, max(alignment, ALIGNMENT) if element_size == 1 else alignment)

    builder = Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
