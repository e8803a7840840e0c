import dataclasses

import pytest

from stream_assoc.core.model.metrics import AssociationMetrics, fraction_updated


@pytest.mark.parametrize(
    ("updated", "unassociated", "expected"), [(0, 0, None), (0, 4, 0.0), (3, 0, 1.0), (1, 3, 0.25)]
)
def test_fraction_updated(updated: int, unassociated: int, expected: float | None) -> None:
    assert fraction_updated(updated, unassociated) == expected


def test_every_metric_is_defined() -> None:
    for field in dataclasses.fields(AssociationMetrics):
        assert field.metadata["doc"].endswith(".")
        assert "unit" in field.metadata
