"""What `dfd evidence` counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class EvidenceMetrics:
    """Each has the `registry` that is passed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.written = Counter(
            "dfd_evidence_bundles_total", "Bundles written, the same alarm's again too.", registry=registry
        )
        self.lost = Counter(
            "dfd_evidence_lost_total", "Bundles that could not be written, by reason.", ["reason"], registry=registry
        )
        self.size = Gauge("dfd_evidence_bytes", "What all bundles take.", registry=registry)
