"""What several seeds that are trained at once are between two steps."""

import json
from typing import Any

from bench.state import State, counted, of_seed, of_training, put_seed, put_training


class StateOfAll(State):
    """The state of every seed, also of those that have ended, and what they have in common.

    Args:
        experiment: a `bench.replicas.run.Together`. The parameters of each seed are views of those that are trained, so
            that what is put back into the one is put back into the other.
    """

    def look(self) -> None:
        self.rows = [counted(one) for one in self.experiment.experiments]
        self.noise = [stream.get_state() for stream in self.experiment.trainer.streams]

    def take(self) -> dict[str, Any]:
        each = [of_seed(one, rows) for one, rows in zip(self.experiment.experiments, self.rows, strict=True)]
        ends = json.dumps(self.experiment.ends)
        return of_training(self.experiment) | {"each": each, "ends": ends, "noise": self.noise}

    def _put(self, held: dict[str, Any]) -> None:
        put_training(self.experiment, held)
        for one, its in zip(self.experiment.experiments, held["each"], strict=True):
            put_seed(one, its)
        for stream, place in zip(self.experiment.trainer.streams, held["noise"], strict=True):
            stream.set_state(place)
        self.experiment.ends = {int(number): tuple(end) for number, end in json.loads(held["ends"]).items()}
