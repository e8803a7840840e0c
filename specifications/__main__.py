"""Check the models and print a line for each run; end with 1 if one is not as expected."""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial

from specifications.jars import tlc_jars
from specifications.models import Run, all_runs
from specifications.tlc import Outcome, check
from tests.jars import JarsUnavailableError


def verdict(run: Run, outcome: Outcome) -> tuple[bool, str]:
    """Return whether an outcome is the expected one, and the words for it."""
    if not outcome.finished:
        return False, "NO VERDICT"
    if run.violates is None:
        return outcome.violated is None, "holds" if outcome.violated is None else f"VIOLATED: {outcome.violated}"
    if outcome.violated is None:
        return False, f"HOLDS, though a violation of {run.violates} was expected"
    expected = outcome.violated == run.violates
    return expected, f"{'violated as expected' if expected else 'VIOLATED OTHERWISE'}: {outcome.violated}"


def check_all(runs: Sequence[Run], checker: Callable[[Run], Outcome], traces: bool = False) -> int:
    """Check some runs, and return how many are not as expected.

    Parameters
    ----------
    runs : `Sequence` [`Run`]
        What is checked.
    checker : `Callable`
        What checks one.
    traces : `bool`, optional
        Print the expected counter-examples too, not only what is unexpected.
    """
    wrong = 0
    width = max((len(str(run)) for run in runs), default=0)
    for run in runs:
        outcome = checker(run)
        expected, words = verdict(run, outcome)
        line = f"{run!s:{width}}  {words}, {outcome.states:,} states, {outcome.seconds:.1f} s"
        print(line if expected else f"{line}  NOT AS EXPECTED", flush=True)  # noqa: T201
        if traces or not expected:
            print(outcome.details, flush=True)  # noqa: T201
        wrong += not expected
    return wrong


def main(arguments: Sequence[str]) -> int:
    """Run the command, and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m specifications", description=__doc__)
    parser.add_argument("only", nargs="*", help="runs whose name contains one of these texts, such as Leases")
    parser.add_argument("--long", action="store_true", help="the runs that take minutes too")
    parser.add_argument("--trace", action="store_true", help="print the expected counter-examples")
    parser.add_argument("--list", action="store_true", help="print the names of the runs, and check nothing")
    options = parser.parse_args(arguments)
    runs = [
        run
        for run in all_runs()
        if (options.long or not run.long) and (not options.only or any(text in str(run) for text in options.only))
    ]
    if not runs:
        parser.error(f"no run has one of {options.only} in its name")
    if options.list:
        print("\n".join(map(str, runs)))  # noqa: T201
        return 0
    try:
        jars = tlc_jars()
    except JarsUnavailableError as error:
        print(f"The models cannot be checked: {error}", file=sys.stderr)  # noqa: T201
        return 2
    wrong = check_all(runs, partial(check, jars=jars), options.trace)
    print(f"{len(runs) - wrong} of {len(runs)} runs are as expected")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
