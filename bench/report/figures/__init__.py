"""Figures: one function each, its docstring the caption."""
