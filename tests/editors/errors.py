"""What can go wrong while an editor is fetched."""

from __future__ import annotations


class InstallError(Exception):
    """An editor could not be fetched; the message says why and how to mend it."""
