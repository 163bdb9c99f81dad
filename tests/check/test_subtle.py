"""Errors that the defaults do not show, or that are small: the kit rejects each in every family that it touches."""

import pytest

from bench.check import check
from tests.support import planted_settings
from tests.support import planted_subtle as planted

FAMILIES = ("gaussian", "bernoulli", "categorical", "vq")
# Estimator -> families to look at, and the rule that it must break.
WRONG = {
    planted_settings.ShortInBatches: (FAMILIES, "alone"),
    planted_settings.ShortInReplicasOfReplicas: (FAMILIES, "replicas"),
    planted_settings.HalfInSinglePrecision: (FAMILIES, "precision"),
    planted_settings.ShortAtMultiplesOfThree: (FAMILIES, "settings"),
    planted_settings.ShortAtEvenCategories: (("categorical", "vq"), "settings"),
    planted_settings.HalfAtBinaryData: (FAMILIES, "settings"),
    planted_settings.ShortAtLargeCosts: (("bernoulli",), "settings"),
    planted_settings.HalfAfterTenUpdates: (FAMILIES, "settings"),
    planted.CountsInModule: (("bernoulli",), "purity"),
    planted.CountsInClass: (("bernoulli",), "purity"),
    planted.CountsUpdatesInModule: (("bernoulli",), "state"),
    planted_settings.ClippedLogits: (("bernoulli", "categorical"), "settings"),
    planted_settings.ClippedStd: (("gaussian",), "settings"),
    planted_settings.FirstThree: (("gaussian", "bernoulli", "categorical"), "settings"),
    planted_settings.LeaveOneOutOfMany: (FAMILIES, "settings"),
    planted_settings.BoundOfMany: (("gaussian", "bernoulli"), "settings"),
    planted.DecoderShort: (FAMILIES, "mean"),
    planted.EncoderShort: (("bernoulli",), "mean"),
    planted.NeighboursNoise: (("bernoulli",), "alone"),
    planted.ClimbsItsError: (("bernoulli",), "tuning"),
    planted.LearnsElse: (("bernoulli",), "tuning"),
    planted.TuningOtherSlope: (("bernoulli",), "tuning"),
    planted.NoDetachInUpdate: (("bernoulli",), "detached"),
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
