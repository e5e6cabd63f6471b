"""The dashboards, written as code and generated: `python -m grafana.build`."""

import warnings

with warnings.catch_warnings():
    # The classic schema is what file provisioning takes in every release of Grafana from 11 on.
    warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
    from grafana_foundation_sdk.builders import dashboard, heatmap  # noqa: F401
