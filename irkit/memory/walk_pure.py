"""The walk of a process's own heap in plain Python, in a twin of it, where the compiled walker is not installed.

It writes what the compiled one writes, in a raw form that `heap_raw` turns into the file. It takes twenty times as
long, copies most of the heap (each reference taken writes to an object's page), and sees less: of an instance of a type
with many the attributes go without names, and the contexts of threads that wait are not told from garbage.

No code of the objects' authors runs: types' own slots are asked, never attributes. Standard library only.
"""

from __future__ import annotations

import gc
import json
import sys
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ctypes import c_uint32
from functools import partial
from itertools import chain, islice
from time import monotonic, perf_counter_ns
from types import (
    AsyncGeneratorType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    ModuleType,
)
from typing import Any

from irkit.memory import twin
from irkit.memory.raw_stream import send

_HAVE_GC, _MANAGED_DICT, _HEAP_TYPE = 1 << 14, 1 << 4, 1 << 9
_GC_HEAD_BYTES, _PRE_HEADER_BYTES = 16, 16
_CHUNK = 100_000
_BATCH = 200
_FEW = 1000
_TIMES_RSS = 3  # a copy of the heap, and twice as much in notes, as measured on small objects
_MOST_KEYS = 2000
_LONGEST_NAME, _LONGEST_TITLE = 80, 160
_STATE_OFFSET = 32  # of the bits that say whether a string is interned, in PyASCIIObject of CPython 3.11 to 3.14
_IMMORTAL = 1 << 30
_TITLE = frozenset("._<>-[], ")
_MODULE, _FRAME = 1, 2
_SINGLETONS = (None, True, False)

_flags = type.__dict__["__flags__"].__get__
_mro = type.__dict__["__mro__"].__get__
_bases = type.__dict__["__bases__"].__get__
_base = type.__dict__["__base__"].__get__
_namespace = type.__dict__["__dict__"].__get__
_qualname = type.__dict__["__qualname__"].__get__
_module = type.__dict__["__module__"].__get__
_module_dict: Callable[[ModuleType], object] = vars(ModuleType)["__dict__"].__get__
_referents = gc.get_referents


def possible() -> bool:
    """Say whether this walk can be done here: a twin can be made, and interned strings are told as expected."""
    return twin.possible() and _is_interned(sys.intern("irkit_is_interned")) and not _is_interned(f"irkit {_FEW}")


def clone_walk(
    fd: int, meta: bytes, modules: Mapping[str, ModuleType], deadline_s: float
) -> tuple[int, int, int, list[object]]:
    """Let a twin walk the heap and write it to a descriptor: its pid, its pidfd, the pause in ns, what to keep.

    What is to be kept till it has ended holds every object alive in the twin, where the other threads' own data go;
    letting it go while the twin runs would copy the pages of all objects.

    Raises:
        OSError: the kernel refuses.
        MemoryError: there is no memory for a copy of the heap and the notes about it.
        TimeoutError: as `twin.clone`.
    """
    room, rss = twin.headroom_bytes(), int(json.loads(meta)["rss_bytes"])
    if room is not None and room < _TIMES_RSS * rss:
        wanted = f"the walk in plain Python may want {_TIMES_RSS * rss >> 20} MiB more than the process has"
        raise MemoryError(f"{wanted}, and {room >> 20} MiB are left")
    began_ns = perf_counter_ns()
    objects: list[object] = gc.get_objects()
    frames = list(sys._current_frames().items())  # noqa: SLF001 (the only way to the other threads)
    walk = _Walk(objects, frames, monotonic() + deadline_s)
    listed_ns = perf_counter_ns() - began_ns
    pid, pidfd, pause_ns = twin.clone(partial(_walk, fd, meta, modules, walk), fd)
    return pid, pidfd, listed_ns + pause_ns, objects


def _walk(fd: int, meta: bytes, modules: Mapping[str, ModuleType], walk: _Walk) -> None:
    gc.disable()
    walk.containers()
    walk.modules(modules)
    told = {"walker": "python", "left_out": [*map(id, _SINGLETONS)]}
    send(fd, json.loads(meta) | told, list(walk.names), walk.columns())


# of a type: its number, who tells the size, what comes on top, who knows the references
_Known = tuple[int, Callable[[Any], int], int, Callable[[Any], Any] | None]


class _Walk:
    """The notes of a walk: columns of numbers, as `heap_file` describes them, with plain addresses."""

    def __init__(self, objects: list[object], frames: list[tuple[int, FrameType]], deadline: float) -> None:
        self._objects, self._frames, self._deadline = objects, frames, deadline
        self._instances: dict[int, int] = {}
        self.address, self.type, self.size, self.refs, self.degree = (array("Q") for _ in range(5))
        self.edges, self.label_at, self.label, self.roots, self.named, self.type_rows = (array("Q") for _ in range(6))
        self.leaf_address, self.leaf_type, self.leaf_size, self.leaf_refs = (array("Q") for _ in range(4))
        self.names: dict[str, int] = {}
        self._labels: dict[int, int] = {}
        self._types: dict[int, _Known] = {}
        self._type_objects: list[type] = []
        self._known: set[int] = set()
        self._met: dict[int, object] = {}
        # what is not yet in the columns, since lists grow faster; to each reference with a name its place, and the name
        self._chunk: list[object] = []
        self._label_at: list[int] = []
        self._label_of: list[int] = []

    def containers(self) -> None:
        """Walk what the collector lists, then what is reached from it and is not listed, then the types of it all."""
        if gc.get_freeze_count():
            self._objects = [*self._objects, *_frozen()]
        probe: list[object] = []
        [listed] = [count - 1 for count in map(sys.getrefcount, [probe])]
        groups = _by_kind(self._objects)
        self._instances.update({kind: len(members) for kind, members in groups.items()})
        for members in groups.values():
            self._all(members, listed + 1)
        del groups, members
        for thread, frame in self._frames:
            self._stack(thread, frame)
        done = 0
        while True:
            self._meet()
            groups = _by_kind(list(islice(self._met.values(), done, None)))
            done = len(self._met)
            while groups:
                # what was met is held by the notes of that, besides the list that is walked
                self._reached(groups.popitem()[1], listed + 1)
            for each in [each for each in self._type_objects if id(each) not in self._known]:
                self._all([each], listed + 1)
            if not self._chunk and len(self._met) == done:
                break

    def _reached(self, members: list[Any], held: int) -> None:
        """Write objects of one type that were met: those that hold others unless they are written, or else leaves."""
        kind = type(members[0])
        number, sizer, _, handler = self._types.get(id(kind)) or self._type(kind)
        if _flags(kind) & _HAVE_GC or handler is not None:
            members = [each for each in members if id(each) not in self._known]
            if members:
                self._all(members, held)
        elif kind is not bool and kind is not type(None):
            self.leaf_refs.extend(array("Q", _net(map(sys.getrefcount, members), held)))
            self.leaf_address.extend(map(id, members))
            self.leaf_type.extend(array("Q", [number]) * len(members))
            self.leaf_size.extend(array("Q", [*map(sizer, members)]))

    def _stack(self, thread: int, frame: FrameType | None) -> None:
        """Walk a thread's frames, innermost first; those of this walk are not the service's."""
        while frame is not None:
            code = frame.f_code
            if frame.f_globals.get("__name__") not in {__name__, twin.__name__}:
                module, name = self._title(frame.f_globals.get("__name__")), self._title(code.co_qualname)
                self.roots.extend((_FRAME, id(frame), module, name, thread))
                self.named.extend((len(self.address), module, name))
                local = {} if frame.f_locals is frame.f_globals else dict(frame.f_locals)
                row = self._types.get(id(FrameType)) or self._type(FrameType)
                self._known.add(id(frame))
                self.address.append(id(frame))
                self.type.append(row[0])
                self.size.append(row[1](frame))
                self.refs.append(0)
                self._edges([code, *local.values()], [0, *map(self._label, local)])
            frame = frame.f_back

    def modules(self, modules: Mapping[str, ModuleType]) -> None:
        """Note the namespaces of modules, where paths begin."""
        for name, module in list(modules.items()):
            if issubclass(type(module), ModuleType) and type(name) is str:
                self.roots.extend((_MODULE, id(_module_dict(module)), self._title(name), 0, 0))

    def _all(self, members: list[Any], held: int) -> None:
        """Write new containers of one type, which this walk holds so often; here it spends its time."""
        number, sizer, more, handler = self._types.get(id(type(members[0]))) or self._type(type(members[0]))
        self.refs.extend(array("Q", _net(map(sys.getrefcount, members), held)))
        self._known.update(map(id, members))
        self.address.extend(map(id, members))
        self.type.extend(array("Q", [number]) * len(members))
        self.size.extend(array("Q", [size + more for size in map(sizer, members)]))
        for start in range(0, len(members), _BATCH):
            batch = members[start : start + _BATCH]
            if handler is None:
                found = [*map(_referents, batch)]
                self.degree.extend(map(len, found))
                self._chunk += chain.from_iterable(found)
            else:
                for each in batch:
                    handler(each)
            if len(self._chunk) > _CHUNK:
                self._meet()

    def _edges(self, found: list[object], labels: Sequence[int] = ()) -> None:
        self._note(labels)
        self.degree.append(len(found))
        self._chunk += found

    def _note(self, labels: Sequence[int]) -> None:
        """Note the names of the references that come next, 0 of one without."""
        start = len(self.edges) + len(self._chunk)
        if 0 not in labels:
            self._label_at += range(start, start + len(labels))
            self._label_of += labels
        elif any(labels):
            self._label_at += [start + at for at, label in enumerate(labels) if label]
            self._label_of += filter(None, labels)

    def _meet(self) -> None:
        """Take note of what the references so far lead to."""
        ids = list(map(id, self._chunk))
        for column, told in ((self.edges, ids), (self.label_at, self._label_at), (self.label, self._label_of)):
            column.extend(array("Q", told))
        self._label_at, self._label_of = [], []
        self._met.update(zip(ids, self._chunk, strict=True))
        self._chunk.clear()
        if monotonic() > self._deadline:
            raise TimeoutError

    def _type(self, kind: type) -> _Known:
        """Learn a type: its number, who tells the size, what comes on top, who knows its references."""
        flags = _flags(kind)
        more = (_GC_HEAD_BYTES if flags & _HAVE_GC else 0) + (_PRE_HEADER_BYTES if flags & _MANAGED_DICT else 0)
        number = len(self._type_objects)
        self._type_objects.append(kind)
        known = (number, _sizer(kind), more, self._handler(kind, flags))
        self._types[id(kind)] = known
        module, name = _module(kind), _qualname(kind)
        # the values of attributes lie in an array of their own, as large as there are
        looks = (1 if flags & _HAVE_GC else 0) + (2 if flags & _MANAGED_DICT else 0)
        self.type_rows.extend((id(kind), looks, self._title(module), self._title(name)))
        return known

    def _handler(self, kind: type, flags: int) -> Callable[[Any], Any] | None:
        simple: dict[int, Callable[[Any], Any]]
        simple = {id(dict): self._dict, id(FunctionType): self._function, id(CodeType): self._code}
        simple |= dict.fromkeys(map(id, (GeneratorType, CoroutineType, AsyncGeneratorType)), self._generator)
        if handler := simple.get(id(kind)):
            return handler
        if issubclass(kind, type):
            return self._class
        if issubclass(kind, dict):
            return self._dict_of_a_kind
        if f"{_module(kind)}.{_qualname(kind)}" == "numpy.ndarray":
            return self._numpy
        if flags & _HEAP_TYPE and self._instances.get(id(kind), 0) <= _FEW:
            told = tuple(_attributes(kind))
            return partial(self._instance, told) if told else None
        return None

    def _dict(self, each: dict[Any, Any]) -> None:
        keys = [*each]
        self.degree.append(2 * len(keys))
        self._chunk += keys
        if len(keys) <= _MOST_KEYS:
            labels: list[Any] = [*map(self._labels.get, map(id, keys))]
            if None in labels:
                labels = [*map(self._label, keys)]
            self._note(labels)
        self._chunk += each.values()

    def _dict_of_a_kind(self, each: dict[Any, Any]) -> None:
        keys = [*dict.keys(each)]
        # dict's own traversal leaves out keys that are all strings
        self._edges(_referents(each) + (keys if all(type(key) is str for key in keys) else []))

    def _function(self, each: FunctionType) -> None:
        self._say(each.__module__, each.__qualname__)
        found = _referents(each)
        names = {id(each.__closure__): "__closure__", id(each.__defaults__): "__defaults__"}
        names.pop(id(None), None)
        self._edges(found, [self._name(names[id(one)]) if id(one) in names else 0 for one in found])

    def _class(self, each: type) -> None:
        self._say(_module(each), _qualname(each))
        if _flags(each) & _HEAP_TYPE:
            self._edges(_referents(each))
        else:
            self._edges([*_referents(_namespace(each)), _mro(each), _bases(each), _base(each)])

    def _generator(self, each: Any) -> None:  # noqa: ANN401 (a generator of one of three kinds)
        space = type(each).__dict__
        self._say("", space["__qualname__"].__get__(each))
        frame = next(space[name] for name in ("gi_frame", "cr_frame", "ag_frame") if name in space).__get__(each)
        names = {id(value): self._label(key) for key, value in dict(frame.f_locals).items()} if frame else {}
        found = _referents(each)
        self._edges(found, [names.get(id(one), 0) for one in found])

    def _code(self, each: CodeType) -> None:
        self._edges([each.co_consts, each.co_names, each.co_varnames, each.co_filename, each.co_name, each.co_qualname])

    def _numpy(self, each: Any) -> None:  # noqa: ANN401 (numpy is not imported here)
        own = each.dtype.hasobject and each.base is None
        self._edges([each.base, *(each.ravel().tolist() if own else ())])

    def _instance(self, attributes: tuple[tuple[str, Callable[[Any], object]], ...], each: object) -> None:
        names: dict[int, int] = {}
        for name, get in attributes:
            try:
                kept = get(each)
            except AttributeError:
                continue
            names[id(kept)] = self._name(name)
            if type(kept) is dict:
                # of inline values the traversal shows the values, and not the dict
                names |= {id(value): self._label(key) for key, value in kept.items() if id(value) not in names}
        found = _referents(each)
        self._edges(found, [names.get(id(one), 0) for one in found])

    def _say(self, module: object, name: object) -> None:
        self.named.extend((len(self.degree), self._title(module), self._title(name)))

    def _label(self, key: Any) -> int:  # noqa: ANN401 (any key)
        """Return the number of a name that the program's source gives: an identifier, and interned as in code."""
        if type(key) is not str:
            self._labels[id(key)] = 0
            return 0
        found = self._labels.get(id(key))
        if found is None:
            sound = len(key) <= _LONGEST_NAME and key.isidentifier() and _is_interned(key)
            found = self._labels[id(key)] = self._name(key) if sound else 0
        return found

    def _title(self, text: object) -> int:
        """Return the number of a module's or a qualified name."""
        if type(text) is not str or not 0 < len(text) <= _LONGEST_TITLE:
            return 0
        return self._name(text) if all(one.isalnum() or one in _TITLE for one in text) else 0

    def _name(self, text: str) -> int:
        return self.names.setdefault(text, len(self.names) + 1)

    def columns(self) -> dict[int, array[int]]:
        """Return the columns by their numbers, as `heap_raw` reads them."""
        return {
            1: self.address, 2: self.type, 3: self.size, 4: self.refs, 5: self.degree,
            6: self.leaf_type, 7: self.leaf_size, 8: self.leaf_refs, 9: self.edges, 10: self.label,
            11: self.type_rows, 13: self.roots, 14: self.named, 15: self.leaf_address, 16: self.label_at,
        }  # fmt: skip


def _net(counts: Iterable[int], held: int) -> list[int]:
    """Return reference counts without those that the walk itself holds; 0 of what is immortal."""
    return [count - held if held < count < _IMMORTAL else int(count <= held) for count in counts]


def _frozen() -> list[object]:
    """Return what `gc.freeze` took out of the collector's lists: what is in them only afterwards."""
    listed = gc.get_objects()
    before = set(map(id, listed))
    before.update((id(listed), id(before)))
    gc.unfreeze()
    return [each for each in gc.get_objects() if id(each) not in before]


def _by_kind(objects: list[Any]) -> dict[int, list[Any]]:
    """Return objects by the address of their type, which is asked for nothing: a metaclass may be anybody's code."""
    groups: defaultdict[int, list[Any]] = defaultdict(list)
    for each, kind in zip(objects, map(id, map(type, objects)), strict=True):
        groups[kind].append(each)
    return groups


def _sizer(kind: type) -> Callable[[Any], int]:
    """Return the `__sizeof__` that a type has from C: its own may be anybody's code."""
    for each in _mro(kind):
        found: Any = _namespace(each).get("__sizeof__")
        if type(found) is MethodDescriptorType:
            return found
    return object.__sizeof__


def _attributes(kind: type) -> Iterator[tuple[str, Callable[[Any], object]]]:
    """Yield the attributes that C code keeps for instances: of `__slots__`, and their dict."""
    for each in _mro(kind):
        for name, found in list(_namespace(each).items()):
            slot = type(found) is MemberDescriptorType and _flags(each) & _HEAP_TYPE
            if type(name) is str and (slot or (name == "__dict__" and type(found) is GetSetDescriptorType)):
                yield name, found.__get__


def _is_interned(text: str) -> bool:
    return bool(c_uint32.from_address(id(text) + _STATE_OFFSET).value & 3)
