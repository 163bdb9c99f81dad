"""What CONTRIBUTING.md prints works as it stands."""

import importlib.util
import re

import pytest
import torch

from bench.check import check
from bench.check.brought import Part, part_verdicts
from bench.config.prepare import prepare
from bench.run.experiment import Experiment
from estimators import Bernoulli
from tests.support.composed import resolved
from tests.support.packages import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def printed(tmp_path, monkeypatch):
    """The class that the numbered block of the page defines."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def of(number: int, name: str):
        (tmp_path / f"contributed_{number}.py").write_text(blocks("python")[number])
        return getattr(importlib.import_module(f"contributed_{number}"), name)

    return of


@pytest.mark.parametrize(("number", "name"), [(0, "TwoSample"), (1, "TrackedMean")])
def test_the_estimators_of_the_page_keep_their_word(printed, number, name):
    cls = printed(number, name)
    assert cls.name == ("two_sample", "tracked_mean")[number]
    found = check(cls, families=["bernoulli"], quick=True)
    assert not [verdict for verdict in found if verdict.status == "FAILED"]
    assert ("mean", "ok") in [(verdict.rule, verdict.status) for verdict in found]


def test_the_estimator_with_parameters_and_state_learns_and_moves(printed):
    made = printed(1, "TrackedMean")(decay=0.5)
    q = Bernoulli(torch.zeros(4, 3))
    estimate = made(q, lambda z, q=None: z.sum(-1) + 2, torch.zeros(4, 0))
    assert float(made.mean) == 0
    made.update(estimate)
    assert float(made.mean) == pytest.approx(float(estimate.cost.mean()) / 2)
    made(q, lambda z, q=None: 4 * made.mean.expand(1, 4), torch.zeros(4, 0)).tuning.mean().backward()
    assert float(made.scale.grad) == pytest.approx(-6 * float(made.mean) ** 2)  # of (4 m - a m)^2 at a = 1


def test_the_map_has_every_room_of_bench():
    rooms = {folder.parent.name for folder in (ROOT / "bench").glob("*/__init__.py")}
    assert rooms == set(re.findall(r"^\| `bench/(\w+)/` \|", PAGE, re.MULTILINE))


def test_by_hand(capsys):
    exec(blocks("python")[2], {})
    assert re.fullmatch(r"tensor\(\[[^,]+(, [^,]+){3}\]\)", capsys.readouterr().out.strip())


@pytest.mark.parametrize("command", re.findall(r"^python -m (bench\S*) ", PAGE, re.MULTILINE))
def test_every_command_of_the_page_exists(command):
    assert importlib.util.find_spec(command)


@pytest.mark.parametrize(
    ("number", "name", "group"), [(3, "Blobs", "data"), (4, "OneLayer", "model"), (5, "Exponential", "latent")]
)
def test_a_run_of_the_parts_of_the_page(printed, number, name, group):
    cls = printed(number, name)
    small = resolved("device=cpu", "threads=1", "train.batch_size=8", "measure.batches=1", "latent=bernoulli_small")
    small |= {group: {"_target_": f"{cls.__module__}.{name}"}}
    experiment = Experiment(prepare(small))
    experiment.train_step()
    if group != "data":
        found = [*part_verdicts(Part(name, group, cls, "here"))]
        assert {verdict.status for verdict in found} == {"ok"}, found


def test_the_problem_of_the_page(printed):
    cls = printed(6, "Valley")
    held = {"problem": {"_target_": f"{cls.__module__}.Valley", "dim": 3}}
    experiment = Experiment(
        prepare(resolved("device=cpu", "threads=1", "problem=gaussian_quadratic", "measure.reference=none") | held)
    )
    experiment.train_step()
    assert experiment.model.cost(torch.zeros(1, 1), torch.ones(2, 1, 3)).tolist() == [[0.0], [0.0]]
