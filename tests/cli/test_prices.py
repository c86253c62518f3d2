"""`--prices`: a mapped deployment on the command line, and the refusal of other settings."""

from pathlib import Path

import pytest

from tests.support.command_line import run_body, runfold, write_lines

pytestmark = pytest.mark.integration

PRICES = '{"models": {"our-gpt": "gpt-4o"}, "tiers": {"flex": 0.5}}'
USAGE = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database whose costs are priced by the name of a deployment."""
    monkeypatch.delenv("RUNFOLD_PRICES", raising=False)
    body = run_body("run_1", model="our-gpt", usage=USAGE)
    file = write_lines(tmp_path / "runs.jsonl", body)
    url = f"sqlite:///{tmp_path}/runs.db"
    settings = tmp_path / "prices.json"
    settings.write_text(PRICES)
    assert runfold("import", file, "--prices", str(settings), "--db", url).code == 0
    return url


def test_commands_take_the_settings_of_the_prices(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = runfold("cost", "--json", "--prices", PRICES, "--db", database).document
    assert (row["total_dollars"], row["unpriced_runs"]) == ("2.500000000", 0)
    monkeypatch.setenv("RUNFOLD_PRICES", PRICES)
    assert runfold("rebuild", "--all", "--db", database).code == 0
    assert runfold("verify", "--db", database).code == 0
    assert runfold("doctor", "--db", database).code == 0
    assert runfold("cost", "--json", "--db", database).document == [row]


def test_other_settings_are_refused_with_the_cure(database: str) -> None:
    for command in ("cost", "rebuild --all", "catch-up", "export --table run_costs"):
        refused = runfold(*command.split(), "--db", database)
        assert (refused.code, refused.out) == (1, "")
        assert "runfold rebuild costs --reprice" in refused.err
    shown = runfold("usage", "--db", database)
    assert shown.code == 0
    assert shown.err.startswith("runfold: costs are left out: ")
    checked = runfold("verify", "--db", database)
    assert checked.code == 1
    assert "checkpoints (costs): settings are" in checked.out
    assert "runfold rebuild costs --reprice" in checked.err
    examined = runfold("doctor", "--db", database)
    assert examined.code == 1
    assert "costs: differs; cure: " in examined.out
    assert runfold("rebuild", "costs", "--reprice", "--db", database).code == 0
    [row] = runfold("cost", "--json", "--db", database).document
    assert row["unpriced_runs"] == 1
    [unpriced] = runfold("cost", "--unpriced", "--json", "--db", database).document
    assert (unpriced["model"], unpriced["service_tier"]) == ("our-gpt", None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{", "the settings of the prices: no JSON"),
        ('{"model": "x"}', "an object of models, provider, tiers is needed"),
        ("missing.json", "missing.json with the settings of the prices: "),
        ('{"provider": "mars"}', "no provider 'mars' in the price list"),
        ('{"tiers": {"flex": null}}', "the factor of the tier 'flex' is a number"),
    ],
)
def test_settings_that_cannot_be_read(database: str, given: str, said: str) -> None:
    refused = runfold("cost", "--prices", given, "--db", database)
    assert refused.code == 2
    assert said in refused.message
