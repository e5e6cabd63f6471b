"""
The commands `settings` and `serve` of a real service, without a model.

SERVICE_JSON says how it behaves: `bytes` answers, `die` ends before it is ready, `refuse` answers
422, `die_late` ends after 40 requests, `workers` starts two processes that would outlive it.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KNOWN = ("SERVICE_PRESET", "SERVICE_JSON", "SERVICE_IMAGING", "SERVICE_HOST", "SERVICE_PORT")
FOREVER = [sys.executable, "-c", "import time; time.sleep(600)"]


class Handler(BaseHTTPRequestHandler):
    """Answers health checks and images."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    behaviour = os.environ.get("SERVICE_JSON", "bytes")
    answered = 0
    lock = threading.Lock()

    def do_GET(self) -> None:
        self.answer(200, {"settings": settings(), "pid": os.getpid()})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        time.sleep(0.004)
        with Handler.lock:
            Handler.answered += 1
        if self.behaviour == "die_late" and Handler.answered > 40:
            print("tiny: CUDA out of memory, says nobody", file=sys.stderr, flush=True)
            os._exit(9)
        self.answer(422 if self.behaviour == "refuse" else 200, {"detections": []})

    def answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def settings() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key.startswith("SERVICE_")}


def serve() -> int:
    address = os.environ["SERVICE_HOST"], int(os.environ["SERVICE_PORT"])
    print("tiny: starting", flush=True)
    if Handler.behaviour == "die":
        time.sleep(0.3)
        print("tiny: no model at /nowhere", file=sys.stderr, flush=True)
        return 3
    ThreadingHTTPServer.allow_reuse_address = False
    try:
        server = ThreadingHTTPServer(address, Handler)
    except OSError as error:
        time.sleep(0.3)  # a service finds out late, when it has imported everything
        print(f"tiny: port {address[1]}: {error}", file=sys.stderr, flush=True)
        return 2
    server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server.daemon_threads = True
    if Handler.behaviour == "workers":
        for new_session in (False, True):
            subprocess.Popen(FOREVER, start_new_session=new_session)
    server.serve_forever()
    return 0


def main(command: str) -> int:
    for name in settings():
        if name not in KNOWN:
            print(f"settings: unknown {name}; did you mean SERVICE_JSON?", file=sys.stderr)
            return 2
    if command == "settings":
        print(json.dumps(settings()))
        return 0
    return serve()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
