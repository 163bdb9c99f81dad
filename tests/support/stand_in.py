"""The command with a stand-in for the run, which ends as train.steps says."""

from pathlib import Path

from bench import cli
from bench.errors import Impossible
from bench.run import record, seeds
from bench.run.ending import Ending, place

ENDINGS = {
    1: Ending("done", step=1),
    2: Ending("failed", "It broke.", step=2),
    3: Ending("diverged", "The loss was not finite at step 5.", step=3),
}
TABLES = {
    "objective": [
        {"seed": 0, "step": step, "split": split, "elbo": elbo}
        for step, split, elbo in [(0, "test", -90.0), (1, "train", -1.0), (1, "test", -12.345), (1, "validation", -2.0)]
    ],
    "gradient": [
        {"seed": 0, "step": step, "estimator": "rloo", "part": part, "variance_noise": noise}
        for step, part, noise in [(0, "encoder", 1.0), (1, "latent", 10.0), (1, "encoder", 0.01), (1, "decoder", 3.0)]
    ],
    "cost": [{"what": what, "seconds": seconds} for what, seconds in [("step", 0.0025), ("gradient", 1.0)]],
}


def instead_of_runs(monkeypatch, run):
    """Let `run(config, directory)` be done in place of every run of one seed: it raises, or gives the ending."""
    monkeypatch.setattr(seeds, "start", lambda configs: [run(config, place(config)) for config in configs])
    monkeypatch.setattr(seeds, "perform", lambda endings, *_, **__: dict(enumerate(endings)))


def stand_in_command(output: Path, monkeypatch):
    """`python -m bench` as a function that writes into `output`; its `runs` are the configs that were run, in order."""

    def stand_in(config, directory):
        command.runs.append(config)
        steps = config["train"]["steps"]
        if steps == 4:
            raise Impossible("These two do not go together.")
        if steps == 5:
            raise KeyboardInterrupt
        if steps == 6:
            raise ValueError("There is no such file.")
        if steps == 7:
            raise RuntimeError("a bug\nin two lines")
        return record.record(config, directory, ENDINGS[steps], rows=TABLES if steps == 1 else None)

    def command(*arguments):
        return cli.main([*arguments, f"output={output}", "device=cpu"])

    command.runs = []
    instead_of_runs(monkeypatch, stand_in)
    return command


def files(folder):
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
