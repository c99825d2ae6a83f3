"""Arrays by name, of which ranges of rows can be read: what npz, HDF5 and tables of columns have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import SourceError

# What deflate can shrink zeros to; an array that claims to be larger than this many times its file is damage.
MOST_EXPANSION = 1_100


class Arrays(ABC):
    """An open file of arrays. `shapes` of all that hold numbers; `path` for messages."""

    path: str
    shapes: dict[str, tuple[int, ...]]

    @abstractmethod
    def rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Rows `start:stop` of the first axis, in the machine's order of bytes."""

    @abstractmethod
    def texts(self, name: str) -> tuple[str, ...] | None:
        """An array of texts, None where there is none of this name."""

    @abstractmethod
    def size(self) -> int:
        """Bytes of the file."""

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    def table(self, names: Sequence[str], start: int, stop: int) -> NDArray[Any]:
        """Several columns side by side, `[rows, names]`."""
        return np.stack([self.rows(name, start, stop) for name in names], axis=1)

    def whole(self, name: str) -> NDArray[Any]:
        """All of a small array, such as offsets and labels."""
        length = self.shapes[name][0]
        if length * 8 > MOST_EXPANSION * self.size():
            raise SourceError(f"{self.path}: '{name}' is damaged: it claims {length} entries")
        return self.rows(name, 0, length)
