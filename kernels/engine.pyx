"""The engine: a network as arrays, checked when it is built, and the runs over it. The work itself is in `loop.pyx`."""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from cpython.pycapsule cimport PyCapsule_GetContext, PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t, intptr_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from neurocomp.kernels.loop cimport (
    CHUNK, CONV, DENSE, PLASTIC, MAX_CONSTANTS, MAX_INPUTS, MAX_STATES, MAX_THREADS, Loop, Node, Projection, SpikeLog, Table,
    count_pending, nc_counts, nc_pool_is_here, nc_pool_start, nc_pool_stop, run_loop, update_fn,
)

from neurocomp.kernels.checks import check_array, check_block, check_input, check_taps, check_window
from neurocomp.kernels.delivery cimport HALF, PACKED, SHARED, SPLIT, Window
from neurocomp.kernels.logs cimport take_log
from neurocomp.kernels.learning cimport NC_TRACES, Block, Learning, nc_engine_events, nc_learning, nc_rule
from neurocomp.kernels.loihi cimport fill_engine, take_draws

FIRST_LEVEL = 24 * 1024  # bytes of the first cache that one chunk of neurons may fill

# ----------------------------------------------------------------------------------------------------------------- engine

cdef class Engine:
    """A lowered network: nodes, projections, their state, and the loop over steps.

    threads: 1..64. ring: slots of the spike rings, at least the largest delay + max_lag + 1. max_lag: of any node. dt: seconds.
    spins: looks at the barrier before a waiting thread gives its core away; 0 where threads outnumber the cores.
    Built by `add_input` and `add_population`, then `add_sparse`, `add_dense` and so on, `add_table`, `seal`; indices are returned in
    order.
    """

    def __cinit__(self, int threads, int64_t ring, int64_t max_lag, double dt=1.0, int spins=4000):
        if not 1 <= threads <= MAX_THREADS:
            raise ValueError(f"threads must be 1..{MAX_THREADS}, not {threads}")
        if not 0 <= max_lag < 2**31 or not max_lag + 2 <= ring < 2**32:
            raise ValueError(f"ring {ring} does not fit max_lag {max_lag}")
        self.loop.threads, self.ring, self.loop.max_lag = threads, ring, max_lag
        self.loop.dt = dt
        self.memories = []
        self.keep, self.contexts = [], []
        self.row_lengths, self.sent, self.pending_events = {}, {}, {}
        self.loop.barrier.threads, self.loop.barrier.spins = threads, spins
        self.loop.look, self.loop.owner = look_for_signals, <void*>self

    def __dealloc__(self):
        cdef int i, k
        nc_pool_stop(self.loop.pool)
        for i in range(self.loop.n_nodes):
            for k in range(self.loop.threads):
                free(self.loop.nodes[i].logs[k].times)
                free(self.loop.nodes[i].logs[k].ids)
                free(self.loop.nodes[i].logs[k].payload)
        for i in range(self.loop.n_projections):
            free(self.loop.projections[i].learning.blocks)
        for i in range(self.loop.n_tables):
            free(self.loop.tables[i].members)
            for k in range(self.loop.threads):
                free(self.loop.tables[i].windows[k])
        free(self.loop.tables)
        free(self.loop.nodes)
        free(self.loop.projections)
        free(self.loop.order)
        free(self.loop.first)

    # ------------------------------------------------------------------------------------------------------------- build

    cdef uintptr_t _hold(self, array):
        """Keep an array alive and return its address."""
        self.keep.append(array)
        self.held += array.nbytes
        return <uintptr_t>array.__array_interface__["data"][0]

    cdef Node* node_at(self, int index) except NULL:
        if not 0 <= index < self.loop.n_nodes:
            raise IndexError(f"node {index} is outside 0..{self.loop.n_nodes - 1}")
        return &self.loop.nodes[index]

    cdef Node* _new_node(self, int64_t size, int64_t lag, int64_t align) except NULL:
        cdef int k
        cdef void* grown
        cdef int64_t even
        if self.loop.order != NULL or self.laid_out:
            raise ValueError("the engine is sealed" if self.loop.order != NULL else "nodes come before projections")
        if not 1 <= size < 2**31 or not 0 <= lag <= self.loop.max_lag:
            raise ValueError(f"a node of {size} neurons with lag {lag} does not fit (max_lag {self.loop.max_lag})")
        if self.loop.n_nodes == self.capacity_nodes:
            self.capacity_nodes = max(8, 2 * self.capacity_nodes)
            grown = realloc(self.loop.nodes, self.capacity_nodes * sizeof(Node))
            if grown == NULL:
                raise MemoryError
            self.loop.nodes = <Node*>grown
        cdef Node* node = &self.loop.nodes[self.loop.n_nodes]
        memset(node, 0, sizeof(Node))
        node.size, node.lag = size, lag
        if align < 1:
            raise ValueError(f"align must be positive, not {align}")
        for k in range(self.loop.threads + 1):
            even = (size * k // self.loop.threads + align // 2) // align * align
            node.bounds[k] = min(max(even, 0), size)
        node.bounds[0], node.bounds[self.loop.threads] = 0, size
        self.loop.n_nodes += 1
        return node

    def bounds(self, int index):
        """The ranges of neurons each thread owns, as threads + 1 offsets."""
        cdef Node* node = self.node_at(index)
        return [node.bounds[k] for k in range(self.loop.threads + 1)]

    def add_input(self, int64_t size, int64_t lag, bint graded):
        """Add an input. Returns its index."""
        cdef Node* node = self._new_node(size, lag, 16)
        node.is_input, node.graded, node.spikes = True, graded, True
        return self.loop.n_nodes - 1

    def add_population(
        self, int64_t size, int64_t lag, update, list state, list constants, const int64_t[::1] bias,
        double scale, bint integer, bint wide, bint spikes, bint graded=False, int64_t align=16, uint64_t key=0, context=None
    ):
        """Add a population. Returns its index.

        update: capsule of the compiled step. state: arrays of `size`, changed in place. constants: arrays of `size` or
        of one value. bias: `size` grid units for each input one after the other. scale: value of a grid unit. integer: int64 state and constants, else
        float64. wide: int64 accumulator, else int32. graded: spikes carry payloads. align: threads own ranges in multiples of it (16 keeps them on cache
        lines of their own; targets of convolutions need multiples of the output plane). key: of its random numbers. context:
        object that an update which is not compiled calls; what it puts into `context.error` ends the run and is raised.
        """
        cdef int k
        dtype = np.int64 if integer else np.float64
        if len(state) > MAX_STATES or len(constants) >= MAX_CONSTANTS:
            raise ValueError(f"{len(state)} states and {len(constants)} constants exceed {MAX_STATES} and {MAX_CONSTANTS}")
        for array in state:
            if array.dtype != dtype or array.shape != (size,) or not array.flags.c_contiguous or not array.flags.writeable:
                raise ValueError(f"state must be writable contiguous {dtype.__name__} arrays of {size} values")
        for array in constants:
            if array.dtype != dtype or array.shape not in ((size,), (1,)) or not array.flags.c_contiguous:
                raise ValueError(f"constants must be contiguous {dtype.__name__} arrays of {size} or 1 values")
        cdef update_fn function = <update_fn>PyCapsule_GetPointer(update, "neurocomp.update")
        cdef intptr_t counts = <intptr_t>PyCapsule_GetContext(update)
        cdef intptr_t n_inputs = counts // (MAX_CONSTANTS * (MAX_STATES + 1))
        wanted = (n_inputs, len(state), len(constants))
        has = (n_inputs, counts // MAX_CONSTANTS % (MAX_STATES + 1), counts % MAX_CONSTANTS)
        if wanted != has or not 1 <= n_inputs <= MAX_INPUTS:
            raise ValueError(f"this update has {has} inputs, states and constants, not {wanted}")
        if bias.shape[0] != n_inputs * size:
            raise ValueError(f"bias has {bias.shape[0]} values for {n_inputs} inputs of {size} neurons")
        cdef Node* node = self._new_node(size, lag, align)
        self.keep += [update, context]
        self.contexts += [] if context is None else [context]
        node.n_inputs, node.key, node.context = <int>n_inputs, key, <void*>context
        node.update, node.integer, node.wide, node.spikes, node.scale = function, integer, wide, spikes, scale
        node.graded = graded
        node.n_state, node.n_constants = len(state), len(constants)
        for k in range(node.n_state):
            node.state[k] = <void*>self._hold(state[k])
        node.alike = True
        for k in range(node.n_constants):
            node.varies[k] = constants[k].shape[0] == size and size > 1
            node.alike = node.alike and not node.varies[k]
            array = constants[k] if node.varies[k] else np.full(CHUNK, constants[k][0], dtype)
            node.constants[k] = <const void*>self._hold(array)
        read = n_inputs + len(state) + 1 + (0 if node.alike else len(constants))
        node.chunk = min(max(FIRST_LEVEL // (8 * read) // 128 * 128, 32), CHUNK)
        own_bias = np.array(bias, np.int64)
        node.bias = <const void*>self._hold(own_bias.astype(np.int64 if wide else np.int32))
        for k in range(self.loop.threads):
            node.poisson[k] = <nc_counts*>self._hold(np.zeros(sizeof(nc_counts), np.uint8))
        resting = own_bias if integer else own_bias * scale
        node.rest = <const void*>self._hold(np.ascontiguousarray(resting, dtype))
        return self.loop.n_nodes - 1

    cdef _lay_out(self):
        """Give every population its accumulators: those of one thread lie together, so that one table reaches all of them."""
        cdef int i, k, wide
        cdef int64_t sizes[2]
        cdef Node* node
        if self.laid_out:
            return
        self.laid_out = True
        for k in range(self.loop.threads):
            sizes[0] = sizes[1] = 0
            for i in range(self.loop.n_nodes):
                node = &self.loop.nodes[i]
                node.first[k] = sizes[node.wide]
                sizes[node.wide] += node.n_inputs * (node.bounds[k + 1] - node.bounds[k])
            for wide in range(2):
                self.sizes[wide][k] = sizes[wide]
                self.loop.acc[wide][k] = <void*>self._hold(np.zeros(sizes[wide], np.int64 if wide else np.int32))
                self.loop.scratch[wide][k] = <void*>self._hold(np.zeros(sizes[wide], np.int64 if wide else np.int32))
            for i in range(self.loop.n_nodes):
                node = &self.loop.nodes[i]
                node.acc[k] = <char*>self.loop.acc[node.wide][k] + (8 if node.wide else 4) * node.first[k]
                node.scratch[k] = <char*>self.loop.scratch[node.wide][k] + (8 if node.wide else 4) * node.first[k]
        self._fill_accumulators()

    cdef _fill_accumulators(self):
        """Accumulators hold the bias before any event."""
        cdef int i, k, r
        cdef int64_t j, at, lo, hi
        cdef Node* node
        for i in range(self.loop.n_nodes):
            node = &self.loop.nodes[i]
            for k in range(self.loop.threads):
                lo, hi = node.bounds[k], node.bounds[k + 1]
                for r in range(node.n_inputs):
                    at = r * (hi - lo) - lo
                    for j in range(lo, hi):
                        if node.wide:
                            (<int64_t*>node.acc[k])[at + j] = (<const int64_t*>node.bias)[r * node.size + j]
                        else:
                            (<int32_t*>node.acc[k])[at + j] = (<const int32_t*>node.bias)[r * node.size + j]

    def places(self, int index):
        """Per thread (lo, hi, first): its neurons of a population, and where their accumulators begin among the thread's.

        The accumulator of input r of neuron j is number first + r * (hi - lo) + j - lo. No node can be added after this call.
        """
        cdef Node* node = self.node_at(index)
        self._lay_out()
        return [(node.bounds[k], node.bounds[k + 1], node.first[k]) for k in range(self.loop.threads)]

    cdef Projection* _new_projection(self, int pre, int post, const int64_t[::1] delays, int shift, int receptor) except NULL:
        cdef void* grown
        cdef int64_t d
        if self.loop.order != NULL:
            raise ValueError("the engine is sealed")
        self._lay_out()
        self.node_at(pre)
        if self.node_at(post).is_input:
            raise ValueError(f"node {post} is an input; inputs receive nothing")
        if not 0 <= receptor < self.node_at(post).n_inputs:
            raise ValueError(f"receptor {receptor} is outside 0..{self.node_at(post).n_inputs - 1}")
        if not 0 <= shift < 31:
            raise ValueError(f"shift {shift} is outside 0..30")
        for d in delays:
            if not 1 <= d < self.ring - self.loop.max_lag:
                raise ValueError(f"delay {d} is outside 1..{self.ring - self.loop.max_lag - 1}")
        if self.loop.n_projections == self.capacity_projections:
            self.capacity_projections = max(8, 2 * self.capacity_projections)
            grown = realloc(self.loop.projections, self.capacity_projections * sizeof(Projection))
            if grown == NULL:
                raise MemoryError
            self.loop.projections = <Projection*>grown
        cdef Projection* new = &self.loop.projections[self.loop.n_projections]
        memset(new, 0, sizeof(Projection))
        new.pre, new.post, new.shift, new.n_delays, new.receptor = pre, post, shift, <int>delays.shape[0], receptor
        new.delays = <const int64_t*>self._hold(np.array(delays, np.int64))
        for d in delays:
            self.loop.nodes[pre].longest = max(self.loop.nodes[pre].longest, d)
        return new

    def add_sparse(self, int pre, int post, const int64_t[::1] delays, int shift, row_lengths, int receptor=0):
        """Add listed synapses, which `add_table` brings. row_lengths: (n_pre,) int64, how many each source neuron has."""
        check_array("row_lengths", row_lengths, np.int64, (self.node_at(pre).size,))
        self._new_projection(pre, post, delays, shift, receptor)
        self.row_lengths[self.loop.n_projections] = row_lengths
        self.loop.n_projections += 1
        return self.loop.n_projections - 1

    def add_table(self, list members, const int64_t[::1] delays, list windows, shared=None, int bits=HALF):
        """Add the synapses of listed projections that have one source, one shift, targets of one lag and of one accumulator width.

        members: their numbers. windows: per thread a list of dicts, each the synapses onto `size` of the thread's accumulators from
        number `base` on: `segments` ((n_pre * n_delays + 1,) uint32 offsets by source neuron, then delay), and either `packed` ((k,)
        uint32: accumulator - base in the lower `bits` bits, weight in the upper), or `targets` ((k,) uint16) and, unless one `shared`
        weight is given for all, `values` ((k,) int32). Weights are in grid units.
        """
        cdef int k, w
        cdef Table* table
        if not members or len(windows) != self.loop.threads:
            raise ValueError(f"a table has members, and windows for {self.loop.threads} threads")
        if not 1 <= bits <= 31:
            raise ValueError(f"bits of a target must be 1..31, not {bits}")
        self.loop.tables = <Table*>_grown(self.loop.tables, (self.loop.n_tables + 1) * sizeof(Table))
        table = &self.loop.tables[self.loop.n_tables]
        memset(table, 0, sizeof(Table))
        self._take_members(table, members)
        rows = self.loop.nodes[table.pre].size * delays.shape[0]
        kinds = {SHARED if shared is not None else PACKED if "packed" in x else SPLIT for part in windows for x in part}
        if len(kinds) > 1:
            raise ValueError("all windows of a table store synapses the same way")
        table.kind, table.shared, table.n_delays = kinds.pop() if kinds else PACKED, shared or 0, <int>delays.shape[0]
        table.bits = bits
        for d in delays:
            if not 1 <= d <= self.loop.nodes[table.pre].longest:
                raise ValueError(f"delay {d} is not one of the table's projections")
        if (np.diff(delays) <= 0).any():
            raise ValueError("delays must ascend")
        owners = [self._owners(table, members, k) for k in range(self.loop.threads)]
        for k, part in enumerate(windows):
            for window in part:
                check_window(window, rows, owners[k], len(members), shared is not None, bits)
        before = self.held
        table.delays = <const int64_t*>self._hold(np.array(delays, np.int64))
        for k, part in enumerate(windows):
            table.owners[k] = <const uint16_t*>self._hold(owners[k])
            table.windows[k] = <Window*>calloc(len(part) + 1, sizeof(Window))
            table.members = <int*>_grown(table.members, len(members) * sizeof(int))
            if table.windows[k] == NULL:
                raise MemoryError
            table.n_windows[k] = <int>len(part)
            for w, window in enumerate(part):
                self._fill_window(&table.windows[k][w], window)
        for k in range(len(members)):
            table.members[k] = members[k]
        table.n_members = <int>len(members)
        self.loop.n_tables += 1
        self.held_for_synapses += self.held - before

    cdef _take_members(self, Table* table, list members):
        """What the projections of a table have in common."""
        cdef Projection* projection
        cdef Node* post
        if self.loop.order != NULL:
            raise ValueError("the engine is sealed")
        for n, member in enumerate(members):
            if member not in self.row_lengths:
                raise ValueError(f"projection {member} is not one of listed synapses")
            projection = &self.loop.projections[<int>member]
            post = &self.loop.nodes[projection.post]
            if n == 0:
                table.pre, table.wide, table.lag, table.shift = projection.pre, post.wide, post.lag, projection.shift
            elif (projection.pre, post.wide, post.lag, projection.shift) != (table.pre, table.wide, table.lag, table.shift):
                raise ValueError(f"projections {members[0]} and {member} cannot share a table")

    cdef _owners(self, Table* table, list members, int k):
        """(accumulators of thread k,) uint16: which member reaches each, or as many as there are for none."""
        cdef Projection* projection
        cdef Node* post
        owners = np.full(self.sizes[table.wide][k], len(members), np.uint16)
        for n, member in enumerate(members):
            projection = &self.loop.projections[<int>member]
            post = &self.loop.nodes[projection.post]
            size = post.bounds[k + 1] - post.bounds[k]
            begin = post.first[k] + projection.receptor * size
            if (owners[begin : begin + size] != len(members)).any():
                raise ValueError(f"projection {member} has the targets of another one of its table")
            owners[begin : begin + size] = n
        return owners

    cdef _fill_window(self, Window* window, dict given):
        window.base, window.size = given["base"], given["size"]
        window.segments = <const uint32_t*>self._hold(given["segments"])
        if "packed" in given:
            window.packed = <const uint32_t*>self._hold(given["packed"])
        else:
            window.targets = <const uint16_t*>self._hold(given["targets"])
        if "values" in given:
            window.values = <const int32_t*>self._hold(given["values"])

    def add_dense(self, int pre, int post, const int64_t[::1] delays, int shift, weights, rows=None, int receptor=0):
        """Add all-to-all synapses of one delay.

        weights: (n_rows, n_post) int32 grid units. rows: (n_pre,) int32, the row of each source neuron, -1 for none;
        None: source neuron i has row i.
        """
        cdef int64_t n_pre = self.node_at(pre).size, n_post = self.node_at(post).size
        if delays.shape[0] != 1:
            raise ValueError(f"a dense projection has one delay, not {delays.shape[0]}")
        n_rows = n_pre if rows is None else weights.shape[0]
        check_array("weights", weights, np.int32, (n_rows, n_post))
        if rows is not None:
            check_array("rows", rows, np.int32, (n_pre,))
            if rows.min() < -1 or rows.max() >= n_rows:
                raise ValueError(f"rows must be in -1..{n_rows - 1}")
        before = self.held
        cdef Projection* new = self._new_projection(pre, post, delays, shift, receptor)
        new.kind = DENSE
        new.weights = <const int32_t*>self._hold(weights)
        new.rows = NULL if rows is None else <const int32_t*>self._hold(rows)
        self._finish_projection(before)

    def add_conv(
        self, int pre, int post, const int64_t[::1] delays, int shift, weights, in_shape, out_shape, int groups, y_taps, x_taps,
        int receptor=0
    ):
        """Add a convolution of one delay.

        weights: (channels in, kernel height, kernel width, channels out / groups) int32 grid units. in_shape, out_shape:
        (channels, height, width). y_taps, x_taps: per axis (first (size + 1,), pairs (k, 2)) int32: the (kernel index,
        output coordinate) pairs of every input coordinate.
        """
        cdef int k
        cdef Node* target = self.node_at(post)
        (c_in, height, width), (c_out, out_height, out_width) = in_shape, out_shape
        if delays.shape[0] != 1:
            raise ValueError(f"a convolution has one delay, not {delays.shape[0]}")
        if c_in * height * width != self.node_at(pre).size or c_out * out_height * out_width != target.size:
            raise ValueError(f"shapes {in_shape} and {out_shape} do not fit the nodes")
        if groups < 1 or c_in % groups or c_out % groups:
            raise ValueError(f"{groups} groups do not divide {c_in} and {c_out} channels")
        for k in range(self.loop.threads + 1):
            if target.bounds[k] % (out_height * out_width):
                raise ValueError(f"threads must own whole channels of node {post}: add it with align={out_height * out_width}")
        if weights.ndim != 4:
            raise ValueError("weights must have four dimensions")
        check_array("weights", weights, np.int32, (c_in, weights.shape[1], weights.shape[2], c_out // groups))
        check_taps("y_taps", y_taps, height, weights.shape[1], out_height)
        check_taps("x_taps", x_taps, width, weights.shape[2], out_width)
        before = self.held
        cdef Projection* new = self._new_projection(pre, post, delays, shift, receptor)
        new.kind = CONV
        new.conv.plane, new.conv.width = height * width, width
        new.conv.out_plane, new.conv.out_width = out_height * out_width, out_width
        new.conv.group_in, new.conv.group_out = c_in // groups, c_out // groups
        new.conv.kernel_height, new.conv.kernel_width = weights.shape[1], weights.shape[2]
        new.conv.weights = <const int32_t*>self._hold(weights)
        new.conv.y_first, new.conv.y_taps = <const int32_t*>self._hold(y_taps[0]), <const int32_t*>self._hold(y_taps[1])
        new.conv.x_first, new.conv.x_taps = <const int32_t*>self._hold(x_taps[0]), <const int32_t*>self._hold(x_taps[1])
        for k in range(self.loop.threads):
            size = target.bounds[k + 1] - target.bounds[k]
            new.sums[k] = <void*>self._hold(np.zeros(size, np.int64 if target.wide else np.int32))
        self._finish_projection(before)

    def add_plastic(
        self, int pre, int post, const int64_t[::1] delays, rule, constants, double units, list blocks, int reward=-1,
        int64_t reward_delay=0, int receptor=0, int shift=0, engine=None
    ):
        """Add synapses that learn.

        rule: capsule of the compiled rule; None: by Loihi's learning engine, given as in `fill_engine` of loihi.pyx. constants: (n,) float64 of the rule. units: grid units of a weight of 1. blocks: per
        thread a dict: weights float64, changed in place: all-to-all the same (n_post, at least n_pre) array for all, with one
        delay; or listed, (k,) with segments (n_pre * n_delays + 1,) int64 offsets by source neuron, then delay; targets (k,) int32 in
        the thread's range; columns (targets of the thread + 1,) int64 offsets into positions and rows (k,) int32: the synapses
        of each target and their rows, source neuron * n_delays + number of the delay. reward: node of one neuron, or -1.
        """
        cdef int k
        cdef Node* target = self.node_at(post)
        cdef const nc_rule* compiled = &nc_engine_events
        if (rule is None) == (engine is None):
            raise ValueError("a projection learns by a rule or by an engine")
        if rule is not None:
            compiled = <const nc_rule*>PyCapsule_GetPointer(rule, "neurocomp.rule")
        if reward >= 0 and (self.node_at(reward).size != 1 or not 1 <= reward_delay < self.ring - self.loop.max_lag):
            raise ValueError(f"the reward needs a node of one neuron and a delay in 1..{self.ring - self.loop.max_lag - 1}")
        if len(blocks) != self.loop.threads:
            raise ValueError(f"{len(blocks)} blocks for {self.loop.threads} threads")
        check_array("constants", constants, np.float64, (compiled.n_constants,))
        if max(compiled.n_pre, compiled.n_post, compiled.n_synapse) > NC_TRACES:
            raise ValueError(f"a rule has at most {NC_TRACES} traces of each kind")
        if compiled.on_reward == NULL and reward >= 0:
            raise ValueError("this rule takes no reward")
        rows = self.node_at(pre).size * delays.shape[0]
        for k, block in enumerate(blocks):
            check_block(block, rows, target.size, target.bounds[k], target.bounds[k + 1], delays.shape[0])
        before = self.held
        cdef Projection* new = self._new_projection(pre, post, delays, shift, receptor)
        new.kind = PLASTIC
        new.learning.rule, new.learning.reward, new.learning.reward_delay = compiled, reward, reward_delay
        new.learning.units, new.learning.n_rows = units, rows
        new.learning.blocks = <Block*>calloc(self.loop.threads, sizeof(Block))
        if new.learning.blocks == NULL:
            raise MemoryError
        if reward >= 0:
            self.loop.nodes[reward].longest = max(self.loop.nodes[reward].longest, reward_delay)
        self.loop.nodes[post].longest = max(self.loop.nodes[post].longest, 1)  # its own spikes must outlast the step
        self.keep += [rule, blocks]
        shared = {}
        for k, block in enumerate(blocks):
            new.learning.blocks[k].lo, new.learning.blocks[k].hi = target.bounds[k], target.bounds[k + 1]
            self._fill_block(&new.learning.blocks[k], compiled, block, rows, target.size, constants, shared)
            if engine is not None:
                arrays, memory = fill_engine(&new.learning.blocks[k].engine, engine, rows, target.bounds[k], target.bounds[k + 1])
                self.keep += [*arrays, *memory]
                self.memories += memory
        self._finish_projection(before)

    cdef _fill_block(
        self, Block* block, const nc_rule* rule, dict given, int64_t rows, int64_t n_post, constants, dict shared
    ):
        """Point a block at its arrays. Traces of targets, and of all-to-all synapses their variables, are shared by threads."""
        cdef int i
        cdef nc_learning* state = &block.state
        weights = given["weights"]
        if "targets" in given or not shared:
            self._hold(weights)
        state.w, block.kept = <double*><uintptr_t>weights.__array_interface__["data"][0], weights.size
        state.stride = weights.shape[1] if "targets" not in given else 0
        state.constants = <const double*>self._hold(constants)
        if "targets" in given:
            block.segments = <const int64_t*>self._hold(given["segments"])
            block.targets = <const int32_t*>self._hold(given["targets"])
            block.columns = <const int64_t*>self._hold(given["columns"])
            block.positions = <const int32_t*>self._hold(given["positions"])
            block.rows = <const int32_t*>self._hold(given["rows"])
        synapse = self._traces(rule.n_synapse, weights.size) if "targets" in given or not shared else shared["synapse"]
        post = shared["post"] if shared else self._traces(rule.n_post, n_post)
        pre = self._traces(rule.n_pre, rows)
        shared.update(synapse=synapse, post=post)
        for i in range(rule.n_synapse):
            state.synapse[i] = <double*><uintptr_t>synapse[i].__array_interface__["data"][0]
        for i in range(rule.n_pre):
            state.pre[i] = <double*><uintptr_t>pre[i].__array_interface__["data"][0]
        for i in range(rule.n_post):
            state.post[i] = <double*><uintptr_t>post[i].__array_interface__["data"][0]
        if "targets" not in given:
            now = self._traces(rule.n_pre, rows), self._traces(rule.n_post, n_post)
            for i in range(rule.n_pre):
                state.pre_now[i] = <double*><uintptr_t>now[0][i].__array_interface__["data"][0]
            for i in range(rule.n_post):
                state.post_now[i] = <double*><uintptr_t>now[1][i].__array_interface__["data"][0]
        state.synapse_since = <double*><uintptr_t>synapse[rule.n_synapse].__array_interface__["data"][0]
        state.pre_since = <double*><uintptr_t>pre[rule.n_pre].__array_interface__["data"][0]
        state.post_since = <double*><uintptr_t>post[rule.n_post].__array_interface__["data"][0]

    def _traces(self, int count, int64_t size):
        """Rows of zeros for `count` traces and the step of their last event, forgotten at every reset."""
        traces = np.zeros((count + 1, size)) if count else np.zeros((1, 0))
        self._hold(traces)
        self.memories.append(traces)
        return traces

    cdef _finish_projection(self, int64_t held_before):
        self.held_for_synapses += self.held - held_before
        self.loop.n_projections += 1

    def synapse_bytes(self):
        """Bytes of all arrays that hold synapses."""
        return self.held_for_synapses

    def seal(self):
        """Finish building: sort the projections by target, make the spike rings as long as delays need them."""
        cdef int i, p, n = 0
        cdef Node* node
        if self.loop.order != NULL:
            return
        self.loop.order = <int*>calloc(self.loop.n_projections + 1, sizeof(int))
        self.loop.first = <int*>calloc(self.loop.n_nodes + 1, sizeof(int))
        if self.loop.order == NULL or self.loop.first == NULL:
            raise MemoryError
        for i in range(self.loop.n_nodes):
            self.loop.first[i] = n
            for p in range(self.loop.n_projections):
                if self.loop.projections[p].post == i:
                    self.loop.order[n] = p
                    n += 1
        self.loop.first[self.loop.n_nodes] = n
        for i in range(self.loop.n_nodes):
            node = &self.loop.nodes[i]
            node.ring = node.longest + self.loop.max_lag + 2 if node.longest else 1
            node.ids = <int32_t*>self._hold(np.zeros(node.ring * node.size, np.int32))
            node.counts = <int64_t*>self._hold(np.zeros(node.ring * self.loop.threads, np.int64))
            if node.graded:
                node.payload = <int32_t*>self._hold(np.zeros(node.ring * node.size, np.int32))
        self._lay_out()
        for i in range(self.loop.n_tables):
            node = &self.loop.nodes[self.loop.tables[i].pre]
            if node.sent == NULL:
                node.sent = <int64_t*>self._hold(self.sent.setdefault(self.loop.tables[i].pre, np.zeros(node.size, np.int64)))

    # --------------------------------------------------------------------------------------------------------------- run

    def reset(self):
        """Forget all spikes and put accumulators at their bias; the caller restores the state arrays."""
        cdef int i
        cdef Node* node
        if self.running:
            raise RuntimeError("the engine is running")
        self.seal()
        self.loop.now = 0
        self.pending_events = {}
        for memory in self.memories:
            memory[:] = 0
        for i in range(self.loop.n_nodes):
            node = &self.loop.nodes[i]
            memset(node.counts, 0, node.ring * self.loop.threads * sizeof(int64_t))
        self._fill_accumulators()

    def run(self, int64_t steps, dict inputs, list record, list traces, int64_t every=1, weights=(), draws=()):
        """Run `steps` steps. Returns (spikes, counts, events).

        inputs: index -> (offsets (steps + 1,) int64, ids int32, payload int32 or None), events sorted by step.
        record: indices of populations whose spikes to return, as index -> (times, ids, payloads or None).
        traces: (index, state number, array (rows, size)) to fill, a row after every `every`-th step since the reset.
        weights: (index of a plastic projection, arrays to fill): one of (steps // every, *shape of its weights) where it is all-to-all,
        else one a thread of (steps // every, its synapses).
        draws: (index of a projection with an engine, (steps of the engine, 6) float64) its random numbers in this run.
        counts: spikes per node. events: synaptic events per projection, in the order they were added.
        On KeyboardInterrupt all threads leave within a step; the state is then in the middle of a step: reset.
        """
        if self.running:
            raise RuntimeError("the engine is running: it cannot be run by another thread or by a signal handler meanwhile")
        if steps < 1:
            raise ValueError(f"steps must be positive, not {steps}")
        if every < 1:
            raise ValueError(f"every must be positive, not {every}")
        self.loop.every = every
        self.running = True
        try:
            return self._run(steps, inputs, record, traces, weights, draws)
        finally:
            self.running = False

    def _run(self, int64_t steps, dict inputs, list record, list traces, weights, draws):
        cdef int i, k
        self.seal()
        held = self._prepare(steps, inputs, record, traces)
        self._prepare_weights(self._rows(steps), weights)
        self._prepare_draws(steps, dict(draws))
        self.loop.steps, self.loop.stop_at, self.loop.failed = steps, 2**62, 0
        self.loop.barrier.waiting = self.loop.barrier.phase = 0
        self._start_helpers()
        with nogil:
            run_loop(&self.loop)
        del held
        self._take_errors()
        if self.pending is not None:
            error, self.pending = self.pending, None
            raise error
        if self.loop.failed:
            raise MemoryError("no memory left for recorded spikes; record fewer populations or fewer steps")
        self.loop.now += steps
        spikes = {i: take_log(&self.loop.nodes[<int>i], self.loop.threads) for i in record}
        counts = [sum([self.loop.nodes[i].total[k] for k in range(self.loop.threads)]) for i in range(self.loop.n_nodes)]
        events = [sum([self.loop.projections[i].events[k] for k in range(self.loop.threads)]) for i in range(self.loop.n_projections)]
        self._count_listed(events)
        return spikes, counts, events

    cdef _count_listed(self, list events):
        """Events of listed projections: what the spikes of this run cause, with what was on its way before, without what still is."""
        cdef int i, n
        cdef Table* table
        cdef int64_t[::1] pending
        for i in range(self.loop.n_tables):
            table = &self.loop.tables[i]
            waiting = np.zeros(table.n_members + 1, np.int64)
            pending = waiting
            count_pending(&self.loop, table, self.loop.now, &pending[0])
            for n in range(table.n_members):
                sent = int(self.row_lengths[table.members[n]] @ self.sent[table.pre])
                events[table.members[n]] = sent + self.pending_events.get(table.members[n], 0) - int(waiting[n])
                self.pending_events[table.members[n]] = int(waiting[n])

    def _rows(self, int64_t steps):
        """Rows of a trace over the next steps."""
        return (self.loop.now + steps) // self.loop.every - self.loop.now // self.loop.every

    cdef _take_errors(self):
        """What updates in Python have met is pending, unless a signal handler raised first."""
        for context in self.contexts:
            self.pending = context.error if self.pending is None else self.pending
            context.error = None

    cdef _start_helpers(self):
        """Helpers live until the engine goes; a forked process starts its own."""
        if self.loop.threads == 1 or nc_pool_is_here(self.loop.pool):
            return
        nc_pool_stop(self.loop.pool)
        self.loop.pool = nc_pool_start(self.loop.threads - 1)
        if self.loop.pool == NULL:
            raise RuntimeError(f"the system refuses to start {self.loop.threads - 1} more threads; use fewer")

    def _prepare(self, int64_t steps, dict inputs, list record, list traces):
        cdef int i, k
        cdef Node* node
        held = []
        for i in range(self.loop.n_nodes):
            node = &self.loop.nodes[i]
            node.record = False
            node.in_offsets = NULL
            if node.sent != NULL:
                memset(node.sent, 0, node.size * sizeof(int64_t))
            memset(node.total, 0, sizeof(node.total))
            memset(node.traces, 0, sizeof(node.traces))
        for i in range(self.loop.n_projections):
            memset(self.loop.projections[i].events, 0, sizeof(self.loop.projections[i].events))
        for i, (offsets, ids, payload) in inputs.items():
            node = self.node_at(i)
            check_input(node.size, node.is_input, node.graded, steps, offsets, ids, payload)
            held.append((offsets, ids, payload))
            node.in_offsets = <const int64_t*><uintptr_t>offsets.__array_interface__["data"][0]
            node.in_ids = <const int32_t*><uintptr_t>ids.__array_interface__["data"][0]
            node.in_payload = NULL
            if payload is not None:
                node.in_payload = <const int32_t*><uintptr_t>payload.__array_interface__["data"][0]
        for i in record:
            node = self.node_at(i)
            node.record = True
            for k in range(self.loop.threads):
                node.logs[k].count = 0
        for i, k, array in traces:
            node = self.node_at(i)
            dtype = np.int64 if node.integer else np.float64
            if not 0 <= k < node.n_state:
                raise IndexError(f"state {k} is outside 0..{node.n_state - 1}")
            if array.dtype != dtype or array.shape != (self._rows(steps), node.size) or not array.flags.carray:
                shape = (self._rows(steps), node.size)
                raise ValueError(f"a trace must be a writable contiguous {dtype.__name__} array of {shape}")
            held.append(array)
            node.traces[k] = <void*><uintptr_t>array.__array_interface__["data"][0]
        return held

    def _prepare_weights(self, int64_t rows, weights):
        """Where the blocks of plastic projections record their weights in this run."""
        cdef int i, k
        cdef Block* block
        for i in range(self.loop.n_projections):
            for k in range(self.loop.threads if self.loop.projections[i].kind == PLASTIC else 0):
                self.loop.projections[i].learning.blocks[k].trace = NULL
        for i, arrays in weights:
            if not 0 <= i < self.loop.n_projections or self.loop.projections[i].kind != PLASTIC:
                raise ValueError(f"projection {i} does not learn")
            for k in range(self.loop.threads):
                block = &self.loop.projections[i].learning.blocks[k]
                array = arrays[k if block.targets != NULL else 0]
                check_array("recorded weights", array, np.float64, (rows, *array.shape[1:]))
                if array.size != rows * block.kept:
                    raise ValueError(f"recorded weights need {block.kept} values a row")
                block.trace = <double*><uintptr_t>array.__array_interface__["data"][0]

    def _prepare_draws(self, int64_t steps, draws):
        """Give every engine the random numbers of its steps in this run."""
        cdef int i, k
        for i in range(self.loop.n_projections):
            last = self.loop.now + steps - 1 + self.loop.nodes[self.loop.projections[i].post].lag
            for k in range(self.loop.threads if self.loop.projections[i].kind == PLASTIC else 0):
                take_draws(&self.loop.projections[i].learning.blocks[k].engine, draws.get(i), last)


cdef void* _grown(void* memory, size_t size) except NULL:
    """Memory with room for `size` bytes and what was in it."""
    cdef void* grown = realloc(memory, size)
    if grown == NULL:
        raise MemoryError
    return grown


cdef bint look_for_signals(void* owner) noexcept with gil:
    """Whether a signal handler or an update in Python raised; the exception waits until all threads have left."""
    engine = <Engine>owner
    try:
        PyErr_CheckSignals()
        return any([context.error is not None for context in engine.contexts])
    except BaseException as error:
        engine.pending = error
        return True
