"""Calls of a user's function that may take so long and no longer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any


class Helper(threading.Thread):
    """A thread that makes calls, one after the other."""

    def __init__(self) -> None:
        super().__init__(daemon=True, name="autoloss-metric")
        self.calls: queue.SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]]] = queue.SimpleQueue()
        self.results: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self.start()

    def run(self) -> None:
        """Makes calls for ever."""
        while True:
            function, arguments = self.calls.get()
            try:
                self.results.put((function(*arguments), None))
            except BaseException as error:  # whatever it is, it is the caller's
                self.results.put((None, error))


class Timed:
    """A function with a limit of time a call; a call that takes longer is left to itself in its thread.

    >>> import time
    >>> Timed("metric", lambda seconds: time.sleep(seconds), 0.05)(10)
    Traceback (most recent call last):
        ...
    TimeoutError: metric took longer than metric_timeout = 0.05 s
    """

    def __init__(self, where: str, function: Callable[..., Any], limit: float) -> None:
        self.where = where
        self.function = function
        self.limit = limit
        self.idle: list[Helper] = []

    def __call__(self, *arguments: Any) -> Any:
        """The function's result."""
        return self.of_several(1, *arguments)

    def of_several(self, count: int, *arguments: Any) -> Any:
        """The function's result, for which it may take the limit times `count`."""
        try:
            helper = self.idle.pop()
        except IndexError:
            helper = Helper()
        helper.calls.put((self.function, arguments))
        try:
            result, error = helper.results.get(timeout=count * self.limit)
        except queue.Empty:
            each = f" for each of {count} predictions" if count > 1 else ""
            raise TimeoutError(f"{self.where} took longer than metric_timeout = {self.limit:g} s{each}") from None
        self.idle.append(helper)
        if error is not None:
            raise error
        return result
