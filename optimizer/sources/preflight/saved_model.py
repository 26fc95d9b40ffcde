"""A zipped SavedModel: its files, then the graphs in its saved_model.pb. Loading one runs its initializers, so none is loaded here."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path, PurePosixPath

from optimizer.errors import InputError
from optimizer.sources.damage import ZIP_DAMAGE
from optimizer.sources.limits import MAX_FILE_BYTES, MAX_GRAPH_BYTES, MAX_SAVED_MODEL_MEMBERS
from optimizer.sources.preflight import wire
from optimizer.sources.preflight.saved_model_check import check_meta_graph
from optimizer.sources.preflight.saved_model_graph import MetaGraph, read_meta_graphs
from optimizer.sources.readers.zip_members import checked_members, read_member

GRAPH = "saved_model.pb"
OTHER_GRAPHS = ("saved_model.cpb", "saved_model.pbtxt")
"""TensorFlow prefers the first of these to saved_model.pb, so a harmless one could stand beside a harmful one."""
PARTS = re.compile(r"(saved_model|keras_metadata|fingerprint)\.pb|variables/variables\.(index|data-\d{5}-of-\d{5})|assets/[^/]+")
SAVE_AGAIN = "Save the model again with tf.saved_model.save(...) or model.export(...), and zip the folder."


def check_saved_model(path: Path, place: str) -> list[MetaGraph]:
    """Check a zipped SavedModel.

    Returns:
        Its graphs.

    Raises:
        InputError: NOT_SAVEDMODEL, UNSAFE_OP, UNSAFE_PATH, TOO_LARGE, TOO_MANY, DUPLICATE, ENCRYPTED, ZIP_BOMB, BAD_ZIP.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            data = read_member(archive, model_members(archive, place)[GRAPH], place)
    except InputError:
        raise
    except ZIP_DAMAGE as error:
        raise InputError("The zip archive is damaged", code="BAD_ZIP", place=place, received=str(error)) from error
    return check_graphs(data, f"{place}, {GRAPH}")


def model_members(archive: zipfile.ZipFile, place: str) -> dict[str, zipfile.ZipInfo]:
    """Members that make up the model, by their name within it; whoever unpacks it writes these and no others.

    Raises:
        InputError: NOT_SAVEDMODEL, UNSAFE_PATH, TOO_LARGE, TOO_MANY, DUPLICATE, ENCRYPTED, ZIP_BOMB.
    """
    members = checked_members(archive, place, most=MAX_SAVED_MODEL_MEMBERS, most_bytes=MAX_FILE_BYTES)
    graphs = [member for member in members if PurePosixPath(member.filename).name == GRAPH]
    others = [member.filename for member in members if PurePosixPath(member.filename).name in OTHER_GRAPHS]
    if len(graphs) != 1 or others:
        raise InputError(
            "The archive does not hold one SavedModel",
            code="NOT_SAVEDMODEL",
            place=place,
            expected=f"a folder with one {GRAPH} and a folder variables",
            received=", ".join([*(member.filename for member in graphs), *others]) or f"no {GRAPH}",
            fix=SAVE_AGAIN,
        )
    if graphs[0].file_size > MAX_GRAPH_BYTES:
        raise InputError(
            "The graph is too large",
            code="TOO_LARGE",
            place=f"{place}, {GRAPH}",
            received=f"{graphs[0].file_size:,} bytes",
            limit=f"{MAX_GRAPH_BYTES:,}",
        )
    folder = graphs[0].filename[: -len(GRAPH)]
    inside = {member.filename[len(folder) :]: member for member in members if member.filename.startswith(folder)}
    found = {name: member for name, member in inside.items() if PARTS.fullmatch(name)}
    folded = [name.casefold() for name in found]
    for name in found:
        # These become files, and on some file systems both names are one. (Images do not, and "A" and "a" are two classes.)
        if folded.count(name.casefold()) > 1:
            what = "The archive holds two files whose names differ in case only"
            raise InputError(what, code="DUPLICATE", place=place, received=name, fix=SAVE_AGAIN)
    return found


def check_graphs(data: bytes, place: str) -> list[MetaGraph]:
    """Check the bytes of a saved_model.pb, and give its graphs. Raises InputError NOT_SAVEDMODEL, UNSAFE_OP, UNSAFE_PATH, TOO_LARGE."""
    try:
        graphs = read_meta_graphs(memoryview(data), place)
    except wire.WireError as error:
        raise _not_a_graph(place, str(error)) from error
    if not any(graph.nodes or graph.functions for graph in graphs):
        raise _not_a_graph(place, "no graph")
    for graph in graphs:
        check_meta_graph(graph, place)
    return graphs


def _not_a_graph(place: str, received: str) -> InputError:
    return InputError(
        "The file is not a SavedModel's graph", code="NOT_SAVEDMODEL", place=place, received=received, fix=SAVE_AGAIN
    )
