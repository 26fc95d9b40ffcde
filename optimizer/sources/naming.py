"""Names made from names: how Keras writes classes in files, how a project is called after a file."""

from __future__ import annotations

import re

from optimizer.errors import printable


def snake_case(name: str) -> str:
    """A class name as Keras writes it in paths: "Conv2D" -> "conv2d", "TimeDistributed" -> "time_distributed"."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def name_from_file(name: str) -> str:
    """A project's first name from an uploaded file's name: without folders and extension."""
    return printable(re.split(r"[\\/]", name)[-1].rsplit(".", 1)[0].strip() or name, 60)


def scope_name(name: str) -> str:
    """The name of a layer or model as TensorFlow takes it for a scope: ASCII letters, digits and a few signs; the same where it is one."""
    plain = re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", name)
    return plain if re.match(r"[A-Za-z0-9.]", plain) else f"layer{plain}"
