"""The simulator's README: it names what there is, and its samples run."""

import http.client
import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from host_tests.tools.simulator_client import over_tls, request, send
from tools.simulator import Clock, SimulatorThread, Timings, __main__
from tools.simulator.buywithprime.fates import Decision, FateKind, StoreTimings
from tools.simulator.control import OPERATIONS
from tools.simulator.faults import ENDPOINT_NAMES, KINDS, Fault
from tools.simulator.notice_faults import KINDS as NOTICE_KINDS
from tools.simulator.notice_faults import NoticeFault
from tools.simulator.orders import ScenarioKind
from tools.simulator.settings import CHECKS

README = (Path(__file__).resolve().parents[2] / "tools/simulator/README.md").read_text()
ROWS = set(re.findall(r"^\| (`[^|]*) \|", README, re.MULTILINE))
NAMED = set(re.findall(r"`(\w+)`", README)) | set(re.findall(r"\w+", README))
STORE_NAMES = [*vars(StoreTimings()), *FateKind, *Decision]
INTERNAL = {"kind", "number", "hits", "error"}


def test_every_operation_has_its_row() -> None:
    listed = {row.strip("`").partition("?")[0] for row in ROWS if "/control" in row}
    assert listed == {f"{method} {path}" for method, path, _, _ in OPERATIONS}


@pytest.mark.parametrize(
    "names",
    [list(KINDS), list(NOTICE_KINDS), list(CHECKS), list(vars(Timings())), list(ScenarioKind), STORE_NAMES],
    ids=["faults", "notice faults", "settings", "timings", "scenarios", "the store's"],
)
def test_every_name_has_its_row(names: list[str]) -> None:
    in_rows = {name for row in ROWS for name in re.findall(r"`(\w+)`", row)}
    assert set(names) <= in_rows


def test_every_field_of_a_fault_and_every_endpoint_is_named() -> None:
    assert {entry.name for entry in (*fields(Fault), *fields(NoticeFault))} - INTERNAL <= NAMED
    assert set(ENDPOINT_NAMES) <= NAMED


def test_the_sample_of_a_test_works() -> None:
    (sample,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    line = next(line for line in sample.splitlines() if line.strip().startswith("..."))
    exec(sample.replace(line, "    order_twice(sim)"), {"order_twice": order_twice})


def order_twice(sim: SimulatorThread) -> None:
    """The client under test of the sample: its first answer is lost, so it asks again."""
    order = request("replenish", sim.lwa.access_token("SN0001"))
    with pytest.raises(http.client.RemoteDisconnected):
        send(over_tls(sim), order)
    assert send(over_tls(sim), order).status == 200


def test_the_first_try_and_the_control_samples_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    samples = "".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    monkeypatch.chdir(tmp_path)
    with SimulatorThread(clock=Clock.manual()) as sim:
        token = sim.add_device(slots={"PaperTowel": True, "Coffee": True})
        __main__.write_env(tmp_path, sim.do(lambda sim: __main__.facts(sim, token)))
        (tmp_path / "relay-ca.pem").write_bytes(sim.ca_pem.read_bytes())
        script = samples.replace("build/sim/env", str(tmp_path / "env"))
        done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert '{"detailCode":"STANDARD_ORDER_PLACED","eventInstanceId":"amzn1.dash.v2.o.' in done.stdout
        calls = [("token", "ok"), ("replenish", "accepted"), ("bwp_token", "ok"), ("bwp_graphql", "ok")]
        assert [(call.endpoint, call.outcome) for call in sim.calls] == calls
        assert '{"data":{"deliveryPreview":{"id":' in done.stdout
        assert [fault.kind for fault in sim.faults.pending()] == ["refuse", "drop_after"]
        assert sim.settings.status_generation == "older"
        assert [entry.endpoint for entry in sim.sns.subscriptions] == ["https://localhost:8443/sns"]
        assert [fault.kind for fault in sim.sns.faults.pending()] == ["duplicate"]
        (target,) = sim.bus.targets
        assert (target.endpoint, target.headers) == ("https://localhost:8443/events", {"x-api-key": "a-key"})
        assert [fault.kind for fault in sim.bus.faults.pending()] == ["double"]
        assert '"error"' not in done.stdout
