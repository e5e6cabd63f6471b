import os
import re
import socket
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from service.limits import STATUS
from service.server import listen
from service.settings import PRESET_NAMES, Settings, SettingsError, preset, read
from tests.conftest import ROOT, service_environment, service_program

README = ROOT / "service/README.md"


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading of the README, without its head."""
    section = README.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines[2:]]


def serve(environment: dict[str, str], **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        service_program({}),
        env=service_environment(environment) | more,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_without_variables_the_service_is_the_baseline() -> None:
    assert read({"HOME": "/"}) == read({"SERVICE_PRESET": "baseline"})


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_a_preset_fills_every_setting_and_the_engine_has_the_same_threads(name: str) -> None:
    values = preset(name, cpus=4)
    assert set(values) == {f.name for f in fields(Settings)}
    assert values["engine_threads"] == 1
    assert values["threads"] == preset("baseline", cpus=4)["threads"]


def test_a_single_setting_changes_nothing_else() -> None:
    mine = read({"SERVICE_PRESET": "optimized", "SERVICE_JSON": "stdlib"})
    assert mine.json == "stdlib"
    assert mine.as_variables() == read({"SERVICE_PRESET": "optimized"}).as_variables() | {
        "SERVICE_JSON": "stdlib"
    }


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SERVICE_WORKER", "2", "no such setting; the nearest is SERVICE_WORKERS"),
        ("SERVICE_JSON", "orjson", "expected one of stdlib, orjson_response, bytes"),
        ("SERVICE_PRESET", "fast", "expected one of baseline, seed, optimized"),
        ("SERVICE_WORKERS", "0", "found '0'; expected a whole number from 1 to 256"),
        ("SERVICE_WORKERS", "2.5", "found '2.5'; expected a whole number from 1 to 256"),
        ("SERVICE_SLOW_MS", "nan", "found 'nan'; expected a number from 0 to 1e+06"),
        ("SERVICE_HOST", "", "found nothing; expected a value"),
        ("SERVICE_PORT", "", "found ''; expected a whole number from 0 to 65535"),
        ("SERVICE_TRITON_URL", "localhost", "expected none, or host:port as in 127.0.0.1:8001"),
        ("SERVICE_TRITON_URL", "127.0.0.1:80010", "expected none, or host:port"),
        ("SERVICE_TRITON_URL", "http://127.0.0.1:8001", "expected none, or host:port"),
    ],
)
def test_a_setting_that_is_refused_says_what_would_be_right(
    name: str, value: str, said: str
) -> None:
    with pytest.raises(SettingsError, match="^" + re.escape(f"{name}: ") + ".*" + re.escape(said)):
        read({name: value})


def test_a_track_that_needs_triton_is_refused_without_one() -> None:
    with pytest.raises(
        SettingsError, match="SERVICE_TRACK: D needs Triton, and SERVICE_TRITON_URL is"
    ):
        read({"SERVICE_TRACK": "D", "SERVICE_TRITON_URL": "none"})
    assert read({"SERVICE_TRACK": "D", "SERVICE_TRITON_URL": "[::1]:8001"}).track == "D"


def test_bad_settings_end_the_service_in_one_line() -> None:
    done = serve({"SERVICE_TRAK": "A"})
    assert done.returncode == 2
    assert done.stderr == "service: SERVICE_TRAK: no such setting; the nearest is SERVICE_TRACK\n"


def test_a_busy_port_ends_the_service_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = serve({"SERVICE_PORT": str(port)})
    assert done.returncode == 2
    assert done.stderr.startswith(f"service: 127.0.0.1:{port}: address already in use; stop")
    assert done.stderr.count("\n") == 1


def test_a_host_that_is_not_ours_ends_the_service_in_one_line() -> None:
    done = serve({"SERVICE_HOST": "no.such.host.invalid"})
    assert done.returncode == 2
    assert done.stderr.startswith("service: no.such.host.invalid:0: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("imaging", ["pillow_simd", "turbo_simd"])
def test_pillow_simd_is_refused_where_pil_is_pillow(imaging: str) -> None:
    done = serve({"SERVICE_IMAGING": imaging})
    assert done.returncode == 2
    assert done.stderr.startswith(f"service: SERVICE_IMAGING={imaging}: PIL is Pillow ")
    assert "make setup-simd" in done.stderr


def test_plain_pillow_is_refused_where_pil_is_pillow_simd() -> None:
    settings = {"SERVICE_PRESET": "seed", "SERVICE_IMAGING": "pillow", "SERVICE_PORT": "0"}
    done = subprocess.run(
        service_program(settings),
        env=service_environment(settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "PIL is pillow-simd" in done.stderr
    assert "make setup" in done.stderr


def test_an_environment_with_both_pillows_is_refused(tmp_path: Path) -> None:
    # What a package installer leaves behind: the name is all that can be seen of the mix-up.
    second = tmp_path / "pillow_simd-12.1.1.post0.dist-info"
    second.mkdir()
    (second / "METADATA").write_text("Name: pillow-simd\nVersion: 12.1.1.post0\n")
    done = serve({"SERVICE_IMAGING": "turbo"}, PYTHONPATH=os.fspath(tmp_path))
    assert done.returncode == 2
    assert "both pillow and pillow-simd are installed" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_worker_that_cannot_start_says_why_and_the_service_ends(tmp_path: Path) -> None:
    # A model whose weights are missing is found when it is loaded, in the worker.
    for name in ("service", "service/model"):
        (tmp_path / name).mkdir()
    for file in [*(ROOT / "service").glob("*.py"), *(ROOT / "service/model").glob("*.*")]:
        (tmp_path / file.relative_to(ROOT)).symlink_to(file)
    for workers in ("1", "2"):
        done = subprocess.run(
            service_program({}),
            env=service_environment({"SERVICE_WORKERS": workers}) | {"PYTHONPATH": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 3
        assert "the worker cannot start" in done.stderr
        assert "Traceback" not in done.stderr


def test_the_readme_lists_every_setting_with_the_values_of_the_presets() -> None:
    documented = {row[0]: row[1:4] for row in rows("Settings")}
    presets = [preset(name, cpus=2) for name in PRESET_NAMES]
    assert set(documented) == {f"SERVICE_{f.name.upper()}" for f in fields(Settings)}
    for f in fields(Settings):
        shown = documented[f"SERVICE_{f.name.upper()}"]
        assert shown == [f"{values[f.name]}" for values in presets], f.name


def test_the_readme_lists_every_error_code_with_its_status() -> None:
    documented = {row[0]: int(row[1]) for row in rows("Errors")}
    assert documented == STATUS


@pytest.mark.parametrize(
    ("nagle", "protocol", "delay"), [("off", socket.IPPROTO_TCP, 1), ("on", 0, 0)]
)
def test_the_listening_socket_says_whether_answers_leave_at_once(
    nagle: str, protocol: int, delay: int
) -> None:
    # asyncio switches Nagle's algorithm off on sockets whose protocol is named, and only on those.
    with listen(read({"SERVICE_PORT": "0", "SERVICE_NAGLE": nagle})) as listener:
        assert listener.proto == protocol
        assert bool(listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) == bool(delay)
