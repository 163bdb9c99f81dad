"""A half-written estimator: the kit and the harness say the rule and the mend in the same words, each fault once."""

import pytest

from bench import list as listing
from bench.check import check, main
from bench.config import plugins
from bench.errors import BadInput
from bench.run.perform import start
from tests.support import planted_unfinished as planted
from tests.support.small import run_config

UNFINISHED = {  # estimator -> rule of the kit, and what is said
    planted.NoLatents: (
        "tags",
        "the tag latents is not declared: write latents = (Bernoulli,), the families that it can",
    ),
    planted.OneLatent: (
        "tags",
        "the tag latents is <class 'estimators.latents.bernoulli.Bernoulli'>: write latents = (",
    ),
    planted.NoUnbiased: ("tags", "the tag unbiased is not declared: write unbiased = True or unbiased = False, in the"),
    planted.NoEvaluations: ("tags", 'the tag evaluations is not declared: write evaluations = "k / 0", cost evaluat'),
    planted.NoRange: ("tags", "the tag tunable is {'k': (2, 8)}: write tunable = {"),
    planted.ReturnsTensor: (
        "shapes",
        "forward returns a Tensor, not an Estimate: end it with return Estimate(loss, co",
    ),
    planted.ReturnsNone: ("shapes", "forward returns None, not an Estimate: end it with return Estimate(loss, cost)"),
    planted.ReturnsTuple: (
        "shapes",
        "forward returns a tuple, not an Estimate: end it with return Estimate(loss, cost)",
    ),
    planted.ReturnsNoCost: (
        "shapes",
        "cost is None, not a tensor: end it with return Estimate(loss, cost), one value p",
    ),
    planted.ReturnsNumber: (
        "shapes",
        "cost is a float, not a tensor: end it with return Estimate(loss, cost), one val",
    ),
    planted.AveragesExamples: ("shapes", "loss has the shape [] where q's batch is ["),
    planted.KeepsSamples: ("shapes", "loss has the shape [1, "),
    planted.LosesGradient: ("shapes", "the loss has no gradient: its gradient is the estimate, so something in it dep"),
    planted.ForgetsDetach: (
        "detached",
        "update leaves mean with a gradient: detach what it takes, as in estimate.cost.",
    ),
    planted.ForgetsDetachInPlace: ("detached", "update leaves mean with a gradient: detach what it takes, as in "),
    planted.ForgetsDetachInside: ("detached", "update leaves memory.last with a gradient: detach what it takes, as in"),
}
NAMED = pytest.mark.parametrize("cls", UNFINISHED, ids=lambda cls: cls.name)


@NAMED
def test_the_kit_tells_the_fault_once_and_not_once_a_family(cls):
    rule, said = UNFINISHED[cls]
    verdicts = check(cls, quick=True)
    [failed] = [v for v in verdicts if v.status == "FAILED"]
    assert failed.rule == rule
    assert failed.reason.startswith(said)
    assert failed.broken
    if rule == "tags":
        assert verdicts == [failed]
    else:
        [other] = [v for v in verdicts if v.family == "bernoulli" and v.rule == rule]
        assert (other.status, other.reason) == ("skipped", "The same fault as with gaussian latents.")


@NAMED
def test_a_run_is_refused_in_the_same_words(cls):
    with pytest.raises(BadInput) as refused:
        start([run_config("bernoulli", {"_target_": plugins.path(cls)})])
    before, after = str(refused.value).split(": ", 1)
    assert before in (f"{cls.name} is not finished", "planted breaks the interface")
    assert after.startswith(UNFINISHED[cls][1])
    assert after.count(". ") == 0


def test_what_is_whole_is_not_refused():
    start([run_config("bernoulli", {"_target_": plugins.path(planted.Whole)})])
    assert not [v for v in check(planted.Whole, ["bernoulli"], quick=True) if v.last]


@pytest.mark.parametrize("cls", [planted.NoLatents, planted.OneLatent, planted.NoUnbiased, planted.NoEvaluations])
def test_the_commands_name_it_and_go_on(cls, capsys, monkeypatch):
    monkeypatch.setitem(plugins.registry(), "unfinished", plugins.Registered(cls, "estimators/unfinished.py"))
    assert listing.main(["--markdown"]) == 0
    [row] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| unfinished |")]
    assert "?" in row or ". . . . ." in row
    assert main(["unfinished"]) == 1
    out = capsys.readouterr().out
    assert "rule  Every tag is declared" in out
    assert f"found {UNFINISHED[cls][1]}" in out
    assert "file  estimators/unfinished.py" in out
    assert out.count("FAILED") == 1
    with pytest.raises(BadInput, match="is not finished: the tag"):
        plugins.estimator("unfinished")
