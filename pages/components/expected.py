"""What a recipe will do, told before it runs: size, time, layers. Plain functions; estimates are marked as such by their "about"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.errors import InputError
from optimizer.recipe import Recipe
from optimizer.runs.run import Run
from optimizer.sources.summary import Finding, ModelSummary, Verdict
from optimizer.technique import Refusal, Technique, params
from pages.components.format import bytes_text, duration_text

FLOAT_BITS = 32.0


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Lines of text for the panel; `size` and `packed` are bytes."""

    now: float
    size: float
    packed: float

    @property
    def size_words(self) -> str:
        """ "311 KB → about 84 KB, 60 KB compressed"."""
        return f"{bytes_text(self.now)} → about {bytes_text(self.size)}; {bytes_text(self.packed)} when compressed"


def expected_size(recipe: Recipe, model: ModelSummary, baseline: Mapping[str, Any] | None) -> Expected:
    """Bytes of the result, guessed from the steps: the weights shrink, the rest of the file stays."""
    weights = model.parameters * FLOAT_BITS / 8
    now = float((baseline or {}).get("size_bytes") or (model.size_bytes if model.format == "tflite" else weights))
    rest = max(0.0, now - weights)
    if not recipe.steps and not model.is_keras:
        packed = float((baseline or {}).get("gzip_bytes") or now)
        return Expected(now=now, size=now, packed=packed)
    size = recipe.estimate(model.parameters)
    stored = size.parameters * size.stored_bits / 8
    return Expected(now=now, size=stored + rest, packed=min(size.parameters * size.packed_bits() / 8 + rest / 2, stored + rest))


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
    """A verdict with its reason and what mends it, e.g. "left as it is: has no kernel that TFMOT prunes"."""
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
