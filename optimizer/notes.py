"""What was left as it was, in sentences for the report."""

from __future__ import annotations

from collections.abc import Iterable

from optimizer.sources.summary import Finding, Verdict


def left_in_words(findings: Iterable[Finding], *, one: str = "is left as it is", many: str = "are left as they are") -> list[str]:
    """One sentence for each reason, with the names of all layers that were left for it."""
    groups: dict[str, list[str]] = {}
    for finding in findings:
        if finding.verdict is not Verdict.WORKS:
            groups.setdefault(finding.reason, []).append(finding.layer)
    return [f"{', '.join(names)} {one if len(names) == 1 else many}: {reason}." for reason, names in groups.items()]
