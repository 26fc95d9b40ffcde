"""Names made from names."""

from __future__ import annotations

from optimizer.sources.naming import name_from_file, snake_case


def test_a_project_is_called_after_a_file_without_folders_and_extension() -> None:
    assert name_from_file("C:\\models\\kws-v3.h5") == "kws-v3"
    assert name_from_file("../x/y.tar.keras") == "y.tar"
    assert name_from_file(".h5") == ".h5"


def test_classes_are_written_as_keras_writes_them() -> None:
    assert snake_case("Conv2D") == "conv2d"
    assert snake_case("TimeDistributed") == "time_distributed"
