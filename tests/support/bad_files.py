"""A folder of files that are not what they should be, for commands that meet them. Nothing in it may change."""

import gzip
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from bench.run import checkpoint
from bench.run.sealed import sealed
from bench.tables.store import MARKER
from tests.support.small import vae
from tests.support.synthetic_runs import config, place

MOONLESS = b"""import bench


class Coins(bench.Dataset):
    def __init__(self, moons: int = 0):
        self.share = 1 / moons

    def arrays(self): ...
"""
PRESETS = {
    "syntax": b"_target_: estimators.rloo.RLOO\nk: [\n",
    "unknown": b"_target_: estimators.rloo.RLOO\nkk: 3\n",
    "shell": b"_target_: os.system\ncommand: touch owned\n",
    "nowhere": b"_target_: nowhere.to.be.Found\n",
    "raising": b"_target_: raising.Broken\n",
    "secret": b"_target_: estimators.reinforce.Reinforce\nbaseline: '${oc.env:HOME}'\n",
    "unbound": b"_target_: owner.Nothing\n",
    "surrogate": b'_target_: estimators.reinforce.Reinforce\nbaseline: "\\ud800"\n',
    "unparsed": b"_target_: unparsed.Broken\n",
    "untargeted": b"k: 3\n",
    "empty": b"",
}
OWN = "_target_: tests.support.brought."
OPTIONS = {  # parts of one's own
    "data": {name.lower(): f"{OWN}{name}" for name in ("Noisy", "Listed", "Target")}
    | {"moonless": "_target_: moonless.Coins\nmoons: 0"}
    | {"coins": f"{OWN}Coins\nside: 4", "shell": "_target_: os.system", "absent": "_target_: nowhere.to.be.Found"},
    "model": {"coins": f"{OWN}Coins", "fixed": f"{OWN}Fixed", "bits": f"{OWN}Bits\nwidth: 4"},
    "latent": {"unsized": "_target_: estimators.Gaussian", "die": f"{OWN}Die\nfaces: 6"},
    "problem": {"target": f"{OWN}Target"},
}


class Code:
    """Unpickled, it would make a file."""

    def __reduce__(self):
        return os.system, ("touch owned",)


def make(folder: Path) -> None:
    """All of it; the parts are named as in `tests.support.refused_lines`."""
    _write(folder / "taken", b"mine\n")
    (folder / "nothing").mkdir()
    for name, content in PRESETS.items():
        _write(folder / "mine" / "estimator" / f"{name}.yaml", content)
    (folder / "mine" / "estimator" / "a_folder.yaml").mkdir()
    _write(folder / "mine" / "latent" / "coloured.yaml", b"family: bernoulli\ndim: 3\ncolour: red\n")
    for group, options in OPTIONS.items():
        for name, content in options.items():
            _write(folder / "own" / group / f"{name}.yaml", f"{content}\n".encode())
    _write(folder / "clash" / "data" / "digits.yaml", f"{OWN}Coins\n".encode())
    _write(folder / "latin" / "estimator" / "mine.yaml", "_target_: estimators.rloo.RLOO # ü\n".encode("latin-1"))
    _write(folder / "same" / "estimator" / "rloo.yaml", b"_target_: estimators.rloo.RLOO\n")
    _write(folder / "raising.py", b'raise RuntimeError("this package\\nis broken")\nclass Broken: ...\n')
    _write(folder / "moonless.py", MOONLESS)
    _write(folder / "owner.py", b'open("owned", "w")\n')
    (folder / "dangling").symlink_to("nowhere_at_all")
    _write(folder / "unparsed.py", b"def broken(:\n")
    _checkpoints(folder / "models")
    _data(folder / "data")
    _runs(folder / "runs")


def _checkpoints(folder: Path) -> None:
    about = {"latent": {"family": "bernoulli", "dim": 4}, "model": {}, "option": "rloo"}
    checkpoint.write_checkpoint(folder, vae("bernoulli"), about, 7)
    good = checkpoint.path_of(folder, 7).rename(folder / "another.pt").read_bytes()
    _write(folder / "truncated.pt", good[: len(good) // 2])
    _write(folder / "text.pt", b"a model\n")
    torch.save({"weights": torch.zeros(3)}, folder / "foreign.pt")
    code = {"format": checkpoint.FORMAT, "step": 1, "config": "{}", "model": Code()}
    _write(folder / "code.pt", sealed(code))


def _data(folder: Path) -> None:
    images = gzip.compress(bytes(16 + 784), mtime=0)
    for name in ("train", "t10k"):
        _write(folder / "mnist" / f"{name}-images-idx3-ubyte.gz", images)
    _write(folder / "fashion-mnist" / "train-images-idx3-ubyte.gz", b"")
    _write(folder / "binarized-mnist" / "binarized_mnist.npz", b"PK half a file")
    (folder / "omniglot").mkdir()
    np.savez(folder / "omniglot" / "omniglot28.npz", x=np.array([Code()], dtype=object))
    _own(folder / "own")


def _own(folder: Path) -> None:
    """Images of one's own, each wrong in the way that its name says."""
    folder.mkdir()
    images = (np.arange(8 * 3 * 6 * 6) % 256).astype(np.uint8).reshape(8, 3, 6, 6)
    wrong = images / 255.0
    wrong[0, 0, 0, 0] = np.nan
    np.save(folder / "nan.npy", wrong)
    np.save(folder / "outside.npy", images / 1.0)
    np.save(folder / "sixteen.npy", images % 17)
    np.save(folder / "empty.npy", images[:0])
    np.save(folder / "one.npy", images[:1])
    np.save(folder / "whole.npy", images.astype(np.int64))
    np.save(folder / "flat.npy", images.reshape(8, -1))
    np.save(folder / "many.npy", images.repeat(4, 1))
    np.save(folder / "reals.npy", images / 255.0)
    np.save(folder / "good.npy", images)
    np.save(folder / "objects.npy", np.array([Code()], dtype=object))
    np.savez(folder / "unnamed.npz", x=images, y=images)
    np.savez(folder / "unlike.npz", train=images, test=images[..., :5])
    np.savez(folder / "no_test.npz", train=images, test=images[:0])
    _write(folder / "torn.npz", (folder / "unlike.npz").read_bytes()[:700])
    torch.save({"train": Code()}, folder / "code.pt")
    for name, side in (("a", 4), ("b", 5)):
        (folder / "mixed").mkdir(exist_ok=True)
        Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(folder / "mixed" / f"{name}.png")
    _write(folder / "torn" / "a.png", (folder / "mixed" / "a.png").read_bytes()[:45])


def _runs(folder: Path) -> None:
    """Each folder holds one run, damaged in the way that its name says; `good` is whole."""
    place(folder, config("rloo", "bernoulli", 0), directory="good/run")
    place(folder, config("rloo", "bernoulli", 1), directory="other/run")
    damaged = {name: folder / name / "run" for name in ("half", "swapped", "foreign", "missing", "a_folder")}
    damaged |= {name: folder / name / "run" for name in ("empty_marker", "latin_marker", "schema", "short_marker")}
    for run in damaged.values():
        shutil.copytree(folder / "good" / "run", run)
    table, marker = "gradient.parquet", (folder / "good" / "run" / MARKER).read_bytes()
    content = (folder / "good" / "run" / table).read_bytes()
    _write(damaged["half"] / table, content[: len(content) // 2])
    shutil.copy(folder / "other" / "run" / table, damaged["swapped"] / table)
    pd.DataFrame({"x": [1.0]}).to_parquet(damaged["foreign"] / table)
    (damaged["missing"] / table).unlink()
    (damaged["a_folder"] / table).unlink()
    (damaged["a_folder"] / table).mkdir()
    _write(damaged["empty_marker"] / MARKER, b"")
    _write(damaged["latin_marker"] / MARKER, "ü".encode("latin-1"))
    _write(damaged["schema"] / MARKER, json.dumps(json.loads(marker) | {"schema": 1}).encode())
    short = json.loads(marker)
    del short["tables"]["gradient"]
    _write(damaged["short_marker"] / MARKER, json.dumps(short).encode())
    shutil.rmtree(folder / "other")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
