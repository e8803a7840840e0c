"""The models: which module is checked with which constants, and what each run has to find."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the model checker.

    Parameters
    ----------
    module : `pathlib.Path`
        The TLA+ module.
    name : `str`
        What tells this run from the others of its module.
    constants : `Mapping` [`str`, `str`]
        TLA+ expressions by the name of the constant.
    left_out : `tuple` [`str`, ...]
        The rules that are left out.
    invariants, properties : `tuple` [`str`, ...]
        What is checked, by the names of the module.
    violates : `str` or `None`
        The one of them that must be violated; `None` if all must hold.
    symmetric : `bool`
        Whether the module's ``Symmetry`` may be used. It must not be where liveness is checked.
    long : `bool`
        Whether it takes minutes and is left to ``make model-long``.
    """

    module: Path
    name: str
    constants: Mapping[str, str]
    left_out: tuple[str, ...]
    invariants: tuple[str, ...]
    properties: tuple[str, ...]
    violates: str | None
    symmetric: bool
    long: bool

    def __str__(self) -> str:
        return f"{self.module.stem}/{self.name}"

    def configuration(self) -> str:
        """Return the configuration file for TLC."""
        rules = ", ".join(f'"{rule}"' for rule in self.left_out)
        constants = {**self.constants, "LeftOut": f"{{{rules}}}"}
        lines = ["SPECIFICATION Spec", "CHECK_DEADLOCK FALSE", "CONSTANTS"]
        lines += [f"    {name} = {value}" for name, value in constants.items()]
        lines += [f"INVARIANT {name}" for name in self.invariants]
        lines += [f"PROPERTY {name}" for name in self.properties]
        lines += ["SYMMETRY Symmetry"] if self.symmetric else []
        return "\n".join([*lines, ""])


def all_runs(folder: Path = FOLDER) -> list[Run]:
    """Return the runs of every model below a folder, in the order of their files."""
    return [run for path in sorted(folder.glob("*/*.toml")) for run in runs_of(path)]


def runs_of(path: Path) -> list[Run]:
    """Return the runs of one model: ``Name.toml`` beside ``Name.tla``.

    Raises
    ------
    ValueError
        If the file has an unknown key, a run that violates what the model
        does not have, or two runs of one name.
    """
    model: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    _refuse_unknown(path, model, {"constants", "invariants", "properties", "symmetric", "run"})
    runs = [_run(path, model, entry) for entry in model["run"]]
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise ValueError(f"{path}: two runs have one name: {names}")
    return runs


def _run(path: Path, model: Mapping[str, Any], entry: Mapping[str, Any]) -> Run:
    keys = {"name", "left_out", "violates", "constants", "invariants", "properties", "symmetric", "long"}
    _refuse_unknown(path, entry, keys)
    left_out = tuple(entry.get("left_out", ()))
    name = entry.get("name") or ("without " + ", ".join(left_out) if left_out else "all rules")
    invariants = tuple(entry.get("invariants", model.get("invariants", ())))
    properties = tuple(entry.get("properties", model.get("properties", ())))
    violates = entry.get("violates")
    if violates is not None:
        if violates not in invariants + properties:
            raise ValueError(f"{path}: the run {name!r} violates {violates}, which the model does not have")
        # With nothing else to violate, the counter-example is always one of this property.
        invariants = tuple(one for one in invariants if one in {violates, "TypeOK"})
        properties = tuple(one for one in properties if one == violates)
    return Run(
        module=path.with_suffix(".tla"),
        name=name,
        constants={**model["constants"], **entry.get("constants", {})},
        left_out=left_out,
        invariants=invariants,
        properties=properties,
        violates=violates,
        symmetric=bool(entry.get("symmetric", model.get("symmetric", False))),
        long=bool(entry.get("long", False)),
    )


def _refuse_unknown(path: Path, table: Mapping[str, Any], known: set[str]) -> None:
    if unknown := table.keys() - known:
        raise ValueError(f"{path}: unknown keys {sorted(unknown)}; known are {sorted(known)}")
