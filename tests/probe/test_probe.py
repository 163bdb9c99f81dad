"""The command: one trajectory, every estimator at its checkpoints, what is done again and what is refused."""

import json

import pytest
import torch
from hydra import compose, initialize_config_dir

from bench import cli
from bench.config import plugins
from bench.files import CONF, ROOT
from bench.probe.command import estimators, main
from bench.run import single
from bench.tables import store
from tests.support.runs import SMALL

FEW = (
    *SMALL,
    "latent=bernoulli_small",
    "device=cpu",
    "measure.reference=auto",
    "probe.tuning_steps=3",
    "probe.batch_sizes=[]",
)
PROBED = "probe.estimators=[rloo,'rloo k=8',rebar,reparam]"


def rows(folder) -> list[dict]:
    """The rows of `runs`, each with what its configuration says of the checkpoint, or None."""
    found = [store.read(marker.parent)["runs"].to_pylist()[0] for marker in folder.rglob(store.MARKER)]
    return [row | {"probe": json.loads(row["config"]).get("probe")} for row in found]


def forbid_training(monkeypatch):
    def never(*_, **__):
        raise AssertionError("it trained")

    monkeypatch.setattr(single, "run", never)


def test_a_probe_is_a_run_for_each_estimator_beside_that_of_the_trajectory(tmp_path, capsys, monkeypatch):
    words = (*FEW, PROBED, f"output={tmp_path}", "name=p")
    assert main(words) == 0
    found = rows(tmp_path / "p")
    [trajectory] = [row for row in found if row["probe"] is None]
    assert (trajectory["estimator"], trajectory["step"]) == ("rloo", 12)
    assert (tmp_path / "p" / trajectory["run"] / "model_step_12.pt").is_file()
    probed = [row for row in found if row["probe"]]
    assert sorted((row["estimator"], row["status"]) for row in probed) == [
        ("rebar", "done"), ("reparam", "skipped"), ("rloo", "done"), ("rloo", "done"),
    ]  # fmt: skip
    assert len({row["probe"]["digest"] for row in probed}) == 1
    for row in probed:
        assert (row["probe"]["trained_with"], row["probe"]["step"], row["probe"]["tuning_steps"]) == ("rloo", 12, 3)
        assert row["probe"]["trajectory"]["estimator"]["k"] == 4
        for observed in store.read(tmp_path / "p" / row["run"]).get("gradient").to_pylist():
            assert (observed["trained_with"], observed["step"], observed["reference"]) == ("rloo", 12, "exact")
    said = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in said[:5]] == [
        "trajectory of rloo", *(f"{name} at step 12 of rloo" for name in ("rloo", "rloo k=8", "rebar", "reparam")),
    ]  # fmt: skip
    assert said[4].endswith("reparam does not differentiate bernoulli latents; it is made for gaussian.")
    assert said[5].strip() == "bernoulli; shared checkpoint of rloo, step 12"
    assert [" ".join(line.split()[1:5]) for line in said[7:10]] == ["rloo 4 / 0", "rloo 8 / 0", "rebar 3 / 2"]
    assert said[10] == f"python -m bench.report {tmp_path / 'p'} draws them."

    forbid_training(monkeypatch)
    again = [words, (*words, f"probe.checkpoint={tmp_path}")]  # the checkpoint that was trained is the one that is read
    again += [(*words, f"probe.checkpoint={tmp_path / 'p' / trajectory['run'] / 'model_step_12.pt'}")]
    for repeated in again:
        assert main(repeated) == 0
        done = [line for line in capsys.readouterr().out.splitlines() if " at step 12 of rloo: " in line]
        assert len(done) == 4
        assert all(": already " in line for line in done)
    assert len(rows(tmp_path)) == 5


def test_the_trajectory_is_an_ordinary_run_and_is_trained_again_for_its_checkpoints_alone(tmp_path, capsys):
    words = [word for word in FEW if not word.startswith("probe.")] + [f"output={tmp_path}"]
    assert cli.main(words) == 0
    [before] = rows(tmp_path)
    assert main([*words, "probe.at=[0,0.5]", "probe.estimators=[rloo]", "probe.tuning_steps=0"]) == 0
    found = rows(tmp_path)
    assert before["run"] in {row["run"] for row in found if not row["probe"]}
    assert sorted(row["probe"]["step"] for row in found if row["probe"]) == [0, 6]
    files = sorted(file.name for file in (tmp_path / "runs" / before["run"]).glob("*.pt"))
    assert files == ["model_step_0.pt", "model_step_6.pt"]


def test_a_sweep_of_probes_goes_on_after_an_impossible_trajectory(tmp_path, capsys):
    words = (*FEW, "probe.estimators=[rloo]", "timing.repetitions=0", f"output={tmp_path}")
    assert main(("--multirun", *words, "estimator=reparam,rloo")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1/2 estimator=reparam: skipped in ")
    assert [line.split(": ")[0] for line in lines[1:3]] == [
        "2/2 estimator=rloo trajectory of rloo", "2/2 estimator=rloo rloo at step 12 of rloo",
    ]  # fmt: skip


def test_a_trajectory_that_does_not_arrive_is_an_error(tmp_path, capsys):
    words = (*FEW, "probe.estimators=[rloo]", f"output={tmp_path}", "train.lr=1e38", "measure.at=[]", "evaluate.at=[]")
    assert main(words) == 1
    assert "no checkpoint to measure at: The loss was not finite at step" in capsys.readouterr().err


def chosen(wanted: list[str], *words: str) -> dict:
    """What `estimators` makes of the key."""
    plugins.register()
    with initialize_config_dir(str(CONF), **plugins.VERSION_BASE):
        return estimators(compose("probe", list(words)), wanted)


def test_all_is_every_option_and_preset_once():
    found = chosen(["all"])
    assert found.keys() <= plugins.registry().keys() | plugins.presets().keys()
    assert plugins.registry().keys() <= found.keys()
    nodes = [json.dumps(node, sort_keys=True) for _, node in found.values()]
    assert len(nodes) == len(set(nodes))
    assert {json.dumps(plugins.complete(plugins.composed(name)), sort_keys=True) for name in plugins.presets()} <= set(
        nodes
    )


def test_hyper_parameters_go_with_the_name():
    found = chosen(["rloo k=8", "gumbel_softmax_annealed rate=0.5"])
    assert [(name, node.get("k"), node.get("rate")) for name, node in found.values()] == [
        ("rloo", 8, None), ("gumbel_softmax_annealed", 1, 0.5),
    ]  # fmt: skip


BAD = [
    ("probe.estimators=[rlo]", "no estimator rlo: did you mean rloo?"),
    ("probe.estimators=['rloo kk=3']", "no key estimator.kk: did you mean estimator.k?"),
    ("probe.estimators=['rloo k=0']", "k >= 2; got k=0"),
    ("probe.estimators=[]", "probe.estimators needs a list of one or more"),
    ("probe.at=[]", "probe.at needs a list of one or more"),
    ("probe.at=[2]", "probe.at needs a list, each a number from 0 to 1"),
    ("probe.tuning_steps=-1", "probe.tuning_steps needs a whole number from 0 to 1073741824; got -1"),
    ("probe.stpes=3", "no key probe.stpes"),
    ("~probe", "probe.estimators is missing"),
    ("probe=3", "probe"),
    ("estimator=rlo", "no estimator rlo: did you mean rloo?"),
    ("train.steps=-1", "train.steps needs a whole number"),
    ("estimator=reparam", "reparam does not differentiate bernoulli latents"),
    ("measure.reference=straight_through", "straight_through is not an unbiased estimator"),
    ("measure.reference=reparam", "measure.reference=reparam is not possible here: reparam does not differentiate"),
    ("probe.checkpoint=/nope", "/nope does not exist"),
    ("probe.checkpoint=conf", "no model_step_<n>.pt below conf"),
    ("probe.checkpoint=README.md", "README.md is damaged, or no checkpoint"),
]


def refused(capsys, *words: str) -> str:
    """The one sentence that the command answers."""
    assert main((*FEW, "probe.estimators=[rloo]", *words)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert said.err.rstrip().endswith((".", "?"))
    return said.err


@pytest.mark.parametrize(("word", "sentence"), BAD, ids=[word for word, _ in BAD])
def test_one_sentence(word, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.delenv(cli.TRACEBACKS, raising=False)
    monkeypatch.chdir(ROOT)
    assert sentence in refused(capsys, word, f"output={tmp_path}")
    assert list(tmp_path.iterdir()) == []


def test_an_enumeration_that_is_too_large(capsys, tmp_path):
    words = ("latent=bernoulli", "measure.reference=exact", f"output={tmp_path}")
    assert "exact would sum over 1.61e+60 points of this bernoulli latent" in refused(capsys, *words)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_architecture_or_of_other_data(capsys, tmp_path):
    made = (*FEW, "probe.estimators=[detached]", "train.steps=0", f"output={tmp_path}", "timing.repetitions=0")
    assert main(made) == 0
    before = sorted(tmp_path.rglob("*"))
    capsys.readouterr()
    from_it = (f"probe.checkpoint={tmp_path}", f"output={tmp_path}", "train.steps=0")
    assert "latent.dim=10, and this configuration has latent.dim=3" in refused(capsys, *from_it, "latent.dim=3")
    assert "model.hidden=[200, 200], and this configuration has model.hidden=[7]" in refused(
        capsys, *from_it, "model.hidden=[7]"
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_a_first_word_reaches_the_probe(capsys):
    assert cli.main(["probe", "probe.at=[]", *FEW]) == 2
    assert "probe.at needs" in capsys.readouterr().err


@pytest.fixture(autouse=True)
def _one_thread():
    yield
    torch.set_num_threads(1)
