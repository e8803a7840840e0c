"""Metrics of batches, and an application on chosen parts."""

from typing import Any

from stream_assoc.core.model.metrics import AssociationMetrics

BIG = 2**60 + 1
"""An identifier that JavaScript's numbers would round."""


def metrics(visit: int = 1, detector: int = 0, **values: object) -> AssociationMetrics:
    """Return the metrics of a batch that could be; ``values`` say what is special about it."""
    usual: dict[str, Any] = {
        "band": "r",
        "midpointMjdTai": 61_000.1 + 1e-4 * (visit % 1000),
        "timeProcessedMjdTai": 61_000.2 + 1e-4 * (visit % 1000),
        "numDiaSources": 10,
        "numAssociatedDiaSources": 5,
        "numNewDiaObjects": 2,
        "numUpdatedDiaObjects": 5,
        "numUnassociatedDiaObjects": 4,
        "fracUpdatedDiaObjects": 5 / 9,
        "totalUnassociatedDiaObjects": 2,
        "numTotalSolarSystemObjects": 1,
        "numAssociatedSsObjects": 1,
        "numMarginalDiaSources": 1,
        "numDroppedDiaSources": 1,
        "numAmbiguousDiaSources": 1,
        "medianMargin": 3.5,
        "medianRaOffset": 0.01,
        "medianDecOffset": -0.01,
        "rmsSeparation": 0.06,
        "stageSeconds": {"decode": 0.001, "associate": 0.002, "store": 0.004},
        "inputTopic": "dia-sources",
        "inputPartition": 0,
        "inputOffset": 0,
    }
    return AssociationMetrics(visit=visit, detector=detector, **{**usual, **values})
