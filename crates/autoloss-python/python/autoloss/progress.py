"""Progress of a search: a line that is redrawn on a terminal and in notebooks, plain lines now and then elsewhere."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, TextIO

#: Seconds between two lines where none is redrawn.
EVERY = 30.0


class Progress:
    """Shows counts of a search on the standard error; `time` and `evaluations` are its limits."""

    def __init__(
        self, show: bool, seconds: float | None = None, evaluations: int | None = None, stream: TextIO | None = None
    ) -> None:
        self.stream = stream or sys.stderr
        self.show = show
        self.seconds = seconds
        self.evaluations = evaluations
        self.live = show and (self.stream.isatty() or "ipykernel" in sys.modules)
        self.start = time.monotonic()
        self.last = self.start
        self.width = 0
        self.line = ""

    def begin(self, folder: str | os.PathLike[str], forecast: str | None = None) -> None:
        """Tells where the run is, and a forecast of its cost."""
        self.folder = folder
        if self.show and forecast is not None:
            self._print(forecast)
        if self.show:
            self._print(f"run {folder} (Ctrl-C ends it early; autoloss.open({str(folder)!r}).resume(task) goes on)")

    def update(self, counts: dict[str, Any]) -> None:
        """Takes the counts of the search, several times a second."""
        self.line = self._text(counts)
        now = time.monotonic()
        if self.live:
            self._redraw(self.line)
        elif self.show and now - self.last >= EVERY:
            self._print(self.line)
            self.last = now

    def end(self, worked: bool) -> None:
        """Ends the line of a search that `worked`, or failed or was interrupted."""
        if self.live:
            self._redraw("")
        if self.show and self.line:
            self._print(self.line if worked else f"ended early: {self.line}")

    def _text(self, counts: dict[str, Any]) -> str:
        parts = [f"{counts['screened']:,} screened", f"{counts['trained']} trained"]
        parts += [f"{counts[name]} {name}" for name in ("stopped", "failed", "lost") if counts[name]]
        if counts["stage"] is not None:
            parts.append(counts["stage"])
        elif counts["best"] is not None:
            reference = counts["reference"]
            usual = f" ({reference[0]} {reference[1]:.4f})" if reference else ""
            parts.append(f"best {counts['best']:.4f}{usual}")
        if self.evaluations:
            parts.append(f"of {self.evaluations} trainings")
        if self.seconds:
            left = max(0.0, self.seconds - (time.monotonic() - self.start))
            parts.append(f"{int(left // 60)}:{int(left % 60):02} left")
        return ", ".join(parts)

    def _redraw(self, text: str) -> None:
        self._write(f"\r{text:<{self.width}}" + ("" if text else "\r"))
        self.width = len(text)

    def _print(self, text: str) -> None:
        self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        # A closed output does not end a search.
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):
            self.show = self.live = False
