"""Several processes find what one finds, in the same order, and one that ends loses its task alone."""

import re

from bench.check import main
from bench.check.kit import HYPER, Share, joined
from bench.check.several import outcome
from bench.check.spread import spread
from bench.check.verdict import Verdict
from tests.support.tasks import shared


def test_several_processes_print_what_one_prints(capsys):
    printed = []
    for workers in ("1", "3"):
        assert main(["vq_rotation", "detached", "--quick", "--family", "vq", "--workers", workers]) == 0
        printed.append(re.sub(r"\d+\.\d s\n", "s\n", capsys.readouterr().out))
    assert printed[1] == printed[0]
    assert len(re.findall(r"^vq_rotation +vq +mean", printed[0], re.MULTILINE)) == 1


def test_tasks_are_answered_in_their_order_and_a_process_that_ends_loses_its_own_alone():
    tasks = [(3, 0.2), (-1, 0.0), (4, 0.0), (-1, 0.0), (5, 0.0), (6, 0.0)]
    done = list(spread(shared, tasks, 2))
    assert [each.result for each in done] == [9, None, 16, None, 25, 36]
    assert [each.lost for each in done if each.result is None] == ["Its process ended with exit status 3."] * 2
    assert done[0].seconds >= 0.2
    [lost] = outcome(done[1], Share("vq"))
    assert (lost.status, lost.family, lost.reason) == ("FAILED", "vq", done[1].lost)


def test_a_fault_that_ends_a_family_is_told_once_and_the_hyper_parameters_are_left_out():
    fault = Verdict("FAILED", "", "loss has the shape [5] where q's batch is [5, 2]", "shapes", "", "gaussian", True)
    again = fault._replace(family="vq", reason="loss has the shape [7] where q's batch is [7, 2]")
    whole = Verdict("ok", rule="hyper_parameters")
    later = Verdict("ok", rule="settings", family="gaussian")
    shares = [Share("gaussian"), Share("gaussian", later=True), Share("vq"), HYPER]
    found = list(joined([], shares, [[fault], [later], [again], [whole]]))
    assert [(v.status, v.reason) for v in found] == [
        ("FAILED", fault.reason),
        ("skipped", "The same fault as with gaussian latents."),
    ]
    assert list(joined([], [Share("vq"), HYPER], [[], [whole]])) == [whole]
