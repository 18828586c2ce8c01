"""The page of metrics, from the plugin ``metrics``."""

from __future__ import annotations

from apilane_metrics.exposition import OUTBOX
from apilane_metrics.families import FAMILIES, REQUEST_BOUNDS_S
from generators.tables import table

INTRO = """# Metrics

The plugin `metrics` counts requests and the state of the workers, and answers `/metrics` in the text format of
Prometheus: on a port of its own (`listen`), or on the port of the API for callers with a bearer token (`token`).
Without either setting nothing is counted. [Observe a server](../howto/observe.md) shows how to set it up.

- Any worker answers for all workers of the machine. Counters are exact: a worker that is replaced or killed leaves its
  numbers to its successor. They begin at 0 when the server starts.
- Labels are names of the definitions: applications, entities, endpoints. Callers cannot add values. A worker keeps
  `series_max` series; further values are counted under `_other`.
- Gauges are at most a second old. Those of the outbox are read from the databases, and shown for 5 s.
- `apilane_api_data_duration` has the name, labels and buckets of the wire protocol; its labels are in lower case. The
  label `entity` of a custom endpoint is the name of the endpoint.

"""


def page() -> str:
    """One row per metric."""
    rows = []
    for family in FAMILIES.values():
        name = f"{family.name}_total" if family.kind == "counter" else family.name
        rows.append((f"`{name}`", family.kind, ", ".join(f"`{label}`" for label in family.labels), family.text))
    rows += [(f"`{name}`", "gauge", "`apptoken`", text) for name, text in OUTBOX.items()]
    buckets = " ".join(f"{bound:g}" for bound in REQUEST_BOUNDS_S)
    end = f"\nThe buckets of `apilane_api_data_duration`, in seconds: {buckets}.\n"
    return INTRO + table(("metric", "type", "labels", ""), rows) + end
