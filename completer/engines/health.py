"""What went wrong with a model that runs nevertheless, for `completer/status`."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


class Health:
    """Collects troubles, from any thread. message: all of them, for the user; "" while there are none."""

    def __init__(self) -> None:
        self.message = ""

    def report(self, trouble: str) -> None:
        """Add a trouble and log it, once. Mutates: message."""
        if trouble not in self.message:
            log.warning("%s", trouble)
            self.message = f"{self.message}; {trouble}" if self.message else trouble
