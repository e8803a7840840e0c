"""No text makes a regular expression of the package take more than time in proportion to its length.

Python's matcher backtracks. It tries more than a bounded number of ways for
each character if, and only if, there are two states of the expression's
automaton between which a text leads in such a manner that it also leads each
of them back to itself: ``p -> p``, ``p -> q`` and ``q -> q`` on the same text.
Each expression is turned into its automaton here, and searched for such a pair.
An expression that may begin anywhere in a text gets a loop before it, since
each place where it begins is one more way.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, TypeAlias

import pytest

import stream_assoc

PACKAGE = Path(stream_assoc.__file__).parent
FIXED = {"match", "fullmatch"}
ANYWHERE = {"search", "sub", "subn", "split", "findall", "finditer"}
UNLIMITED = 1000
"""More repetitions than this count as any number."""
ALPHABET = [chr(code) for code in (*range(128), 0xE9, 0x0661, 0x2032, 0x2028)]


Moves: TypeAlias = dict[int, list[tuple[frozenset[str], int]]]


@dataclass
class Automaton:
    """States with edges on sets of characters, and edges without."""

    steps: Moves = field(default_factory=dict)
    silent: dict[int, set[int]] = field(default_factory=dict)

    def state(self) -> int:
        new = len(self.steps)
        self.steps[new], self.silent[new] = [], set()
        return new

    def add(self, tree: Any, start: int, flags: int) -> int:
        """Append what a parsed expression matches to a state; return the state behind it."""
        for code, argument in tree:
            start = self._add_one(code, argument, start, flags)
        return start

    def _add_one(self, code: Any, argument: Any, start: int, flags: int) -> int:
        if code in (codes.LITERAL, codes.NOT_LITERAL, codes.IN, codes.ANY):
            end = self.state()
            self.steps[start].append((characters(code, argument, flags), end))
            return end
        if code is codes.SUBPATTERN:
            return self.add(argument[-1], start, flags)
        if code is codes.BRANCH:
            end = self.state()
            for branch in argument[1]:
                self.silent[self.add(branch, start, flags)].add(end)
            return end
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
            least, most, inner = argument
            for _ in range(min(least, 3)):
                start = self.add(inner, start, flags)
            end = self.state()
            if most >= UNLIMITED:
                loop = self.state()
                self.silent[start].add(loop)
                self.silent[self.add(inner, loop, flags)].add(loop)
                self.silent[loop].add(end)
                return end
            self.silent[start].add(end)
            for _ in range(min(most - least, 3)):
                start = self.add(inner, start, flags)
                self.silent[start].add(end)
            return end
        if code in (codes.AT, codes.ASSERT, codes.ASSERT_NOT):
            return start
        raise NotImplementedError(f"{code} is not understood by this test")

    def moves(self) -> "Moves":
        """Return the edges on characters, silent ones followed before each."""
        return {state: [edge for before in self.after(state) for edge in self.steps[before]] for state in self.steps}

    def after(self, state: int, path: tuple[int, ...] = ()) -> list[int]:
        """Return the states that silent edges lead to; one twice if there are two ways to it, or a way round."""
        if state in path:
            return [state]
        further = [one for end in sorted(self.silent[state]) for one in self.after(end, (*path, state))]
        return [state, *further]


def characters(code: Any, argument: Any, flags: int) -> frozenset[str]:
    """Return those characters of the alphabet that one item matches, by asking the matcher itself."""
    state = parser.State()
    state.flags = flags
    item = parser.SubPattern(state, [(code, argument)])
    matcher = re._compiler.compile(item, flags)  # type: ignore[attr-defined]
    return frozenset(character for character in ALPHABET if matcher.fullmatch(character))


def is_linear(pattern: str, flags: int = 0, *, is_anywhere: bool = False) -> bool:
    """Tell whether no two loops of an expression read the same text, one after the other."""
    parsed = parser.parse(pattern, flags)
    built = Automaton()
    start = built.state()
    accepted = built.add(parsed, start, parsed.state.flags)
    if any(len(built.after(state)) != len(set(built.after(state))) for state in built.steps):
        return False
    if is_anywhere:
        built.steps[start].append((frozenset(ALPHABET), start))
    moves = built.moves()
    looping = [state for state in moves if state in reachable(moves, state)]
    # Behind a loop that has found something already, the search goes on from where that ends.
    decided = {state for state in looping if is_anywhere and accepted in built.after(state)}
    return not any(
        (p, q, q) in triples(moves, (p, p, q))
        for p, q in product(looping, looping)
        if p != q and not (p == start and q in decided)
    )


def reachable(moves: Moves, start: int) -> set[int]:
    """Return the states that some text of at least one character leads to."""
    found: set[int] = set()
    waiting = [start]
    while waiting:
        for letters, end in moves[waiting.pop()]:
            if letters and end not in found:
                found.add(end)
                waiting.append(end)
    return found


def triples(moves: Moves, start: tuple[int, int, int]) -> set[tuple[int, int, int]]:
    """Return where the same text can lead three states at once."""
    found: set[tuple[int, int, int]] = set()
    waiting = [start]
    while waiting:
        first, second, third = waiting.pop()
        for (a, one), (b, two), (c, three) in product(moves[first], moves[second], moves[third]):
            ends = (one, two, three)
            if ends not in found and a & b & c:
                found.add(ends)
                waiting.append(ends)
    return found


def used_expressions() -> Iterator[tuple[str, str, int, bool]]:
    """Yield each expression of the package: where, its text, its flags, whether it may begin anywhere."""
    for file in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        calls = [
            node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        ]
        if not any(ast.unparse(call.func).startswith("re.") for call in calls):
            continue
        name = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
        module = importlib.import_module(name.removesuffix(".__init__"))
        kept = {key: value for key, value in vars(module).items() if isinstance(value, re.Pattern)}
        compiled = [call for call in calls if ast.unparse(call.func) == "re.compile"]
        assert len(compiled) <= len(kept), f"{name}: keep each compiled expression in a constant of the module"
        for call in calls:
            method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            owner = ast.unparse(call.func).rpartition(".")[0]
            if method not in FIXED | ANYWHERE:
                continue
            if owner == "re":
                yield f"{name}:{call.lineno}", ast.literal_eval(call.args[0]), 0, method in ANYWHERE
            elif owner in kept:
                yield f"{name}.{owner}", kept[owner].pattern, kept[owner].flags, method in ANYWHERE


OF_OWN_TEXT = {"stream_assoc.tools.report.theme"}
"""Modules whose expressions read what this package has just written."""


def test_every_expression_takes_linear_time() -> None:
    found = list(used_expressions())
    assert len(found) > 10
    costly = {
        where
        for where, pattern, flags, is_anywhere in found
        if not is_linear(pattern, flags, is_anywhere=is_anywhere)
    }
    assert {where for where in costly if where.partition(":")[0] not in OF_OWN_TEXT} == set()


@pytest.mark.parametrize(
    ("pattern", "is_anywhere"),
    [
        (r"(a*)*b", False),
        (r"(a+)+b", False),
        (r"(ab|[ab]b)*c", False),
        (r"(a|b|ab)*c", False),
        (r"\s*,?\s*x", False),
        (r"\d+\.?\d*x", False),
        (r"(\d+)\s*[:\s]\s*(\d+)", False),
        (r"[^=]*secret[^=]*=", False),
        (r"a+b", True),
        (r"<.*>", True),
    ],
)
def test_costly_expressions_are_found(pattern: str, is_anywhere: bool) -> None:
    assert not is_linear(pattern, is_anywhere=is_anywhere)


@pytest.mark.parametrize(
    ("pattern", "is_anywhere"),
    [
        (r"a*b*c", False),
        (r"\d+(?:\.\d+)?\s*[smhd]", False),
        (r"a+b", False),
        (r"(?:ab)*c", False),
        (r"a+", True),
        (r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?", True),
        (r"x{1,3}y?", True),
    ],
)
def test_linear_expressions_pass(pattern: str, is_anywhere: bool) -> None:
    assert is_linear(pattern, is_anywhere=is_anywhere)
