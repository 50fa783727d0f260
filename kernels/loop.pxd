"""The loop over steps and everything it reads: every field with what it means.

Arrays belong to NumPy objects the engine keeps alive.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t, uintptr_t

cdef enum:
    CHUNK = 512                # most neurons that are updated at once: NC_PART
    MAX_THREADS = 64
    MAX_STATES = 16
    MAX_CONSTANTS = 64
    MAX_INPUTS = 8
    SPARSE = 0                 # how a projection's synapses are stored
    DENSE = 1
    CONV = 2
    PLASTIC = 3

from neurocomp.kernels.delivery cimport Window, nc_patches
from neurocomp.kernels.learning cimport Learning

cdef extern from "step.h" nogil:
    ctypedef struct nc_counts:
        pass
    ctypedef struct nc_now:
        int64_t step
        int64_t first
        uint64_t key
        double t
        bint alike
        nc_counts* counts
        void* context
        int32_t** sums
        const int32_t** bias
        double unit
        uint16_t* who
        int64_t* until
        void* held
        int32_t* waiting

ctypedef int (*update_fn)(
    ptrdiff_t n, const void* const* inputs, void* const* state, const void* const* constants, const nc_now* now,
    int32_t* ids, int32_t* payload
) noexcept nogil

cdef extern from "sync.h" nogil:
    ctypedef struct nc_barrier:
        int32_t waiting
        int32_t phase
        int32_t threads
        int32_t spins
    void nc_barrier_wait(nc_barrier* barrier)
    double nc_seconds()
    double LOOK "NC_LOOK"

cdef struct SpikeLog:          # spikes of one node recorded by one thread in one run
    int64_t count
    int64_t capacity
    int64_t* times             # steps since the start of the run
    int32_t* ids
    int32_t* payload           # of graded populations

cdef struct Tally:             # of one thread in this run; apart from others', as it changes at every step
    int64_t spikes
    int64_t rested             # neuron updates left out
    char pad[112]

cdef struct Node:
    int64_t size               # neurons
    int64_t lag                # machine steps behind the written network
    bint is_input
    bint graded                # spikes carry payloads
    bint integer               # state is int64
    bint single                # state is float32; else, and where it is not int64, float64
    int64_t width              # bytes of a value of it
    bint wide                  # the accumulator is int64, not int32
    double scale               # value of one grid unit, 2**exponent
    update_fn update
    bint takes                 # it can read accumulators itself, and work with lists of who waits, where neurons are alike
    int wait                   # the state that is above zero in neurons that wait, of such an update; else -1
    int32_t holds              # the states that neurons keep which wait, a bit each
    int n_held                 # how many these are
    int start                  # the constant that waiting begins from, or -1
    bint listed                # nothing keeps this run from working so
    uint16_t* who[MAX_THREADS]      # by thread: neurons that wait, each chunk's from its first place on, numbered within it
    int64_t* until[MAX_THREADS]     # by thread: the last step they wait in, ascending in each chunk
    void* held[MAX_THREADS]         # by thread: for each chunk n_held * CHUNK values, what they keep
    int32_t* waiting[MAX_THREADS]   # by thread: how many there are in each chunk
    void* context              # of an update that is not compiled
    uint64_t key               # of its random numbers
    nc_counts* poisson[MAX_THREADS]  # by thread: what its Poisson counts keep from step to step
    int n_inputs               # receptors
    bint autonomous            # an update depends on nothing but state and inputs, so what has settled stays so
    uint8_t* settled[MAX_THREADS]   # by thread: the chunks that input at rest leaves as they are, and silent
    int64_t chunk              # neurons updated at once: all they read fits the L1 cache
    int n_state
    int n_constants
    void* state[MAX_STATES]            # n_state pointers to arrays of `size` values
    const void* constants[MAX_CONSTANTS]  # n_constants pointers to arrays of `size`, or of CHUNK equal values
    bint alike                 # none of them varies, and none is no number where neurons wait
    uint8_t varies[MAX_CONSTANTS]         # whether the constant has one value per neuron
    bint level                 # each receptor's bias is one number for all neurons: `bias` and `rest` have CHUNK columns
    const void* bias           # n_inputs x size grid units as the accumulators' type: their values before any event
    const void* rest           # n_inputs x size: what the update gets where nobody projects to the node
    void* acc[MAX_THREADS]     # by thread: accumulators, n_inputs x (neurons of the thread) int32 or int64
    void* scratch[MAX_THREADS] # by thread: second ones, for projections whose sums are shifted
    int64_t first[MAX_THREADS] # by thread: where its accumulators begin among those of all nodes, as wide or as narrow
    int64_t* sent              # (size,) spikes of each neuron in this run, where listed synapses start here, else NULL
    int64_t ring               # slots of its spike ring: its largest delay onwards + max_lag + 2, or 1 where nobody listens
    int64_t longest            # its largest delay onwards, 0 where nobody listens
    int32_t* ids               # ring of spikes: slot s % ring holds, for thread k, its ids from s % ring * size + bounds[k]
    int32_t* payload           # the same ring for payloads (graded nodes only)
    int64_t* counts            # ring x threads: spikes of each thread
    int64_t bounds[MAX_THREADS + 1]         # thread k owns neurons bounds[k] .. bounds[k + 1]
    Tally tallies[MAX_THREADS]          # by thread
    const int64_t* in_offsets  # inputs of this run: events of step t are in_offsets[t] .. in_offsets[t + 1]
    const int32_t* in_ids
    const int32_t* in_payload
    bint record                # whether to log spikes
    SpikeLog logs[MAX_THREADS]          # by thread
    void* traces[MAX_STATES]           # by state: (steps // every) x size values to fill, or NULL

cdef inline int64_t resting_place(const Node* node, int receptor, int64_t neuron) noexcept nogil:
    """Where a neuron's value stands in `bias` and `rest`; for some neurons from this one on, at most CHUNK."""
    return receptor * CHUNK if node.level else receptor * node.size + neuron


cdef struct Projection:
    int pre
    int post
    int receptor               # number of the target's input
    int n_delays
    int shift                  # sums of each step and delay are shifted right by this
    int kind                   # SPARSE, DENSE, CONV or PLASTIC
    const int64_t* delays      # n_delays machine steps, ascending
    const int32_t* weights     # dense: rows x n_post grid units
    const int32_t* rows        # dense: row of each source neuron, -1 for none; NULL: its own
    nc_patches conv            # convolution
    void* sums[MAX_THREADS]    # convolution, by thread: (output place, channel) sums of the step, 0 between steps
    Learning learning          # plastic
    int64_t events[MAX_THREADS]         # synaptic events of this run, by thread

cdef struct Table:             # the listed synapses of one source, onto all targets that can share it
    int pre
    bint wide                  # whether its accumulators are int64
    int kind                   # of its windows: PACKED, SPLIT or SHARED
    int bits                   # of a target, where kind is PACKED
    int shift
    int n_delays
    const int64_t* delays      # n_delays machine steps, ascending
    int64_t lag                # of all its targets
    int64_t span               # steps between the first and the last delay, both counted
    int64_t room               # what the calendars of its windows hold for each step; 0: they have none
    int32_t shared             # the weight of all synapses, where kind is SHARED
    int n_members              # projections it holds
    int* members               # their numbers
    int n_windows[MAX_THREADS]
    Window* windows[MAX_THREADS]       # by thread
    const uint16_t* owners[MAX_THREADS]  # by thread: which member owns the synapses onto an accumulator

cdef extern from "pool.h" nogil:
    ctypedef struct nc_pool:
        pass
    nc_pool* nc_pool_start(int count)
    void nc_pool_stop(nc_pool* pool)
    void nc_pool_run(nc_pool* pool, void (*work)(void*, int) noexcept nogil, void* arg)
    bint nc_pool_is_here(const nc_pool* pool)

cdef struct Loop:
    Node* nodes
    Projection* projections
    Table* tables
    int n_nodes
    int n_projections
    int n_tables
    int threads
    int64_t max_lag
    int64_t now                # next step of the written network
    double dt                  # seconds per step
    int64_t steps              # of the current run
    int64_t every              # traces are kept after every so many steps
    int64_t begin              # machine steps under way: begin .. end
    int64_t end
    int64_t stop_at            # machine step before which all threads leave
    int failed                 # a log could not grow
    nc_barrier barrier
    nc_pool* pool              # helpers, NULL for one thread
    bint together              # the quicker way as last timed: with all threads
    int64_t trusted            # steps to go in this way before both are timed again
    int64_t span               # steps the last verdict was trusted for
    int* order                 # projections sorted by target
    void* acc[2][MAX_THREADS]      # accumulators of all nodes, narrow and wide, by thread
    void* scratch[2][MAX_THREADS]
    int* first                 # first[node] .. first[node + 1] in order
    bint (*look)(void* owner) noexcept nogil  # looks for signals; whether to stop
    void* owner
    double next_look           # when to look next, in seconds

cdef inline int64_t trace_row(Loop* loop, int64_t t) noexcept nogil:
    """The row of this run's traces for its step t: they are kept after every `every`-th step since the reset."""
    return (loop.now + t + 1) // loop.every - loop.now // loop.every - 1

cdef inline bint is_forward(int64_t step) noexcept nogil:
    """Whether neurons are updated from the first to the last at this machine step.

    Every other step it is the other way round: what was updated last is still in a cache then.
    """
    return step % 2 == 0

cdef void run_loop(Loop* loop) noexcept nogil
