"""What TLC says is read right, and what is not as expected fails."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from specifications import jars as model_checker
from specifications.__main__ import check_all, main, verdict
from specifications.models import Run, runs_of
from specifications.tlc import Outcome, check, read
from tests.jars import JarsUnavailableError
from tests.parts import MODELS

MODULE = """\
---- MODULE Tiny ----
EXTENDS Naturals
CONSTANT LeftOut
VARIABLE x
Init == x = 0
Next == x' = (x + 1) % 3
Spec == Init /\\ [][Next]_x
Fair == WF_x(Next)
Any == x \\in 0..2
Small == "Small" \\in LeftOut => x < 2
Grows == [][x' > x]_x
Comes == <>(x = 2)
Wrong == x = "text"
====
"""

MODEL = """\
invariants = ["Any", "Small", "Wrong"]
properties = ["Grows", "Comes"]
[constants]
[[run]]
"""

HOLDS = Outcome(finished=True, violated=None, states=3, seconds=1.0, details="")
BROKEN = replace(HOLDS, violated="Small", details="x = 2")


def message(number: int, text: str) -> str:
    return f"@!@!@STARTMSG {number}:0 @!@!@\n{text}\n@!@!@ENDMSG {number} @!@!@\n"


STATES = message(2199, "1,234 states generated, 567 distinct states found, 0 states left on queue.")


def tiny(folder: Path, **changes: object) -> Run:
    (folder / "Tiny.tla").write_text(MODULE)
    (folder / "Tiny.toml").write_text(MODEL)
    (run,) = runs_of(folder / "Tiny.toml")
    return replace(run, **{"invariants": (), "properties": (), **changes})  # type: ignore[arg-type]


def test_a_model_that_holds(tmp_path: Path) -> None:
    outcome = read(message(2193, "Model checking completed.") + STATES, tiny(tmp_path), 2.5)
    assert outcome == Outcome(finished=True, violated=None, states=567, seconds=2.5, details="")


@pytest.mark.parametrize(
    ("number", "text", "violated"),
    [
        (2107, "Invariant Small is violated by the initial state:\nx = 0", "Small"),
        (2110, "Invariant Small is violated.", "Small"),
        (2112, "Action property Grows is violated.", "Grows"),
        (2116, "Temporal properties were violated.\n", "Comes"),
    ],
)
def test_a_violation_and_its_counter_example(tmp_path: Path, number: int, text: str, violated: str) -> None:
    trace = message(2217, "1: <Initial predicate>\nx = 0\n") + message(2218, "2: Stuttering")
    outcome = read(message(number, text) + trace + STATES, tiny(tmp_path, properties=("Comes",)), 1.0)
    assert (outcome.finished, outcome.violated) == (True, violated)
    assert outcome.details == "1: <Initial predicate>\nx = 0\n\n2: Stuttering"


def test_no_verdict_is_none(tmp_path: Path) -> None:
    output = message(2171, "***Parse Error***")
    outcome = read(output, tiny(tmp_path), 1.0)
    assert (outcome.finished, outcome.violated, outcome.details) == (False, None, output)


@pytest.mark.parametrize(
    ("violates", "outcome", "expected", "words"),
    [
        (None, HOLDS, True, "holds"),
        (None, BROKEN, False, "VIOLATED: Small"),
        ("Small", BROKEN, True, "violated as expected: Small"),
        ("Small", HOLDS, False, "HOLDS, though a violation of Small was expected"),
        ("Any", BROKEN, False, "VIOLATED OTHERWISE: Small"),
        (None, replace(HOLDS, finished=False), False, "NO VERDICT"),
        ("Small", replace(BROKEN, finished=False), False, "NO VERDICT"),
    ],
)
def test_the_verdict(tmp_path: Path, violates: str | None, outcome: Outcome, expected: bool, words: str) -> None:
    assert verdict(tiny(tmp_path, violates=violates), outcome) == (expected, words)


def test_what_is_not_as_expected_is_counted_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tiny(tmp_path)
    assert check_all([run, run], lambda _: BROKEN) == 2
    assert check_all([replace(run, violates="Small")], lambda _: BROKEN) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ["Tiny/all rules  VIOLATED: Small, 3 states, 1.0 s  NOT AS EXPECTED", "x = 2"]
    assert printed[4:] == ["Tiny/all rules  violated as expected: Small, 3 states, 1.0 s"]


def test_expected_counter_examples_are_shown_when_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_all([tiny(tmp_path, violates="Small")], lambda _: BROKEN, traces=True) == 0
    assert capsys.readouterr().out.endswith("\nx = 2\n")


def test_an_unknown_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["no-such-run"])
    assert ended.value.code == 2
    assert "no-such-run" in capsys.readouterr().err


def test_runs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "Leases/without Fence"]) == 0
    assert "Leases/without Fence" in capsys.readouterr().out.splitlines()


def test_without_java_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(model_checker, "MODELS", replace(MODELS, programs=("no-such-program",)))
    assert main(["Leases/without Fence"]) == 2
    assert re.search(r"no no-such-program: apt-get install .* maven", capsys.readouterr().err)


@pytest.fixture(scope="module")
def tlc() -> Path:
    """The folder of TLC's jar."""
    try:
        return model_checker.tlc_jars()
    except JarsUnavailableError as error:
        pytest.skip(str(error))


@pytest.mark.integration
@pytest.mark.parametrize(
    ("changes", "finished", "violated"),
    [
        ({"invariants": ("Any", "Small"), "left_out": ()}, True, None),
        ({"invariants": ("Any", "Small"), "left_out": ("Small",)}, True, "Small"),
        ({"properties": ("Grows",)}, True, "Grows"),
        ({"properties": ("Comes",)}, True, "Comes"),
        ({"invariants": ("Wrong",)}, False, None),
        ({"invariants": ("NoSuchName",)}, False, None),
    ],
)
def test_tlc_itself(
    tlc: Path, tmp_path: Path, changes: dict[str, object], finished: bool, violated: str | None
) -> None:
    outcome = check(tiny(tmp_path, **changes), tlc)
    assert (outcome.finished, outcome.violated) == (finished, violated), outcome.details
    if finished:
        assert outcome.states == 3


@pytest.mark.integration
def test_a_run_that_takes_too_long_is_no_verdict(tlc: Path, tmp_path: Path) -> None:
    outcome = check(tiny(tmp_path), tlc, timeout=0.001)
    assert (outcome.finished, outcome.details) == (False, "not finished after 0 s")


@pytest.mark.integration
@pytest.mark.usefixtures("tlc")
def test_the_command_finds_a_counter_example_of_the_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["Tiles/without VersionIsRaised"]) == 0
    assert capsys.readouterr().out.endswith("1 of 1 runs are as expected\n")
