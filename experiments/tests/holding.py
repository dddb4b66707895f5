"""What a run holds."""

from __future__ import annotations

from experiments import reading, upkeep
from experiments.models import Metric, Run
from experiments.series import Points


def stored(run: Run) -> dict[str, list[float]]:
    """Every value of every series, checked against its summary."""
    metrics = Metric.objects.filter(run=run).select_related("tail")
    assert [fault for metric in metrics for fault in upkeep.verify_metric(metric)] == []
    return {
        metric.name: Points.concat(list(reading.blocks(metric))).values.tolist()
        for metric in metrics
    }
