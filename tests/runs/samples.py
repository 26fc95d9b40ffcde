"""Small parts that the tests of optimizer.runs share."""

from __future__ import annotations

from optimizer.runs.claims import Claims
from optimizer.runs.processes import this_process
from optimizer.runs.run import Run, RunKind
from optimizer.sources.summary import LayerSummary, ModelSummary

TRAINING_KINDS = (RunKind.BASELINE, RunKind.EXPERIMENT)
INSPECTION_KINDS = (RunKind.INSPECT_MODEL, RunKind.INSPECT_DATA)
SUMMARY = ModelSummary(
    name="kws.h5",
    sha256="0" * 64,
    format="h5",
    size_bytes=7,
    class_name="Functional",
    layers=(LayerSummary(name="classes", class_name="Dense", weight_shapes={"kernel": (4, 2)}, parameters=8),),
    input_shapes=((None, 4),),
    output_shapes=((None, 2),),
    output_layers=("classes",),
)
DIGITS = {"bundled": "digits"}


def take(claims: Claims, *kinds: RunKind) -> Run:
    """Claim the next run, which the test knows is there."""
    run = claims.claim(kinds or TRAINING_KINDS, this_process(), "/nowhere")
    assert run is not None
    return run
