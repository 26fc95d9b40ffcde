"""What each technique can do with each layer of a model, and where the file will be no smaller or no faster: told before anything is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.environment import Host, this_host
from optimizer.sources.summary import WHOLE_MODEL, Finding, ModelSummary, Verdict
from optimizer.speed import odd_channels_in_words
from optimizer.technique import Technique, registry


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One verdict other than plain success, and the layers that share it."""

    technique: str
    verdict: Verdict
    reason: str
    fix: str
    layers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Layers by techniques.

    `layers` are the names of the rows: every layer with weights, and those without that some technique cannot treat; `findings` maps a
    technique's name to its verdicts by layer (WHOLE_MODEL for one that holds for all); `cautions` a technique's name to plain sentences;
    `model_cautions` are about the model itself.
    """

    layers: tuple[str, ...]
    findings: dict[str, dict[str, Finding]]
    cautions: dict[str, list[str]]
    model_cautions: list[str]

    def verdict(self, technique: str, layer: str) -> Verdict | None:
        """What the technique can do with the layer; None where it has nothing to do there."""
        found = self.findings[technique]
        finding = found.get(WHOLE_MODEL) or found.get(layer)
        return None if finding is None else finding.verdict

    def reasons(self) -> list[Reason]:
        """Every verdict that needs a word, layers of the same one together; impossible ones first, then by the number of layers."""
        shared: dict[tuple[str, Verdict, str, str], list[str]] = {}
        for technique, findings in self.findings.items():
            for finding in findings.values():
                if finding.verdict is not Verdict.WORKS or finding.reason:
                    shared.setdefault((technique, finding.verdict, finding.reason, finding.fix), []).append(finding.layer)
        rank = {Verdict.IMPOSSIBLE: 0, Verdict.LEFT: 1, Verdict.WORKS: 2}
        found = [Reason(technique=t, verdict=v, reason=r, fix=f, layers=tuple(names)) for (t, v, r, f), names in shared.items()]
        return sorted(found, key=lambda reason: (rank[reason.verdict], -len(reason.layers)))

    def to_json(self) -> dict[str, Any]:
        """`techniques` (a list of findings each), `cautions` and `model_cautions` in plain JSON types."""
        return {
            "techniques": {name: [finding.to_json() for finding in found.values()] for name, found in self.findings.items()},
            "cautions": self.cautions,
            "model_cautions": self.model_cautions,
        }


def reach_in_words(findings: Iterable[Finding], model: ModelSummary) -> str:
    """How many of the layers that hold weights one technique treats: "4 of 6 layers with weights; 2 left as they are"."""
    by_layer = {finding.layer: finding for finding in findings}
    weighted = [layer.name for layer in model.layers if layer.parameters]
    verdicts = [by_layer.get(WHOLE_MODEL) or by_layer.get(name) for name in weighted]
    counts = Counter(None if finding is None else finding.verdict for finding in verdicts)
    text = f"{counts[Verdict.WORKS]} of {len(weighted)} {'layer' if len(weighted) == 1 else 'layers'} with weights"
    if counts[Verdict.LEFT]:
        text += f"; {counts[Verdict.LEFT]} left as {'it is' if counts[Verdict.LEFT] == 1 else 'they are'}"
    return text + (f"; {counts[Verdict.IMPOSSIBLE]} impossible" if counts[Verdict.IMPOSSIBLE] else "")


def technique_grid(model: ModelSummary, *, steps: Sequence[Technique] | None = None, host: Host | None = None) -> Grid:
    """The grid of a model.

    Args:
        model: What the preflight said of the model.
        steps: Techniques with their settings; None for all that are registered, with their default settings.
        host: The machine whose kernels are spoken of; None for this one.
    """
    chosen = [cls() for cls in registry().values()] if steps is None else steps
    here = host or this_host()
    findings = {step.name: {finding.layer: finding for finding in step.check(model)} for step in chosen}
    treated = {layer.name for layer in model.layers if layer.parameters}
    told = {name for found in findings.values() for name, finding in found.items() if finding.verdict is not Verdict.WORKS}
    return Grid(
        layers=tuple(layer.name for layer in model.layers if layer.name in treated | told),
        findings=findings,
        cautions={step.name: step.cautions(model, here) for step in chosen if step.refusal_of(model) is None},
        model_cautions=odd_channels_in_words(model),
    )
