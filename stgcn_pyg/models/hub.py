"""Models in folders and repositories of the Hugging Face Hub (extra ``hub``)."""

from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError
from torch import nn

from stgcn_pyg.errors import UserError
from stgcn_pyg.models.options import require_rebuilt

try:
    from huggingface_hub import PyTorchModelHubMixin
    from huggingface_hub.errors import HFValidationError
except ImportError:
    HFValidationError = ValueError  # type: ignore[misc, assignment]

    class PyTorchModelHubMixin:  # type: ignore[no-redef]
        """Replaces that of ``huggingface_hub`` where it is not installed, with an error."""

        def __init_subclass__(cls, **card: Any):
            super().__init_subclass__()

        @classmethod
        def from_pretrained(cls, *args: Any, **options: Any) -> Any:
            raise UserError("huggingface_hub is not installed: pip install 'stgcn-pyg[hub]'")

        save_pretrained = push_to_hub = from_pretrained


CARD = """
---
{{ card_data }}
---

# STGCN for video-based person re-identification

The network of Yang et al., *Spatial-Temporal Graph Convolutional Network for Video-based Person
Re-identification* (CVPR 2020), trained with stgcn-pyg. `config.json` holds the options that build
it, `model.safetensors` its weights.

```python
from stgcn_pyg import STGCN

model = STGCN.from_pretrained("this folder, or the name of its repository")
```

It takes clips `[B, T, 3, H, W]`, RGB in [0, 1] less the `mean` and over the `std` of `config.json`,
and gives features by branch, an embedding and logits.

Whoever published it has not said here on which data set it was trained, nor what it scores on which
and under which protocol. Without those no figure about it means anything.

Use it on footage that you hold lawfully and on people who know, and never let its ranked list
decide about a person by itself: a benchmark says little about other cameras and other people.
"""


class HubModel(
    PyTorchModelHubMixin,
    library_name="stgcn-pyg",
    tags=["person-re-identification", "video", "graph-neural-networks"],
    model_card_template=CARD,
):
    """A module that is saved as safetensors beside its ``options``, and built from them again."""

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that build the module again."""
        raise NotImplementedError

    def save_pretrained(self, *args: Any, **options: Any) -> Any:
        """Writes the weights, the options and a card into a folder.

        Args:
            *args: Positional arguments of ``PyTorchModelHubMixin.save_pretrained`` of
                ``huggingface_hub``: the folder first.
            **options: Keyword arguments of that method.

        Raises:
            UserError: ``huggingface_hub`` is not installed, or the network was changed by hand, so
                that its options do not build it again.
        """
        assert isinstance(self, nn.Module)
        require_rebuilt(self, lambda: type(self)(**self.options))
        self._hub_mixin_config = self.options  # what the mixin writes
        return super().save_pretrained(*args, **options)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Self:
        """A model from a folder or a repository, in evaluation mode.

        Args:
            pretrained_model_name_or_path: The folder, or the name of the repository.
            **options: Arguments of ``PyTorchModelHubMixin.from_pretrained`` of ``huggingface_hub``,
                such as ``revision`` or ``token``.

        Raises:
            UserError: ``huggingface_hub`` is not installed, the files cannot be read, or they
                hold another model.
        """
        where = str(pretrained_model_name_or_path)
        if Path(where).is_dir():
            for name in ("config.json", "model.safetensors"):
                if not Path(where, name).is_file():
                    raise UserError(f"{where}: no {name}; pass a folder that save_pretrained wrote")
        # The backbone's own weights would be fetched only to be replaced.
        options = {"weights": None} | options
        try:
            return super().from_pretrained(where, **options)
        except HFValidationError as error:
            words = "no such folder, and no name of a repository"
            raise UserError(f"{where}: {words}") from error
        except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{where}: no STGCN can be loaded from there ({reason})") from error

    @classmethod
    def _from_pretrained(cls, *, strict: bool = True, **options: Any) -> Any:
        # The mixin's own default ignores weights that are missing.
        return super()._from_pretrained(strict=strict, **options)
