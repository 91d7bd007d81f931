"""Another object in the place of a name of a module, for as long as a `with` lasts."""


class Replaced:
    """`with Replaced(module, name=object, ...)`: a name that was not there is gone again afterwards."""

    def __init__(self, module, **names):
        self._module = module
        self._names = names
        self._own = {}

    def __enter__(self):
        for name, thing in self._names.items():
            if hasattr(self._module, name):
                self._own[name] = getattr(self._module, name)
            setattr(self._module, name, thing)

    def __exit__(self, *error):
        for name in self._names:
            if name in self._own:
                setattr(self._module, name, self._own[name])
            else:
                delattr(self._module, name)
