"""docker-compose.yml without a container engine: its schema, and the rules that it keeps."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import typer
from ruamel.yaml import YAML

from benchmarks import commands
from service import settings, telemetry

ROOT = Path(__file__).parent.parent
FILES = ("docker-compose.yml", "docker-compose.logs.yml")
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
DOCKERFILES = (
    "service/Dockerfile",
    "loadtests/Dockerfile",
    "benchmarks/triton/Dockerfile",
    "dashboards/Dockerfile",
)
# Who may be root, without capabilities: one writes to a fresh volume, the other is made so.
ROOTS = {"export", "dcgm-exporter"}
# What each program asks itself with `-health` when it is told nothing else.
OWN_HEALTH = {"/tempo": "3200", "/usr/bin/loki": "3100"}


def with_defaults(value: Any) -> Any:
    """What the file comes to where no variable is set."""
    if isinstance(value, dict):
        return {key: with_defaults(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_defaults(inner) for inner in value]
    return VARIABLE.sub(r"\2", value) if isinstance(value, str) else value


def load(file: str) -> Any:
    return YAML(typ="safe").load(ROOT / file)


STACK, LOGS = (with_defaults(load(file)) for file in FILES)
# The second file has services of its own, and changes two of the first one's.
SERVICES = LOGS["services"] | STACK["services"]
VOLUMES = STACK["volumes"] | LOGS["volumes"]
LASTING = sorted(name for name, service in SERVICES.items() if service["restart"] != "no")
PROMETHEUS = load("prometheus/prometheus.yml")
TEMPO, LOKI = load("tempo/tempo.yml"), load("loki/loki.yml")
COLLECTOR = load("loki/collector.yml")
PROVISIONING = ROOT / "grafana/provisioning"
DASHBOARDS = sorted((ROOT / "grafana/dashboards").glob("*.json"))


def ports_inside(name: str) -> set[str]:
    """Where a service listens, published or not."""
    service = SERVICES[name]
    published = {port.rpartition(":")[2] for port in service.get("ports", [])}
    return published | set(service.get("expose", []))


def called(host: str) -> list[str]:
    """The services that answer to a name in the network."""
    return [
        name
        for name, service in SERVICES.items()
        if host == name or host in service.get("networks", {}).get("default", {}).get("aliases", [])
    ]


def listens(address: str) -> bool:
    host, _, port = address.removeprefix("http://").partition(":")
    return bool(called(host)) and all(port in ports_inside(name) for name in called(host))


def cpus(cpuset: str) -> set[int]:
    """The CPUs of a list such as 0-1,4."""
    ends = [part.partition("-")[::2] for part in cpuset.split(",")]
    return {cpu for low, high in ends for cpu in range(int(low), int(high or low) + 1)}


def mounts(service: dict[str, Any]) -> list[list[str]]:
    """Source, target and, if it says so, ro."""
    return [volume.split(":") for volume in service.get("volumes", [])]


def data_sources(*folders: str) -> dict[str, dict[str, Any]]:
    """By uid; those of a later folder take the place of an earlier one's."""
    found = {}
    for folder in folders:
        for file in sorted((PROVISIONING / folder).glob("*.yml")):
            (source,) = YAML(typ="safe").load(file)["datasources"]
            assert file.stem == source["uid"]
            found[source["uid"]] = source
    return found


def values(key: str, node: Any) -> list[Any]:
    """Every value of a key, however deep."""
    if isinstance(node, list):
        return [found for inner in node for found in values(key, inner)]
    if not isinstance(node, dict):
        return []
    own = [node[key]] if key in node else []
    return own + [found for inner in node.values() for found in values(key, inner)]


@pytest.mark.parametrize("file", FILES)
def test_a_file_fits_the_compose_specification(file: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run([*command, ROOT / file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_example_lists_each_variable_with_its_default() -> None:
    text = "".join((ROOT / file).read_text() for file in FILES)
    assert "${" not in VARIABLE.sub("", text)
    used = VARIABLE.findall(text)
    assert len(dict(used)) == len(set(used)), "a variable has one default wherever it stands"
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert dict(line.split("=") for line in lines if line and line[0] != "#") == dict(used)


def test_the_example_tells_what_the_preset_fills_in() -> None:
    environment = SERVICES["yolo-api"]["environment"]
    handed_on = {name for name, value in environment.items() if value is None}
    preset = settings.preset("optimized", cpus=2)
    text = (ROOT / ".env.example").read_text()
    assert dict(re.findall(r"^#(\w+)=(.*)$", text, re.M)) == {
        name: str(preset[name.removeprefix(settings.PREFIX).lower()]) for name in handed_on
    }


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned(name: str) -> None:
    service = SERVICES[name]
    images = [service["image"]] if "image" in service else images_of(service["build"]["dockerfile"])
    assert images
    for image in images:
        assert re.search(r":v?\d+\.\d+[\w.-]*$", image), f"{image} is not a version"


def images_of(dockerfile: str) -> list[str]:
    """What its stages begin with, besides each other and nothing."""
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", (ROOT / dockerfile).read_text(), re.M)
    return [image for image, _ in stages if image not in {name for _, name in stages} | {"scratch"}]


@pytest.mark.parametrize("name", SERVICES)
def test_a_port_is_bound_to_this_machine_alone(name: str) -> None:
    service = SERVICES[name]
    for port in service.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)
    assert "network_mode" not in service


def test_no_two_services_that_run_together_publish_one_port() -> None:
    published: dict[str, str] = {}
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            outside = port.split(":")[1]
            pair = {name, published.setdefault(outside, name)}
            assert len(pair) == 1 or pair == {"triton-cpu", "triton-gpu"}, f"{pair} on {outside}"


@pytest.mark.parametrize("name", LASTING)
def test_a_service_that_stays_is_watched_or_says_why_not(name: str) -> None:
    service = SERVICES[name]
    check = service["healthcheck"]
    if check == {"disable": True}:
        assert len(service["x-unwatched"]) > 20
        return
    assert "x-unwatched" not in service
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)
    command = " ".join(check["test"])
    asked = re.search(r"http://127\.0\.0\.1:(\d+)/", command)
    if asked:
        port = asked[1]
    else:
        _, program, flag = check["test"]
        assert flag == "-health"
        port = OWN_HEALTH[program]
    assert port in ports_inside(name)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_limited_and_confined(name: str) -> None:
    service = SERVICES[name]
    limits = service["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory", "pids"}
    assert float(limits["cpus"]) <= len(cpus(service["cpuset"]))
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert not {"cap_add", "privileged", "devices", "userns_mode"} & set(service)
    user, _, group = service["user"].partition(":")
    assert user.isdecimal()
    assert group.isdecimal()
    assert (user == "0") == (name in ROOTS)


def test_service_generators_and_monitoring_have_cpus_of_their_own() -> None:
    under_test = {"yolo-api", "triton-cpu", "triton-gpu", "export"}
    load = {"triton-bench", "locust", "locust-worker"}
    sets = {
        frozenset(names): {service for name in names for service in [SERVICES[name]["cpuset"]]}
        for names in (under_test, load, set(SERVICES) - under_test - load)
    }
    assert all(len(found) == 1 for found in sets.values()), "a group shares one set"
    each = [cpus(found) for names in sets.values() for found in names]
    assert sum(map(len, each)) == len(set().union(*each)), f"{each} overlap"


def test_a_gpu_is_asked_for_under_its_profile_only() -> None:
    for name, service in SERVICES.items():
        gpu = "reservations" in service["deploy"]["resources"]
        assert (service.get("profiles") == ["gpu"]) == gpu, name


def test_what_starts_by_default_is_the_service_and_what_watches_it() -> None:
    default = {name for name, service in STACK["services"].items() if "profiles" not in service}
    assert default == {"yolo-api", "prometheus", "grafana", "tempo", "node-exporter", "dashboard"}


def test_what_is_mounted_is_there_and_only_results_are_written_to_the_checkout() -> None:
    used = set()
    for name, service in [*SERVICES.items(), *LOGS["services"].items()]:
        for source, target, *options in mounts(service):
            if source[0] in "./":
                assert (ROOT / source).exists(), f"{name} mounts {source}"
                written = target == "/results" and name != "dashboard"
                assert (options == ["ro"]) != written, f"{name} mounts {source}"
                assert not source.endswith("docker.sock")
            else:
                used.add(source)
    assert used == set(VOLUMES)


def test_the_service_takes_the_settings_that_it_is_given() -> None:
    environment = SERVICES["yolo-api"]["environment"]
    given = {name: value for name, value in environment.items() if value is not None}
    read = settings.read(given)
    assert {f"SERVICE_{name.upper()}" for name in settings.Settings.__slots__} >= set(environment)
    assert ports_inside("yolo-api") == {str(read.port)}
    assert read.host == "0.0.0.0"
    assert listens(read.triton_url)
    assert (read.metrics, read.tracing, read.logs) == ("on", "grpc", "json")
    assert listens(read.otlp_url)
    grace = SERVICES["yolo-api"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > read.graceful_s


def test_plans_are_built_and_run_by_one_release() -> None:
    export, triton = SERVICES["export"], SERVICES["triton-gpu"]
    assert export["image"].rpartition(":")[2] == triton["image"].rpartition(":")[2]
    assert triton["depends_on"]["export"]["condition"] == "service_completed_successfully"
    assert "--model-config-name=gpu" in triton["command"]
    out = export["command"][export["command"].index("--out") + 1]
    assert f"--model-repository={out}" in triton["command"]


def test_both_ends_see_the_same_shared_memory() -> None:
    api = SERVICES["yolo-api"]
    for name in called("triton"):
        triton = SERVICES[name]
        assert (api["ipc"], triton["ipc"]) == ("shareable", "service:yolo-api")
        assert api["user"] == triton["user"]  # a region is open to its owner only


def test_workers_of_locust_are_seen_by_their_master_and_write_beside_it() -> None:
    master, worker = SERVICES["locust"], SERVICES["locust-worker"]
    assert worker["pid"] == "service:locust"
    assert worker["user"] == master["user"]
    assert worker["volumes"] == master["volumes"]
    assert "--master-host=locust" in worker["command"]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_is_made_of_what_is_there_and_runs_as_nobody_special(name: str) -> None:
    text = (ROOT / name).read_text()
    stages = re.split(r"^FROM ", text, flags=re.M)[1:]
    allowed = (ROOT / f"{name}.dockerignore").read_text().splitlines()
    assert allowed[1] == "*"
    for *sources, _ in map(str.split, re.findall(r"^COPY (?!--from)(.+)$", text, re.M)):
        for source in sources:
            assert (ROOT / source).exists()
            assert any(source == kept or source.startswith(f"{kept}/") for kept in
                       (line[1:] for line in allowed if line[0] == "!"))  # fmt: skip
    named = {stage.split()[2] for stage in stages if stage.split()[1] == "AS"}
    assert set(re.findall(r"^COPY --from=(\S+) ", text, re.M)) <= named
    pinned = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.M)
    assert pinned
    assert set(re.findall(r"\buv==(\S+)", text)) == {pinned[1]}
    for install in re.findall(r"uv pip install ((?:.*\\\n)*.*)", text):
        assert re.search(r"--(require|verify)-hashes\s.*--constraints requirements/", install, re.S)
    builders = set(re.findall(r"^COPY --from=(\S+) ", text, re.M))
    for stage in stages:
        if stage.split()[2] not in builders:
            assert re.search(r"^USER 1000:1000$", stage, re.M), f"{name}, {stage.split()[0]}"
            assert "uv" not in stage.split()


def copied(dockerfile: str, stage: str, to: Path) -> None:
    """Copy into a folder what a stage copies of the checkout, without what is kept from it."""
    text = (ROOT / dockerfile).read_text()
    (own,) = re.findall(rf"^FROM \S+ AS {stage}$(.*?)(?=^FROM |\Z)", text, re.M | re.S)
    for *sources, target in map(str.split, re.findall(r"^COPY (?!--from)(.+)$", own, re.M)):
        for source in sources:
            if (ROOT / source).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / source, to / target, ignore=ignored)
            else:
                place = to / target / Path(source).name if target[-1] == "/" else to / target
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, place)
    for line in (ROOT / f"{dockerfile}.dockerignore").read_text().splitlines():
        kept_out = to / line
        if line[0] not in "#*!" and kept_out.is_dir():
            shutil.rmtree(kept_out)


@pytest.mark.parametrize(
    ("dockerfile", "stage", "command"),
    [
        (
            "service/Dockerfile",
            "build",
            "-c 'import service.commands, service.server, service.app'",
        ),
        ("loadtests/Dockerfile", "python", "-m locust -f loadtests/locustfile.py --list"),
        ("benchmarks/triton/Dockerfile", "build", "-m benchmarks triton --help"),
        ("dashboards/Dockerfile", "build", "-m dashboards --help"),
    ],
)
def test_what_an_image_holds_is_enough_to_start(
    dockerfile: str, stage: str, command: str, tmp_path: Path
) -> None:
    copied(dockerfile, stage, tmp_path)
    # Without the site's .pth files, which name the checkout.
    path = os.pathsep.join([str(tmp_path), sysconfig.get_path("purelib")])
    done = subprocess.run(
        [sys.executable, "-S", *shlex.split(command)],
        cwd=tmp_path, env={"PATH": os.environ["PATH"], "PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_built_is_there() -> None:
    built = [service["build"] for service in SERVICES.values() if "build" in service]
    assert {build["dockerfile"] for build in built} == set(DOCKERFILES)
    for build in built:
        assert build["context"] == "."
        if "target" in build:
            text = (ROOT / build["dockerfile"]).read_text()
            assert re.search(rf"^FROM \S+ AS {build['target']}$", text, re.M)


def test_go_in_the_image_is_as_new_as_the_generator_needs() -> None:
    needed = re.search(
        r"^go (\d+)\.(\d+)", (ROOT / "loadtests/triton_bench/go.mod").read_text(), re.M
    )
    there = re.search(r"golang:(\d+)\.(\d+)", (ROOT / "loadtests/Dockerfile").read_text())
    assert needed
    assert there
    assert tuple(map(int, there.groups())) >= tuple(map(int, needed.groups()))


def test_the_instrument_knows_its_flags(triton_bench: Path) -> None:
    done = subprocess.run([triton_bench, "--help"], capture_output=True, text=True, check=False)
    known = set(re.findall(r"^ +(--[\w-]+) ", done.stdout + done.stderr, re.M))
    assert {flag.partition("=")[0] for flag in SERVICES["triton-bench"]["command"]} <= known


@pytest.mark.parametrize("name", ["locust", "locust-worker"])
def test_locust_knows_its_options(name: str, tmp_path: Path) -> None:
    given = [word.replace("/results", str(tmp_path)) for word in SERVICES[name]["command"]]
    command = [sys.executable, "-m", "locust", *given, "--list"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Endpoint" in done.stdout + done.stderr


def test_the_launcher_of_triton_knows_its_options() -> None:
    text = (ROOT / "benchmarks/triton/Dockerfile").read_text()
    start = json.loads(text.partition("\nENTRYPOINT ")[2])
    assert start[:4] == ["python", "-m", "benchmarks", "triton"]
    assert (ROOT / "benchmarks/__main__.py").exists()
    given = {word.partition("=")[0] for word in SERVICES["triton-cpu"]["command"]}
    # Nothing else of the image can be written to.
    (tmpfs,) = [each for each in SERVICES["triton-cpu"]["tmpfs"] if "/windtunnel/.tools:" in each]
    assert {"exec", "uid=1000"} <= set(tmpfs.partition(":")[2].split(","))
    triton = typer.main.get_group(commands.app).commands["triton"]
    assert given <= {option for parameter in triton.params for option in parameter.opts}


def test_what_is_scraped_is_a_service_that_listens_there() -> None:
    jobs = {
        job["job_name"]: [target for each in job["static_configs"] for target in each["targets"]]
        for job in PROMETHEUS["scrape_configs"]
    }
    assert jobs.pop("prometheus") == ["127.0.0.1:9090"]
    assert ports_inside("prometheus") == {"9090"}
    assert set(jobs) == {"yolo-api", "triton", "loadtests", "node", "gpu"}
    for job, targets in jobs.items():
        for target in targets:
            assert listens(target), f"{job}: nobody listens at {target}"
    assert called("loadtests") == ["triton-bench", "locust"]
    for name in called("loadtests"):
        assert "--metrics-addr=0.0.0.0:9646" in SERVICES[name]["command"]


def test_prometheus_keeps_exemplars_and_the_period_of_the_objectives() -> None:
    command = SERVICES["prometheus"]["command"]
    assert "--enable-feature=exemplar-storage" in command
    (kept,) = [word for word in command if word.startswith("--storage.tsdb.retention.time=")]
    days = int(kept.partition("=")[2].removesuffix("d"))
    assert days > load("prometheus/slo.yml")["period_days"]


def test_the_node_exporter_collects_what_is_asked_for() -> None:
    prefixes = {"cpu": "node_cpu_", "loadavg": "node_load", "meminfo": "node_memory_",
                "pressure": "node_pressure_"}  # fmt: skip
    files = [*DASHBOARDS, *sorted((ROOT / "prometheus/rules").glob("*.yml"))]
    asked = set(re.findall(r"\bnode_\w+", "".join(file.read_text() for file in files)))
    command = SERVICES["node-exporter"]["command"]
    assert "--collector.disable-defaults" in command
    enabled = [word.removeprefix("--collector.") for word in command]
    assert asked
    for name in asked:
        assert any(name.startswith(prefixes[each]) for each in enabled if each in prefixes), name


@pytest.mark.parametrize("folders", [("datasources",), ("datasources", "logs")])
def test_data_sources_are_services_and_know_each_other(folders: tuple[str, ...]) -> None:
    sources = data_sources(*folders)
    assert [uid for uid, source in sources.items() if source.get("isDefault")] == ["prometheus"]
    for source in sources.values():
        assert listens(source["url"])
        assert source["editable"] is False
        for uid in values("datasourceUid", source):
            assert uid in sources
    (scraped,) = {PROMETHEUS["global"]["scrape_interval"]}
    assert sources["prometheus"]["jsonData"]["timeInterval"] == scraped


def test_data_sources_are_mounted_and_those_with_logs_take_their_place() -> None:
    target = "/etc/grafana/provisioning/datasources"
    for folder, service in (("datasources", STACK), ("logs", LOGS)):
        there = {file.name for file in (PROVISIONING / folder).glob("*.yml")}
        mounted = mounts(service["services"]["grafana"])
        assert {f"./grafana/provisioning/{folder}/{name}:{target}/{name}" for name in there} <= {
            ":".join(mount[:2]) for mount in mounted
        }
    plain, with_logs = data_sources("datasources")["tempo"], data_sources("logs")["tempo"]
    assert with_logs["jsonData"].pop("tracesToLogsV2")["datasourceUid"] == "loki"
    assert with_logs == plain


def test_each_data_source_of_a_dashboard_is_there() -> None:
    assert DASHBOARDS
    for file in DASHBOARDS:
        for source in values("datasource", json.loads(file.read_text())):
            if source["uid"] not in ("-- Grafana --", "grafana") and source["uid"][0] != "$":
                found = data_sources("datasources")[source["uid"]]
                assert source["type"] == found["type"], file.name


def test_a_span_leads_to_series_that_the_service_has() -> None:
    link = data_sources("datasources")["tempo"]["jsonData"]["tracesToMetrics"]
    labels = {tag["key"]: tag["value"] for tag in link["tags"]}
    assert set(labels) <= set(telemetry.SPAN_ATTRIBUTES)
    assert set(labels.values()) <= set(telemetry.REQUESTS.labels) & set(telemetry.DURATION.labels)
    for query in link["queries"]:
        expression = query["query"].replace("$$__tags", 'route="/health"')
        promql_parser.parse(expression.replace("$$__rate_interval", "1m"))
        assert "$" not in query["query"].replace("$$", "")
        (name,) = re.findall(r"\bapi_\w+", query["query"])
        assert name in (telemetry.REQUESTS.name, f"{telemetry.DURATION.name}_bucket")


def test_dashboards_come_from_files_and_stay_as_they_are() -> None:
    (provider,) = load("grafana/provisioning/dashboards/windtunnel.yml")["providers"]
    assert provider["folder"] == "windtunnel"
    assert (provider["editable"], provider["allowUiUpdates"]) == (False, False)
    path = provider["options"]["path"]
    assert ["./grafana/dashboards", path, "ro"] in mounts(SERVICES["grafana"])
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home.startswith(f"{path}/")
    assert (ROOT / "grafana/dashboards" / Path(home).name).exists()


def test_nobody_can_log_in_to_grafana_with_a_password_that_others_know() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert not [name for name in environment if "PASSWORD" in name]
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert environment["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert environment["GF_AUTH_BASIC_ENABLED"] == "false"
    assert environment["GF_USERS_ALLOW_SIGN_UP"] == "false"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


def test_tempo_takes_spans_from_other_containers_and_keeps_them_on_its_volume() -> None:
    assert not {"ingester", "ingester_client", "compactor", "metrics_generator"} & set(TEMPO)
    protocols = TEMPO["distributor"]["receivers"]["otlp"]["protocols"]
    assert {name: each["endpoint"] for name, each in protocols.items()} == {
        "grpc": "0.0.0.0:4317",
        "http": "0.0.0.0:4318",
    }
    assert ports_inside("tempo") == {"4317", "4318", str(TEMPO["server"]["http_listen_port"])}
    (folder,) = [target for source, target, *_ in mounts(SERVICES["tempo"]) if source == "traces"]
    trace = TEMPO["storage"]["trace"]
    assert all(trace[each]["path"].startswith(f"{folder}/") for each in ("local", "wal"))
    assert len(set(values("block_retention", TEMPO))) == 1


def test_a_line_of_the_log_reaches_loki_and_is_found_by_its_trace() -> None:
    logging = LOGS["services"]["yolo-api"]["logging"]
    assert logging["driver"] == "fluentd"
    host, _, port = logging["options"]["fluentd-address"].partition(":")
    receiver = COLLECTOR["receivers"]["fluent_forward"]["endpoint"].rpartition(":")[2]
    assert f"{host}:{port}:{receiver}" in SERVICES["collector"]["ports"]

    statements = " ".join(" ".join(each) for each in values("statements", COLLECTOR))
    assert set(re.findall(r'log\.cache\["(\w+)"\]', statements)) < set(telemetry.LOG_FIELDS)
    assert f'set(resource.attributes["service.name"], "{telemetry.SERVICE}")' in statements

    (exporter,) = COLLECTOR["exporters"].values()
    assert listens(exporter["endpoint"].removesuffix("/otlp"))
    assert ports_inside("loki") == {str(LOKI["server"]["http_listen_port"])}
    (folder,) = [target for source, target, *_ in mounts(SERVICES["loki"]) if source == "logs"]
    assert LOKI["common"]["path_prefix"] == folder

    pipeline = COLLECTOR["service"]["pipelines"]["logs"]
    for part in ("receivers", "processors", "exporters"):
        assert pipeline[part] == list(COLLECTOR[part])
    query = data_sources("logs")["tempo"]["jsonData"]["tracesToLogsV2"]["query"]
    assert f'service_name="{telemetry.SERVICE}"' in query
