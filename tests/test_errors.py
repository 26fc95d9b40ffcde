from __future__ import annotations

import json

from optimizer.errors import InputError, PromiseBroken, RunError, error_from_json, printable


def test_an_error_is_one_line_with_all_its_parts() -> None:
    error = InputError(
        "The file is cut off",
        code="TRUNCATED",
        place="a.h5",
        expected="10 bytes",
        received="5",
        limit="1 GB",
        fix="Copy it again.",
    )
    assert error.line == "a.h5: The file is cut off. Expected: 10 bytes. Received: 5. Limit: 1 GB. Copy it again. [TRUNCATED]"
    assert error.exit_status == 2
    assert RunError("x", code="Y").exit_status == 1


def test_names_from_strangers_cannot_forge_lines_or_turn_text_around() -> None:
    hostile = "a\nerror: fine\u202egnp.exe\x00\x1b[31m"
    assert "\n" not in printable(hostile)
    assert "\u202e" not in printable(hostile)
    assert "\x1b" not in printable(hostile)
    assert len(printable("x" * 10_000)) == 400
    assert "\n" not in InputError("bad", code="C", place=hostile, received=hostile).line


def test_an_error_survives_a_process_boundary() -> None:
    for error in (InputError("a", code="A", place="p"), PromiseBroken("b", code="B", fix="f."), RunError("c", code="C")):
        rebuilt = error_from_json(json.loads(json.dumps(error.to_json())))
        assert type(rebuilt) is type(error)
        assert rebuilt.line == error.line


def test_an_unknown_kind_of_error_becomes_a_run_error() -> None:
    assert type(error_from_json({"kind": "os.system", "what": "w", "code": "X"})) is RunError
