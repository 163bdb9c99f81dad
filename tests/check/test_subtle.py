"""Errors that the defaults do not show, or that are small: the kit rejects each in every family that it touches."""

import pytest

from bench.check import check
from tests.support import planted_subtle as planted

FAMILIES = ("gaussian", "bernoulli", "categorical", "vq")
# Estimator -> families to look at, and the rule that it must break.
WRONG = {
    planted.ShortInBatches: (FAMILIES, "alone"),
    planted.ShortInReplicasOfReplicas: (FAMILIES, "replicas"),
    planted.HalfInSinglePrecision: (FAMILIES, "precision"),
    planted.ShortAtMultiplesOfThree: (FAMILIES, "settings"),
    planted.ShortAtEvenCategories: (("categorical", "vq"), "settings"),
    planted.HalfAtBinaryData: (FAMILIES, "settings"),
    planted.ShortAtLargeCosts: (("bernoulli",), "settings"),
    planted.HalfAfterTenUpdates: (FAMILIES, "settings"),
    planted.CountsInModule: (("bernoulli",), "purity"),
    planted.CountsInClass: (("bernoulli",), "purity"),
    planted.CountsUpdatesInModule: (("bernoulli",), "state"),
    planted.ClippedLogits: (("bernoulli", "categorical"), "settings"),
    planted.ClippedStd: (("gaussian",), "settings"),
    planted.FirstThree: (("gaussian", "bernoulli", "categorical"), "settings"),
    planted.LeaveOneOutOfMany: (FAMILIES, "settings"),
    planted.BoundOfMany: (("gaussian", "bernoulli"), "settings"),
    planted.DecoderShort: (FAMILIES, "mean"),
    planted.EncoderShort: (("bernoulli",), "mean"),
    planted.NeighboursNoise: (("bernoulli",), "alone"),
    planted.ClimbsItsError: (("bernoulli",), "tuning"),
    planted.LearnsElse: (("bernoulli",), "tuning"),
    planted.TuningOtherSlope: (("bernoulli",), "tuning"),
    planted.NoDetachInUpdate: (("bernoulli",), "state"),
}


@pytest.mark.parametrize(
    ("cls", "family"), [(cls, f) for cls, (families, _) in WRONG.items() for f in families], ids=str
)
def test_a_subtle_error_is_rejected_by_the_right_rule(cls, family):
    failed = {v.rule: v for v in check(cls, families=[family]) if v.status == "FAILED"}
    assert WRONG[cls][1] in failed
    assert all(v.broken and v.reason and "\n" not in v.reason for v in failed.values())


@pytest.mark.parametrize("cls", [planted.Regresses, planted.EncoderRight])
def test_the_same_without_the_error_passes(cls):
    assert [(v.rule, v.reason) for v in check(cls) if v.status == "FAILED"] == []
