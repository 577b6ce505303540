"""Coroutine tests run on one thread with one event loop: ib_insync knows the loop in which it was first imported."""

import inspect
from collections.abc import Iterator

import pytest

from src.runtime.bridge import LoopThread
from tests.gateways.tws_stage import Stage, end_clients

TEST_SECONDS = 55.0
_threads: list[LoopThread] = []


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test on the clients' thread."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    if not _threads:
        _threads.append(LoopThread("clients"))
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def run() -> None:
        try:
            await pyfuncitem.obj(**arguments)
        finally:
            await end_clients()

    _threads[0].call(run(), TEST_SECONDS)
    return True


def pytest_sessionfinish() -> None:
    """End the clients' thread."""
    for thread in _threads:
        thread.stop()


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A gateway over invented prices whose time stands still until the test moves it."""
    with Stage() as running:
        yield running
