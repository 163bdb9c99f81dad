"""Images that are drawn from a seed and read from no file: a moving ball, and a robot that pushes a puck.

NumPy's `RandomState` makes them, whose streams are frozen for ever, and no function whose last digits depend on the
machine: only sums, products and square roots.
"""

import numpy as np

EPISODE = 50  # steps of a robot from one start
SPEED = 0.15  # of a ball, in sides of the box per frame


def balls(frames: int, size: int, objects: int, number: int, seed: int) -> np.ndarray:
    """Balls in a box `[number, frames, size, size]`, uint8. Each keeps its speed, is thrown back by the walls, and
    passes through the others, as in the bouncing balls of Sutskever, Hinton & Taylor 2008 but for that."""
    random = np.random.RandomState(seed)
    radius = size / 6
    span = size - 2 * radius
    start = random.uniform(0, 2 * span, (number, objects, 1, 2))  # twice: there and back
    heading = random.normal(size=(number, objects, 1, 2))
    heading /= np.sqrt((heading**2).sum(-1, keepdims=True))
    unfolded = (start + SPEED * size * heading * np.arange(frames)[:, None]) % (2 * span)
    centres = radius + span - np.abs(unfolded - span)  # [N, objects, T, 2]
    ink = np.zeros((number, frames, size, size))
    for ball in range(objects):
        ink = np.maximum(ink, _disc(centres[:, ball], radius, size))
    return _levels(ink)


def pusher(size: int, number: int, seed: int) -> np.ndarray:
    """A red robot and a blue puck on white `[number, 3, size, size]`, uint8: after random steps of the robot, which
    pushes the puck where they touch, in random order."""
    random = np.random.RandomState(seed)
    episodes = -(-number // EPISODE)
    robot_radius, puck_radius = size / 12, size / 10
    low, high = puck_radius, size - puck_radius
    robot, puck = random.uniform(low, high, (2, episodes, 2))
    places = []
    for _ in range(EPISODE):
        robot = np.clip(robot + random.uniform(-size / 8, size / 8, robot.shape), low, high)
        apart = puck - robot
        distance = np.sqrt((apart**2).sum(-1, keepdims=True))
        touching = robot_radius + puck_radius
        pushed = robot + apart * touching / np.maximum(distance, 1e-9)
        puck = np.clip(np.where(distance < touching, pushed, puck), low, high)
        places.append(np.stack([robot, puck], 1))
    chosen = np.concatenate(places)[random.permutation(episodes * EPISODE)[:number]]  # [N, 2, 2]
    robots, pucks = _disc(chosen[:, 0], robot_radius, size), _disc(chosen[:, 1], puck_radius, size)
    colours = [(1 - pucks) * (1 - robots) + robots, (1 - pucks) * (1 - robots), (1 - robots)]  # the robot lies on top
    return _levels(np.stack(colours, 1))


def _disc(centres: np.ndarray, radius: float, size: int) -> np.ndarray:
    """How much ink `[..., size, size]` of a disc each pixel has, for centres `[..., 2]`."""
    pixels = np.arange(size) + 0.5
    squares = (pixels - centres[..., None]) ** 2  # [..., 2, size]
    distance = np.sqrt(squares[..., 0, :, None] + squares[..., 1, None, :])
    return np.clip(radius + 0.5 - distance, 0, 1)


def _levels(ink: np.ndarray) -> np.ndarray:
    return np.rint(ink * 255).astype(np.uint8)
