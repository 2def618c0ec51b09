"""A server that requires credentials."""

from pathlib import Path
from typing import Iterator

import pytest

from security.secured import SecuredServer


@pytest.fixture(scope="module")
def secured(folder: Path) -> Iterator[SecuredServer]:
    """One for a module's tests, with an admin."""
    with SecuredServer(folder) as running:
        yield running
