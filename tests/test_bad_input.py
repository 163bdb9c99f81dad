"""Bad input gets one sentence and exit status 2: no traceback, and nothing on the disk changes."""

import json

import pytest
import torch

from bench import cli, plugins, run, tables
from bench.config import identity

CASES = [
    ("estimator=rlo", "no estimator rlo: did you mean rloo?"),
    ("estimator=zzz", "no estimator zzz: there is antithetic, "),
    ("estimator=null", "Config group override"),
    ("~estimator", "choose one with estimator=<name>"),
    ("latent=gausian", "no latent gausian: did you mean gaussian"),
    ("latent.family=bernouli", "latent.family=bernouli does not exist: did you mean bernoulli?"),
    ("data=mnst", "no data mnst: did you mean mnist"),
    ("experiment=nope", "no experiment nope"),
    ("problem=gausian_exp", "no problem gausian_exp: did you mean gaussian_exp"),
    ("problem.k=1", "problem.k belongs to problem.name=gaussian_quadratic or gaussian_exp or gaussian_cosine."),
    (
        "+problem.k=1",
        "problem.k belongs to problem.name=gaussian_quadratic or gaussian_exp or gaussian_cosine, not vae.",
    ),
    ("problem.name=gaussian_exp", "belongs to problem.name=vae, not gaussian_exp."),
    ("train.schedule=cosin", "train.schedule=cosin does not exist: did you mean cosine?"),
    ("trian.steps=3", "no key trian: did you mean train?"),
    ("train.stepz=3", "no key train.stepz: did you mean train.steps?"),
    ("batch_size=3", "no key batch_size: did you mean measure.batch_size or train.batch_size?"),
    ("+train.stepz=3", "no key train.stepz: did you mean train.steps?"),
    ("+zzz=3", "no key zzz: `python -m bench --cfg job` shows all keys"),
    ("+latent.codes=3", "latent.codes belongs to latent.family=vq"),
    ("~latent.dim", "latent.dim is missing; it needs a whole number, 1 or more"),
    ("estimator.kk=3", "no key estimator.kk: did you mean estimator.k?"),
    ("+estimator.kk=3", "no hyper-parameter kk: did you mean k?"),
    ("estimator.k=0", "k >= 2; got k=0"),
    ("estimator.k=abc", "'abc' of type 'str' could not be converted to Integer"),
    ("estimator.k=2.5", "could not be converted to Integer"),
    ("estimator._target_=os.system", "_target_ os.system is not"),
    ("engine=foo", "engine=foo does not exist: there is compile, eager, graph."),
    ("replicas=0", "replicas needs a whole number, 1 or more; got 0"),
    ("replicas=1.5", "replicas needs a whole number"),
    ("train.batch_size=-3", "train.batch_size needs a whole number, 1 or more; got -3"),
    ("train.batch_size=1.5", "a whole number"),
    ("train.steps=true", "train.steps needs a whole number"),
    ("train.steps=", "train.steps needs a whole number"),
    ("train.lr=0", "train.lr needs a number above 0"),
    ("train.lr=nan", "train.lr needs a number above 0; got nan"),
    ("train.lr=inf", "train.lr needs a number above 0; got inf"),
    ("train.betas=[0.9]", "train.betas needs two numbers"),
    ("train.betas=[0.9,1]", "train.betas needs two numbers"),
    ("train.optimiser=adma", "did you mean adam"),
    ("measure.draws=0", "measure.draws needs a whole number, 2 or more; got 0"),
    ("measure.at=0.5", "measure.at needs a list"),
    ("evaluate.at=[0,2]", "evaluate.at needs a list, each a number from 0 to 1"),
    ("measure.precision=0", "measure.precision needs a number above 0"),
    ("measure.precision=1e-6", "need 250000000 draws; ask for 0.0001 or more"),
    ("measure.reference=rlo", "not an unbiased estimator: did you mean rloo?"),
    ("measure.reference=straight_through", "straight_through is not an unbiased estimator"),
    ("model.learn_std=maybe", "model.learn_std needs true or false"),
    ("name=null", "name needs text"),
    ("seed=${nope}", "Interpolation key 'nope' not found"),
    ("estimator=rloo,[", "'estimator=rloo,[' cannot be read as an override"),
    ("train.steps", "'train.steps' cannot be read as an override"),
    ("estimator=rloo,disarm", "add --multirun"),
    ("hydra/launcher=nope", "no hydra/launcher nope"),
    ("--nope", "unrecognized arguments: --nope"),
    ("--config-name=nope", "nope"),
    ("--config-dir=/nope", "/nope"),
    ("--resolve", "--resolve"),
]


@pytest.fixture(autouse=True)
def no_run(monkeypatch, tmp_path):
    def never(*_, **__):
        raise AssertionError("bad input reached the run")

    monkeypatch.setattr(run, "run", never)
    monkeypatch.delenv(cli.TRACEBACKS, raising=False)
    monkeypatch.chdir(tmp_path)


def refused(capsys, *arguments):
    """The one sentence that the command answers."""
    assert cli.main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert said.err.rstrip().endswith((".", "?"))
    assert "Traceback" not in said.err
    return said.err


@pytest.mark.parametrize(("argument", "sentence"), CASES, ids=[argument for argument, _ in CASES])
def test_one_sentence(argument, sentence, capsys, tmp_path):
    assert sentence in refused(capsys, argument)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_precision_whose_cap_is_below_its_first_round(capsys):
    assert "measure.max_draws=16384 allows fewer" in refused(capsys, "measure.precision=0.1", "measure.draws=20000")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("problem=gaussian_exp", "problem.k=abc"), "problem.k needs a number; got 'abc'."),
        (("problem=gaussian_exp", "problem.std=0"), "problem.std needs a number above 0; got 0.0."),
        (("problem=gaussian_exp", "problem.t=0.4"), "problem.t belongs to problem.name=bernoulli_bits."),
        (("problem=bernoulli_bit", "problem.t=1.4"), "problem.t needs a number from 0 to 1; got 1.4."),
        (("problem=bernoulli_bit", "problem.power=0.5"), "problem.power needs a number, 1 or more; got 0.5."),
        (("problem=bernoulli_bit", "latent.dim=4"), "latent.dim belongs to problem.name=vae."),
        (("problem=bernoulli_bit", "data=mnist"), "data.name belongs to problem.name=vae, not bernoulli_bits."),
        (("problem=logistic_regression", "~problem.name"), "problem.name is missing"),
    ],
    ids=" ".join,
)
def test_one_sentence_about_a_problem(arguments, sentence, capsys):
    assert sentence in refused(capsys, *arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_where_there_is_none(capsys):
    assert "this machine has no CUDA device; device=cpu or device=auto runs." in refused(capsys, "device=cuda")


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_graphs_on_the_cpu(capsys, device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: device == "cpu")  # a GPU at hand is not asked for either
    said = refused(capsys, "engine=graph", f"device={device}")
    assert "this run is on the CPU; engine=eager or engine=compile runs." in said


@pytest.mark.parametrize("nested", ["", "/below"])
def test_an_output_that_cannot_be_written(capsys, tmp_path, nested):
    (tmp_path / "taken").write_text("mine")
    assert "choose another" in refused(capsys, f"output={tmp_path}/taken{nested}")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_run_directory_of_another_schema(capsys, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(run, "run", lambda config, directory, progress: seen.append((config, directory)) or _done())
    assert cli.main([f"output={tmp_path}"]) == 0
    [(config, directory)] = seen
    assert directory == tmp_path / "runs" / identity(config)
    run.record(config, directory, "done", "")
    marker = directory / tables.MARKER
    marker.write_text(json.dumps(json.loads(marker.read_text()) | {"schema": 0}))
    capsys.readouterr()
    assert "schema 0" in refused(capsys, f"output={tmp_path}")
    marker.write_text("{")
    assert "damaged" in refused(capsys, f"output={tmp_path}")


def _done():
    return run.Outcome("done", "")


def test_a_broken_registry_is_one_sentence_too(capsys, monkeypatch, tmp_path):
    (tmp_path / "estimator").mkdir()
    (tmp_path / "estimator" / "rloo.yaml").write_text("_target_: estimators.rloo.RLOO\n")
    monkeypatch.setattr(plugins, "CONF", tmp_path)
    assert "rename one" in refused(capsys)


def test_a_traceback_on_request(monkeypatch):
    monkeypatch.setenv(cli.TRACEBACKS, "1")
    with pytest.raises(Exception, match="rlo"):
        cli.main(["estimator=rlo"])
