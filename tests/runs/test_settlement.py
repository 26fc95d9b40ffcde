from __future__ import annotations

from typing import Any

import pytest

from optimizer.runs.claims import Claims, Outcome
from optimizer.runs.processes import this_process
from optimizer.runs.run import Project, RunKind, RunState
from optimizer.runs.settlement import Settlement
from optimizer.runs.store import Store


@pytest.mark.parametrize("hostile", ["\ud800", float("inf"), {1, 2}], ids=["half a character", "infinity", "no JSON"])
def test_a_result_that_cannot_be_written_down_fails_its_run_and_not_the_runner(
    store: Store, project: Project, inputs: dict[str, Any], claims: Claims, hostile: Any
) -> None:
    store.submit(project.id, RunKind.INSPECT_MODEL, name="kws.h5", inputs={"model": inputs["model"]})
    run = claims.claim((RunKind.INSPECT_MODEL,), this_process(), "")
    assert run is not None
    settlement = Settlement(store, claims)

    settlement.add(run, Outcome(state=RunState.SUCCEEDED, project={"model": {"name": hostile}}))

    assert settlement.is_done
    ended = store.run(run.id)
    assert ended.state is RunState.FAILED
    assert ended.error is not None
    assert ended.error["code"] == "BAD_RESULT"
    assert store.project(project.id).model is None
