"""Every command in the README, in docs/ and beside the results does what the page says: each page's commands are run in
turn in an empty folder, on the built-in data and with sizes so small that they take a second. Of a sweep one estimator
and two seeds are left, every job is composed and checked, and the first is run; `test_run` composes all experiments."""

import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import cli
from bench.config import plugins
from bench.data.splits import DRAWN
from bench.diff.command import arguments as diff_arguments
from bench.export import arguments as export_arguments
from bench.gpu.command import arguments as gpu_arguments
from bench.published.command import arguments as published_arguments
from bench.run import seeds
from bench.run.ending import Ending
from bench.speed.command import arguments as speed_arguments
from tests.support.packages import ROOT

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("results/**/README.md"))]
PAGES.remove(ROOT / "docs" / "clusters.md")  # test_clusters composes its commands
SMALL = (
    "data=digits", "data.train_size=null", "train.steps=2", "train.batch_size=4", "measure.draws=4",
    "measure.batches=2", "measure.batch_size=3", "measure.reference_draws=4", "evaluate.examples=4",
    "evaluate.samples=2", "evaluate.prior_samples=2", "timing.repetitions=1", "timing.warmup=0", "threads=1",
)  # fmt: skip
PROBED = ("probe.estimators=[rloo,detached]", "probe.tuning_steps=1")
NOT_RUN_HERE = (
    *("source ", "pip ", "git ", "cd ", "export "),
    *("sbatch", "squeue", "ray ", "tensorboard ", "mlflow ", "wandb "),
)


def commands(page: Path) -> list[str]:
    """The lines of the page's shell blocks, comments and line continuations taken out, placeholders filled in."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [re.sub(r"<[^>]*>", "data", line) for line in lines if line.strip() and not line.startswith("#")]


def words(command: str) -> list[str]:
    return shlex.split(command.partition(" > ")[0], comments=True)


@pytest.fixture
def first_only(monkeypatch, tmp_path):
    """Every job is composed and checked, and only the first of each command is run."""
    runs, ran = seeds.runs, []

    def maybe(config, many):
        plugins.build(config["estimator"])
        if ran:
            return [Ending("done")]
        ran.append(config)
        return runs(config, many)

    monkeypatch.setattr(seeds, "runs", maybe)
    monkeypatch.chdir(tmp_path)
    _own_images(tmp_path)
    return ran


def _own_images(folder: Path) -> None:
    """What the pages take for the reader's own."""
    images = np.arange(24 * 3 * 8 * 8, dtype=np.uint32).astype(np.uint8).reshape(24, 3, 8, 8)
    np.savez(folder / "images.npz", train=images[:16], test=images[16:])
    (folder / "photos").mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / "photos" / f"{i}.png")


def small(arguments: list[str], *more: str) -> list[str]:
    """The arguments with the sizes of `SMALL`; a data set that would need files gives way to the built-in one."""
    dropped, added = ("data=", "data.train_size=", "train.steps=", "probe.checkpoint=", "budget="), [*SMALL, *more]
    if toy(arguments) or "data=file" in arguments:
        added = [word for word in added if not word.startswith("data")]
    if "data=file" in arguments or drawn(arguments):
        dropped = dropped[1:]
    if drawn(arguments):
        added = [*(word for word in added if not word.startswith("data")), "data.examples=20"]
    if sweeps(arguments):
        dropped, added = (*dropped, "estimator=", "seed="), [*added, "estimator=rloo", "seed=0,1"]
    return [word for word in arguments if not word.startswith(dropped)] + added


def experiments(arguments: list[str]) -> list[str]:
    """The text of each experiment that is named."""
    named = [word.partition("=")[2] for word in arguments if word.startswith("experiment=")]
    return [(ROOT / "conf" / "experiment" / f"{name}.yaml").read_text() for name in named]


def toy(arguments: list[str]) -> bool:
    """Whether the command is about a problem without images, by its own words or by its experiment."""
    return any(word.startswith("problem=") for word in arguments) or any(
        "/problem" in e for e in experiments(arguments)
    )


def drawn(arguments: list[str]) -> bool:
    """Whether the command is about images that are drawn, by its own words or by its experiment."""
    found = [word.partition("data=")[2] for word in arguments if word.startswith("data=")]
    found += re.findall(r"override /data: (\w+)", "".join(experiments(arguments)))
    return not DRAWN.keys().isdisjoint(found)


def sweeps(arguments: list[str]) -> bool:
    """Whether the command is a sweep, by its flag or by its experiment."""
    return bool({"-m", "--multirun"} & {*arguments}) or any("MULTIRUN" in e for e in experiments(arguments))


def perform(command: str, ran: list) -> int:
    """Exit status of the command, made small."""
    first, *rest = words(command)
    if first == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return int(any(word not in targets for word in rest if "=" not in word))
    if command.startswith(NOT_RUN_HERE):
        return 0
    if first == "estimator-bench":
        module, arguments = "bench", rest
        if rest and rest[0] in cli.COMMANDS:
            module, arguments = f"bench.{rest[0]}", rest[1:]
    else:
        assert [first, rest[0]] == ["python", "-m"], f"{command}: no kind of command that this test knows"
        module, arguments = rest[1], rest[2:]
    ran.clear()
    if module == "bench":
        return cli.main(small(arguments))
    name = module.removeprefix("bench.")
    match name:
        case "probe":
            given = any(word.startswith("probe.estimators=") for word in arguments)
            return cli.main(["probe", *small(arguments, *(PROBED[1:] if given else PROBED))])
        case "tune":
            return cli.main(["tune", *small(arguments, "budget=2", "tune.fresh=1", "train.warmup=0")])
        case "check":
            return cli.main(["check", *arguments, "--quick", "--family", "bernoulli"])
        case "speed":
            speed_arguments(arguments)  # a wrong one exits; what is measured is tests of its own
            return 0
        case "diff" | "export" | "published":
            {"diff": diff_arguments, "export": export_arguments, "published": published_arguments}[name](arguments)
            return 0
        case "gpu":
            gpu_arguments([*arguments, "--device", "cpu"])  # the same, as on a machine that has a GPU
            return 0
        case support if support.startswith("tests.support."):
            package = hasattr(importlib.import_module(support), "__path__")
            importlib.import_module(f"{support}.__main__" if package else support).arguments(arguments)  # the same
            return 0
        case "schema" | "keys":
            return int(bool(arguments))  # the pages they make are tests of their own
    if name == "report" and "--only" not in arguments:
        arguments = [*arguments, "--only", "final_elbo"]  # test_report_figures draws them all
    status = cli.main([name, *arguments])
    return 0 if name == "status" and status == 1 else status  # the other jobs of the sweep are missing


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:hydra")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_the_page_runs(page, first_only, capsys):
    for command in commands(page):
        try:
            status = perform(command, first_only)
        except SystemExit as end:
            status = end.code
        said = capsys.readouterr()
        assert status == 0, f"{command}\n{said.err[-2000:]}"


def test_a_wrong_command_is_noticed(first_only):
    assert perform("python -m bench train.lr=-1", first_only) == 2
    assert perform("make nothing", first_only) == 1
    with pytest.raises(SystemExit):
        perform("python -m bench.speed --treads 2", first_only)
    with pytest.raises(SystemExit):
        perform("python -m tests.support.kills many", first_only)
    with pytest.raises(AssertionError, match="no kind of command"):
        perform("rm -rf somewhere", first_only)


def test_the_pages_have_commands():
    assert sum(len(commands(page)) for page in PAGES) > 20
