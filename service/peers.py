"""
Other people's telemetry around the same service, to measure ours against: SERVICE_METRICS=
instrumentator and SERVICE_TRACING=contrib. Both as ASGI in front of everything, where a request has
the least way to go; their packages are of the group `peers`.
"""

import importlib.util

from service.limits import App, Receive, Scope, Send
from service.settings import Settings, SettingsError

PACKAGES = {
    "instrumentator": "prometheus_fastapi_instrumentator",
    "contrib": "opentelemetry.instrumentation.asgi",
}


def check(settings: Settings) -> None:
    """Refuse to start without the packages that the settings ask for."""
    for setting, value in (("METRICS", settings.metrics), ("TRACING", settings.tracing)):
        if (package := PACKAGES.get(value)) and not there(package):
            raise SettingsError(
                f"SERVICE_{setting}: {value} needs the package {package}, which is not installed;"
                " run from the default environment (`make setup`), or choose another value"
            )


def there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def wrapped(layer: App, app: App, settings: Settings) -> App:
    """The service's outermost layer within those that the settings ask for."""
    if settings.metrics == "instrumentator":
        layer = with_instrumentator(layer, app)
    if settings.tracing == "contrib":
        layer = with_contrib(layer, settings)
    return layer


def with_instrumentator(layer: App, app: App) -> App:
    """prometheus-fastapi-instrumentator as it comes; it looks for the routes of the app."""
    from prometheus_fastapi_instrumentator.middleware import PrometheusInstrumentatorMiddleware

    counting = PrometheusInstrumentatorMiddleware(layer)

    async def knowing_its_app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = app
        await counting(scope, receive, send)

    return knowing_its_app


def with_contrib(layer: App, settings: Settings) -> App:
    """
    OpenTelemetry's own instrumentation, what its FastAPI package puts around an app: one span for
    the request and one for each message, sampled as ours are.
    """
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    from service.tracing import exporter

    provider = TracerProvider(sampler=ParentBasedTraceIdRatio(settings.trace_ratio))
    provider.add_span_processor(BatchSpanProcessor(exporter(settings)))
    return OpenTelemetryMiddleware(layer, tracer_provider=provider)
