"""The appliance: its configuration, its level files, and its agent as a process."""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tools.run.story import Consumable

ROOT = Path(__file__).resolve().parents[2]
AGENT = ROOT / "build" / "unix" / "agent"
HEAP = "160k"
MODEL = "acme-brewer-1"
SERIAL = "SN0001"
# The wrapper gives its agent 30 s to end; it must not be the one that is killed.
_STOP_S = 40
# More than any line of the agent; asyncio's own limit would break off the run.
_LINE_BYTES = 1 << 20
_TAIL_LINES = 10
_PR_SET_PDEATHSIG = 1
# How long the gateway holds an order, in which its customer can say no: as long as with Amazon's own.
HOLD_S = 86_400
# How often the agent looks at its sensors: about 20 ms of real time at the usual speed.
_SENSOR_PERIOD_S = 900


def configuration(
    consumables: Sequence[Consumable], url: str, cas: Sequence[Path], client_id: str, clock: tuple[int, int], broker: int = 0
) -> dict[str, Any]:
    """The agent's configuration. `cas`: of all that it talks to; `clock`: scale_from and time_scale; `broker`: its port, 0 for none.
    The policy is the agent's own default."""
    lwa = {"token_url": f"{url}/auth/o2/token", "client_id": client_id}
    slots = [_slot(consumable) for consumable in consumables]
    return {"backend": "drs", "drs": {"endpoint": url}, "lwa": lwa, **_common(cas, clock, broker), "slots": slots}


def gateway_configuration(
    consumables: Sequence[Consumable], url: str, cas: Sequence[Path], clock: tuple[int, int], broker: int = 0
) -> dict[str, Any]:
    """The same for an agent that orders through the maker's gateway at `url`; but it takes an order for held as long as the gateway
    holds it, where the default hour is shorter than a call."""
    policy = {"resolution_grace_s": HOLD_S}
    slots = [{**_slot(consumable), "packs": consumable.packs, "pack": consumable.pack} for consumable in consumables]
    return {"backend": "gateway", "gateway": {"url": url}, **_common(cas, clock, broker), "slots": slots, "policy": policy}


def _common(cas: Sequence[Path], clock: tuple[int, int], broker: int) -> dict[str, Any]:
    mqtt = {"mqtt": {"host": "localhost", "port": broker, "user": SERIAL}} if broker else {}
    return {
        "device": {"model": MODEL, "serial": SERIAL},
        "tls": {"ca": [str(ca) for ca in cas]},
        **mqtt,
        "clock": {"scale_from": clock[0], "time_scale": clock[1]},
        "state": "state",
        "secrets": "secrets.json",
    }


def _slot(consumable: Consumable) -> dict[str, Any]:
    return {
        "id": consumable.id,
        "unit": consumable.unit,
        "capacity": consumable.capacity,
        "reorder_at": consumable.reorder_at,
        "lead_days": consumable.lead_days,
        "sensor": {"driver": "file", "path": level_file(consumable.id), "period_s": _SENSOR_PERIOD_S},
    }


def level_file(slot: str) -> str:
    """Where a slot's level stands, relative to the configuration."""
    return f"{slot}.level"


def write_level(folder: Path, slot: str, level: float) -> None:
    """Set what the sensor shows. The agent reads at any moment: it finds the old level or the new one, never half of one."""
    path = folder / level_file(slot)
    beside = path.with_suffix(".new")
    beside.write_text(f"{level:g}\n", encoding="ascii")
    beside.replace(path)


def write_configuration(folder: Path, config: dict[str, Any], secrets: dict[str, str]) -> Path:
    """Write the configuration and its secrets; returns the configuration's path."""
    (folder / config["secrets"]).write_text(json.dumps(secrets), encoding="utf-8")
    path = folder / "config.json"
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return path


def heap() -> str:
    """The agent's heap: HEAP= of the environment, else this run's own."""
    return os.environ.get("HEAP") or HEAP


def _die_with_parent() -> None:
    """In the child, before it becomes the agent's wrapper: a killed run takes it along."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


_LIBC = ctypes.CDLL(None)


class AgentProcess:
    """build/unix/agent, running. In a session of its own: the terminal's Ctrl-C reaches only us, and we end it in order."""

    def __init__(self, process: asyncio.subprocess.Process, line: Callable[[str], None]) -> None:
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._process = process
        self._line = line
        self._readers = [asyncio.create_task(self._read(stream)) for stream in (process.stdout, process.stderr)]
        self._end = asyncio.create_task(process.wait())

    @classmethod
    async def start(cls, config: Path, line: Callable[[str], None]) -> "AgentProcess":
        """Start it; `line` is called with each line that it prints."""
        process = await asyncio.create_subprocess_exec(
            AGENT,
            config,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "HEAP": heap()},
            start_new_session=True,
            preexec_fn=_die_with_parent,
            limit=_LINE_BYTES,
        )
        return cls(process, line)

    async def _read(self, stream: asyncio.StreamReader | None) -> None:
        while stream is not None and (data := await stream.readline()):
            line = data.decode("utf-8", "backslashreplace").rstrip("\n")
            self.tail.append(line)
            self._line(line)

    @property
    def ended(self) -> asyncio.Task[int]:
        """Done when the process has ended."""
        return self._end

    async def stop(self) -> int:
        """Ask it to stop if it runs, read what it still says, and return its exit status."""
        if not self._end.done():
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
        try:
            status = await asyncio.wait_for(asyncio.shield(self._end), _STOP_S)
        except TimeoutError:
            self._process.kill()
            status = await self._end
        await asyncio.gather(*self._readers)
        # Asked before it had set itself up to be asked: no agent had begun.
        return 0 if status == -signal.SIGTERM else status
