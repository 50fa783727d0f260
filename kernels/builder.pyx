"""What the engine is made of, second part: projections as arrays, checked when they are added."""

import numpy as np

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uintptr_t
from libc.stdlib cimport calloc, realloc
from libc.string cimport memset

from neurocomp.kernels.delivery cimport HALF, PACKED, SHARED, SPLIT, Segment, Window
from neurocomp.kernels.learning cimport NC_TRACES, Block, nc_engine_events, nc_learning, nc_rule
from neurocomp.kernels.loihi cimport fill_engine
from neurocomp.kernels.loop cimport CONV, DENSE, PLASTIC, Node, Projection, Table
from neurocomp.kernels.nodes cimport Nodes

from neurocomp.kernels.checks import aligned, check_array, check_block, check_taps, check_window

MANY_DELAYS = 4  # from so many on, a table's spikes are entered in a calendar


cdef class Builder(Nodes):
    """Nodes and the projections between them."""

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
        if not delays.shape[0]:
            raise ValueError("a table has at least one delay")
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
        table.span = delays[delays.shape[0] - 1] - delays[0] + 1
        room = rows // (4 * table.span)  # all places together are a quarter of the rows
        if delays.shape[0] >= MANY_DELAYS and not table.shift and room >= 4:
            table.room = room
        for k, part in enumerate(windows):
            table.owners[k] = <const uint16_t*>self._hold(owners[k])
            table.windows[k] = <Window*>calloc(len(part) + 1, sizeof(Window))
            table.members = <int*>_grown(table.members, len(members) * sizeof(int))
            if table.windows[k] == NULL:
                raise MemoryError
            table.n_windows[k] = <int>len(part)
            for w, window in enumerate(part):
                self._fill_window(&table.windows[k][w], window)
                if table.room:
                    self._fill_calendar(table, &table.windows[k][w])
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

    cdef _fill_calendar(self, Table* table, Window* window):
        window.due = <Segment*>self._hold(np.zeros(table.span * table.room, "3u4"))
        size = sizeof(window.at[0]) * 2 + (sizeof(window.booked[0]) + sizeof(window.crowded[0])) * table.span
        memory = aligned(np.zeros(size, np.uint8))
        window.at = <int64_t*>self._hold(memory)
        window.booked = <int32_t*>(window.at + 2)
        window.crowded = <uint8_t*>(window.booked + table.span)
        self.memories.append(memory)

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
            traces = self._fill_block(&new.learning.blocks[k], compiled, block, rows, target.size, constants, shared)
            self.learned.setdefault(self.loop.n_projections, []).append(traces)
            if engine is not None:
                arrays, memory = fill_engine(&new.learning.blocks[k].engine, engine, rows, target.bounds[k], target.bounds[k + 1])
                self.keep += [*arrays, *memory]
                self.memories += memory
                traces["engine"] = memory
        self._finish_projection(before)

    cdef _fill_block(
        self, Block* block, const nc_rule* rule, dict given, int64_t rows, int64_t n_post, constants, dict shared
    ):
        """Point a block at its arrays. Traces of targets, and of all-to-all synapses their variables, are shared by threads.

        Returns the traces by name: arrays of one row each, and of one for the steps of the last events.
        """
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
        return {"synapse": synapse, "pre": pre, "post": post}

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


cdef void* _grown(void* memory, size_t size) except NULL:
    """Memory with room for `size` bytes and what was in it."""
    cdef void* grown = realloc(memory, size)
    if grown == NULL:
        raise MemoryError
    return grown
