/* The arithmetic of a heap graph of millions of nodes: decoding, the index of addresses, dominators, shortest paths.

   Plain arrays in, plain arrays out, through the buffer protocol; nothing here knows of Python's objects, so that one
   build for the limited API serves every supported Python. Dominators by semi-NCA: L. Georgiadis, "Linear-Time
   Algorithms for Dominators and Related Problems", Princeton 2005, section 2.3. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

static const uint8_t *read_varint(const uint8_t *at, const uint8_t *end, uint64_t *value) {
    uint64_t found = 0;
    for (int shift = 0; at < end && shift < 64; shift += 7) {
        uint8_t byte = *at++;
        found |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *value = found;
            return at;
        }
    }
    return NULL;
}

static int64_t unzigzag(uint64_t value) { return (int64_t)(value >> 1) ^ -(int64_t)(value & 1); }

static PyObject *varints(PyObject *self, PyObject *args) {
    Py_buffer data, out;
    if (!PyArg_ParseTuple(args, "y*w*", &data, &out)) return NULL;
    const uint8_t *at = data.buf, *end = at + data.len;
    uint64_t *to = out.buf, *stop = to + out.len / 8;
    Py_BEGIN_ALLOW_THREADS
    while (at && at < end && to < stop) at = read_varint(at, end, to++);
    Py_END_ALLOW_THREADS
    int good = at == end && to == stop;
    PyBuffer_Release(&data);
    PyBuffer_Release(&out);
    if (!good) return PyErr_Format(PyExc_ValueError, "a column does not hold as many numbers as it should");
    Py_RETURN_NONE;
}

static PyObject *edges(PyObject *self, PyObject *args) {
    Py_buffer data, sources, degrees, targets, leaves;
    if (!PyArg_ParseTuple(args, "y*y*y*w*w*", &data, &sources, &degrees, &targets, &leaves)) return NULL;
    const uint8_t *at = data.buf, *end = at + data.len;
    const uint64_t *source = sources.buf, *degree = degrees.buf;
    uint64_t *target = targets.buf, *leaf = leaves.buf;
    uint64_t room = (uint64_t)targets.len / 8, leaf_room = (uint64_t)leaves.len / 8, made = 0, met = 0;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; at && i < sources.len / 8; i++) {
        uint64_t last = source[i];
        for (uint64_t k = degree[i] >> 1; at && k; k--) {
            uint64_t value = 0;
            if (made == room || !(at = read_varint(at, end, &value))) {
                at = NULL;
                break;
            }
            last += (uint64_t)unzigzag(value >> 1);
            target[made++] = last;
            if (value & 1) {
                if (met == leaf_room) at = NULL;
                else leaf[met++] = last;
            }
        }
    }
    Py_END_ALLOW_THREADS
    int good = at == end && made == room && met == leaf_room;
    PyBuffer_Release(&data);
    PyBuffer_Release(&sources);
    PyBuffer_Release(&degrees);
    PyBuffer_Release(&targets);
    PyBuffer_Release(&leaves);
    if (!good) return PyErr_Format(PyExc_ValueError, "the references do not fit the objects");
    Py_RETURN_NONE;
}

/* Objects begin at least 16 bytes apart, so 4096 bits tell where they begin in a region of 64 KB. */
typedef struct { uint64_t number, bits[64]; uint32_t before[64]; } Region;

static size_t region_slot(const uint32_t *table, const Region *regions, size_t mask, uint64_t number) {
    size_t at = (size_t)(number * 0x9E3779B97F4A7C15ULL >> 20) & mask;
    while (table[at] && regions[table[at] - 1].number != number) at = (at + 1) & mask;
    return at;
}

static PyObject *index_of(PyObject *self, PyObject *args) {
    Py_buffer addresses, wanted, out;
    if (!PyArg_ParseTuple(args, "y*y*w*", &addresses, &wanted, &out)) return NULL;
    const uint64_t *address = addresses.buf, *want = wanted.buf;
    uint32_t *found = out.buf;
    size_t count = (size_t)addresses.len / 8, asked = (size_t)wanted.len / 8, used = 0, room = 1024, size = 1 << 16;
    Region *regions = malloc(room * sizeof *regions);
    uint32_t *table = calloc(size, sizeof *table), *ids = malloc((count ? count : 1) * sizeof *ids);
    int good = regions && table && ids && (size_t)out.len / 4 == asked;
    Py_BEGIN_ALLOW_THREADS
    for (size_t i = 0; good && i < count; i++) {
        uint64_t number = address[i] >> 13;
        size_t slot = region_slot(table, regions, size - 1, number);
        if (!table[slot]) {
            if (used == room) {
                Region *more = realloc(regions, 2 * room * sizeof *regions);
                if (!(good = more != NULL)) break;
                regions = more;
                room *= 2;
            }
            memset(&regions[used], 0, sizeof *regions);
            regions[used].number = number;
            table[slot] = (uint32_t)++used;
            if (used * 2 > size) {
                free(table);
                size *= 2;
                if (!(good = (table = calloc(size, sizeof *table)) != NULL)) break;
                for (size_t k = 0; k < used; k++)
                    table[region_slot(table, regions, size - 1, regions[k].number)] = (uint32_t)k + 1;
                slot = region_slot(table, regions, size - 1, number);
            }
        }
        uint64_t cell = (address[i] >> 1) & 4095;
        regions[table[slot] - 1].bits[cell >> 6] |= 1ULL << (cell & 63);
    }
    uint32_t total = 0;
    for (size_t k = 0; good && k < used; k++)
        for (int word = 0; word < 64; word++) {
            regions[k].before[word] = total;
            total += (uint32_t)__builtin_popcountll(regions[k].bits[word]);
        }
    if (good && total != count) good = 0; /* two objects at one place */
#define PLACE(region, cell) \
    ((region)->before[(cell) >> 6] + \
     (uint32_t)__builtin_popcountll((region)->bits[(cell) >> 6] & ((1ULL << ((cell) & 63)) - 1)))
    uint64_t last_number = UINT64_MAX;
    Region *last = NULL;
    for (size_t i = 0; good && i < count; i++) {
        uint64_t number = address[i] >> 13, cell = (address[i] >> 1) & 4095;
        if (number != last_number) {
            last = &regions[table[region_slot(table, regions, size - 1, number)] - 1];
            last_number = number;
        }
        ids[PLACE(last, cell)] = (uint32_t)i;
    }
    last_number = UINT64_MAX;
    for (size_t i = 0; good && i < asked; i++) {
        uint64_t number = want[i] >> 13, cell = (want[i] >> 1) & 4095;
        if (number != last_number) {
            uint32_t entry = table[region_slot(table, regions, size - 1, number)];
            last = entry ? &regions[entry - 1] : NULL;
            last_number = number;
        }
        uint32_t id = NONE;
        if (last && last->bits[cell >> 6] >> (cell & 63) & 1) {
            id = ids[PLACE(last, cell)];
            if (address[id] != want[i]) id = NONE;
        }
        found[i] = id;
    }
    Py_END_ALLOW_THREADS
    free(regions);
    free(table);
    free(ids);
    PyBuffer_Release(&addresses);
    PyBuffer_Release(&wanted);
    PyBuffer_Release(&out);
    if (!good) return PyErr_Format(PyExc_ValueError, "the objects' addresses are not all different, or memory ran out");
    Py_RETURN_NONE;
}

static PyObject *indegree(PyObject *self, PyObject *args) {
    Py_buffer targets, out;
    if (!PyArg_ParseTuple(args, "y*w*", &targets, &out)) return NULL;
    const uint32_t *target = targets.buf;
    uint32_t *count = out.buf, size = (uint32_t)(out.len / 4);
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < targets.len / 4; i++)
        if (target[i] < size) count[target[i]]++;
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&targets);
    PyBuffer_Release(&out);
    Py_RETURN_NONE;
}

/* Arguments of all that walk: offsets (int64, nodes + 1), targets (uint32), then what is written. */
typedef struct { const int64_t *offset; const uint32_t *target; uint32_t nodes; } Graph;

static int graph_of(const Py_buffer *offsets, const Py_buffer *targets, Graph *graph) {
    Py_ssize_t count = offsets->len / 8;
    if (count < 2 || count - 1 >= (Py_ssize_t)NONE) return 0;
    *graph = (Graph){offsets->buf, targets->buf, (uint32_t)(count - 1)};
    if (graph->offset[0] != 0 || graph->offset[graph->nodes] != targets->len / 4) return 0;
    for (uint32_t i = 0; i < graph->nodes; i++)
        if (graph->offset[i + 1] < graph->offset[i]) return 0;
    return 1;
}

static PyObject *shortest(PyObject *self, PyObject *args) {
    Py_buffer offsets, targets, parents;
    unsigned int root;
    if (!PyArg_ParseTuple(args, "y*y*Iw*", &offsets, &targets, &root, &parents)) return NULL;
    Graph g;
    int good = graph_of(&offsets, &targets, &g) && root < g.nodes && parents.len / 4 == g.nodes;
    uint32_t *queue = good ? malloc(g.nodes * sizeof *queue) : NULL, *parent = parents.buf;
    good = good && queue;
    if (good) {
        Py_BEGIN_ALLOW_THREADS
        memset(parent, 0xFF, g.nodes * sizeof *parent);
        uint32_t head = 0, tail = 0;
        queue[tail++] = root;
        parent[root] = root;
        while (head < tail) {
            uint32_t node = queue[head++];
            for (int64_t k = g.offset[node]; k < g.offset[node + 1]; k++) {
                uint32_t next = g.target[k];
                if (next < g.nodes && parent[next] == NONE) {
                    parent[next] = node;
                    queue[tail++] = next;
                }
            }
        }
        Py_END_ALLOW_THREADS
    }
    free(queue);
    PyBuffer_Release(&offsets);
    PyBuffer_Release(&targets);
    PyBuffer_Release(&parents);
    if (!good) return PyErr_Format(PyExc_ValueError, "the graph is not well formed, or memory ran out");
    Py_RETURN_NONE;
}

static PyObject *reach(PyObject *self, PyObject *args) {
    /* Marks all that a list of nodes reaches; those of `starts` that nothing reached before become 2. */
    Py_buffer offsets, targets, starts, seen;
    if (!PyArg_ParseTuple(args, "y*y*y*w*", &offsets, &targets, &starts, &seen)) return NULL;
    Graph g;
    int good = graph_of(&offsets, &targets, &g) && seen.len == g.nodes;
    uint32_t *stack = good ? malloc(g.nodes * sizeof *stack) : NULL;
    good = good && stack;
    if (good) {
        Py_BEGIN_ALLOW_THREADS
        uint8_t *mark = seen.buf;
        const uint32_t *start = starts.buf;
        for (Py_ssize_t i = 0; i < starts.len / 4; i++) {
            if (start[i] >= g.nodes || mark[start[i]]) continue;
            uint32_t depth = 0;
            stack[depth++] = start[i];
            mark[start[i]] = 2;
            while (depth) {
                uint32_t node = stack[--depth];
                for (int64_t k = g.offset[node]; k < g.offset[node + 1]; k++) {
                    uint32_t next = g.target[k];
                    if (next < g.nodes && !mark[next]) {
                        mark[next] = 1;
                        stack[depth++] = next;
                    }
                }
            }
        }
        Py_END_ALLOW_THREADS
    }
    free(stack);
    PyBuffer_Release(&offsets);
    PyBuffer_Release(&targets);
    PyBuffer_Release(&starts);
    PyBuffer_Release(&seen);
    if (!good) return PyErr_Format(PyExc_ValueError, "the graph is not well formed, or memory ran out");
    Py_RETURN_NONE;
}

/* Below, nodes go by their number in preorder: parents before children, the root 0. */
static uint32_t preorder(const Graph *g, uint32_t root, uint32_t *number, uint32_t *vertex, uint32_t *parent,
                         int64_t *next) {
    uint32_t count = 0, node = root;
    number[root] = 0;
    vertex[0] = root;
    parent[0] = 0;
    next[0] = g->offset[root];
    count = 1;
    uint32_t at = 0;
    for (;;) {
        node = vertex[at];
        int64_t k = next[at], end = g->offset[node + 1];
        while (k < end && (g->target[k] >= g->nodes || number[g->target[k]] != NONE)) k++;
        if (k < end) {
            uint32_t child = g->target[k];
            next[at] = k + 1;
            number[child] = count;
            vertex[count] = child;
            parent[count] = at;
            next[count] = g->offset[child];
            at = count++;
        } else {
            next[at] = end;
            if (at == 0) return count;
            at = parent[at];
        }
    }
}

static int semi_nca(const Graph *g, uint32_t count, const uint32_t *number, const uint32_t *vertex,
                    const uint32_t *parent, uint32_t *idom) {
    int64_t *from = calloc((size_t)count + 1, sizeof *from);
    uint32_t *semi = malloc(count * sizeof *semi), *label = malloc(count * sizeof *label);
    uint32_t *ancestor = malloc(count * sizeof *ancestor), *path = malloc(count * sizeof *path), *before = NULL;
    int good = from && semi && label && ancestor && path;
    if (good) {
        for (uint32_t v = 0; v < count; v++)
            for (int64_t k = g->offset[vertex[v]]; k < g->offset[vertex[v] + 1]; k++)
                if (g->target[k] < g->nodes) from[number[g->target[k]] + 1]++;
        for (uint32_t v = 0; v < count; v++) from[v + 1] += from[v];
        good = (before = malloc((from[count] ? (size_t)from[count] : 1) * sizeof *before)) != NULL;
    }
    if (good) {
        for (uint32_t v = count; v-- > 0;) /* fills each list from its end; afterwards from[v] is its beginning again */
            for (int64_t k = g->offset[vertex[v]]; k < g->offset[vertex[v] + 1]; k++)
                if (g->target[k] < g->nodes) before[--from[number[g->target[k]] + 1]] = v;
        for (uint32_t v = 0; v < count; v++) from[v] = from[v + 1];
        /* from[v] is now where the list of v begins, and that of v + 1 where it ends */
        from[count] = 0;
        for (uint32_t v = 0; v < count; v++) {
            semi[v] = label[v] = v;
            ancestor[v] = idom[v] = parent[v];
        }
        int64_t end = 0;
        for (uint32_t v = 0; v < count; v++)
            for (int64_t k = g->offset[vertex[v]]; k < g->offset[vertex[v] + 1]; k++) end += g->target[k] < g->nodes;
        for (uint32_t v = count; v-- > 1;) {
            uint32_t best = v;
            for (int64_t k = from[v]; k < end; k++) {
                uint32_t u = before[k], least = u;
                if (u > v) {
                    /* u was linked: the smallest semidominator on its way up to the last that is not */
                    uint32_t depth = 0, top = u;
                    while (ancestor[top] > v) {
                        path[depth++] = top;
                        top = ancestor[top];
                    }
                    while (depth--) {
                        uint32_t low = path[depth], high = ancestor[low];
                        if (semi[label[high]] < semi[label[low]]) label[low] = label[high];
                        ancestor[low] = ancestor[high];
                    }
                    least = semi[label[u]];
                }
                if (least < best) best = least;
            }
            semi[v] = best;
            end = from[v];
        }
        for (uint32_t v = 1; v < count; v++) {
            uint32_t up = idom[v];
            while (up > semi[v]) up = idom[up];
            idom[v] = up;
        }
    }
    free(from);
    free(semi);
    free(label);
    free(ancestor);
    free(path);
    free(before);
    return good;
}

static PyObject *dominators(PyObject *self, PyObject *args) {
    /* idom (uint32 a node, NONE where unreachable), retained (int64 a node) from sizes (int64 a node), and the nodes in
       an order in which each comes after its dominator (uint32 a node). Returns how many are reachable. */
    Py_buffer offsets, targets, sizes, idoms, retaineds, orders;
    unsigned int root;
    uint32_t reached = 0;
    if (!PyArg_ParseTuple(args, "y*y*Iy*w*w*w*", &offsets, &targets, &root, &sizes, &idoms, &retaineds, &orders))
        return NULL;
    Graph g;
    int good = graph_of(&offsets, &targets, &g) && root < g.nodes && sizes.len / 8 == g.nodes &&
               idoms.len / 4 == g.nodes && retaineds.len / 8 == g.nodes && orders.len / 4 == g.nodes;
    if (good) {
        Py_BEGIN_ALLOW_THREADS
        uint32_t *number = malloc(g.nodes * sizeof *number), *vertex = orders.buf;
        uint32_t *parent = malloc(g.nodes * sizeof *parent), *idom = NULL, count = 0;
        int64_t *next = malloc(g.nodes * sizeof *next);
        good = number && parent && next;
        if (good) {
            memset(number, 0xFF, g.nodes * sizeof *number);
            count = preorder(&g, root, number, vertex, parent, next);
        }
        free(next);
        good = good && (idom = malloc(count * sizeof *idom)) && semi_nca(&g, count, number, vertex, parent, idom);
        if (good) {
            uint32_t *out = idoms.buf;
            int64_t *retained = retaineds.buf;
            const int64_t *size = sizes.buf;
            memset(out, 0xFF, g.nodes * sizeof *out);
            memset(retained, 0, g.nodes * sizeof *retained);
            for (uint32_t v = count; v-- > 0;) {
                uint32_t node = vertex[v], above = vertex[idom[v]];
                retained[node] += size[node];
                out[node] = above;
                if (v) retained[above] += retained[node];
            }
        }
        reached = count;
        free(number);
        free(parent);
        free(idom);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&offsets);
    PyBuffer_Release(&targets);
    PyBuffer_Release(&sizes);
    PyBuffer_Release(&idoms);
    PyBuffer_Release(&retaineds);
    PyBuffer_Release(&orders);
    if (!good) return PyErr_Format(PyExc_ValueError, "the graph is not well formed, or memory ran out");
    return PyLong_FromUnsignedLong(reached);
}

static PyObject *within(PyObject *self, PyObject *args) {
    /* Marks (a byte a node) what a node dominates, itself included. */
    Py_buffer idoms, orders, marks;
    unsigned int node;
    if (!PyArg_ParseTuple(args, "y*y*Iw*", &idoms, &orders, &node, &marks)) return NULL;
    const uint32_t *idom = idoms.buf, *order = orders.buf;
    uint8_t *mark = marks.buf;
    uint32_t nodes = (uint32_t)marks.len;
    int good = idoms.len / 4 == nodes && node < nodes;
    Py_BEGIN_ALLOW_THREADS
    if (good) mark[node] = 1;
    for (Py_ssize_t i = 0; good && i < orders.len / 4; i++)
        if (order[i] < nodes && idom[order[i]] < nodes && mark[idom[order[i]]]) mark[order[i]] = 1;
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&idoms);
    PyBuffer_Release(&orders);
    PyBuffer_Release(&marks);
    if (!good) return PyErr_Format(PyExc_ValueError, "the tree is not well formed");
    Py_RETURN_NONE;
}

static PyObject *group(PyObject *self, PyObject *args) {
    /* The positions of each key, in order: where each key's begin (int64, keys + 1), then the positions (uint32). */
    Py_buffer keys, offsets, items;
    if (!PyArg_ParseTuple(args, "y*w*w*", &keys, &offsets, &items)) return NULL;
    const uint32_t *key = keys.buf;
    int64_t *offset = offsets.buf;
    uint32_t *item = items.buf;
    int64_t count = (int64_t)(keys.len / 4), groups = (int64_t)(offsets.len / 8) - 1;
    int good = groups >= 0 && items.len / 4 >= count && count < (int64_t)NONE;
    if (good) {
        Py_BEGIN_ALLOW_THREADS
        memset(offset, 0, (size_t)(groups + 1) * 8);
        for (int64_t i = 0; i < count; i++)
            if (key[i] < groups) offset[key[i]]++;
        for (int64_t i = 1; i <= groups; i++) offset[i] += offset[i - 1];
        /* each list is filled from its end, which leaves offset[key] at its beginning */
        for (int64_t i = count; i-- > 0;)
            if (key[i] < groups) item[--offset[key[i]]] = (uint32_t)i;
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&keys);
    PyBuffer_Release(&offsets);
    PyBuffer_Release(&items);
    if (!good) return PyErr_Format(PyExc_ValueError, "the groups do not fit their keys");
    Py_RETURN_NONE;
}

static int tarjan(const Graph *g, uint32_t *component, uint32_t *found) {
    /* R. Tarjan, "Depth-First Search and Linear Graph Algorithms", SIAM J. Comput. 1972; without recursion. */
    uint32_t *index = calloc(g->nodes, sizeof *index), *low = malloc(g->nodes * sizeof *low);
    uint32_t *path = malloc(g->nodes * sizeof *path), *calls = malloc(g->nodes * sizeof *calls);
    int64_t *next = malloc(g->nodes * sizeof *next);
    int good = index && low && path && calls && next;
    uint32_t clock = 0, on_path = 0, depth = 0;
    if (good) memset(component, 0xFF, g->nodes * sizeof *component);
    for (uint32_t start = 0; good && start < g->nodes; start++) {
        if (index[start]) continue;
        calls[depth++] = start;
        while (depth) {
            uint32_t node = calls[depth - 1], into = NONE;
            if (!index[node]) {
                index[node] = low[node] = ++clock;
                path[on_path++] = node;
                next[node] = g->offset[node];
            }
            while (next[node] < g->offset[node + 1] && into == NONE) {
                uint32_t target = g->target[next[node]++];
                if (target >= g->nodes || component[target] != NONE) continue;
                if (!index[target]) into = target;
                else if (index[target] < low[node]) low[node] = index[target];
            }
            if (into != NONE) {
                calls[depth++] = into;
                continue;
            }
            depth--;
            if (depth && low[node] < low[calls[depth - 1]]) low[calls[depth - 1]] = low[node];
            if (low[node] != index[node]) continue;
            uint32_t member;
            do {
                member = path[--on_path];
                component[member] = *found;
            } while (member != node);
            ++*found;
        }
    }
    free(index);
    free(low);
    free(path);
    free(calls);
    free(next);
    return good;
}

static PyObject *components(PyObject *self, PyObject *args) {
    /* The strongly connected component of each node (uint32 a node), and how many there are. */
    Py_buffer offsets, targets, out;
    uint32_t found = 0;
    if (!PyArg_ParseTuple(args, "y*y*w*", &offsets, &targets, &out)) return NULL;
    Graph g;
    int good = graph_of(&offsets, &targets, &g) && out.len / 4 == g.nodes;
    if (good) {
        Py_BEGIN_ALLOW_THREADS
        good = tarjan(&g, out.buf, &found);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&offsets);
    PyBuffer_Release(&targets);
    PyBuffer_Release(&out);
    if (!good) return PyErr_Format(PyExc_ValueError, "the graph is not well formed, or memory ran out");
    return PyLong_FromUnsignedLong(found);
}

static PyMethodDef methods[] = {
    {"varints", varints, METH_VARARGS, "Decode LEB128 numbers into a uint64 array."},
    {"edges", edges, METH_VARARGS, "Decode references into addresses, and those of leaves."},
    {"index_of", index_of, METH_VARARGS, "Find the position of each wanted address among the objects'."},
    {"indegree", indegree, METH_VARARGS, "Count the references to each node."},
    {"shortest", shortest, METH_VARARGS, "Parents in the tree of shortest paths from a root."},
    {"reach", reach, METH_VARARGS, "Mark what is reached."},
    {"dominators", dominators, METH_VARARGS, "Immediate dominators and retained sizes."},
    {"group", group, METH_VARARGS, "List the positions of each key in order."},
    {"components", components, METH_VARARGS, "Number the strongly connected components."},
    {"within", within, METH_VARARGS, "Mark what a node dominates."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_heapgraph", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC PyInit__heapgraph(void) { return PyModule_Create(&definition); }
