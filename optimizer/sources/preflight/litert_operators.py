"""The operators of a .tflite: all LiteRT's own, on tensors that are there, and no subgraph that calls itself."""

from __future__ import annotations

from optimizer.errors import InputError
from optimizer.sources.preflight.flatbuffer import Table
from optimizer.sources.preflight.litert_schema import FEWEST_INPUTS, OPERATORS, OPTIONAL_INPUTS, REFUSED_OPERATORS, TABLES, TYPES

ABSENT = -1


def _bad(place: str, received: str) -> InputError:
    return InputError(
        "An operator of the .tflite is impossible",
        code="BAD_TFLITE",
        place=place,
        received=received,
        fix="Convert the model again, or copy or download the file again and compare the sizes.",
    )


def operator_names(model: Table, place: str) -> list[str]:
    """Name of each operator code that the file lists. Raises InputError UNSUPPORTED_OP."""
    names = []
    for code in model.tables("OperatorCodes"):
        number = max(code.number("DeprecatedBuiltinCode", "b"), code.number("BuiltinCode", "i"))
        name = OPERATORS[number] if 0 <= number < len(OPERATORS) else f"number {number}"
        if name in REFUSED_OPERATORS or name not in OPERATORS:
            custom = code.text("CustomCode")
            raise InputError(
                f"Operator {custom or name} is not one of LiteRT's own",
                code="UNSUPPORTED_OP",
                place=place,
                expected="builtin operators only",
                fix="Convert the model with TFLITE_BUILTINS alone (no SELECT_TF_OPS, no custom operators).",
            )
        names.append(name)
    return names


def check_operators(subgraphs: list[Table], names: list[str], buffers: list[int], place: str) -> None:
    """Check every operator of every subgraph.

    Args:
        subgraphs: All subgraphs of the model.
        names: Name of each operator code.
        buffers: Bytes that each buffer stores.
        place: Name of the file for errors.

    Raises:
        InputError: BAD_TFLITE.
    """
    calls: list[set[int]] = []
    for number, subgraph in enumerate(subgraphs):
        where = place if len(subgraphs) == 1 else f"{place}, subgraph {number}"
        tensors = subgraph.tables("Tensors")
        constant = [buffers[tensor.number("Buffer")] > 0 for tensor in tensors]
        _check_int16_sums(subgraph, names, [_is_int16_of_scale_0(tensor) for tensor in tensors], where)
        called: set[int] = set()
        for position, operator in enumerate(subgraph.tables("Operators")):
            called |= _check_operator(operator, names, constant, len(subgraphs), f"{where}, operator {position}")
        calls.append(called)
    _check_no_circle(calls, place)


def _check_operator(operator: Table, names: list[str], constant: list[bool], subgraphs: int, place: str) -> set[int]:
    """Check one operator; returns the subgraphs that it calls. Raises InputError BAD_TFLITE."""
    code = operator.number("OpcodeIndex")
    if code >= len(names):
        raise _bad(place, f"operator code {code}, which is not there")
    name, where = names[code], f"{place} ({names[code]})"
    inputs, outputs = operator.values("Inputs").tolist(), operator.values("Outputs").tolist()
    if len(inputs) < FEWEST_INPUTS.get(name, 0):
        raise _bad(where, f"{len(inputs)} inputs")
    for position, tensor in enumerate(inputs):
        if tensor == ABSENT and position not in OPTIONAL_INPUTS.get(name, ()):
            raise _bad(where, f"input {position} is absent (-1), which the operator needs")
        if not ABSENT <= tensor < len(constant):
            raise _bad(where, f"input {position} is tensor {tensor}, which is not there")
    for position, tensor in enumerate(outputs):
        if not 0 <= tensor < len(constant):
            raise _bad(where, f"output {position} is tensor {tensor}, which is not there")
        if constant[tensor]:
            raise _bad(where, f"output {position} is tensor {tensor}, a constant")
    if any(not ABSENT <= tensor < len(constant) for tensor in operator.values("Intermediates").tolist()):
        raise _bad(where, "an intermediate tensor that is not there")
    if operator.number("LargeCustomOptionsOffset", "Q") > 1:
        raise _bad(where, "options of a custom operator")
    called = _called(operator)
    if any(not 0 <= number < subgraphs for number in called):
        raise _bad(where, "a subgraph that is not there")
    return called


def _is_int16_of_scale_0(tensor: Table) -> bool:
    if TYPES[tensor.number("Type", "B")][0] != "INT16":
        return False
    quantization = tensor.table("Quantization")
    return quantization is not None and 0.0 in quantization.values("Scale", "<f4")


def _check_int16_sums(subgraph: Table, names: list[str], of_scale_0: list[bool], place: str) -> None:
    """LiteRT aborts the process where it adds or subtracts int16 values of scale 0. Raises InputError BAD_TFLITE."""
    if not any(of_scale_0):
        return
    for position, operator in enumerate(subgraph.tables("Operators")):
        name = names[operator.number("OpcodeIndex")] if operator.number("OpcodeIndex") < len(names) else ""
        tensors = (int(n) for field in ("Inputs", "Outputs") for n in operator.values(field))
        if name in ("ADD", "SUB") and any(of_scale_0[n] for n in tensors if 0 <= n < len(of_scale_0)):
            raise InputError(
                "LiteRT aborts the process on int16 values whose scale is 0",
                code="BAD_TFLITE",
                place=f"{place}, operator {position} ({name})",
                received="a constant of zeros, as TensorFlow's converter makes it of an untrained offset",
                fix="Bring the float .tflite or the Keras model, and quantize it here; or convert it with int8 activations.",
            )


def _called(operator: Table) -> set[int]:
    """Subgraphs that the operator's options name."""
    found: set[int] = set()
    for field, kind in (("BuiltinOptions", "BuiltinOptionsType"), ("BuiltinOptions2", "BuiltinOptions2Type")):
        options = operator.union(field, operator.number(kind, "B"))
        for name, size in () if options is None else TABLES[options.name]:
            if options is not None and "Subgraph" in name:
                found |= {options.number(name, "i")} if size == 4 else set(options.values(name).tolist())
    return found


def _check_no_circle(calls: list[set[int]], place: str) -> None:
    """Subgraphs that call each other without end would overflow the stack. Raises InputError BAD_TFLITE."""
    left = {number: set(called) for number, called in enumerate(calls)}
    while left:
        ready = [number for number, called in left.items() if not called & left.keys()]
        if not ready:
            raise _bad(f"{place}, subgraph {min(left)}", "subgraphs that call each other without end")
        for number in ready:
            del left[number]
