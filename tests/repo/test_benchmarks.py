"""Reading, judging, comparing and showing results of benchmarks. Nothing is measured here."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks import compare, results, run, tables, targets
from benchmarks.load import Sample

Result = results.Result


def samples(*rates: float, cpu_us: float = 100.0) -> list[Sample]:
    """One sample per rate, with a p99 of three times the p50."""
    return [{"rps": rate, "p50_ms": 2.0, "p99_ms": 6.0, "cpu_us": cpu_us} for rate in rates]


def result(*product: float) -> Result:
    """A small result: GetByID of the product at these rates, a floor of 10,000, and a driver."""
    floor, rounds = samples(*[10_000.0] * len(product)), len(product)
    made = Result(
        format=results.FORMAT,
        date="2026-01-02T03:04:05+00:00",
        commit="abc1234",
        machine=results.machine(),
        versions=results.versions(),
        method={"rounds": rounds, "seconds": 4, "connections": 32},
        figures={
            "GetByID": {
                "floor": floor,
                "product": samples(*product),
                "2 workers": samples(*product, cpu_us=110.0),
                "one of 10,000": samples(*product, cpu_us=130.0),
            },
            "Login": {"product": samples(*product)},
            "mysql: GetByID": {"floor": floor, "product": samples(*product)},
        },
        footprint={"start_s": [0.5, 0.6, 0.7], "memory_mb": [75.0]},
        targets=[],
    )
    return msgspec.structs.replace(made, targets=targets.judge(made))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Four results of five rounds: one, one within its noise, one far better, one far worse."""
    rates = {
        "old": (6000.0, 6100.0, 5900.0, 6050.0, 5950.0),
        "same": (6050.0, 6120.0, 5950.0, 6060.0, 5900.0),
        "better": (7000.0, 7100.0, 6900.0, 7050.0, 6950.0),
        "worse": (5000.0, 5100.0, 4900.0, 5050.0, 4950.0),
    }
    for name, product in rates.items():
        results.save_result(result(*product), tmp_path / f"{name}.json")
    return {name: str(tmp_path / f"{name}.json") for name in rates}


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    """A result file contains the whole result; another format is refused with advice."""
    path = tmp_path / "folder" / "result.json"
    results.save_result(result(6000.0), path)
    assert results.load_result(path) == result(6000.0)
    path.write_text(path.read_text().replace(f'"format": {results.FORMAT}', '"format": 1'))
    with pytest.raises(SystemExit, match="measure again"):
        results.load_result(path)


def test_targets_are_judged_by_the_median_of_the_rounds() -> None:
    """Ratios are computed per round, and only measured cases are judged."""
    verdicts = {verdict.name: verdict for verdict in result(5000.0, 6000.0, 7000.0).targets}
    assert (verdicts["GetByID: / floor"].measured, verdicts["GetByID: / floor"].met) == (0.6, True)
    assert verdicts["GetByID: CPU per request, 2 workers / 1"].met
    crowd = verdicts["GetByID: CPU per request, one of 10,000 applications / 1 application, 1,000 rows"]
    assert (crowd.measured, crowd.met) == (1.3, False)
    assert verdicts["seconds from start to first answer"].measured == 0.6
    driver = verdicts["mysql: GetByID: / floor"]
    assert (driver.measured, driver.limit, driver.met) == (0.6, 0.65, False)
    assert not any("Post" in name for name in verdicts)


@pytest.mark.parametrize(
    ("new", "code", "word"), [("same", 0, "within the noise"), ("better", 0, "BETTER"), ("worse", 1, "WORSE")]
)
def test_compare_tells_changes_from_noise(
    files: dict[str, str], new: str, code: int, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A change counts when it exceeds the spread between rounds of both results; a loss gives exit code 1."""
    assert compare.main([files["old"], files[new]]) == code
    (line,) = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith("GetByID") and "/ floor" in line
    ]
    assert word in line


def test_one_round_says_little() -> None:
    """Results of one round have a minimum noise, so a small difference is not a change."""
    (change, *_) = compare.compare(result(6000.0), result(6600.0))
    assert change.is_better is None


def test_the_page_shows_a_result(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page in docs shows every table of a result, its machine and its commit."""
    monkeypatch.syspath_prepend(str(repository / "docs"))
    from generators import benchmarks as page

    for name in [name for name in sys.modules if name.partition(".")[0] == "generators"]:
        monkeypatch.delitem(sys.modules, name)
    made = result(6000.0, 6100.0)
    text = page.text(made)
    for title, table in tables.sections(made):
        assert f"## {title}\n" in text
        assert table in text
    assert "`abc1234`" in text
    assert "| GetByID | 10,000 |  |  |  | 6,050 | 0.60 |  |" in text
    assert "**missed**" in text


def test_help_names_every_case(capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` lists the cases."""
    with pytest.raises(SystemExit):
        run.main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "page of 20, page with total, aggregate, Post, Put, transaction of 10 Posts, SQL endpoint, Login" in told
