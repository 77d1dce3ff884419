"""What opens is closed by `with`: one definition for sources, servers, senders and clients."""

from __future__ import annotations

from typing import Self

__all__ = ["Closing"]


class Closing:
    """Closed when its `with` block ends."""

    def close(self) -> None:
        """Twice is fine."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
