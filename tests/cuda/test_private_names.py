"""What a fake GPU needs of PyTorch's private names is looked up before it is used."""

import torch

from stgcn_pyg.planning import fake_cuda


def test_a_name_that_has_moved_is_told_in_a_line(monkeypatch):
    for name in ("torch.cuda.no_such_name", "torch.no_such_module.name", "torch.Tensor._nothing"):
        monkeypatch.setattr(fake_cuda, "PRIVATE", (name,))
        assert fake_cuda.missing() == (
            f"torch {torch.__version__} has no {name}, which torch {fake_cuda.SEEN_IN} has"
        )
        monkeypatch.undo()
