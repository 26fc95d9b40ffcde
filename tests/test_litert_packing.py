from __future__ import annotations

from typing import Any

import numpy as np

from optimizer.conversion import convert
from optimizer.litert_packing import ALIGNMENT, packed
from optimizer.measure.interpreter import run


def test_buffers_lie_where_microcontrollers_can_read_them(digits_model: Any) -> None:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    content = convert(digits_model)
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    model.description = b"changed"
    again = packed(model)
    read = schema.Model.GetRootAs(again, 0)
    places = []
    for number in range(read.BuffersLength()):
        table = read.Buffers(number)._tab
        offset = table.Offset(4)
        if offset and table.VectorLen(offset):
            places.append(table.Vector(offset) % ALIGNMENT)
    assert len(places) > 3
    assert not any(places)
    x = np.random.default_rng(0).random((4, 8, 8, 1)).astype(np.float32)
    np.testing.assert_array_equal(run(again, [(x, None)]), run(content, [(x, None)]))
