"""The former place of `bench.sweep.mirrors`, for one release: configurations may name it."""

from bench.sweep.mirrors import MLflow, TensorBoard, WandB

__all__ = ["MLflow", "TensorBoard", "WandB"]
