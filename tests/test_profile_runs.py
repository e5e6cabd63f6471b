"""Profiles of a run: planned, taken when all is measured, interrupted, gone on with, read."""

import re
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from benchmarks import campaign as campaigns
from benchmarks import plan, record, resume
from benchmarks.commands import app
from benchmarks.fields import CampaignError
from benchmarks.processes import RunError
from benchmarks.profiles import taken
from benchmarks.profiles.sampler import ProfileError
from benchmarks.record import RecordError
from tests import tiny
from tests.test_profiling import stacks
from tests.test_run import run as run_campaign
from tests.test_run import start as start_run
from tests.test_run import until
from tests.tiny import CHECKOUT, await_gone

ALONE = "clients = [2]\nrepeats = 1\nduration_s = 0.3\naa = false\n"
PROFILED = "[profile]\nclients = [2]\nduration_s = 1\n"


@pytest.mark.alone
def test_a_run_profiles_when_all_is_measured_and_goes_on_where_it_was_interrupted(
    tmp_path: Path,
) -> None:
    file = tiny.campaign(tmp_path, more=ALONE)
    file.write_text(file.read_text() + PROFILED)
    process = start_run(tmp_path, file, "--only", "one")
    until(lambda: any(tmp_path.glob("*/*/profiles/*/.*.partial/samples.parquet*")))
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "1 of 1 repeats are kept, and 1 profile is missing; to go on" in said
    assert await_gone(children) == []
    stopped = record.load(tmp_path)
    assert (len(stopped.completed()), stopped.missing(), stopped.profiles()) == (1, [], [])
    assert not any(tmp_path.glob("*/*/profiles/*/.*"))
    cells = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*/cells/*/*/*/*")}

    done = run_campaign(tmp_path, "--resume", checkout=CHECKOUT)
    assert "0 of 1 repeats are missing, and 1 profile" in done.stdout
    assert len(re.findall(r"^profile +2 clients +one +\d+ samples", done.stdout, re.M)) == 1
    found = record.load(tmp_path)
    assert (found.status, found.profiles()) == ("complete", [("one", "c0002")])
    assert cells == {p: p.stat().st_mtime_ns for p in tmp_path.glob("*/*/cells/*/*/*/*")}
    facts = found.profile_facts("one", "c0002")
    assert (facts["variant"], facts["level"], facts["duration_s"]) == ("one", "c0002", 1)
    assert facts["answers"] > 0
    assert facts["cpu_s"] > 0
    assert facts["samples"] == sum(count for _, count in stacks(found.profile("one", "c0002")))
    files = {path.name for path in found.path.glob("profiles/*/*")}
    assert files == {"c0002.txt", "c0002.json"}, "samples of a load that was watched are not kept"
    with pytest.raises(RunError, match="complete; expected a run with missing repeats"):
        resume.find(found.path, tmp_path)

    found.profile("one", "c0002").with_suffix(".json").write_text('{"format": 1, "samples": "x"}')
    with pytest.raises(RecordError, match="'program' holds None; expected a text"):
        found.profile_facts("one", "c0002")
    for variant, level in (("one", "c0008"), ("../x", "c0002"), ("one", "../../run")):
        with pytest.raises(RecordError, match=r"no profile of .*one 2 clients"):
            found.profile(variant, level)


@pytest.mark.parametrize("died", [False, True])
def test_a_profile_that_fails_spoils_no_run_but_a_service_that_died_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, died: bool
) -> None:
    def fail(*given: Any, **_cell: str) -> None:
        if died:
            service = psutil.Process(given[4])
            warden = service.parent()
            service.kill()
            assert warden
            assert await_gone([warden]) == []
        raise ProfileError("it did not like it")

    monkeypatch.setattr(taken, "take", fail)
    file = tiny.campaign(tmp_path, more=ALONE)
    file.write_text(file.read_text() + PROFILED)
    words = ["run", str(file), "--only", "one", "--results", str(tmp_path)]
    done = CliRunner().invoke(app, [*words, "--checkout", str(CHECKOUT)])
    found = record.load(tmp_path)
    assert (found.missing(), found.profiles()) == ([], [])
    if died:
        assert (done.exit_code, found.status) == (1, "interrupted")
        assert "the service ended with status 137" in done.output
        assert "1 of 1 repeats are kept, and 1 profile is missing" in done.output
        return
    assert (done.exit_code, found.status) == (0, "complete")
    for then in ("once more", "and left out"):
        assert f"NOTE: one, 2 clients: not profiled, {then}: it did not like it" in done.output
    assert "1 profile could not be taken; again: windtunnel run --resume" in done.output
    assert resume.find(found.path, tmp_path).path == found.path, "it can be gone on with"


def test_the_plan_says_why_a_campaign_of_urls_has_no_profiles(tmp_path: Path) -> None:
    values = {"name": "x", "variants": {"there": {"url": "http://h/x"}}, "clients": [2]}
    campaign = campaigns.accept("x", {**values, "profile": {"clients": [2]}})
    assert campaign.profiled() == [], "nor of its copy"
    text = plan.describe(campaign, campaign.order(1), plan.Pinning(None, None, ""), [])
    assert "profiles  none: its services are run by others" in text


def test_the_plan_counts_the_profiles(tmp_path: Path) -> None:
    file = tiny.campaign(tmp_path, more="clients = [1, 2]\nrepeats = 2\nduration_s = 1\n")
    without = campaigns.read(file)
    file.write_text(file.read_text() + "[profile]\nclients = [2]\nduration_s = 10\n")
    campaign = campaigns.read(file)
    profiles = campaign.profiled()
    assert [(v.variant, v.level, v.repeat) for v in profiles] == [
        ("one", "c0002", 3),
        ("two", "c0002", 3),
        ("one.aa", "c0002", 3),
    ]
    pinning = plan.Pinning(None, None, "")
    text = plan.describe(campaign, campaign.order(1), pinning, profiles)
    assert "profiles  3 at 2 clients; each of 10 s, after what is measured" in text
    assert "profiles" not in plan.describe(without, without.order(1), pinning, without.profiled())
    clock = plan.Clock(campaign)
    more_s = clock.left_s([*campaign.order(1), *profiles]) - clock.left_s(campaign.order(1))
    assert 3 * 12.5 < more_s < 3 * 18


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[profile]\n", "profile: no levels; expected the levels that are profiled"),
        ("[profile]\nclients = [9]\n", r"clients has 9; expected levels of the campaign \(1, 2\)"),
        ("[profile]\nrates = [5]\n", r"rates has 5; .*it has no rates"),
        ("[profile]\nclients = [2]\nrates = [5]\n", "profile: clients and rates; expected"),
        ("[profile]\nclients = [2]\nduration_s = 0.5\n", "duration_s is 0.5; expected a whole"),
        ("[profile]\nclients = [2]\nrate_hz = 5000\n", "rate_hz is 5000; expected a whole number"),
        ("[profile]\nclients = [2]\nnative = 1\n", "native is 1; expected true or false"),
        ("[profile]\nclient = [2]\n", "unknown key 'client'; .*did you mean 'clients'"),
    ],
)
def test_a_table_that_asks_for_what_is_not_measured_is_refused(
    tmp_path: Path, table: str, message: str
) -> None:
    file = tiny.campaign(tmp_path, more="clients = [1, 2]\nrepeats = 1\n")
    file.write_text(file.read_text() + table)
    with pytest.raises(CampaignError, match=message):
        campaigns.read(file)
