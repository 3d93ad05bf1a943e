// Runs CUDA kernels on the processor, for tests: a block's threads are fibers that take turns at every synchronisation,
// in an order that changes from pass to pass, so that a missing one shows. Each array lies flush against a page that
// cannot be touched, behind bytes that must not change.

#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

using std::max;
using std::min;

#define __global__
#define __device__
#define __shared__ static
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)

struct Index {
    unsigned x, y, z;
};
static Index threadIdx, blockIdx, blockDim, gridDim;

struct __attribute__((aligned(8))) float2 {
    float x, y;
};

struct __attribute__((aligned(16))) float4 {
    float x, y, z, w;
};

static inline float __uint_as_float(unsigned bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

static inline unsigned __float_as_uint(float x) {
    unsigned bits;
    memcpy(&bits, &x, 4);
    return bits;
}

namespace host {

constexpr size_t STACK = 128 << 10;

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[STACK]};
    bool done = false;
};

static std::vector<Fiber> fibers;
static ucontext_t scheduler;
static size_t current;
static void (*body)(void**);
static void** parameters;

static void start() {
    body(parameters);
    fibers[current].done = true;
    swapcontext(&fibers[current].context, &scheduler);
}

// Whether every thread of the block came to the same synchronisations.
static bool run_block(unsigned threads, unsigned seed) {
    if (fibers.size() < threads) fibers.resize(threads);
    for (unsigned i = 0; i < threads; i++) {
        Fiber& fiber = fibers[i];
        fiber.done = false;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = STACK;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, start, 0);
    }
    for (;; seed++) {
        unsigned done = 0;
        for (unsigned i = 0; i < threads; i++) {
            unsigned thread = seed % 3 == 0 ? i : seed % 3 == 1 ? threads - 1 - i : (i * 77 + seed) % threads;
            current = thread;
            threadIdx = {thread, 0, 0};
            swapcontext(&scheduler, &fibers[thread].context);
            done += fibers[thread].done;
        }
        if (done == threads) return true;
        if (done > 0) return false;
    }
}

template <auto KERNEL>
struct Caller;

template <typename... A, void (*KERNEL)(A...)>
struct Caller<KERNEL> {
    template <size_t... I>
    static void spread(void** p, std::index_sequence<I...>) {
        KERNEL(*(A*)p[I]...);
    }
    static void call(void** p) { spread(p, std::index_sequence_for<A...>{}); }
    static constexpr size_t count = sizeof...(A);
};

struct Kernel {
    const char* name;
    void (*call)(void**);
    size_t count;
};

// As the Rust side lays it out: `bytes` of an array at `at`, or a scalar at `at` where `bytes` is zero.
struct Argument {
    void* at;
    uint64_t bytes;
    uint64_t written;
};

constexpr unsigned char GUARD = 0xA5;

// A copy of an array between pages that cannot be touched.
struct Guarded {
    char* map;
    size_t page, pages;
    char* array;
    explicit Guarded(const Argument& argument) {
        page = sysconf(_SC_PAGESIZE);
        pages = (argument.bytes + page - 1) / page + 1;
        map = (char*)mmap(nullptr, (pages + 2) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char* inside = map + page;
        mprotect(inside, pages * page, PROT_READ | PROT_WRITE);
        memset(inside, GUARD, pages * page);
        array = inside + pages * page - argument.bytes;
        memcpy(array, argument.at, argument.bytes);
        if (!argument.written) mprotect(inside, pages * page, PROT_READ);
    }
    bool intact() const {
        return std::all_of(map + page, array, [](char c) { return (unsigned char)c == GUARD; });
    }
    ~Guarded() { munmap(map, (pages + 2) * page); }
};

static const char* launch(
    const Kernel* kernels, size_t count, const char* name, const unsigned* grid, unsigned threads,
    const Argument* arguments, size_t argument_count) {
    const Kernel* kernel = std::find_if(
        kernels, kernels + count, [&](const Kernel& k) { return strcmp(k.name, name) == 0; });
    if (kernel == kernels + count) return "no such kernel";
    if (kernel->count != argument_count) return "another number of arguments";
    std::vector<std::unique_ptr<Guarded>> arrays;
    std::vector<void*> pointers(argument_count);
    std::vector<void*> values(argument_count);
    for (size_t i = 0; i < argument_count; i++) {
        values[i] = arguments[i].at;
        if (arguments[i].bytes > 0) {
            arrays.push_back(std::make_unique<Guarded>(arguments[i]));
            pointers[i] = arrays.back()->array;
            values[i] = &pointers[i];
        }
    }
    static unsigned seed = 0;
    blockDim = {threads, 1, 1};
    gridDim = {grid[0], grid[1], grid[2]};
    body = kernel->call;
    parameters = values.data();
    for (unsigned z = 0; z < grid[2]; z++) {
        for (unsigned y = 0; y < grid[1]; y++) {
            for (unsigned x = 0; x < grid[0]; x++) {
                blockIdx = {x, y, z};
                if (!run_block(threads, seed++)) return "threads left before a synchronisation of others";
            }
        }
    }
    size_t array = 0;
    for (size_t i = 0; i < argument_count; i++) {
        if (arguments[i].bytes == 0) continue;
        const Guarded& guarded = *arrays[array++];
        if (!guarded.intact()) return "bytes before an array were written";
        if (arguments[i].written) memcpy(arguments[i].at, guarded.array, arguments[i].bytes);
    }
    return nullptr;
}

}  // namespace host

static void __syncthreads() {
    size_t me = host::current;
    swapcontext(&host::fibers[me].context, &host::scheduler);
}
