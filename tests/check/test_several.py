"""Several processes find what one finds, in the same order, and one that ends loses its task alone."""

import argparse
import os
import re
from multiprocessing import forkserver

from bench.check import main
from bench.check.kit import HYPER, Share, joined
from bench.check.several import outcome, several
from bench.check.spread import KEEP, Done, spread, start_server
from bench.check.subject import subject
from bench.check.verdict import Verdict
from tests.support.tasks import begun, shared


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


def test_tasks_begun_in_another_order_are_answered_in_theirs():
    order = [2, 0, 3, 1]
    found = [each.result for each in spread(begun, [(number,) for number in range(4)], 1, order)]
    assert [number for number, _ in found] == [0, 1, 2, 3]
    assert [number for number, _ in sorted(found, key=lambda each: each[1])] == order


def test_a_verdict_is_told_as_soon_as_its_share_is_done(monkeypatch):
    done = []

    def one_after_another(do, tasks, workers, order):
        assert order == [2, 0, 1]  # the hyper-parameters, then the family's
        for task in tasks:
            done.append(task)
            yield Done([Verdict("ok", family=task[1].family)], 0.5)

    monkeypatch.setattr("bench.check.several.spread", one_after_another)
    options = argparse.Namespace(family=[], quick=True, compile=False)
    ((found, seconds),) = several([subject("vq_rotation")], options, 2)
    told = [next(found).rule, next(found).rule]
    assert (told, done, seconds()) == (["tags", "refusals"], [], 0)
    for count, each in enumerate(found, 1):
        assert (len(done), seconds(), each.family) == (count, 0.5 * count, done[-1][1].family)
    assert len(done) == 3


def test_the_server_is_told_to_keep_memory_and_nobody_else_is(monkeypatch):
    told = {}
    monkeypatch.setattr(forkserver, "ensure_running", lambda: told.update(os.environ))
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "5")
    start_server()
    assert told.items() >= {**KEEP, "MALLOC_TRIM_THRESHOLD_": "5"}.items()
    assert os.environ.get("MALLOC_TRIM_THRESHOLD_") == "5"
    assert "MALLOC_MMAP_THRESHOLD_" not in os.environ


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
