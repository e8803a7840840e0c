"""What a comparison found, counted, and told in lines or as JSON."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stream_assoc.tools.replica.compare import Judgement, Verdict
from stream_assoc.tools.replica.records import Key

_N_EXAMPLES: Final = 5

FAULTS: Final = (Verdict.DIFFERENT, Verdict.MISSING, Verdict.EXTRA)
"""Verdicts that no chunk to come will change."""

_WORDS: Final = {Verdict.EXTRA: "in the PPDB only", Verdict.AWAITING: "awaiting replication"}


@dataclass(slots=True)
class TableTally:
    """How many rows of a table stand how.

    Attributes
    ----------
    rows : `~collections.Counter` [`Verdict`]
        Rows by verdict.
    columns : `~collections.Counter` [`str`]
        Different rows by column.
    examples : `dict` [`Verdict`, `list` [`Key`]]
        Keys of the first few rows of each verdict that is a fault.
    repeated : `int`
        Rows that the PPDB has and a chunk not replicated yet would bring
        again, which stops the replicator.
    unfounded : `int`
        Update records of chunks not replicated yet that will not find their
        row, which stops the replicator.
    """

    rows: Counter[Verdict] = field(default_factory=Counter)
    columns: Counter[str] = field(default_factory=Counter)
    examples: dict[Verdict, list[Key]] = field(default_factory=dict)
    repeated: int = 0
    unfounded: int = 0

    def add(self, judgement: Judgement) -> None:
        """Count what was found out."""
        for pair, verdict, columns in judgement.rows:
            self.rows[verdict] += 1
            if verdict in FAULTS:
                examples = self.examples.setdefault(verdict, [])
                if len(examples) < _N_EXAMPLES:
                    examples.append(pair.key)
            if verdict is Verdict.DIFFERENT:
                self.columns.update(columns)
        self.repeated += len(judgement.notes)
        self.unfounded += len(judgement.records)

    @property
    def n_faults(self) -> int:
        """How many rows, notes and records are not as they should be."""
        return sum(self.rows[verdict] for verdict in FAULTS) + self.repeated + self.unfounded

    def line(self) -> str:
        """Return it in words."""
        parts = [
            f"{self.rows[verdict]} {_WORDS.get(verdict, verdict.value)}{self._detail(verdict)}" for verdict in Verdict
        ]
        if self.repeated:
            parts.append(f"{self.repeated} that a chunk would bring again, which stops the replicator")
        if self.unfounded:
            parts.append(f"{self.unfounded} update records that will not find their row, which stops the replicator")
        return ", ".join(parts)

    def as_json(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        return {
            **{verdict.value: self.rows[verdict] for verdict in Verdict},
            "columns": dict(self.columns),
            "examples": {verdict.value: [list(key) for key in keys] for verdict, keys in self.examples.items()},
            "stopping": {"rows": self.repeated, "records": self.unfounded},
        }

    def _detail(self, verdict: Verdict) -> str:
        columns = [f"{name} {count}" for name, count in self.columns.most_common(_N_EXAMPLES)]
        columns += ["..."] if len(self.columns) > _N_EXAMPLES else []
        keys = ["/".join(map(str, key)) for key in self.examples.get(verdict, ())]
        more = ", ..." if self.rows[verdict] > len(keys) else ""
        told = [", ".join(columns)] if verdict is Verdict.DIFFERENT and columns else []
        told += [f"such as {', '.join(keys)}{more}"] if keys else []
        return f" ({'; '.join(told)})" if told else ""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a comparison found.

    Attributes
    ----------
    tables : mapping
        By table.
    n_replicated, n_awaiting, n_changed : `int`
        Chunks that the PPDB has, that it does not have yet, and that it has
        and that were written to afterwards.
    """

    tables: Mapping[str, TableTally]
    n_replicated: int
    n_awaiting: int
    n_changed: int

    @property
    def n_faults(self) -> int:
        """How many faults there are."""
        return self.n_changed + sum(tally.n_faults for tally in self.tables.values())

    @property
    def n_extra(self) -> int:
        """How many rows only the PPDB has."""
        return sum(tally.rows[Verdict.EXTRA] for tally in self.tables.values())

    def lines(self) -> Iterator[str]:
        """Yield it in words, a line a table."""
        for table, tally in self.tables.items():
            yield f"{table}: {tally.line()}"
        changed = f", {self.n_changed} written to after they were replicated" if self.n_changed else ""
        yield f"chunks: {self.n_replicated} replicated, {self.n_awaiting} awaiting replication{changed}"

    def as_json(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        return {
            "tables": {table: tally.as_json() for table, tally in self.tables.items()},
            "chunks": {"replicated": self.n_replicated, "awaiting": self.n_awaiting, "changed": self.n_changed},
            "faults": self.n_faults,
        }
