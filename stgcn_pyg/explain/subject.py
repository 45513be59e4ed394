"""The former name of :class:`.EvaluatedModel`, kept for one version."""

from stgcn_pyg.explain.evaluated_model import EvaluatedModel as Subject

__all__ = ["Subject"]
