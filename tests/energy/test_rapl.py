"""Energy of the machine itself, from counters like those Linux exposes."""

import os

import pytest

import neurocomp as nc
from neurocomp.energy import measure


def counters(root, *values, span=10_000_000):
    """Folders of packages that count microjoules, the first with a part of its own inside."""
    for k, value in enumerate(values):
        folder = root / f"intel-rapl:{k}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "name").write_text(f"package-{k}\n")
        (folder / "max_energy_range_uj").write_text(f"{span - 1}\n")
        (folder / "energy_uj").write_text(f"{value}\n")
    inner = root / "intel-rapl:0:0"
    inner.mkdir(exist_ok=True)
    (inner / "energy_uj").write_text("999\n")
    return root


def test_packages_add_up_and_counters_may_start_again(tmp_path):
    root = counters(tmp_path, 1_000_000, 9_000_000)
    with measure(root) as measured:
        counters(root, 3_000_000, 500_000)
    assert measured.joules == pytest.approx(2.0 + 1.5)
    assert measured.seconds > 0
    assert measured.domains == ("package-0", "package-1")
    assert "3.5 J" in measured.text(1e6)
    assert measured.to_dict(1e6)["joules_per_event"] == pytest.approx(3.5e-6)


def test_the_report_has_it(tmp_path, layered_run):
    root = counters(tmp_path, 0)
    with measure(root) as measured:
        counters(root, 7_000_000)
    report = nc.energy(*layered_run, measured=measured)
    events = sum(layered_run[1].counters.events.values())
    assert f"{7.0 / events:.3g} J per synaptic event" in report.text
    assert report.to_dict()["measured"]["joules_per_event"] == pytest.approx(7.0 / events)


def test_absent_counters_are_said_to_be_unavailable(tmp_path, layered_run):
    with measure(tmp_path / "nothing") as measured:
        pass
    assert measured.joules is None
    assert "exposes no RAPL counters" in nc.energy(*layered_run, measured=measured).text
    assert measured.to_dict(5)["unavailable"].startswith("this machine exposes no RAPL counters")


def test_counters_that_cannot_be_read(tmp_path):
    root = counters(tmp_path, 0)
    (root / "intel-rapl:0" / "energy_uj").unlink()
    os.symlink("missing", root / "intel-rapl:0" / "energy_uj")
    with measure(root) as measured:
        pass
    assert measured.joules is None
    assert "cannot be read" in measured.reason
