"""Which environment a variant runs in, and what is said when it cannot be made."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import campaign as campaigns
from benchmarks import environments, plan, recipes
from benchmarks.campaign import Variant
from benchmarks.environments import ROOT, UnavailableError
from benchmarks.processes import RunError
from tests.tiny import CHECKOUT, HEAD

SIMD = HEAD + (
    'clients = [1]\n[variants.plain]\nSERVICE_JSON = "bytes"\n'
    '[variants.simd]\nSERVICE_IMAGING = "pillow_simd"\n'
)


@pytest.fixture
def no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a compiler, where the environment has not been made yet."""
    monkeypatch.setenv("CC", "no-such-compiler")
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    return tmp_path


def silent(_text: str) -> None:
    """Where nobody listens."""


def test_the_service_knows_what_a_preset_comes_to() -> None:
    settings = environments.effective_settings(Variant("mine", preset="seed"), ROOT)
    assert settings["SERVICE_IMAGING"] == "pillow_simd"
    assert environments.environment_of(settings) == "simd"
    turbo = Variant("mine", preset="optimized", settings={"SERVICE_IMAGING": "turbo_simd"})
    assert environments.environment_of(environments.effective_settings(turbo, ROOT)) == "simd"
    own = Variant("mine", preset="seed", settings={"SERVICE_IMAGING": "pillow"})
    assert environments.environment_of(environments.effective_settings(own, ROOT)) == "default"


def test_the_engine_chooses_the_environment() -> None:
    mine = Variant("mine", preset="optimized", settings={"SERVICE_ENGINE": "pytorch"})
    settings = environments.effective_settings(mine, ROOT)
    assert environments.environment_of(settings) == "pytorch"
    both = environments.effective_settings(
        Variant("mine", preset="seed", settings={"SERVICE_ENGINE": "pytorch"}), ROOT
    )
    with pytest.raises(RunError, match="no environment has both; choose another SERVICE_IMAGING"):
        environments.environment_of(both)


def test_a_setting_that_the_service_does_not_know_is_refused_before_anything_starts() -> None:
    for checkout, settings in (
        (ROOT, {"SERVICE_JSN": "stdlib"}),
        (CHECKOUT, {"SERVICE_JSN": "stdlib"}),
    ):
        with pytest.raises(RunError, match="the service refuses its settings") as error:
            environments.effective_settings(Variant("mine", settings=settings), checkout)
        assert "variant 'mine'" in str(error.value)
        assert "SERVICE_JSON" in str(error.value), "the nearest one is named"


def test_another_folder_never_runs_the_service_that_is_installed(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="expected a checkout of this repository"):
        environments.effective_settings(Variant("mine", preset="seed"), tmp_path)


def test_the_environment_with_pillow_simd_is_what_it_says(simd_python: Path) -> None:
    """`make setup-simd` made it; when its lock has not changed, it is not made again."""
    said: list[str] = []
    environments.make("simd", ROOT, said.append)
    environments.make("simd", ROOT, said.append)
    assert len(said) in (0, 2), "once made, it is left alone"
    assert environments.interpreter("simd", ROOT) == simd_python
    code = "import PIL; from PIL import features; print(PIL.__version__, features.check('webp'))"
    done = subprocess.run([simd_python, "-c", code], capture_output=True, text=True, check=True)
    version, webp = done.stdout.split()
    assert version.endswith("post0")
    assert webp == "True"


def test_a_missing_compiler_names_the_packages(no_compiler: Path) -> None:
    with pytest.raises(UnavailableError) as error:
        environments.make("simd", no_compiler, silent)
    assert "cc not found" in str(error.value)
    assert "apt-get install build-essential libjpeg-dev zlib1g-dev libwebp-dev" in str(error.value)
    assert "--skip-unavailable" in str(error.value)


def test_a_disk_without_room_says_how_much_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "PYTORCH_BYTES", 10**18)  # more than any disk has
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    with pytest.raises(UnavailableError, match=r"found \d+\.\d GB free in .*; expected 1000000000"):
        environments.make("pytorch", tmp_path, silent)
    assert not (tmp_path / ".venv-pytorch").exists()


def test_a_lock_that_cannot_be_installed_leaves_nothing_that_looks_ready(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "PYTORCH_BYTES", 0)  # nothing is fetched
    (tmp_path / ".tools").symlink_to(ROOT / ".tools")
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/pytorch.txt").write_text("numpy==1.26.4\n")
    with pytest.raises(UnavailableError, match=r"uv pip sync .*: ended with status \d.*see above"):
        environments.make("pytorch", tmp_path, silent)
    assert "must have a hash" in capfd.readouterr().err, "uv said why"
    assert not (tmp_path / ".venv-pytorch/.stamp").exists()


@pytest.mark.parametrize(
    ("name", "lacks"), [("simd", "not pillow-simd"), ("pytorch", "'torch'"), ("triton", "pytriton")]
)
def test_an_environment_that_is_not_what_its_name_says_is_refused(name: str, lacks: str) -> None:
    """The default environment is none of them."""
    with pytest.raises(UnavailableError, match=f"not what was asked for .*{lacks}.*; expected"):
        environments._verify(recipes.RECIPES[name], ROOT / ".venv")


def test_only_environments_with_a_recipe_are_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert environments.main(["default"]) == 2
    said = capsys.readouterr().err
    assert said == "usage: python -m benchmarks.environments simd|pytorch|triton\n"


@pytest.mark.usefixtures("simd_python")  # where that is, a compiler was
def test_missing_headers_are_noticed_before_the_build() -> None:
    compiler = shutil.which("cc")
    assert compiler
    assert recipes.compiles(compiler, "stdlib.h")
    assert not recipes.compiles(compiler, "webp/no-such-header.h")


def test_a_variant_that_cannot_run_is_left_out_only_when_that_was_asked_for(
    no_compiler: Path,
) -> None:
    file = no_compiler / "c.toml"
    file.write_text(SIMD)
    campaign = campaigns.read(file)
    with pytest.raises(UnavailableError):
        plan.prepare(campaign, CHECKOUT, silent, home=no_compiler)
    said: list[str] = []
    ready = plan.prepare(campaign, CHECKOUT, said.append, skip_unavailable=True, home=no_compiler)
    assert list(ready.left_out) == ["simd"]
    assert "cc not found" in ready.left_out["simd"]
    assert any(line.startswith("LEFT OUT: variant simd") for line in said)


def test_the_reference_cannot_be_left_out(no_compiler: Path) -> None:
    file = no_compiler / "c.toml"
    file.write_text('reference = "simd"\n' + SIMD)
    with pytest.raises(RunError, match="choose another reference"):
        plan.prepare(
            campaigns.read(file), CHECKOUT, silent, skip_unavailable=True, home=no_compiler
        )


def test_the_plan_counts_what_is_left_to_measure(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("min_requests = 72\n" + SIMD)
    campaign = campaigns.read(file)
    pinning = plan.pin([(0,)])
    visits = [visit for visit in campaign.order(1) if visit.variant != "simd"]
    whole = plan.describe(campaign, visits, pinning)
    assert "plain, plain.aa (a second copy of plain, which shows the noise)\n" in whole
    assert "repeats   6: 3 of each of 2 cells; each of 10 s or more (72 requests) after" in whole
    assert "takes     at least" in whole
    rest = plan.describe(campaign, [v for v in visits if v.repeat == 3][:1], pinning)
    assert "repeats   1; each of 10 s" in rest


def test_a_campaign_without_images_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(SIMD.replace("cat-451x300.jpg", "nothing"))
    with pytest.raises(RunError, match="images: nothing to send"):
        plan.prepare(campaigns.read(file), CHECKOUT, silent)


def test_triton_gets_a_python_that_numpy_1_has_a_wheel_for() -> None:
    assert recipes.triton_python((3, 11)) == recipes.triton_python((3, 12)) == sys.executable
    assert recipes.triton_python((3, 13)) == ">=3.11,<3.13"


@pytest.mark.parametrize(
    ("machine", "libc", "lacking"),
    [
        ("x86_64", ("glibc", "2.36"), ""),
        ("x86_64", ("glibc", "2.31"), "with glibc 2.31; expected x86_64 with glibc 2.35"),
        ("aarch64", ("glibc", "2.36"), "found aarch64 with glibc 2.36"),
        ("x86_64", ("", ""), "found x86_64 with no glibc"),
    ],
)
def test_a_machine_that_triton_cannot_run_on_is_named(
    machine: str, libc: tuple[str, str], lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "libc_ver", lambda: libc)
    said = recipes.RECIPES["triton"].lacking(ROOT)
    assert lacking in said
    assert bool(said) is bool(lacking)
