"""Projections whose synapses learn: their arrays, and what happens to them in a step."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from neurocomp.kernels.delivery cimport acc_t

cdef extern from "learning.h" nogil:
    enum:
        NC_TRACES
    ctypedef struct nc_learning:
        double t
        double reward
        double* w
        int64_t stride
        double** synapse
        double* synapse_since
        double** pre
        double* pre_since
        double** post
        double* post_since
        double** pre_now
        double** post_now
        const double* constants
    ctypedef void (*nc_learn_row)(
        const nc_learning* l, int64_t row, int64_t begin, int64_t end, const int32_t* targets) noexcept nogil
    ctypedef void (*nc_learn_column)(
        const nc_learning* l, int64_t target, int64_t count, const int32_t* positions, const int32_t* rows) noexcept nogil
    ctypedef void (*nc_jump)(const nc_learning* l, int64_t which) noexcept nogil
    ctypedef void (*nc_now_traces)(const nc_learning* l, int64_t begin, int64_t end) noexcept nogil
    ctypedef struct nc_rule:
        nc_learn_row on_pre
        nc_learn_column on_post
        nc_learn_column on_reward
        nc_jump jump_pre
        nc_jump jump_post
        nc_now_traces now_pre
        nc_now_traces now_post
        int32_t n_pre
        int32_t n_post
        int32_t n_synapse
        int32_t n_constants
    double nc_round(double x)

cdef extern from "loihi.h" nogil:
    ctypedef struct nc_engine_product:
        pass
    ctypedef struct nc_engine_factor:
        pass
    ctypedef struct nc_engine:
        int64_t epoch
        int64_t period
        int64_t low
        int64_t high
        int64_t rows
        int64_t lo
        int64_t hi
        int64_t n_products
        const nc_engine_product* products
        const nc_engine_factor* factors
        const int64_t* whole
        const double* fraction
        const int64_t* impulse
        const int64_t* chance
        uint8_t* pre
        uint8_t* post
        uint8_t* pre_last
        uint8_t* post_last
        int64_t* time
        const double* draws
        int64_t drawn
    const nc_rule nc_engine_events

cdef struct Block:             # the synapses onto one thread's targets
    nc_learning state
    nc_engine engine           # of a projection that learns by Loihi's rules, else without products
    const int64_t* segments    # listed: the synapses of row r are segments[r] .. segments[r + 1]
    const int32_t* targets     # listed: target neuron of each synapse; NULL: all-to-all
    const int64_t* columns     # listed: those of target lo + j are positions[columns[j] .. columns[j + 1]]
    const int32_t* positions   # listed: synapse
    const int32_t* rows        # listed: its row
    int64_t lo                 # the thread's targets are lo .. hi
    int64_t hi
    double* trace              # weights recorded in this run, a row of `kept` values each time, or NULL
    int64_t kept               # synapses in state.w

cdef struct Learning:
    const nc_rule* rule
    int reward                 # node that sends the reward, -1 for none
    int64_t reward_delay       # machine steps
    double units               # grid units of a weight of 1
    int64_t n_rows             # source neurons x delays
    Block* blocks              # by thread

cdef int64_t add_weights(
    acc_t* acc, const Learning* learning, const Block* block, int64_t stride, int64_t slot, const int32_t* ids, int64_t count
) noexcept nogil

cdef void ready_post(const Learning* learning, Block* block) noexcept nogil
cdef void learn_arrivals(
    const Learning* learning, Block* block, int64_t stride, int64_t slot, const int32_t* ids, int64_t count) noexcept nogil
cdef void learn_spikes(const Learning* learning, Block* block, const int32_t* ids, int64_t count) noexcept nogil
cdef void learn_reward(const Learning* learning, Block* block, double reward) noexcept nogil
