"""What all tests share: none runs for ever."""

import faulthandler
import os
import sys

import pytest

try:
    from _pytest.faulthandler import fault_handler_stderr_fd_key as _KEY
except ImportError:
    _KEY = None

# Sanitizers and valgrind make everything slower.
SECONDS = 60 * float(os.environ.get("CELADON_TEST_SLOW", "1"))


def pytest_configure(config):
    """Tests fork on purpose while threads run."""
    config.addinivalue_line(
        "filterwarnings", "ignore:.*use of fork.*:DeprecationWarning"
    )


@pytest.fixture(autouse=True)
def bounded(request):
    """End the run, saying where it stands, if a test hangs."""
    stash = request.config.stash
    # The descriptor that pytest does not capture, where it tells us.
    where = stash.get(_KEY, None) if _KEY is not None else None
    if where is None:
        where = sys.__stderr__.fileno()
    faulthandler.dump_traceback_later(SECONDS, exit=True, file=where)
    yield
    faulthandler.cancel_dump_traceback_later()
