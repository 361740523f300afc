/* The walk of a process's own heap from the child of a raw clone(2): see heap_file.py for what it writes.

   Between the clone and exit_group the child must not allocate from the heap, take a lock, raise, import or log: the
   other threads of the process do not exist in it, and whatever they held stays held. It reads objects, asks tp_traverse
   (which the collector calls under the same terms), keeps its notes in fresh anonymous mappings and writes blocks. No
   code of the objects' authors runs beside tp_traverse: no __repr__, no __sizeof__, no __class__.

   A raw clone instead of fork(2), because atfork handlers (OpenBLAS's) wait for threads that stand still while the
   interpreter lock is ours; no exit signal, because a service's own SIGCHLD handler must never reap our child. */
#define PY_SSIZE_T_CLEAN
#define Py_BUILD_CORE_MODULE 1 /* before Python.h, which otherwise renames what the internal headers declare */
#include <Python.h>
#include <structmember.h>

#if PY_VERSION_HEX < 0x030B0000 || PY_VERSION_HEX >= 0x030E0000
#error "the layouts below are those of CPython 3.11 to 3.13"
#endif
#ifdef Py_GIL_DISABLED
#error "without the interpreter lock nothing holds the heap still"
#endif
#include "internal/pycore_dict.h"
#include "internal/pycore_frame.h"
#include "internal/pycore_gc.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_object.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum column {
    C_META, C_ADDRESS, C_TYPE, C_SIZE, C_REFS, C_DEGREE, C_LEAF_TYPE, C_LEAF_SIZE, C_LEAF_REFS, C_EDGES, C_LABELS,
    C_TYPES, C_NAMES, C_ROOTS, C_NAMED, COLUMNS, C_END = 255
};
enum root { R_MODULE = 1, R_FRAME, R_THREAD };
enum kind {
    K_LEAF, K_TRAVERSE, K_DICT, K_LIST, K_TUPLE, K_INSTANCE, K_TYPE, K_FUNCTION, K_MODULE, K_CODE, K_GENERATOR,
    K_NDARRAY, K_BYTESIO
};
enum sizing { S_PLAIN, S_DICT, S_LIST, S_SET, S_STR, S_INT, S_BYTEARRAY, S_DEQUE, S_ARRAY, S_NDARRAY, S_STRINGIO };
enum failure { F_WRITE = 3, F_DEADLINE = 4, F_MEMORY = 5 };

#if PY_VERSION_HEX >= 0x030C0000
#define LONG_HEAD offsetof(PyLongObject, long_value.ob_digit)
#else
#define LONG_HEAD offsetof(PyLongObject, ob_digit)
#endif
#define BLOCK (128 * 1024)
#define SLACK 512
#define TYPES_LOG2 17
#define NAMES_LOG2 18
#define MAX_LABELLED 65536
#define MAX_THREADS 4096
#define MAX_DEPTH ((size_t)1 << 26)
#define LEAF_BYTES (1ULL << 32) / 16 / 8

typedef struct { uint8_t *data; uint32_t used; } Buffer;
typedef struct { PyTypeObject *type; uint32_t id; uint8_t kind, sizing; uint16_t before; } TypeEntry;
typedef struct { const void *text; uint32_t id; } NameEntry;
typedef struct { PyObject *object; Py_ssize_t position; } Cursor;

typedef struct {
    int fd;
    int64_t deadline_ns;
    uint32_t headers_crc;
    uint64_t blocks, containers, leaves, edges, roots, named_at;
    Buffer columns[COLUMNS];
    uint64_t **regions; /* one bitmap for each 4 GB of addresses, made when first needed */
    TypeEntry *types, *last_type;
    uint32_t type_count;
    NameEntry *names;
    uint32_t name_count;
    Cursor *stack;
    size_t depth;
    uint64_t last_address;
    /* the container that is being written */
    PyObject *source;
    PyTypeObject *source_type;
    uint64_t last_target, degree;
    int pending, any_label;
    uint32_t *labels;
    /* what its next named referents are, in the order in which tp_traverse meets them */
    PyObject *named[512];
    uint32_t named_label[512];
    int named_count, named_next;
} Walk;

static uint32_t crc_table[8][256];
static PyObject *module_key; /* "__module__", interned */
static PyObject *dict_key, *closure_key, *defaults_key;
static traverseproc instance_traverse;

static void make_crc_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0xEDB88320u : crc >> 1;
        crc_table[0][i] = crc;
    }
    for (int slice = 1; slice < 8; slice++)
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t before = crc_table[slice - 1][i];
            crc_table[slice][i] = (before >> 8) ^ crc_table[0][before & 255];
        }
}

static uint32_t crc32_of(uint32_t crc, const uint8_t *data, size_t size) {
    crc = ~crc;
    for (; size >= 8; size -= 8, data += 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        word ^= crc;
        crc = 0;
        for (int slice = 0; slice < 8; slice++) crc ^= crc_table[7 - slice][(word >> (8 * slice)) & 255];
    }
    for (; size; size--, data++) crc = (crc >> 8) ^ crc_table[0][(crc ^ *data) & 255];
    return ~crc;
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static _Noreturn void leave(int status) {
    for (;;) syscall(SYS_exit_group, status);
}

static void *pages(size_t size) {
    void *found = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (found == MAP_FAILED) leave(F_MEMORY);
    return found;
}

static void send_all(Walk *w, const uint8_t *data, size_t size) {
    while (size) {
        ssize_t sent = write(w->fd, data, size);
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
        } else if (sent < 0 && errno == EAGAIN) { /* a socket that the service set to non-blocking */
            struct pollfd ready = {w->fd, POLLOUT, 0};
            if (now_ns() > w->deadline_ns) leave(F_DEADLINE);
            poll(&ready, 1, 100);
        } else if (!(sent < 0 && errno == EINTR)) {
            leave(F_WRITE);
        }
    }
}

static void send_block(Walk *w, int column, const uint8_t *data, uint32_t size) {
    uint8_t header[16] = {(uint8_t)column, 0, 0, 0};
    uint32_t crc = crc32_of(0, data, size);
    memcpy(header + 4, &size, 4);
    memcpy(header + 8, &size, 4);
    memcpy(header + 12, &crc, 4);
    w->headers_crc = crc32_of(w->headers_crc, header, 16);
    w->blocks++;
    send_all(w, header, 16);
    send_all(w, data, size);
    if (now_ns() > w->deadline_ns) leave(F_DEADLINE);
}

static inline void put(Walk *w, int column, uint64_t value) {
    Buffer *b = &w->columns[column];
    if (b->used > BLOCK - SLACK) { /* a block may end within no number: readers join blocks first */
        send_block(w, column, b->data, b->used);
        b->used = 0;
    }
    uint8_t *at = b->data + b->used;
    while (value >= 128) {
        *at++ = (uint8_t)(value | 128);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    b->used = (uint32_t)(at - b->data);
}

static inline uint64_t zigzag(int64_t value) { return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63); }

static inline uint64_t *bitmap_word(Walk *w, const void *address) {
    uint64_t **region = &w->regions[((uintptr_t)address >> 32) & 0xFFFF];
    if (!*region) *region = pages(LEAF_BYTES);
    return *region + (((uintptr_t)address & 0xFFFFFFFFu) >> 10);
}
static inline uint64_t bit_of(const void *address) { return 1ULL << (((uintptr_t)address >> 4) & 63); }
static inline int is_marked(Walk *w, const void *address) { return (*bitmap_word(w, address) & bit_of(address)) != 0; }
static inline int mark(Walk *w, const void *address) {
    uint64_t *word = bitmap_word(w, address), bit = bit_of(address);
    if (*word & bit) return 0;
    *word |= bit;
    return 1;
}

static inline size_t hash_of(const void *address, int log2) {
    return (size_t)(((uintptr_t)address >> 4) * 0x9E3779B97F4A7C15ULL >> (64 - log2));
}

static uint32_t name_slot(Walk *w, const void *text, NameEntry **slot) {
    size_t mask = ((size_t)1 << NAMES_LOG2) - 1;
    size_t at = hash_of(text, NAMES_LOG2);
    while (w->names[at].text && w->names[at].text != text) at = (at + 1) & mask;
    *slot = &w->names[at];
    return w->names[at].id;
}

static uint32_t new_name(Walk *w, NameEntry *slot, const void *text) {
    if (w->name_count >= (3u << NAMES_LOG2) / 4) return 0;
    slot->text = text;
    return slot->id = ++w->name_count;
}

static uint32_t c_name(Walk *w, const char *text, size_t size) {
    NameEntry *slot;
    uint32_t id = name_slot(w, text, &slot);
    if (id || !size || size > 200) return id;
    if (!(id = new_name(w, slot, text))) return 0;
    put(w, C_NAMES, size);
    for (size_t i = 0; i < size; i++) put(w, C_NAMES, (uint8_t)text[i] < 128 ? (uint8_t)text[i] : '?');
    return id;
}

/* A name that the program's source gives: an identifier where `strict`, else a qualified or module name. Identifiers
   count only while interned, as names in code are and data (a session's token, a mail address) is not. */
static uint32_t text_name(Walk *w, PyObject *text, int strict) {
    if (!text || !PyUnicode_CheckExact(text) || (strict && !PyUnicode_CHECK_INTERNED(text))) return 0;
    NameEntry *slot;
    uint32_t id = name_slot(w, text, &slot);
    if (id) return id;
    Py_ssize_t size = PyUnicode_GET_LENGTH(text);
    if (size == 0 || size > (strict ? 80 : 160)) return 0;
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    size_t bytes = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        Py_UCS4 c = PyUnicode_READ(kind, data, i);
        int word = c == '_' || (c >= '0' && c <= '9' && i) || ((c | 32) >= 'a' && (c | 32) <= 'z') || c >= 128;
        int more = c == '.' || c == '<' || c == '>' || c == '-' || c == '[' || c == ']' || c == ',' || c == ' ' || (c >= '0' && c <= '9');
        if (!word && (strict || !more)) return 0;
        if (c >= 0xD800 && c <= 0xDFFF) return 0;
        bytes += c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    }
    if (!(id = new_name(w, slot, text))) return 0;
    put(w, C_NAMES, bytes);
    for (Py_ssize_t i = 0; i < size; i++) {
        /* each byte of UTF-8 travels as a number of its own, so that the column stays one kind of thing */
        Py_UCS4 c = PyUnicode_READ(kind, data, i);
        if (c < 0x80) {
            put(w, C_NAMES, c);
        } else {
            int rest = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
            put(w, C_NAMES, (uint8_t)((0xF00 >> rest) | (c >> (6 * rest))));
            while (rest--) put(w, C_NAMES, 0x80 | ((c >> (6 * rest)) & 0x3F));
        }
    }
    return id;
}

static uint8_t kind_of(PyTypeObject *type) {
    const char *name = type->tp_name;
    if (type->tp_flags & Py_TPFLAGS_TYPE_SUBCLASS) return K_TYPE;
    if (type == &PyDict_Type) return K_DICT;
    if (type == &PyList_Type) return K_LIST;
    if (type == &PyTuple_Type) return K_TUPLE;
    if (type == &PyFunction_Type) return K_FUNCTION;
    if (type == &PyCode_Type) return K_CODE;
    if (type == &PyGen_Type || type == &PyCoro_Type || type == &PyAsyncGen_Type) return K_GENERATOR;
    if (!strcmp(name, "numpy.ndarray")) return K_NDARRAY;
    if (!strcmp(name, "_io.BytesIO")) return K_BYTESIO;
    if (!(type->tp_flags & Py_TPFLAGS_HAVE_GC) || !type->tp_traverse) return K_LEAF;
    if (PyType_IsSubtype(type, &PyModule_Type)) return K_MODULE;
    if (type->tp_traverse == instance_traverse) return K_INSTANCE;
    return K_TRAVERSE;
}

static uint8_t sizing_of(PyTypeObject *type) {
    const char *name = type->tp_name;
    if (type->tp_flags & Py_TPFLAGS_DICT_SUBCLASS) return S_DICT;
    if (type->tp_flags & Py_TPFLAGS_LIST_SUBCLASS) return S_LIST;
    if (type->tp_flags & Py_TPFLAGS_UNICODE_SUBCLASS) return S_STR;
    if (type->tp_flags & Py_TPFLAGS_LONG_SUBCLASS) return S_INT;
    if (PyType_IsSubtype(type, &PySet_Type) || PyType_IsSubtype(type, &PyFrozenSet_Type)) return S_SET;
    if (PyType_IsSubtype(type, &PyByteArray_Type)) return S_BYTEARRAY;
    if (!strcmp(name, "collections.deque")) return S_DEQUE;
    if (!strcmp(name, "array.array")) return S_ARRAY;
    if (!strcmp(name, "numpy.ndarray")) return S_NDARRAY;
    if (!strcmp(name, "_io.StringIO")) return S_STRINGIO;
    return S_PLAIN;
}

static uint32_t type_module(Walk *w, PyTypeObject *type) {
    Py_ssize_t at = 0;
    PyObject *key, *value;
    if (type->tp_dict && PyDict_CheckExact(type->tp_dict))
        while (PyDict_Next(type->tp_dict, &at, &key, &value))
            if (key == module_key) return text_name(w, value, 0);
    return 0;
}

static uint32_t type_name(Walk *w, PyTypeObject *type, uint32_t *module) {
    if (type->tp_flags & Py_TPFLAGS_HEAPTYPE) {
        *module = type_module(w, type);
        uint32_t id = text_name(w, ((PyHeapTypeObject *)type)->ht_qualname, 0);
        if (id) return id;
    }
    const char *name = type->tp_name, *dot = strrchr(name, '.');
    if (!dot) return c_name(w, name, strlen(name));
    if (!*module) *module = c_name(w, name, (size_t)(dot - name));
    return c_name(w, dot + 1, strlen(dot + 1));
}

static TypeEntry *type_entry(Walk *w, PyTypeObject *type) {
    if (w->last_type->type == type) return w->last_type;
    size_t mask = ((size_t)1 << TYPES_LOG2) - 1, at = hash_of(type, TYPES_LOG2);
    while (w->types[at].type && w->types[at].type != type) at = (at + 1) & mask;
    TypeEntry *entry = &w->types[at];
    if (!entry->type) {
        if (w->type_count >= (3u << TYPES_LOG2) / 4) leave(F_MEMORY);
        entry->type = type;
        entry->id = w->type_count++;
        entry->kind = kind_of(type);
        entry->sizing = sizing_of(type);
        int in_front = 0;
#if PY_VERSION_HEX >= 0x030C0000
        in_front = (type->tp_flags & (Py_TPFLAGS_MANAGED_DICT | Py_TPFLAGS_MANAGED_WEAKREF)) != 0;
#else
        in_front = (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) != 0;
#endif
        entry->before = (uint16_t)(in_front ? 2 * sizeof(PyObject *) : 0);
        uint32_t module = 0, name = type_name(w, type, &module);
        put(w, C_TYPES, (uintptr_t)type >> 3);
        put(w, C_TYPES, entry->kind);
        put(w, C_TYPES, module);
        put(w, C_TYPES, name);
    }
    return w->last_type = entry;
}

static PyDictValues *values_of(PyObject *object, PyTypeObject *type) {
    if (!(type->tp_flags & Py_TPFLAGS_MANAGED_DICT)) return NULL;
#if PY_VERSION_HEX >= 0x030D0000
    if (!(type->tp_flags & Py_TPFLAGS_INLINE_VALUES)) return NULL;
    PyDictValues *values = _PyObject_InlineValues(object);
    return values->valid ? values : NULL;
#elif PY_VERSION_HEX >= 0x030C0000
    PyDictOrValues either = *_PyObject_DictOrValuesPointer(object);
    return _PyDictOrValues_IsValues(either) ? _PyDictOrValues_GetValues(either) : NULL;
#else
    return *_PyObject_ValuesPointer(object);
#endif
}

/* The instance's dict where there is one; none is made. */
static PyObject *dict_of(PyObject *object, PyTypeObject *type) {
    if (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) {
#if PY_VERSION_HEX >= 0x030D0000
        return (PyObject *)_PyObject_ManagedDictPointer(object)->dict;
#elif PY_VERSION_HEX >= 0x030C0000
        PyDictOrValues either = *_PyObject_DictOrValuesPointer(object);
        return _PyDictOrValues_IsValues(either) ? NULL : _PyDictOrValues_GetDict(either);
#else
        return *_PyObject_ManagedDictPointer(object);
#endif
    }
    Py_ssize_t offset = type->tp_dictoffset;
    if (offset <= 0 || type->tp_itemsize) return NULL;
    return *(PyObject **)((char *)object + offset);
}

static PyDictKeysObject *shared_keys(PyTypeObject *type) {
    return type->tp_flags & Py_TPFLAGS_HEAPTYPE ? ((PyHeapTypeObject *)type)->ht_cached_keys : NULL;
}

static uint64_t keys_bytes(PyDictKeysObject *keys) {
    uint64_t entry = DK_IS_UNICODE(keys) ? sizeof(PyDictUnicodeEntry) : sizeof(PyDictKeyEntry);
    uint64_t usable = ((uint64_t)1 << keys->dk_log2_size) * 2 / 3;
    return sizeof(PyDictKeysObject) + ((uint64_t)1 << keys->dk_log2_index_bytes) + usable * entry;
}

typedef struct {
    PyObject_HEAD
    char *data;
    int nd;
    Py_ssize_t *dimensions, *strides;
    PyObject *base, *descr;
    int flags;
} NumpyArray;
#define NUMPY_OWNS_DATA 0x0004
#define NUMPY_OBJECT 17
typedef struct { PyObject_HEAD PyObject *scalar_type; char kind, type, byteorder, flags; int type_num; } NumpyDescr;

static uint64_t numpy_bytes(NumpyArray *array) {
    if (!(array->flags & NUMPY_OWNS_DATA) || !array->data) return 0;
    uint64_t most = array->nd ? 0 : 8;
    for (int i = 0; i < array->nd && i < 64; i++) {
        if (array->dimensions[i] == 0) return 0;
        uint64_t span = (uint64_t)llabs(array->strides[i]) * (uint64_t)array->dimensions[i];
        if (span > most) most = span;
    }
    return most;
}

static PyCodeObject *generator_code(PyObject *object, _PyInterpreterFrame **frame);

static uint64_t size_of(PyObject *object, TypeEntry *entry) {
    PyTypeObject *type = entry->type;
    uint64_t size = (uint64_t)type->tp_basicsize + entry->before;
    if (PyObject_IS_GC(object)) size += sizeof(PyGC_Head);
    switch (entry->sizing) {
    case S_DICT: {
        PyDictObject *dict = (PyDictObject *)object;
        PyDictKeysObject *keys = dict->ma_keys;
        /* the values of a split table count as the dict's own; its keys are its class's */
        if (dict->ma_values) size += sizeof(PyObject *) * (uint64_t)(keys->dk_usable + keys->dk_nentries);
        else size += keys_bytes(keys);
        break;
    }
    case S_LIST: size += sizeof(PyObject *) * (uint64_t)((PyListObject *)object)->allocated; break;
    case S_SET: {
        PySetObject *set = (PySetObject *)object;
        if (set->table != set->smalltable) size += ((uint64_t)set->mask + 1) * sizeof(setentry);
        break;
    }
    case S_STR: {
        uint64_t chars = (uint64_t)PyUnicode_GET_LENGTH(object) + 1;
        if (PyUnicode_IS_COMPACT_ASCII(object)) {
            size = size - (uint64_t)PyUnicode_Type.tp_basicsize + sizeof(PyASCIIObject) + chars;
        } else {
            PyCompactUnicodeObject *compact = (PyCompactUnicodeObject *)object;
            if (PyUnicode_IS_COMPACT(object))
                size = size - (uint64_t)PyUnicode_Type.tp_basicsize + sizeof(PyCompactUnicodeObject);
            size += chars * (uint64_t)PyUnicode_KIND(object);
            if (compact->utf8 && compact->utf8 != PyUnicode_DATA(object)) size += (uint64_t)compact->utf8_length + 1;
        }
        break;
    }
    case S_INT: {
#if PY_VERSION_HEX >= 0x030C0000
        uint64_t digits = ((PyLongObject *)object)->long_value.lv_tag >> 3;
#else
        uint64_t digits = (uint64_t)llabs(Py_SIZE(object));
#endif
        /* tp_basicsize counts a first digit only in some versions */
        size += sizeof(digit) * (digits ? digits : 1) + LONG_HEAD - (uint64_t)PyLong_Type.tp_basicsize;
        break;
    }
    case S_BYTEARRAY: size += (uint64_t)((PyByteArrayObject *)object)->ob_alloc; break;
    case S_DEQUE: size += ((uint64_t)Py_SIZE(object) / 64 + 1) * 66 * sizeof(PyObject *); break;
    case S_ARRAY: {
        struct { PyObject_VAR_HEAD char *items; Py_ssize_t allocated; struct { char code; int itemsize; } *descr; } *array = (void *)object;
        size += (uint64_t)array->allocated * (uint64_t)array->descr->itemsize;
        break;
    }
    case S_NDARRAY: size += numpy_bytes((NumpyArray *)object); break;
    case S_STRINGIO: {
        struct { PyObject_HEAD Py_UCS4 *text; Py_ssize_t position, length; size_t room; } *text = (void *)object;
        if (text->text) size += text->room * sizeof(Py_UCS4);
        break;
    }
    default:
        if (entry->kind == K_GENERATOR) {
            /* its items are counted nowhere: what looks like their number is a pointer */
            _PyInterpreterFrame *frame = NULL;
            PyCodeObject *code = generator_code(object, &frame);
            if (code) size += sizeof(PyObject *) * (uint64_t)(code->co_nlocalsplus + code->co_stacksize);
        } else if (type->tp_itemsize > 0 && type != &PyFrame_Type) {
            uint64_t items = (uint64_t)llabs(Py_SIZE(object));
            if (items < 1ULL << 40) size += items * (uint64_t)type->tp_itemsize;
        }
    }
    if (entry->kind == K_INSTANCE) {
        PyDictKeysObject *keys = shared_keys(type);
#if PY_VERSION_HEX >= 0x030D0000
        if (type->tp_flags & Py_TPFLAGS_INLINE_VALUES && keys)
            size += _PyInlineValuesSize(type);
#else
        if (keys && values_of(object, type)) {
            uint64_t room = (uint64_t)(keys->dk_usable + keys->dk_nentries);
            size += (room + 2 + 7) / 8 * 8 + room * 8;
        }
#endif
    }
    return size;
}

/* The code that a generator's own frame runs, NULL where that has ended. */
static PyCodeObject *generator_code(PyObject *object, _PyInterpreterFrame **frame) {
    PyGenObject *generator = (PyGenObject *)object;
    if (generator->gi_frame_state >= FRAME_CLEARED) return NULL;
    *frame = (_PyInterpreterFrame *)generator->gi_iframe;
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *code = (*frame)->f_executable;
    return code && PyCode_Check(code) ? (PyCodeObject *)code : NULL;
#else
    return (*frame)->f_code;
#endif
}

static inline uint64_t refs_of(PyObject *object) {
#if PY_VERSION_HEX >= 0x030C0000
    if (_Py_IsImmortal(object)) return 0;
#endif
    return (uint64_t)Py_REFCNT(object);
}

static inline int in_lists(PyObject *object) { return PyObject_IS_GC(object) && _PyObject_GC_IS_TRACKED(object); }

static void edge(Walk *w, PyObject *target, uint32_t label) {
    if (!target || target == Py_None || target == Py_True || target == Py_False) return;
    uint64_t fresh = 0;
    if (!is_marked(w, target)) {
        TypeEntry *entry = type_entry(w, Py_TYPE(target));
        if (entry->kind == K_LEAF) {
            mark(w, target);
            fresh = 1;
            put(w, C_LEAF_TYPE, entry->id);
            put(w, C_LEAF_SIZE, size_of(target, entry));
            put(w, C_LEAF_REFS, refs_of(target));
            w->leaves++;
        } else if (!in_lists(target)) {
            w->pending = 1;
        }
    }
    uint64_t address = (uintptr_t)target >> 3;
    put(w, C_EDGES, zigzag((int64_t)(address - w->last_target)) << 1 | fresh);
    w->last_target = address;
    if (w->degree < MAX_LABELLED) {
        w->labels[w->degree] = label;
        w->any_label |= label != 0;
    }
    w->degree++;
}

static int visit(PyObject *target, void *arg) {
    Walk *w = arg;
    if (target == (PyObject *)w->source_type) return 0;
    uint32_t label = 0;
    for (int i = w->named_next; i < w->named_count; i++)
        if (w->named[i] == target) {
            label = w->named_label[i];
            if (i == w->named_next) w->named_next++;
            else w->named[i] = NULL;
            break;
        }
    edge(w, target, label);
    return 0;
}

static void expect(Walk *w, PyObject *target, uint32_t label) {
    if (!target || !label || w->named_count >= 512) return;
    w->named[w->named_count] = target;
    w->named_label[w->named_count++] = label;
}

/* The attributes of an instance by name: of __slots__, of values kept in the instance, and its dict. */
static void expect_attributes(Walk *w, PyObject *object, PyTypeObject *type) {
    for (PyTypeObject *base = type; base && base->tp_traverse == instance_traverse; base = base->tp_base) {
        if (!(base->tp_flags & Py_TPFLAGS_HEAPTYPE) || Py_SIZE(base) <= 0) continue;
        Py_ssize_t at = 0;
        PyObject *key, *value;
        if (!base->tp_dict) continue;
        while (PyDict_Next(base->tp_dict, &at, &key, &value))
            if (Py_IS_TYPE(value, &PyMemberDescr_Type)) {
                PyMemberDef *member = ((PyMemberDescrObject *)value)->d_member;
                if (member->type == T_OBJECT_EX)
                    expect(w, *(PyObject **)((char *)object + member->offset), text_name(w, key, 1));
            }
    }
    PyDictValues *values = values_of(object, type);
    PyDictKeysObject *keys = shared_keys(type);
    if (values && keys && DK_IS_UNICODE(keys))
        for (Py_ssize_t i = 0; i < keys->dk_nentries; i++)
            expect(w, values->values[i], text_name(w, DK_UNICODE_ENTRIES(keys)[i].me_key, 1));
    expect(w, dict_of(object, type), text_name(w, dict_key, 1));
}

/* The local variables of a generator by name. */
static void expect_locals(Walk *w, PyObject *object) {
    _PyInterpreterFrame *frame = NULL;
    PyCodeObject *code = generator_code(object, &frame);
    for (int i = 0; code && i < code->co_nlocalsplus; i++)
        expect(w, frame->localsplus[i], text_name(w, PyTuple_GET_ITEM(code->co_localsplusnames, i), 1));
}

static void dict_edges(Walk *w, PyObject *object) {
    Py_ssize_t at = 0;
    PyObject *key, *value;
    int split = ((PyDictObject *)object)->ma_values != NULL;
    while (PyDict_Next(object, &at, &key, &value)) {
        if (!split) edge(w, key, 0);
        edge(w, value, text_name(w, key, 1));
    }
}

static void numpy_edges(Walk *w, NumpyArray *array) {
    edge(w, array->base, 0);
    if (((NumpyDescr *)array->descr)->type_num != NUMPY_OBJECT || !array->data) return;
    if (!(array->flags & NUMPY_OWNS_DATA) || array->nd > 32) return; /* a view: its base shows the elements */
    Py_ssize_t index[32] = {0};
    for (int i = 0; i < array->nd; i++)
        if (array->dimensions[i] == 0) return;
    for (;;) {
        char *at = array->data;
        for (int i = 0; i < array->nd; i++) at += index[i] * array->strides[i];
        edge(w, *(PyObject **)at, 0);
        int i = array->nd - 1;
        while (i >= 0 && ++index[i] == array->dimensions[i]) index[i--] = 0;
        if (i < 0) return;
    }
}

static void code_edges(Walk *w, PyCodeObject *code) {
    PyObject *held[] = {code->co_consts, code->co_names, code->co_exceptiontable, code->co_localsplusnames,
                        code->co_localspluskinds, code->co_filename, code->co_name, code->co_qualname,
                        code->co_linetable};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) edge(w, held[i], 0);
}

static void type_edges(Walk *w, PyTypeObject *type) {
    int heap = (type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0;
    expect(w, type->tp_dict, text_name(w, dict_key, 1));
    if (heap) { /* tp_traverse of a type that is not on the heap ends the process */
        Py_TYPE(type)->tp_traverse((PyObject *)type, visit, w);
        PyHeapTypeObject *made = (PyHeapTypeObject *)type;
        edge(w, made->ht_name, 0);
        edge(w, made->ht_qualname, 0);
        edge(w, made->ht_slots, 0);
        if (made->ht_cached_keys && DK_IS_UNICODE(made->ht_cached_keys))
            for (Py_ssize_t i = 0; i < made->ht_cached_keys->dk_nentries; i++)
                edge(w, DK_UNICODE_ENTRIES(made->ht_cached_keys)[i].me_key, 0);
    } else {
        PyObject *held[] = {type->tp_dict, type->tp_mro, type->tp_bases, (PyObject *)type->tp_base};
        for (size_t i = 0; i < 4; i++) visit(held[i], w);
    }
}

static void say_name(Walk *w, uint32_t module, uint32_t name) {
    if (!name) return;
    put(w, C_NAMED, w->containers - w->named_at);
    put(w, C_NAMED, module);
    put(w, C_NAMED, name);
    w->named_at = w->containers;
}

static void begin_container(Walk *w, const void *address, uint32_t type, uint64_t size, uint64_t refs) {
    uint64_t at = (uintptr_t)address >> 3;
    put(w, C_ADDRESS, zigzag((int64_t)(at - w->last_address)));
    put(w, C_TYPE, type);
    put(w, C_SIZE, size);
    put(w, C_REFS, refs);
    w->last_address = w->last_target = at;
    w->degree = 0;
    w->pending = w->any_label = w->named_count = w->named_next = 0;
}

static void end_container(Walk *w) {
    put(w, C_DEGREE, w->degree << 1 | (uint64_t)w->any_label);
    if (w->any_label) {
        uint64_t count = w->degree < MAX_LABELLED ? w->degree : MAX_LABELLED;
        for (uint64_t i = 0; i < count; i++) put(w, C_LABELS, w->labels[i]);
    }
    w->edges += w->degree;
    w->containers++;
}

static void container(Walk *w, PyObject *object) {
    TypeEntry *entry = type_entry(w, Py_TYPE(object));
    PyTypeObject *type = entry->type;
    begin_container(w, object, entry->id, size_of(object, entry), refs_of(object));
    w->source = object;
    w->source_type = type;
    switch (entry->kind) {
    case K_LEAF: break;
    case K_DICT: dict_edges(w, object); break;
    case K_LIST:
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(object); i++) edge(w, PyList_GET_ITEM(object, i), 0);
        break;
    case K_TUPLE:
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object); i++) edge(w, PyTuple_GET_ITEM(object, i), 0);
        break;
    case K_CODE: code_edges(w, (PyCodeObject *)object); break;
    case K_NDARRAY: numpy_edges(w, (NumpyArray *)object); break;
    case K_TYPE: {
        uint32_t module = 0, name = type_name(w, (PyTypeObject *)object, &module);
        say_name(w, module, name);
        type_edges(w, (PyTypeObject *)object);
        break;
    }
    case K_FUNCTION: {
        PyFunctionObject *function = (PyFunctionObject *)object;
        say_name(w, text_name(w, function->func_module, 0), text_name(w, function->func_qualname, 0));
        expect(w, function->func_dict, text_name(w, dict_key, 1));
        expect(w, function->func_closure, text_name(w, closure_key, 1));
        expect(w, function->func_defaults, text_name(w, defaults_key, 1));
        type->tp_traverse(object, visit, w);
        break;
    }
    case K_GENERATOR:
        say_name(w, 0, text_name(w, ((PyGenObject *)object)->gi_qualname, 0));
        expect_locals(w, object);
        type->tp_traverse(object, visit, w);
        break;
    case K_MODULE: expect(w, PyModule_GetDict(object), text_name(w, dict_key, 1)); type->tp_traverse(object, visit, w); break;
    case K_BYTESIO: edge(w, ((struct { PyObject_HEAD PyObject *bytes; } *)object)->bytes, 0); type->tp_traverse(object, visit, w); break;
    case K_INSTANCE: expect_attributes(w, object, type); /* fall through */
    default: type->tp_traverse(object, visit, w);
    }
    if (entry->sizing == S_DICT && entry->kind != K_DICT && DK_IS_UNICODE(((PyDictObject *)object)->ma_keys) &&
        !((PyDictObject *)object)->ma_values) {
        /* dict's own tp_traverse leaves out keys that are all strings */
        Py_ssize_t at = 0;
        PyObject *key, *value;
        while (PyDict_Next(object, &at, &key, &value)) edge(w, key, 0);
    }
    end_container(w);
}

static void push(Walk *w, PyObject *object, Py_ssize_t position) {
    if (w->depth >= MAX_DEPTH) leave(F_MEMORY);
    w->stack[w->depth++] = (Cursor){object, position};
}

static int push_untracked(PyObject *target, void *arg) {
    Walk *w = arg;
    if (target && target != (PyObject *)w->source_type && !is_marked(w, target) && !in_lists(target) &&
        type_entry(w, Py_TYPE(target))->kind != K_LEAF)
        push(w, target, -1);
    return 0;
}

/* Containers that the collector does not list, reached from one that it does: depth first, with one cursor a level for
   tuples, lists and dicts, so that a list of millions of untracked tuples costs no memory. */
static void write_with_untracked(Walk *w, PyObject *first) {
    push(w, first, -1);
    while (w->depth) {
        Cursor *top = &w->stack[w->depth - 1];
        PyObject *object = top->object;
        uint8_t kind = type_entry(w, Py_TYPE(object))->kind;
        if (top->position < 0) {
            if (!mark(w, object)) {
                w->depth--;
                continue;
            }
            container(w, object);
            if (!w->pending) {
                w->depth--;
                continue;
            }
            top->position = 0;
            if (kind != K_TUPLE && kind != K_LIST && kind != K_DICT) {
                w->depth--;
                w->source_type = Py_TYPE(object);
                if (kind == K_CODE) {
                    PyCodeObject *code = (PyCodeObject *)object;
                    push_untracked(code->co_consts, w);
                    push_untracked(code->co_names, w);
                    push_untracked(code->co_localsplusnames, w);
                } else if (kind == K_TYPE && !(((PyTypeObject *)object)->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
                    PyTypeObject *type = (PyTypeObject *)object;
                    push_untracked(type->tp_dict, w);
                    push_untracked(type->tp_mro, w);
                    push_untracked(type->tp_bases, w);
                    push_untracked((PyObject *)type->tp_base, w);
                } else if (kind == K_NDARRAY) {
                    NumpyArray *array = (NumpyArray *)object;
                    push_untracked(array->base, w);
                    if (((NumpyDescr *)array->descr)->type_num == NUMPY_OBJECT && array->flags & NUMPY_OWNS_DATA &&
                        array->nd == 1)
                        for (Py_ssize_t i = 0; i < array->dimensions[0]; i++)
                            push_untracked(*(PyObject **)(array->data + i * array->strides[0]), w);
                } else {
                    if (kind == K_TYPE) push_untracked(((PyHeapTypeObject *)object)->ht_slots, w);
                    Py_TYPE(object)->tp_traverse(object, push_untracked, w);
                }
            }
            continue;
        }
        PyObject *next = NULL, *key = NULL;
        if (kind == K_TUPLE && top->position < PyTuple_GET_SIZE(object)) {
            next = PyTuple_GET_ITEM(object, top->position++);
        } else if (kind == K_LIST && top->position < PyList_GET_SIZE(object)) {
            next = PyList_GET_ITEM(object, top->position++);
        } else if (!(kind == K_DICT && PyDict_Next(object, &top->position, &key, &next))) {
            w->depth--;
            continue;
        }
        w->source_type = NULL;
        if (next) push_untracked(next, w);
        if (key) push_untracked(key, w);
    }
}

static void write_list(Walk *w, PyGC_Head *head) {
    PyGC_Head *at = (PyGC_Head *)(head->_gc_next & ~(uintptr_t)3);
    while (at && at != head) {
        PyObject *object = (PyObject *)(at + 1);
        if (!is_marked(w, object)) write_with_untracked(w, object);
        at = (PyGC_Head *)(at->_gc_next & ~(uintptr_t)3);
    }
}

static void root(Walk *w, int kind, const void *address, uint32_t module, uint32_t name, uint64_t thread) {
    put(w, C_ROOTS, (uint64_t)kind);
    put(w, C_ROOTS, (uintptr_t)address >> 3);
    put(w, C_ROOTS, module);
    put(w, C_ROOTS, name);
    put(w, C_ROOTS, thread);
    w->roots++;
}

static void write_frame(Walk *w, _PyInterpreterFrame *frame, uint32_t type, uint64_t thread) {
#if PY_VERSION_HEX >= 0x030D0000
    if (!frame->f_executable || !PyCode_Check(frame->f_executable)) return;
    PyCodeObject *code = (PyCodeObject *)frame->f_executable;
    PyObject *function = frame->f_funcobj;
#elif PY_VERSION_HEX >= 0x030C0000
    if (frame->owner == FRAME_OWNED_BY_CSTACK) return;
    PyCodeObject *code = frame->f_code;
    PyObject *function = frame->f_funcobj;
#else
    PyCodeObject *code = frame->f_code;
    PyObject *function = (PyObject *)frame->f_func;
#endif
    if (is_marked(w, frame)) return;
    int count = code->co_nlocalsplus, top = frame->stacktop;
    begin_container(w, frame, type, sizeof *frame + sizeof(PyObject *) * (uint64_t)count, 0);
    w->source_type = NULL;
    mark(w, frame);
    uint32_t module = 0;
    if (function && PyFunction_Check(function)) module = text_name(w, ((PyFunctionObject *)function)->func_module, 0);
    uint32_t name = text_name(w, code->co_qualname, 0);
    say_name(w, module, name);
    root(w, R_FRAME, frame, module, name, thread);
    edge(w, (PyObject *)code, 0);
    edge(w, function, 0);
    if (frame->f_locals != frame->f_globals) edge(w, frame->f_locals, text_name(w, dict_key, 1));
    edge(w, (PyObject *)frame->frame_obj, 0);
    for (int i = 0; i < count; i++)
        edge(w, frame->localsplus[i], text_name(w, PyTuple_GET_ITEM(code->co_localsplusnames, i), 1));
    if (top > count && top <= count + code->co_stacksize)
        for (int i = count; i < top; i++) edge(w, frame->localsplus[i], 0);
    int pending = w->pending;
    end_container(w);
    if (!pending) return;
    for (int i = 0; i < count; i++) push_untracked(frame->localsplus[i], w);
    push_untracked((PyObject *)code, w);
    while (w->depth) {
        PyObject *object = w->stack[--w->depth].object;
        size_t kept = w->depth;
        if (is_marked(w, object)) continue;
        /* the rest of this frame's is kept below; the walk ends where its own stack began */
        Cursor *below = w->stack;
        w->stack += kept;
        w->depth = 0;
        write_with_untracked(w, object);
        w->stack = below;
        w->depth = kept;
    }
}

static _Noreturn void walk(Walk *w, PyInterpreterState *interp, PyThreadState **threads, int thread_count,
                           PyObject *modules, const char *meta, Py_ssize_t meta_size) {
    for (int i = 0; i < COLUMNS; i++) w->columns[i].data = pages(BLOCK);
    w->regions = pages(sizeof(uint64_t *) << 16);
    w->types = w->last_type = pages(sizeof(TypeEntry) << TYPES_LOG2);
    w->last_type = pages(sizeof(TypeEntry));
    w->names = pages(sizeof(NameEntry) << NAMES_LOG2);
    w->stack = pages(sizeof(Cursor) * MAX_DEPTH);
    w->labels = pages(sizeof(uint32_t) * MAX_LABELLED);
    send_all(w, (const uint8_t *)"IRKHEAP\x01", 8);
    send_block(w, C_META, (const uint8_t *)meta, (uint32_t)meta_size);

    for (int i = 0; i < 3; i++) write_list(w, &interp->gc.generations[i].head);
    write_list(w, &interp->gc.permanent_generation.head);

    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(modules, &at, &key, &value))
        if (PyModule_Check(value)) root(w, R_MODULE, PyModule_GetDict(value), text_name(w, key, 0), 0, 0);
    uint32_t frame_type = type_entry(w, &PyFrame_Type)->id;
    for (int i = 0; i < thread_count; i++) {
#if PY_VERSION_HEX >= 0x030D0000
        _PyInterpreterFrame *frame = threads[i]->current_frame;
#else
        _PyInterpreterFrame *frame = threads[i]->cframe ? threads[i]->cframe->current_frame : NULL;
#endif
        for (; frame; frame = frame->previous) write_frame(w, frame, frame_type, (uint64_t)threads[i]->thread_id);
        if (threads[i]->dict) root(w, R_THREAD, threads[i]->dict, 0, 0, (uint64_t)threads[i]->thread_id);
        if (threads[i]->context) root(w, R_THREAD, threads[i]->context, 0, 0, (uint64_t)threads[i]->thread_id);
    }
    for (size_t i = 0; i < (size_t)1 << TYPES_LOG2; i++)
        if (w->types[i].type && !is_marked(w, w->types[i].type)) write_with_untracked(w, (PyObject *)w->types[i].type);

    for (int i = 0; i < COLUMNS; i++)
        if (w->columns[i].used) send_block(w, i, w->columns[i].data, w->columns[i].used);
    uint64_t end[8] = {w->containers, w->leaves, w->edges, w->roots, w->type_count, w->name_count, w->blocks,
                       w->headers_crc};
    send_block(w, C_END, (const uint8_t *)end, sizeof end);
    leave(0);
}

static void yield_soon(void) {
    /* A niceness alone lets a thread of the service that wakes up wait for the slice of whoever runs to be over, 3 ms,
       since Linux 6.6; a slice of 0.1 ms can be asked for since 6.12. Idle scheduling would yield at once, but starve
       where all cores are busy, and cannot be left again; a niceness of 15 or 19 is no better for the service, and
       takes three to six times as long there. It is counted from the service's own, which may be nice itself. */
    int own = 20 - (int)syscall(SYS_getpriority, PRIO_PROCESS, 0); /* the kernel's is 40 to 1, and never an error's */
    int nice = own + 10 < 19 ? own + 10 : 19;
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime_ns, deadline_ns, period_ns;
    } wanted = {.size = 48, .policy = 0, .nice = nice, .runtime_ns = 100000};
    if (syscall(SYS_sched_setattr, 0, &wanted, 0) < 0) setpriority(PRIO_PROCESS, 0, nice);
}

static void stand_alone(int *fd, pid_t parent) {
    /* Nothing of the service may depend on this child: its sockets close when the service closes them, a crash writes
       no core and is nobody's signal, and if memory gets short the kernel takes the child. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* who ended before that was asked for is heard of no more */
    if (getppid() != parent) syscall(SYS_exit_group, 3);
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    struct sigaction standard = {.sa_handler = SIG_DFL};
    int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) sigaction(deadly[i], &standard, NULL);
    standard.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &standard, NULL);
    int note = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (note >= 0) {
        if (write(note, "1000", 4) < 0) { /* forbidden in some containers; then the kernel chooses by size */
        }
        close(note);
    }
    if (*fd != 3) {
        dup2(*fd, 3);
        *fd = 3;
    }
    if (syscall(SYS_close_range, 4u, ~0u, 0u) < 0)
        for (int other = 4; other < 65536; other++) close(other);
    close(0);
    close(1);
    close(2);
    sigset_t open_to;
    sigfillset(&open_to);
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) sigdelset(&open_to, deadly[i]);
    sigprocmask(SIG_SETMASK, &open_to, NULL);
    yield_soon();
}

static PyObject *clone_walk(PyObject *self, PyObject *args) {
    int fd;
    double deadline_s;
    const char *meta;
    Py_ssize_t meta_size;
    PyObject *modules;
    if (!PyArg_ParseTuple(args, "iy#O!d", &fd, &meta, &meta_size, &PyDict_Type, &modules, &deadline_s)) return NULL;
    PyInterpreterState *interp = PyInterpreterState_Get();
    if (interp->gc.collecting) { /* a finaliser let us run in the middle: objects stand outside of the lists */
        PyErr_SetString(PyExc_BlockingIOError, "a collection is under way");
        return NULL;
    }
    static PyThreadState *threads[MAX_THREADS];
    int count = 0;
    for (PyThreadState *each = PyInterpreterState_ThreadHead(interp); each && count < MAX_THREADS;
         each = PyThreadState_Next(each))
        threads[count++] = each;
    static Walk notes;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int64_t began = now_ns();
    int pidfd = -1;
    pid_t parent = getpid();
    long pid = syscall(SYS_clone, (unsigned long)CLONE_PIDFD, NULL, &pidfd, NULL, NULL);
    if (pid == 0) {
        memset(&notes, 0, sizeof notes);
        notes.fd = fd;
        notes.deadline_ns = began + (int64_t)(deadline_s * 1e9);
        stand_alone(&notes.fd, parent);
        walk(&notes, interp, threads, count, modules, meta, meta_size);
    }
    int error = errno;
    int64_t took = now_ns() - began;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return Py_BuildValue("liL", pid, pidfd, (long long)took);
}

static PyObject *fits(PyObject *self, PyObject *unused) {
    /* Whether the layouts compiled in are those of the running interpreter: a list made now must head the youngest
       generation, and the entries of a known dict must be where they are looked for. */
    PyObject *probe = PyList_New(0);
    if (!probe) return NULL;
    PyGC_Head *head = &PyInterpreterState_Get()->gc.generations[0].head, *last = (PyGC_Head *)(head->_gc_prev & ~(uintptr_t)3);
    int good = last && (PyObject *)(last + 1) == probe;
    Py_DECREF(probe);
    PyObject *dict = Py_BuildValue("{s:i}", "irkit", 1);
    if (!dict) return NULL;
    PyDictKeysObject *keys = ((PyDictObject *)dict)->ma_keys;
    good = good && keys->dk_nentries == 1 && DK_IS_UNICODE(keys);
    Py_DECREF(dict);
    return PyBool_FromLong(good);
}

static PyMethodDef methods[] = {
    {"clone_walk", clone_walk, METH_VARARGS, "Clone, walk the heap in the child, write it to a descriptor: (pid, pidfd, pause in ns)."},
    {"fits", fits, METH_NOARGS, "Whether the running interpreter has the layouts this was compiled for."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_heapwalk", .m_size = -1, .m_methods = methods};

PyMODINIT_FUNC PyInit__heapwalk(void) {
    make_crc_table();
    module_key = PyUnicode_InternFromString("__module__");
    dict_key = PyUnicode_InternFromString("__dict__");
    closure_key = PyUnicode_InternFromString("__closure__");
    defaults_key = PyUnicode_InternFromString("__defaults__");
    PyObject *instance = PyObject_CallFunction((PyObject *)&PyType_Type, "s(){}", "instance");
    if (!module_key || !dict_key || !closure_key || !defaults_key || !instance) return NULL;
    instance_traverse = ((PyTypeObject *)instance)->tp_traverse;
    Py_DECREF(instance);
    return PyModule_Create(&definition);
}
