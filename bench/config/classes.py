"""What the keys of an option may hold that is a class: those which the suite itself reads, whatever the class."""

from bench.config.rules import IMAGES, TEXT, Rule

PARTS = ("data", "model", "latent", "problem")  # groups whose options may be classes: `bench.config.kinds`
SHARED = ("data.binarisation", "data.dequantise", "data.train_size")  # what the suite itself reads of a class's option
OF_CLASSES: dict[str, Rule] = {  # of such options alone
    "problem.name": TEXT,
    "data.name": TEXT._replace(only=IMAGES),
    "model.name": TEXT._replace(only=IMAGES),
    "latent.family": TEXT._replace(only=IMAGES),
    **{f"{group}._target_": TEXT._replace(only=IMAGES) for group in ("data", "model", "latent")},
}
