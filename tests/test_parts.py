"""What a machine cannot run is said, with the command that brings it."""

from tests.parts import PARTS, Part, what_is_fetched, what_will_not_run

HERE = Part("a shell", ("sh", "/bin/s*"), ("dash",))
AWAY = (Part("one", ("no-such-program",), ("a", "b")), Part("two", ("sh", "/no/such/*"), ("c",)))


def test_nothing_is_said_where_all_is_here() -> None:
    assert what_will_not_run([HERE]) is None


def test_what_is_missing_is_told_in_one_line_with_one_command() -> None:
    assert what_will_not_run([HERE, *AWAY]) == (
        "will not run here: one; two. To run all: apt-get install --no-install-recommends a b c"
    )


def test_what_has_to_be_fetched_is_told_before_it_is() -> None:
    assert what_is_fetched([]) is None
    assert what_is_fetched(AWAY) == (
        "will not run if Maven can reach no repository, for their jars are not here yet: one; two"
    )


def test_ci_installs_what_every_part_needs() -> None:
    from tests.documentation.console import REPOSITORY

    script = (REPOSITORY / ".ci" / "run").read_text()
    # Java, Maven, openssl and PostgreSQL come with the machines that CI runs on.
    needed = {package for part in PARTS[:3] for package in part.packages}
    assert {package for package in needed if package in script} == needed
