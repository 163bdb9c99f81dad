"""The arguments of the commands that Hydra does not read."""

import argparse
import re
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage, and ends with status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {one_sentence(message)}\n")


def one_sentence(message: str) -> str:
    """What argparse has to say, the same in every version of Python: 3.11 quotes the choices."""
    words = " ".join(message.split())
    if "(choose from " in words:
        words = re.sub(r"'([\w-]+)'(?=[,)])", r"\1", words)
    return words if words.endswith(".") else f"{words}; --help shows what is possible."
