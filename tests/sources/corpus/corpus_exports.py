"""Bad inputs 17 to 24: SavedModels whose graphs do more than compute, .tflite files that crash the interpreter."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import good_files as good
import numpy as np
from corpus_case import case
from good_files import field, function, node, saved_model, saved_model_pb


@case("17", "UNSAFE_OP", "model", place=f"function {good.SERVING}")
def write_file_when_called(folder: Path) -> Path:
    return saved_model(folder / "a.zip", saved_model_pb(serving=[node("w", "WriteFile")]))


@case("18", "UNSAFE_OP", "model", place="function __inference__initializer_9")
def write_file_in_an_initializer(folder: Path) -> Path:
    return saved_model(
        folder / "a.zip", saved_model_pb(functions=[function("__inference__initializer_9", node("w", "WriteFile"))])
    )


def _refused_op(name: str, op: str) -> None:
    def make(folder: Path) -> Path:
        return saved_model(folder / "a.zip", saved_model_pb(serving=[node("n", op)]))

    make.__name__ = name
    case("+", "UNSAFE_OP", "model", place="node n", received="")(make)


@case("19", "UNSAFE_OP", "model", place="main graph, node n")
def python_function(folder: Path) -> Path:
    return saved_model(folder / "a.zip", saved_model_pb(nodes=[node("n", "EagerPyFunc")]))


for _name, _op in (
    ("reads_a_file", "ReadFile"),
    ("lists_files", "MatchingFiles"),
    ("prints_into_a_file", "PrintV2"),
    ("maps_a_file", "ImmutableConst"),
    ("reads_a_table_from_a_file", "InitializeTableFromTextFileV2"),
    ("aborts_the_process", "Abort"),
    ("sends_to_a_debugger", "DebugIdentityV2"),
    ("asks_a_data_service", "DataServiceDatasetV4"),
    ("unknown_custom_op", "MyCustomOp"),
    ("python_function_without_state", "PyFuncStateless"),
    ("calls_another_machine", "RemoteCall"),
):
    _refused_op(_name, _op)


@case("+", "UNSAFE_OP", "model", place="node")
def function_named_like_an_op(folder: Path) -> Path:
    """A library function that hides the op of its name."""
    return saved_model(
        folder / "a.zip", saved_model_pb(functions=[function("WriteFile", node("w", "MyOp"))], nodes=[node("n", "WriteFile")])
    )


@case("+", "UNSAFE_OP", "model", place=good.RESTORING)
def writing_while_restoring(folder: Path) -> Path:
    """SaveV2 is in every export; in the function that restores, it would write while the model loads."""
    return saved_model(folder / "a.zip", saved_model_pb(restoring=[node("w", "SaveV2", ["file_prefix"])]))


@case("+", "UNSAFE_OP", "model", place="main graph")
def saving_when_called(folder: Path) -> Path:
    call = node("again", "StatefulPartitionedCall", ["x"], f=good.calling(good.SAVING))
    return saved_model(folder / "a.zip", saved_model_pb(good.signature("other", "again:0"), nodes=[call]))


@case("+", "UNSAFE_OP", "model", place=good.SERVING)
def saving_from_a_function_of_the_model(folder: Path) -> Path:
    objects = field(7, field(2, field(1, good.SERVING)))
    call = node("again", "PartitionedCall", ["x"], f=good.calling(good.SAVING))
    return saved_model(folder / "a.zip", saved_model_pb(objects, serving=[call]))


@case("+", "UNSAFE_OP", "model", place="node r")
def restoring_from_a_file_of_its_own_choice(folder: Path) -> Path:
    nodes = [node("prefix", "Const"), node("r", "RestoreV2", ["prefix:output:0"])]
    return saved_model(folder / "a.zip", saved_model_pb(restoring=nodes))


@case("+", "UNSAFE_OP", "model", place="node n")
def function_hidden_in_a_list_of_branches(folder: Path) -> Path:
    branches = field(1, field(9, field(1, good.SAVING)))
    return saved_model(folder / "a.zip", saved_model_pb(nodes=[node("n", "Case", branches=branches)]))


@case("+", "TOO_LARGE", "model", place="node n", limit=True, bomb=True)
def constant_of_one_value_that_claims_gigabytes(folder: Path) -> Path:
    tensor = field(8, field(1, 1) + field(2, good.shape_proto(65536, 65536)) + field(5, b"\0\0\0\0"))
    return saved_model(folder / "a.zip", saved_model_pb(serving=[node("n", "Const", value=tensor)]))


@case("+", "TOO_LARGE", "model", place="node n", limit=True, bomb=True)
def variable_of_gigabytes(folder: Path) -> Path:
    shape = field(7, good.shape_proto(100_000, 100_000))
    return saved_model(folder / "a.zip", saved_model_pb(nodes=[node("n", "VarHandleOp", shape=shape)]))


@case("20", "UNSAFE_PATH", "model", received="../../x")
def asset_outside(folder: Path) -> Path:
    return saved_model(folder / "a.zip", saved_model_pb(field(6, field(2, "../../x"))))


@case("20", "UNSAFE_PATH", "model", received="/etc/passwd")
def asset_of_the_root(folder: Path) -> Path:
    return saved_model(folder / "a.zip", saved_model_pb(field(6, field(2, "/etc/passwd"))))


@case("+", "UNSAFE_PATH", "model", received="../../x")
def asset_outside_in_an_old_collection(folder: Path) -> Path:
    packed = field(2, field(5, field(1, field(1, "t") + field(2, field(2, "../../x")))))
    return saved_model(folder / "a.zip", saved_model_pb(field(4, field(1, "saved_model_assets") + packed)))


@case("21", "NOT_SAVEDMODEL", "model", received="no saved_model.pb")
def zip_without_a_graph(folder: Path) -> Path:
    return good.zipped(folder / "a.zip", {"model/variables/variables.index": b"x"})


@case("21", "NOT_SAVEDMODEL", "model", place="saved_model.pb")
def garbage_graph(folder: Path) -> Path:
    return saved_model(folder / "a.zip", np.random.default_rng(0).bytes(5000))


@case("21", "NOT_SAVEDMODEL", "model", place="saved_model.pb")
def empty_graph(folder: Path) -> Path:
    return saved_model(folder / "a.zip", b"")


@case("+", "NOT_SAVEDMODEL", "model", place="saved_model.pb")
def cut_graph(folder: Path) -> Path:
    return saved_model(folder / "a.zip", saved_model_pb()[:300])


@case("+", "NOT_SAVEDMODEL", "model", received="saved_model.cpb")
def second_graph_that_is_preferred(folder: Path) -> Path:
    """TensorFlow looks for saved_model.cpb first."""
    return saved_model(folder / "a.zip", **{"saved_model.cpb": saved_model_pb(serving=[node("w", "WriteFile")])})


@case("+", "NOT_SAVEDMODEL", "model", received="saved_model.pbtxt")
def graph_as_text(folder: Path) -> Path:
    return good.zipped(folder / "a.zip", {"model/saved_model.pbtxt": "node { op: 'WriteFile' }"})


@case("+", "NOT_SAVEDMODEL", "model")
def two_saved_models(folder: Path) -> Path:
    return good.zipped(folder / "a.zip", {"a/saved_model.pb": saved_model_pb(), "b/saved_model.pb": saved_model_pb()})


@case("28", "UNSAFE_PATH", "model", received="evil")
def saved_model_that_climbs(folder: Path) -> Path:
    return good.zipped(folder / "a.zip", {"saved_model.pb": saved_model_pb(), "../../evil": "x"})


@case("28", "DUPLICATE", "model", received="saved_model.pb")
def saved_model_twice(folder: Path) -> Path:
    return good.zipped(folder / "a.zip", [("saved_model.pb", saved_model_pb()), ("saved_model.pb", b"")])


@case("+", "DUPLICATE", "model")
def names_that_differ_in_spelling_only(folder: Path) -> Path:
    parts = {unicodedata.normalize(form, "assets/caf\u00e9"): b"x" for form in ("NFC", "NFD")}
    return good.zipped(folder / "a.zip", {"saved_model.pb": saved_model_pb(), **parts})


@case("+", "DUPLICATE", "model", received="assets/")
def assets_that_differ_in_case_only(folder: Path) -> Path:
    parts = {"saved_model.pb": saved_model_pb(), "assets/words": b"x", "assets/WORDS": b"y"}
    return good.zipped(folder / "a.zip", parts)


@case("+", "TYPE_MISMATCH", "model", received="SavedModel")
def saved_model_named_keras(folder: Path) -> Path:
    return saved_model(folder / "a.keras")


@case("+", "NO_SIGNATURE", "model", received="train")
def saved_model_that_serves_nothing(folder: Path) -> Path:
    graph = saved_model_pb().replace(b"serving_default", b"trains_only_all")
    return saved_model(folder / "a.zip", graph)


@case("+", "UNSUPPORTED_MODEL", "model", place="input x")
def saved_model_of_unknown_rank(folder: Path) -> Path:
    known = field(3, good.shape_proto(-1, 4))
    return saved_model(folder / "a.zip", saved_model_pb().replace(known, field(3, field(3, 1) + known[4:])))


def _bytes(folder: Path, data: bytes) -> Path:
    (folder / "a.tflite").write_bytes(data)
    return folder / "a.tflite"


def _changed(folder: Path, change: Any) -> Path:
    model = good.tflite_model()
    change(model)
    return _bytes(folder, good.packed(model))


@case("22", "BAD_TFLITE", "model")
def random_tflite(folder: Path) -> Path:
    return _bytes(folder, np.random.default_rng(0).bytes(2000))


@case("22", "BAD_TFLITE", "model")
def tflite_with_a_bad_root(folder: Path) -> Path:
    return _bytes(folder, b"\xff\xff\xff\x7fTFL3" + good.packed(good.tflite_model())[8:])


@case("22", "BAD_TFLITE", "model")
def tflite_of_zeros(folder: Path) -> Path:
    return _bytes(folder, b"\x1c\0\0\0TFL3" + b"\0" * 1000)


@case("22", "BAD_TFLITE", "model")
def tflite_cut_in_half(folder: Path) -> Path:
    data = good.packed(good.tflite_model())
    return _bytes(folder, data[: len(data) // 2])


@case("23", "BAD_TFLITE", "model", place="operator 0 (FULLY_CONNECTED)", received="input 1 is absent")
def weights_absent(folder: Path) -> Path:
    return _changed(folder, lambda m: setattr(m.subgraphs[0].operators[0], "inputs", [0, -1, -1]))


@case("23", "BAD_TFLITE", "model", place="operator 0", received="tensor 99")
def operator_on_a_tensor_that_is_not_there(folder: Path) -> Path:
    return _changed(folder, lambda m: setattr(m.subgraphs[0].operators[0], "inputs", [0, 99, -1]))


@case("23", "BAD_TFLITE", "model", place="operator 0", received="a constant")
def operator_that_writes_into_its_weights(folder: Path) -> Path:
    return _changed(folder, lambda m: setattr(m.subgraphs[0].operators[0], "outputs", [1]))


@case("23", "BAD_TFLITE", "model", place="operator 0", received="operator code 7")
def operator_without_a_code(folder: Path) -> Path:
    return _changed(folder, lambda m: setattr(m.subgraphs[0].operators[0], "opcodeIndex", 7))


@case("+", "BAD_TFLITE", "model", received="without end")
def subgraph_that_calls_itself(folder: Path) -> Path:
    def change(model: Any) -> None:
        from ai_edge_litert import schema_py_generated as schema

        model.operatorCodes[0].builtinCode = schema.BuiltinOperator.WHILE
        model.operatorCodes[0].deprecatedBuiltinCode = schema.BuiltinOperator.WHILE
        operator = model.subgraphs[0].operators[0]
        operator.builtinOptionsType = schema.BuiltinOptions.WhileOptions
        operator.builtinOptions, operator.inputs = schema.WhileOptionsT(), [0]

    return _changed(folder, change)


@case("+", "BAD_TFLITE", "model", place="tensor 1 kernel", received="needs 3,200")
def weights_smaller_than_their_shape(folder: Path) -> Path:
    return _changed(folder, lambda m: setattr(m.subgraphs[0].tensors[1], "shape", [200, 4]))


@case("+", "BAD_TFLITE", "model", place="tensor 1", received="buffer 9")
def tensor_without_its_buffer(folder: Path) -> Path:
    return _changed(folder, lambda m: setattr(m.subgraphs[0].tensors[1], "buffer", 9))


@case("+", "BAD_TFLITE", "model", place="buffer 1", received="outside the file")
def buffer_behind_the_end(folder: Path) -> Path:
    def change(model: Any) -> None:
        model.buffers[1].data, model.buffers[1].offset, model.buffers[1].size = None, 10**6, 32

    return _changed(folder, change)


@case("+", "BAD_TFLITE", "model", place="tensor 0", received="shape [-1, 4]")
def shape_below_zero(folder: Path) -> Path:
    return _changed(folder, lambda m: setattr(m.subgraphs[0].tensors[0], "shape", [-1, 4]))


@case("+", "BAD_TFLITE", "model", place="tensor 1", received="scales")
def scales_that_do_not_fit(folder: Path) -> Path:
    def change(model: Any) -> None:
        from ai_edge_litert import schema_py_generated as schema

        quantization = schema.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = [0.1, 0.2, 0.3], [0, 0, 0]
        model.subgraphs[0].tensors[1].quantization = quantization

    return _changed(folder, change)


@case("+", "EXTERNAL_DATA", "model")
def tflite_with_weights_in_another_file(folder: Path) -> Path:
    def change(model: Any) -> None:
        from ai_edge_litert import schema_py_generated as schema

        group, outside = schema.ExternalBufferGroupT(), schema.ExternalBufferT()
        group.name, outside.id, outside.length = "/etc/passwd", 1, 10
        model.externalBufferGroups, model.externalBuffers = [group], [outside]

    return _changed(folder, change)


@case("24", "UNSUPPORTED_OP", "model", received="")
def custom_operator(folder: Path) -> Path:
    def change(model: Any) -> None:
        code = model.operatorCodes[0]
        code.builtinCode = code.deprecatedBuiltinCode = 32
        code.customCode = "FlexWriteFile"

    return _changed(folder, change)


@case("24", "UNSUPPORTED_OP", "model")
def operator_of_the_future(folder: Path) -> Path:
    return _changed(folder, lambda m: setattr(m.operatorCodes[0], "builtinCode", 5000))


@case("24", "TOO_LARGE", "model", place="tensor 0 x", limit=True, bomb=True)
def enormous_input(folder: Path) -> Path:
    return _changed(folder, lambda m: setattr(m.subgraphs[0].tensors[0], "shape", [65536, 65536, 65536]))
