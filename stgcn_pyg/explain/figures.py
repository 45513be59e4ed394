"""The former place of :mod:`stgcn_pyg.figures`, kept for one version."""

from stgcn_pyg.figures import *  # noqa: F403
