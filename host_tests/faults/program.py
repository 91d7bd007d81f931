"""Live the life once for every point at which something can fail. Runs on CPython and on build/bin/micropython32-faults.

    program.py memory|lines|world littlefs|folder|flashlog[+cloud] once|lasting SCRATCH [PHASE... | ACT K WAY]

The life is lived once without a fault, act by act. Before each act the process forks for k = 1, 2, …: the fork makes the k-th
point of the act fail, then goes on to the end: when the act raised, once started anew from the store, as a supervisor does,
and once with the same agent. What a fork comes to that another one was in before, world and memory, is not followed twice. What
does not hold after a fault that the medium kept to itself is counted apart ("untold").

PHASE: only in the acts of this entry of the script, by its name; ACT K WAY: that one fault only. The last line is the figures; the
exit status is 1 when anything did not hold.
"""

import os
import sys

from host_tests.faults import life as whole
from host_tests.faults import media, points

_CRASHED, _NEW, _MORE_WAYS, _UNTOLD, _WELL = 1, 2, 4, 8, 16
_NOT_REACHED, _FAILED = 2, 1
_FAILURES = 5  # then it is enough


def _processes():
    """(fork, wait for a status, leave) of the interpreter."""
    if sys.implementation.name == "micropython":
        import faults  # type: ignore[import-not-found]

        return faults.fork, faults.wait, faults.leave

    def wait(child):
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    return os.fork, wait, os._exit


class Explorer:
    def __init__(self, source, medium, mode, scratch):
        self._fork, self._wait, self._leave = _processes()
        self.scratch = scratch
        self.told = [source, medium, mode]
        self._lasting = mode == "lasting"
        self.faults = _source(source)
        self._forks = 0
        name, _, at_cloud = medium.partition("+")
        self.life = _life(at_cloud, media.MEDIA[name](self.faults, scratch + "/life"), self.faults)
        self.known = scratch + "/known"  # a folder for each state that a fork was in
        os.mkdir(self.known)
        self.failures = self.ks = self.crashes = self.new = self.untold = 0

    def explore(self, phases):
        """Live the whole life; every point of the acts of these phases, all when there are none, fails in a fork."""
        known = [name for name, _, _, _ in self.life.script]
        for phase in phases:
            assert phase in known, "%s: allowed: %s" % (phase, ", ".join(known))
        act = 0
        while not self.life.over():
            name = self.life.script[self.life.phase][0]
            self.life.prepare()
            forked = self._all_points(act) if name in phases or not phases else None
            self.faults.fail_at(0)
            self.life.act()
            count = self.faults.count()
            if forked is not None and self.failures < _FAILURES:
                # A fork has names of its own; so the pool of names may grow in this act in one of both only, which takes two pieces.
                assert abs(count - forked) <= 2, "act %d: %d points, with forks %d" % (act, count, forked)
            self.life.note()
            act += 1

    def repeat(self, act, k, way):
        """One fault, in a fork, as the failure named it. Returns the fork's status."""
        for _ in range(act):
            self.life.follow()
        self.life.prepare()
        return self._one(act, k, way)

    def _all_points(self, act):
        k = 1
        while self.failures < _FAILURES:
            way, status = 0, _MORE_WAYS
            while status & _MORE_WAYS:
                status = self._one(act, k, way)
                if status == _NOT_REACHED:
                    return k - 1
                way += 1
                self.ks += 1
                if status < _WELL:
                    self.failures += 1
                    print("FAILED with status %d: again by %s" % (status, self._command(act, k, way - 1)))
                    break
                self.crashes += status & _CRASHED
                self.new += (status & _NEW) // _NEW
                self.untold += (status & _UNTOLD) // _UNTOLD
            k += 1
        return k - 1

    def _command(self, act, k, way):
        return "python -m host_tests.faults %s %d %d %d" % (" ".join(self.told), act, k, way)

    def _one(self, act, k, way):
        """Fork, and make the k-th point of the act fail. Returns the fork's status."""
        return self._apart(self._attempt, act, k, way)

    def _apart(self, function, *arguments):
        """Call a function in a fork; its result, or 1 after an exception, is the fork's status."""
        self._forks += 1
        child = self._fork()
        if child:
            return self._wait(child)
        status = _FAILED
        try:
            self.scratch += "/%d" % self._forks
            self.life.medium.enter(self.scratch)
            status = function(*arguments)
        except BaseException as error:  # whatever it is, it must not go on as the parent
            self.faults.fail_at(0)
            print("in", function.__name__, *(self.told + list(arguments) + [self.faults.kind, self.faults.way]))
            _print(error)
        self._leave(status)
        return None

    def _attempt(self, act, k, way):
        life, faults = self.life, self.faults
        crashed = False
        faults.fail_at(k, self._lasting, way)
        try:
            life.act()
        except faults.error:
            crashed = True
        met = faults.count()
        if not faults.lasts():
            faults.fail_at(0)
        if met < k:
            return _NOT_REACHED
        status = _WELL | (_MORE_WAYS if way + 1 < faults.ways else 0)
        if not crashed and life.medium.keeps_to_itself(faults.kind) and not life.store.refuses:
            return status | (_UNTOLD if self._apart(self._go_on, act, k, way) else 0)
        if crashed:
            status |= _CRASHED
            life.crash()
            if self._is_new("r" + life.world()):
                status |= _NEW
                assert not self._apart(self._start_anew, act, k, way), "after a restart"
        if life.agent and not self._is_boot():
            if not crashed:
                life.note()
            if self._follow():
                status |= _NEW
        return status

    def _go_on(self, act, k, way):
        self.life.note()
        self._follow()
        return 0

    def _is_boot(self):
        return self.life.script[self.life.phase][2] == whole.boot

    def _start_anew(self, act, k, way):
        self.life.restart()
        self._follow()
        return 0

    def _follow(self):
        """Live on to the end, or to where another fork was before. Returns whether that was somewhere new."""
        new = False
        while not self.life.over():
            if not self.faults.lasts() and not self._is_new(self.life.everything()):
                return new
            new = True
            self.life.follow()
        self.life.check_outcome()
        return True

    def _is_new(self, fingerprint):
        try:
            os.mkdir("%s/%s" % (self.known, fingerprint))
        except OSError:
            return False
        return True


def _life(at_cloud, medium, faults):
    if not at_cloud:
        return whole.Life(medium, faults)
    from host_tests.faults.cloud import CloudLife

    # Once without forks: whether a name that the interpreter does not know yet costs an allocation depends on what forks left behind.
    rehearsal = CloudLife(media.MEDIA["flashlog"](faults, ""), faults)
    while not rehearsal.over():
        rehearsal.follow()
    return CloudLife(medium, faults)


def _source(name):
    if name == "lines":
        from host_tests.faults.lines import Lines

        return Lines()
    return {"memory": points.Memory, "world": points.World}[name]()


def _print(error):
    if hasattr(sys, "print_exception"):
        sys.print_exception(error)
    else:
        import traceback

        traceback.print_exception(error)


def main(args):
    source, medium, mode, scratch = args[:4]
    explorer = Explorer(source, medium, mode, scratch)
    if len(args) == 7 and args[4].isdigit():
        status = explorer.repeat(*[int(arg) for arg in args[4:]])
        said = "well" if status >= _WELL else "there is no such point" if status == _NOT_REACHED else "failed"
        print("status %d: %s" % (status, said))
        return 0 if status >= _WELL else 1
    explorer.explore(args[4:])
    figures = explorer.ks, explorer.crashes, explorer.new, explorer.untold, explorer.failures
    print("%d faults, %d raised, %d followed, %d untold, %d failed" % figures)
    return 1 if explorer.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
