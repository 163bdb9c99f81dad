"""What two processes of one report tell each other.

It is pickled. That is safe here: both ends are of one command, and nothing that is read from a file of results is ever
unpickled.
"""

import pickle
from typing import IO, Any

LENGTH = 8  # bytes of the length of a message


def tell(stream: IO[bytes], message: Any) -> None:
    """Raises OSError where nobody listens."""
    content = pickle.dumps(message)
    stream.write(len(content).to_bytes(LENGTH, "big") + content)
    stream.flush()


def heard(stream: IO[bytes]) -> bytes:
    """The next message, still pickled. Raises EOFError where none comes, or a part of one."""
    size = int.from_bytes(_whole(stream, LENGTH), "big")
    return _whole(stream, size)


def _whole(stream: IO[bytes], size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return content
