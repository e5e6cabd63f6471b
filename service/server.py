"""From the settings to a listening server, or to one line that says why not."""

import signal
import socket
import sys

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from service import detection, imaging, logs, peers, pytorch, run_folder
from service.settings import NOBODY, Settings, SettingsError, changed

CONNECT_S = 1.0


def serve(settings: Settings) -> None:
    """Listen and answer until SIGTERM or Ctrl-C."""
    name, version = imaging.prepare(settings.imaging)
    check_model()
    if settings.engine == "pytorch":
        pytorch.check()
    peers.check(settings)
    settings = with_tracing(with_track(settings))
    listener = listen(settings)
    host, port = listener.getsockname()[:2]
    print(
        f"serve: http://{host}:{port}, preset {settings.preset}, track {settings.track}, "
        f"Triton {settings.triton_url}, workers {settings.workers}, threads {settings.threads}, "
        f"metrics {settings.metrics}, traces {traces(settings)}, PIL is {name} {version}",
        file=sys.stderr,
        flush=True,
    )
    # uvicorn stops gracefully, and then raises the signal again: a stop that was asked for is a
    # success, and the folder below has to be removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with run_folder.made(), listener:
        run(settings, listener)


def with_track(settings: Settings) -> Settings:
    """
    The settings with the default track chosen: B if somebody listens at Triton's address, else A.

    Once, before there are workers, so that all of them answer alike whenever they start.
    """
    if settings.track != "auto":
        return settings
    track = "B" if is_there(settings.triton_url) else "A"
    return changed(settings, track=track)


def with_tracing(settings: Settings) -> Settings:
    """The settings with `auto` decided: spans over gRPC if somebody listens for them."""
    if settings.tracing != "auto":
        return settings
    tracing = "grpc" if is_there(settings.otlp_url) else "off"
    return changed(settings, tracing=tracing)


def traces(settings: Settings) -> str:
    """For the first line of the log."""
    if settings.tracing == "off":
        return "off"
    return f"{settings.trace_ratio:.4g} over {settings.tracing} to {settings.otlp_url}"


def is_there(address: str) -> bool:
    """Whether somebody listens; whether it is a Triton that can infer, /readyz tells."""
    if address == NOBODY:
        return False
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()
    except (OSError, UnicodeError):  # the second: no name that a resolver could be asked for
        return False
    return True


def check_model() -> None:
    for file in [detection.graph(model) for model in detection.SIZES]:
        if not file.exists():
            raise SettingsError(f"{file}: the model's graph is missing; check the installation")


def listen(settings: Settings) -> socket.socket:
    """A listening socket, or the reason why there is none."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # uvicorn's own socket for several workers names no protocol, so asyncio leaves Nagle's
    # algorithm on, and every answer then waits 40 ms for a delayed acknowledgement: `nagle = on`
    # is that socket. Connections inherit both.
    plain = settings.nagle == "on"
    listener = socket.socket(family, socket.SOCK_STREAM, 0 if plain else socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0 if plain else 1)
    try:
        listener.bind((settings.host, settings.port))
        # SO_REUSEADDR lets two bind; it is listening that only one may.
        listener.listen(settings.backlog)
    except (OSError, UnicodeError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SettingsError(
            f"{settings.host}:{settings.port}: {(reason or str(error)).lower()}; stop the program "
            "that listens there, or choose another SERVICE_HOST or SERVICE_PORT"
        ) from None
    listener.set_inheritable(True)
    return listener


class Supervisor(Multiprocess):
    """uvicorn's, noticing the end of a worker when it comes."""

    def keep_subprocess_alive(self) -> None:
        # It asks each worker twice a second whether it is alive. One that is just ending does not
        # answer any more, and because uvicorn holds that end of the pipe as well, the pipe stays
        # open: it waits 5 s, in which no worker is started. Closed here, the pipe ends with it.
        for worker in self.processes:
            worker.child_conn.close()
        super().keep_subprocess_alive()


def run(settings: Settings, listener: socket.socket) -> None:
    config = configuration(settings)
    # A worker that ends after so many requests needs somebody who starts the next one.
    if settings.workers > 1 or settings.recycle_requests:
        supervisor = Supervisor(config, sockets=[listener])
        supervisor.run()
        if any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes):
            sys.exit(STARTUP_FAILURE)
        return
    server = uvicorn.Server(config)
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        sys.exit(130)
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def configuration(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        "service.app:create",
        factory=True,
        loop=settings.loop,
        http=settings.http,
        ws="none",
        lifespan="on",
        workers=settings.workers,
        limit_max_requests=settings.recycle_requests or None,
        limit_max_requests_jitter=settings.recycle_jitter,
        timeout_graceful_shutdown=settings.graceful_s,
        timeout_keep_alive=settings.keep_alive_s,
        backlog=settings.backlog,
        log_config=logs.configuration(settings),
        log_level=settings.log_level,
        # In no preset: a line for each request is a cost that none of the settings is about.
        access_log=False,
        # Nothing here asks where a client is, so its address need not be looked for.
        proxy_headers=False,
    )
