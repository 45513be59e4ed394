"""Annotations of shapes: jaxtyping's where it is installed, plain `Tensor` where it is not."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Integer
else:
    try:
        from jaxtyping import Bool, Float, Int, Integer
    except ModuleNotFoundError:

        class Bool:
            """`Bool[Tensor, "V C"]` is `Tensor`."""

            def __class_getitem__(cls, item):
                return item[0]

        Float = Int = Integer = Bool

__all__ = ["Bool", "Float", "Int", "Integer"]
