"""Small parts that the tests of optimizer.runs share."""

from __future__ import annotations

from optimizer.runs.claims import Claims
from optimizer.runs.processes import this_process
from optimizer.runs.run import Run, RunKind

TRAINING_KINDS = (RunKind.BASELINE, RunKind.EXPERIMENT)
INSPECTION_KINDS = (RunKind.INSPECT_MODEL, RunKind.INSPECT_DATA)
DIGITS = {"bundled": "digits"}


def take(claims: Claims, *kinds: RunKind) -> Run:
    """Claim the next run, which the test knows is there."""
    run = claims.claim(kinds or TRAINING_KINDS, this_process(), "/nowhere")
    assert run is not None
    return run
