"""The names of the backbones, and the nearest ones to a name that is none."""

from difflib import get_close_matches

from stgcn_pyg.errors import UserError
from stgcn_pyg.models.backbones import timm_networks, torchvision_networks


def known_name(name: str) -> None:
    """Raises a UserError with the three nearest names if there is no backbone of a name."""
    if name.startswith(timm_networks.PREFIX):
        known = timm_networks.names()
        architecture = name.partition(".")[0]  # of architecture.weights
        if architecture in known:
            timm_networks.require_weights_name(name)
            return
    else:
        known, architecture = list(torchvision_networks.NAMES), name
        if name in known:
            return
    nearest = get_close_matches(architecture, known, n=3, cutoff=0.0)
    elsewhere = "" if "/" in name else "; networks of timm are timm/NAME"
    raise UserError(
        f"backbone {name!r} is unknown: the nearest are {', '.join(nearest)}{elsewhere}"
    )
