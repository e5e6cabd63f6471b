"""Campaign files: what is read, what is refused, and the order of the visits."""

import dataclasses
import re
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import campaign as campaigns
from benchmarks.campaign import Campaign, Variant
from benchmarks.fields import CampaignError
from benchmarks.triton import served
from service import settings

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "benchmarks/campaigns").glob("*.toml"))
GOOD = """
clients = [1, 8]
[variants.baseline]
preset = "baseline"
[variants.mine]
preset = "optimized"
SERVICE_JSON = "stdlib"
SERVICE_WORKERS = 2
"""


def read(tmp_path: Path, text: str) -> Campaign:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    return campaigns.read(file)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_campaign_of_the_repository_opens_with_its_question(file: Path) -> None:
    campaign = campaigns.read(file)
    assert campaign.name == file.stem
    assert "?" in campaign.question


def test_a_file_becomes_a_value_with_its_defaults(tmp_path: Path) -> None:
    campaign = read(tmp_path, "# Is mine faster?\n# Or not?\n\n# Not the question." + GOOD)
    assert campaign.name == "mine"
    assert campaign.question == "Is mine faster? Or not?"
    assert campaign.reference == "baseline"
    assert campaign.levels == {"c0001": 1, "c0008": 8}
    assert campaign.variants["mine"].environ == {
        "SERVICE_PRESET": "optimized",
        "SERVICE_JSON": "stdlib",
        "SERVICE_WORKERS": "2",
    }
    assert list(campaign.services) == ["baseline", "mine", "baseline.aa"]
    assert campaign.services["baseline.aa"].environ == campaign.variants["baseline"].environ


def test_rates_make_an_open_loop(tmp_path: Path) -> None:
    campaign = read(tmp_path, GOOD.replace("clients = [1, 8]", "rates = [50, 0.5]"))
    assert campaign.levels == {"q0050": 50.0, "q0000.5": 0.5}


REFUSED = {
    "unknown key": ("clints = [1]", ["unknown key 'clints'", "did you mean 'clients'?"]),
    "a key of old": ("concurrency = [1]", ["unknown key 'concurrency'", "take one of these"]),
    "a generator of old": ('generator = "openloop"', ["generator is 'openloop'", "locust"]),
    "text for a number": ('repeats = "3"', ["repeats is '3'", "a whole number from 1 to 99"]),
    "true for a number": ("repeats = true", ["repeats is True", "a whole number"]),
    "a fraction of a repeat": ("repeats = 2.5", ["repeats is 2.5", "a whole number"]),
    "no repeats": ("repeats = 0", ["repeats is 0", "from 1 to 99"]),
    "no time": ("duration_s = 0", ["duration_s is 0", "a number from 0.1"]),
    "endless": ("duration_s = inf", ["duration_s is inf", "a number from 0.1"]),
    "a wrong model": ('model = "smal"', ["model is 'smal'", "did you mean 'small'?"]),
    "a track of later": ('track = "Z"', ["track is 'Z'", "one of A, null"]),
    "a wrong reference": ('reference = "basline"', ["unknown reference", "'baseline'?"]),
    "a share of more": ("trace_ratio = 1.5", ["trace_ratio is 1.5", "a number from 0 to 1"]),
    "a name with a slash": ('name = "../x"', ["name is '../x'", "letters, digits"]),
    "both loops": ("rates = [10]", ["both clients and rates", "expected one of them"]),
    "empty levels": ("rates = []", ["rates is []", "at least one number"]),
    "a level twice": ("rates = [10, 10.0]", ["rates is [10, 10.0]", "each number once"]),
    "not TOML": ("repeats = = 3", ["not TOML", "line 1"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_file_is_refused_with_what_was_found_and_what_to_do(
    tmp_path: Path, case: str
) -> None:
    line, expected = REFUSED[case]
    with pytest.raises(CampaignError) as error:
        read(tmp_path, line + GOOD)
    assert str(error.value).startswith(str(tmp_path / "mine.toml"))
    for part in expected:
        assert part in str(error.value)


WRONG_VARIANTS = {
    "unknown key": ('prest = "seed"', "did you mean 'preset'?"),
    "unknown preset": ('preset = "optimised"', "did you mean 'optimized'?"),
    "url and settings": ('url = "http://h/x"\nSERVICE_JSON = "x"', "a url together with settings"),
    "not a url": ('url = "localhost:80"', "an http:// address"),
    "half a bracket": ('url = "http://[bad"', "an http:// address"),
    "no such port": ('url = "http://h:99999/x"', "an http:// address"),
    "https": ('url = "https://example.org/x"', "an http:// address"),
    "a port": ("SERVICE_PORT = 80", "the runner finds a free port"),
    "a preset as setting": ('SERVICE_PRESET = "seed"', "use preset = .."),
    "a list": ("SERVICE_JSON = [1]", "a text or a number"),
    "a share of less": ('preset = "seed"\ntrace_ratio = -1', "trace_ratio is -1"),
    "a share of nothing": ("trace_ratio = 1", "expected preset, url or SERVICE_*"),
    "nothing": ("", "expected preset, url or SERVICE_*"),
}


@pytest.mark.parametrize("case", WRONG_VARIANTS)
def test_a_wrong_variant_is_refused(tmp_path: Path, case: str) -> None:
    lines, expected = WRONG_VARIANTS[case]
    with pytest.raises(CampaignError, match=r"variants\.odd") as error:
        read(tmp_path, f"{GOOD}\n[variants.odd]\n{lines}\n")
    assert expected in str(error.value)


def test_a_campaign_needs_variants_and_levels(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="no variants"):
        read(tmp_path, "clients = [1]\n")
    with pytest.raises(CampaignError, match="neither clients nor rates"):
        read(tmp_path, '[variants.a]\npreset = "seed"\n')
    with pytest.raises(CampaignError, match="no such file"):
        campaigns.read(tmp_path / "other.toml")


def campaign_of(variants: int, clients: int, repeats: int, *, aa: bool = True) -> Campaign:
    names = [f"v{number}" for number in range(variants)]
    return Campaign(
        name="any",
        variants={name: Variant(name, preset="seed") for name in names},
        clients=tuple(range(1, clients + 1)),
        repeats=repeats,
        reference="v0",
        aa=aa,
    )


@given(
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.booleans(), st.integers(0, 2**31)
)
def test_every_cell_is_visited_once_a_repeat_and_a_block_is_never_torn_apart(
    variants: int, clients: int, repeats: int, aa: bool, seed: int
) -> None:
    campaign = campaign_of(variants, clients, repeats, aa=aa)
    order = campaign.order(seed)
    assert order == campaign.order(seed)
    assert len(set(order)) == len(order) == (variants + aa) * clients * repeats
    blocks = [key for key, _ in groupby(order, lambda visit: (visit.repeat, visit.level))]
    assert len(blocks) == clients * repeats
    assert [repeat for repeat, _ in blocks] == sorted(repeat for repeat, _ in blocks)


def test_no_variant_has_a_place_of_its_own_in_the_blocks() -> None:
    campaign = campaign_of(3, 4, 25, aa=False)
    first = [visit.variant for visit in campaign.order(1)][::3]
    assert all(20 <= first.count(name) <= 47 for name in campaign.variants)  # 33 of 100 expected


def test_what_the_record_keeps_is_the_same_campaign(tmp_path: Path) -> None:
    watched = GOOD + '[prometheus]\nurl = "http://h:9090"\nqueries = {mine = "up"}\n'
    profiled = GOOD + "[profile]\nclients = [8]\nnative = true\n"
    traced = f'trace_ratio = 0.5{GOOD}trace_ratio = 0\n[variants.u]\nurl = "http://h/x"\n'
    for text in (
        GOOD,
        GOOD.replace("clients", "rates"),
        "aa = false\nseed = 3" + GOOD,
        watched,
        traced + "trace_ratio = 1\n",
        profiled,
        profiled.replace("clients", "rates"),
    ):
        campaign = read(tmp_path, text)
        assert campaigns.from_record("run.json", campaign.as_dict()) == campaign


def test_a_variant_may_be_traced_otherwise_than_the_others(tmp_path: Path) -> None:
    campaign = read(tmp_path, GOOD + "trace_ratio = 1\n")
    ratios = {name: campaign.trace_ratio_of(v) for name, v in campaign.services.items()}
    assert ratios == {"baseline": 0.01, "mine": 1, "baseline.aa": 0.01}
    assert "trace_ratio" not in campaign.variants["mine"].environ, "it is the generator's business"
    assert read(tmp_path, "trace_ratio = 0" + GOOD).trace_ratio == 0


def test_fewer_variants_keep_the_reference_if_it_is_among_them(tmp_path: Path) -> None:
    campaign = read(tmp_path, GOOD)
    assert list(campaign.only(["baseline"]).services) == ["baseline", "baseline.aa"]
    without = campaign.only(["mine"])
    assert (without.reference, list(without.services)) == ("mine", ["mine"])


def test_presets_and_tracks_are_those_of_the_service() -> None:
    assert settings.PRESET_NAMES == campaigns.PRESETS
    track = next(f for f in dataclasses.fields(settings.Settings) if f.name == "track")
    assert track.metadata["choices"] == ("auto", *campaigns.TRACKS)


def test_the_readme_explains_every_key_and_no_other() -> None:
    text = (ROOT / "benchmarks/README.md").read_text()
    table = text.split("## Campaign files")[1].split("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    keys = [field.name for field in dataclasses.fields(Campaign)]
    assert documented == [*keys, *served.SETTINGS]


def test_locusts_users_wait_for_their_answers(tmp_path: Path) -> None:
    assert read(tmp_path, 'generator = "locust"' + GOOD).generator == "locust"
    assert read(tmp_path, GOOD).generator == "triton_bench"
    text = 'generator = "locust"' + GOOD.replace("clients = [1, 8]", "rates = [50]")
    with pytest.raises(CampaignError, match=r"rates with generator = 'locust'.*expected clients"):
        read(tmp_path, text)


def test_records_of_before_there_was_a_choice_go_on_as_they_began(tmp_path: Path) -> None:
    kept = {**read(tmp_path, GOOD).as_dict(), "seed": 1}
    assert kept.pop("generator") == "triton_bench"
    assert campaigns.from_record("run.json", kept).generator == "triton_bench"
