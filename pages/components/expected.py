"""What a recipe will do, told before it runs: size, time, layers. Plain functions; estimates are marked as such by their "about"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optimizer.errors import InputError
from optimizer.recipe import Recipe
from optimizer.runs.run import Run
from optimizer.size_estimate import USUAL_ERROR, USUAL_PACKED_ERROR, FileEstimate
from optimizer.sources.summary import Finding, ModelSummary, Verdict
from optimizer.technique import Refusal, Technique, params
from pages.components.format import bytes_text, duration_text


def size_words(expected: FileEstimate) -> str:
    """ "311 KB → about 84 KB, about 60 KB compressed"."""
    packed = f"about {bytes_text(expected.packed)} when compressed"
    if expected.size == expected.now:
        return f"{bytes_text(expected.now)}; {packed}"
    return f"{bytes_text(expected.now)} → about {bytes_text(expected.size)}; {packed}"


def error_words() -> str:
    """How far such a guess is off."""
    return f"an estimate; nine of ten are within {USUAL_ERROR:.0%}, compressed within {USUAL_PACKED_ERROR:.0%}".replace("%", " %")


def expected_seconds(recipe: Recipe, earlier: Sequence[Run]) -> float | None:
    """Seconds the recipe will take, from finished runs of the same techniques on this machine, scaled by their epochs; None without one."""
    wanted = [step.name for step in recipe.steps]
    for run in earlier:
        steps = (run.recipe or {}).get("steps", [])
        if [step.get("technique") for step in steps] == wanted and run.started_at is not None and run.finished_at is not None:
            then, now = _epochs(steps), _epochs([step.to_json() for step in recipe.steps])
            return max(1.0, (run.finished_at - run.started_at) * (now / then if then and now else 1.0))
    return None


def _epochs(steps: Sequence[Mapping[str, Any]]) -> int:
    return sum(int(step.get("epochs", 0)) for step in steps)


def time_words(seconds: float | None) -> str:
    """The expected time, or that it is not known yet."""
    return "not known before the first such run" if seconds is None else f"about {duration_text(seconds)} on this machine"


def exceptions(findings: Sequence[Finding]) -> list[Finding]:
    """The verdicts that need a reason: whatever is not plainly done."""
    return [finding for finding in findings if finding.verdict is not Verdict.WORKS or finding.reason]


def exception_words(finding: Finding) -> str:
    """A verdict with its reason and what mends it, e.g. "left as it is: has no kernel"."""
    verdict = "" if finding.verdict is Verdict.WORKS else finding.verdict.value
    told = ": ".join(filter(None, (verdict, finding.reason)))
    return f"{told}. {finding.fix}" if finding.fix else told


def whole_refusal(cls: type[Technique], model: ModelSummary) -> Refusal | None:
    """Why a technique cannot work on the model with any choice of its settings; None where it can with one."""
    refused = cls().refusal_of(model)
    if refused is None:
        return None
    for setting in params(cls):
        for choice in setting.choices:
            try:
                if cls(**{setting.name: choice}).refusal_of(model) is None:
                    return None
            except InputError:
                continue
    return refused


def summary_of_technique(cls: type[Technique]) -> tuple[str, str]:
    """A technique's docstring as its first sentence and the rest."""
    words = " ".join((cls.__doc__ or "").split())
    first, _, rest = words.partition(". ")
    return first.rstrip(".") + ".", rest
