"""docker-compose.yml without a container engine: its schema, and the rules that it keeps."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from service import settings

ROOT = Path(__file__).parent.parent
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = (ROOT / "service/Dockerfile").read_text()
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def with_defaults(value: Any) -> Any:
    """What the file comes to where no variable is set."""
    if isinstance(value, dict):
        return {key: with_defaults(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_defaults(inner) for inner in value]
    return VARIABLE.sub(r"\2", value) if isinstance(value, str) else value


STACK = with_defaults(YAML(typ="safe").load(COMPOSE))
SERVICES = STACK["services"]
LASTING = sorted(name for name, service in SERVICES.items() if service["restart"] != "no")


def test_the_file_fits_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run([*command, COMPOSE], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_example_lists_each_variable_with_its_default() -> None:
    used = dict(VARIABLE.findall(COMPOSE.read_text()))
    assert "${" not in VARIABLE.sub("", COMPOSE.read_text())
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert dict(line.split("=") for line in lines if line and line[0] != "#") == used


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:
        dockerfile = ROOT / service["build"]["context"] / service["build"]["dockerfile"]
        images = re.findall(r"^FROM (\S+)", dockerfile.read_text(), re.M)
    else:
        images = [service["image"]]
    assert images
    for image in images:
        assert re.search(r":\d+\.\d+[\w.-]*$", image), f"{image} is not a version"


@pytest.mark.parametrize("name", SERVICES)
def test_a_port_is_bound_to_this_machine_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


@pytest.mark.parametrize("name", LASTING)
def test_a_service_that_stays_is_watched(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)
    inside = {port.rpartition(":")[2] for port in SERVICES[name]["ports"]}
    asked = re.search(r"127\.0\.0\.1:(\d+)/", " ".join(check["test"]))
    assert asked
    assert asked[1] in inside


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_limited_and_confined(name: str) -> None:
    service = SERVICES[name]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == ("1000:1000" if name in LASTING else "0:0")


def test_a_gpu_is_asked_for_under_its_profile_only() -> None:
    for name, service in SERVICES.items():
        gpu = "reservations" in service["deploy"]["resources"]
        assert service.get("profiles", []) == (["gpu"] if gpu else []), name


def test_what_is_mounted_is_there() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source[0] == "." else source in STACK["volumes"], (
                f"{name} mounts {source}"
            )


def test_the_service_takes_the_settings_that_it_is_given() -> None:
    read = settings.read(SERVICES["yolo-api"]["environment"])
    (port,) = SERVICES["yolo-api"]["ports"]
    assert port.endswith(f":{read.port}")
    assert read.host == "0.0.0.0"
    where, _, grpc = read.triton_url.partition(":")
    assert any(published.endswith(f":{grpc}") for published in SERVICES[where]["ports"])


def test_plans_are_built_and_run_by_one_release() -> None:
    export, triton = SERVICES["export"], SERVICES["triton"]
    assert export["image"].rpartition(":")[2] == triton["image"].rpartition(":")[2]
    assert triton["depends_on"]["export"]["condition"] == "service_completed_successfully"
    assert "--model-config-name=gpu" in triton["command"]
    out = export["command"][export["command"].index("--out") + 1]
    assert f"--model-repository={out}" in triton["command"]


def test_both_ends_see_the_same_shared_memory() -> None:
    api, triton = SERVICES["yolo-api"], SERVICES["triton"]
    assert (api["ipc"], triton["ipc"]) == ("shareable", "service:yolo-api")
    assert api["user"] == triton["user"]  # a region is open to its owner only


def test_the_image_is_made_of_what_is_there_and_runs_as_nobody_special() -> None:
    allowed = (ROOT / "service/Dockerfile.dockerignore").read_text().splitlines()
    for source in re.findall(r"^COPY (\S+) ", DOCKERFILE, re.M):
        assert (ROOT / source).exists()
        assert f"!{source}" in allowed
    assert re.search(r"^USER 1000:1000$", DOCKERFILE, re.M)
    pinned = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.M)
    assert pinned
    assert f"uv=={pinned[1]} " in DOCKERFILE
