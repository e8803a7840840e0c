"""The models say which rule each run leaves out and what it has to find, and what they name is in the modules."""

import re
from itertools import chain
from pathlib import Path

import pytest

from specifications.models import FOLDER, Run, all_runs, runs_of
from tests.documentation.console import REPOSITORY

RUNS = all_runs()
MODULES = sorted({run.module for run in RUNS})
CONSTANT_BLOCK = re.compile(r"^CONSTANTS?\b(.*?)^VARIABLES", re.DOTALL | re.MULTILINE)

MODEL = """\
invariants = ["TypeOK", "Small"]
properties = ["Comes"]
[constants]
Limit = "3"
[[run]]
[[run]]
left_out = ["Stop"]
violates = "Small"
constants = { Limit = "2" }
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "Tiny.toml"
    path.write_text(text)
    return path


def by_module(module: Path) -> list[Run]:
    return [run for run in RUNS if run.module == module]


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def test_every_module_is_checked() -> None:
    assert sorted(FOLDER.glob("*/*.tla")) == MODULES


@pytest.mark.parametrize("module", MODULES, ids=names(MODULES))
def test_every_rule_of_a_module_is_left_out_in_a_run_and_no_other_is(module: Path) -> None:
    rules = set(re.findall(r'Rule\("(\w+)"\)', module.read_text()))
    assert rules == set(chain.from_iterable(run.left_out for run in by_module(module)))


@pytest.mark.parametrize("module", MODULES, ids=names(MODULES))
def test_every_module_is_checked_with_all_rules_too(module: Path) -> None:
    assert [run for run in by_module(module) if not run.left_out and run.violates is None and not run.long]


@pytest.mark.parametrize("module", MODULES, ids=names(MODULES))
def test_what_a_run_names_is_defined(module: Path) -> None:
    text = module.read_text()
    defined = set(re.findall(r"^(\w+) ==", text, re.MULTILINE))
    block = CONSTANT_BLOCK.search(text)
    assert block is not None
    declared = set(re.findall(r"\b\w+\b", re.sub(r"\\\*.*", "", block[1])))
    for run in by_module(module):
        assert {"Spec", *run.invariants, *run.properties} <= defined
        assert {*run.constants, "LeftOut"} == declared
        assert "Symmetry" in defined or not run.symmetric


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_symmetry_is_not_used_where_liveness_is_checked(run: Run) -> None:
    """TLC may miss a counter-example to liveness under symmetry."""
    text = run.module.read_text()
    for name in run.properties if run.symmetric else ():
        definition = text.split(f"\n{name} ==")[1].split("\n\n")[0]
        assert definition.strip().startswith("[]["), f"{name} is no property of single steps"


def test_a_run_that_violates_checks_nothing_else_but_types(tmp_path: Path) -> None:
    whole, broken = runs_of(written(tmp_path, MODEL))
    assert (whole.name, whole.invariants, whole.properties) == ("all rules", ("TypeOK", "Small"), ("Comes",))
    assert (broken.name, broken.invariants, broken.properties) == ("without Stop", ("TypeOK", "Small"), ())
    assert str(broken) == "Tiny/without Stop"


def test_the_configuration_of_tlc(tmp_path: Path) -> None:
    _, broken = runs_of(written(tmp_path, MODEL))
    assert broken.configuration() == (
        "SPECIFICATION Spec\nCHECK_DEADLOCK FALSE\nCONSTANTS\n"
        '    Limit = 2\n    LeftOut = {"Stop"}\nINVARIANT TypeOK\nINVARIANT Small\n'
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[constants]", "constant = 1\n[constants]"), "unknown keys"),
        (('violates = "Small"', 'violate = "Small"'), "unknown keys"),
        (('violates = "Small"', 'violates = "Other"'), "does not have"),
        (('violates = "Small"', 'name = "all rules"'), "one name"),
    ],
)
def test_a_mistake_in_a_model_is_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        runs_of(written(tmp_path, MODEL.replace(*change)))


@pytest.mark.parametrize("module", MODULES, ids=names(MODULES))
def test_the_page_explains_every_rule_and_names_all_that_is_checked(module: Path) -> None:
    page = (REPOSITORY / "docs" / "cassandra-protocol.md").read_text()
    for run in by_module(module):
        for rule in run.left_out:
            assert re.search(rf"^\| `{rule}`: .*\| {module.stem} \|$", page, re.MULTILINE), rule
        for name in {*run.invariants, *run.properties} - {"TypeOK", "DecidedByWhatIs"}:
            assert re.search(rf"^\|[^|]*`{name}`[^|]*\|[^|]*\|[^|]*\b{module.stem}\b", page, re.MULTILINE), name
        assert module.stem in (module.parent / "README.md").read_text()


def test_make_has_a_command_for_it() -> None:
    assert "\t@$(BIN)/python -m specifications\n" in (REPOSITORY / "Makefile").read_text()
