"""Prints the latest run as the tables of docs/performance.md: ``python -m benchmarks.report``."""

from benchmarks.side_by_side import LATEST, Figure, read


def row(figure: Figure) -> str:
    """Return a figure as a row of a Markdown table."""
    bar = "" if figure.bar is None else f"{'≥' if figure.at_least else '≤'} {figure.bar:.3g} {figure.unit}"
    made_of = ", ".join(
        f"{value:.1f} {name}" if name.startswith("MiB") else f"{name} {1000.0 * value:.0f} ms"
        for name, value in figure.details.items()
    )
    met = "" if figure.bar is None else "yes" if figure.holds else "**no**"
    return f"| {figure.name} | {figure.value:.3g} {figure.unit} | {bar} | {met} | {made_of} |"


def main() -> None:
    """Print the tables."""
    figures, machine = read(LATEST)
    print("| figure | measured | bar | met | made of |\n|---|---|---|---|---|")
    print("\n".join(row(figure) for figure in figures))
    print("\nMeasured on: " + ", ".join(f"{name} {value}" for name, value in machine.items()) + ".")


if __name__ == "__main__":
    main()
