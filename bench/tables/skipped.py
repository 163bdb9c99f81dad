"""Runs that were never possible, in one line."""

from collections.abc import Iterable


def in_one_line(pairs: Iterable[tuple[str, str]]) -> str:
    """`5 runs skipped, impossible pairs: disarm with gaussian and vq; reparam with vq.` of the estimator and the latent
    family of each run, in the order of their names; empty where there is none."""
    families: dict[str, dict[str, None]] = {}
    count = 0
    for estimator, family in pairs:
        count += 1
        families.setdefault(estimator, {})[family] = None
    said = "; ".join(f"{estimator} with {_and(sorted(of))}" for estimator, of in sorted(families.items()))
    runs = "1 run" if count == 1 else f"{count} runs"
    words = "pair" if sum(map(len, families.values())) == 1 else "pairs"
    return f"{runs} skipped, impossible {words}: {said}." if count else ""


def _and(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
