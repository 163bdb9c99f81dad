"""The arguments of the commands that Hydra does not read."""

import argparse
import re
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage, and ends with status 2."""

    def error(self, message: str) -> NoReturn:
        said = " ".join(message.split())
        if "(choose from " in said:
            said = re.sub(r"'([\w-]+)'(?=[,)])", r"\1", said)  # Python 3.11 has quotes there, 3.13 has none
        self.exit(2, f"{self.prog}: {said}" + ("\n" if said.endswith(".") else "; --help shows what is possible.\n"))
