// The Gaussian mixture: G(x)[o] = sum_m weight[o,m] * exp(-y[m]^2 / 2) + bias[o].
//
// A block takes 64 rows and goes through the components 64 projections at a time: p = x*W^T - offset in registers, then
// phi in shared memory, then the product that uses it. phi is never in global memory; the backward computes it again.
// Blocks of the forward and of the input's gradient own rows; those of the parameters' gradient own projections and sum
// over a share of the rows, the shares of all blocks being added in a fixed order by `mixture_total`.
//
// Shapes: x [rows, d]; w [m*r, d]; offset [m*r]; weight [o, m]; bias [o]. Under Sum, r is 1 and w the sum of each
// component's projections.

#define PROJ 64  // projections of a tile

struct Mixture {
    int rows, d, m, r, o;
};

// Tiles of at most 64 projections hold whole components.
__device__ inline int tile_components(const Mixture& s) { return PROJ / s.r; }

// p of the tile whose first component is `first`, for the block's rows from `x` on. `space` is free afterwards.
template <typename T>
__device__ inline void projected(
    float* space, float p[4][4], const Mixture& s, const T* x, int rows, const float* w,
    const float* offset, int first, int components) {
    int count = components * s.r;
    long long start = (long long)first * s.r;
    for (int n = 0; n < 4; n++) {
        for (int i = 0; i < 4; i++) {
            int column = column_of<4>(n, i);
            p[n][i] = column < count ? -offset[start + column] : 0.0f;
        }
    }
    float* b = space + 64 * LINE;
    for (int from = 0; from < s.d; from += DEPTH) {
        fetch<64, DEPTH, LINE>(space, x + from, s.d, rows, s.d - from);
        fetch<64, DEPTH, LINE>(b, w + start * s.d + from, s.d, count, s.d - from);
        settle();
        add_product<4, LINE, 1, LINE, 1>(p, space, b);
        __syncthreads();
    }
}

// exp(-|p|^2/2) of the components of a tile from p [row][projection] in lines of P, for each thread its own elements;
// the first eight, for tiles of at most 32 components.
template <int P>
__device__ inline void components_of(float phi[4][4], const float* p, int r, int components) {
    for (int n = 0; n < 8; n++) {
        int i = n * THREADS + threadIdx.x, component = i % 32, row = i / 32;
        float y2 = 0.0f;
        if (component < components) {
            for (int j = 0; j < r; j++) {
                float v = p[row * P + component * r + j];
                y2 = fmaf(v, v, y2);
            }
        }
        phi[n / 4][n % 4] = expf(-0.5f * y2);
    }
}

// Writes what `components_of` gave as [row][component] in lines of P.
template <int P>
__device__ inline void put_components(float* to, const float phi[4][4]) {
    for (int n = 0; n < 8; n++) {
        int i = n * THREADS + threadIdx.x;
        to[i / 32 * P + i % 32] = phi[n / 4][n % 4];
    }
}

// offset[p] = w[p]*centers[p/r]; under Sum (`summed`), w [m, d] is first made from projections [m, r, d].
extern "C" __global__ void mixture_prepare(
    const float* centers, const float* projections, float* w, float* offset, int d, int r, int summed) {
    __shared__ float sums[128];
    int p = blockIdx.x, tid = threadIdx.x;
    const float* center = centers + (long long)(summed ? p : p / r) * d;
    float sum = 0.0f;
    for (int i = tid; i < d; i += 128) {
        float v = 0.0f;
        if (summed) {
            for (int j = 0; j < r; j++) v += projections[((long long)p * r + j) * d + i];
            w[(long long)p * d + i] = v;
        } else {
            v = projections[(long long)p * d + i];
        }
        sum = fmaf(v, center[i], sum);
    }
    sums[tid] = sum;
    for (int half = 64; half > 0; half /= 2) {
        __syncthreads();
        if (tid < half) sums[tid] += sums[tid + half];
    }
    if (tid == 0) offset[p] = sums[0];
}

template <typename T, int NT>
__device__ inline void mixture_forward(
    const T* x, const float* w, const float* offset, const float* weight, const float* bias, T* out,
    Mixture s) {
    const int WIDTH = NT * 16;
    __shared__ __align__(16) float space[128 * LINE];
    __shared__ __align__(16) float tile[ROWS * ROW];
    long long start = (long long)blockIdx.x * ROWS;
    int rows = (int)min((long long)ROWS, s.rows - start);
    int first_out = blockIdx.y * WIDTH, outs = min(WIDTH, s.o - first_out);
    float acc[NT][4];
    for (int n = 0; n < NT; n++) {
        for (int i = 0; i < 4; i++) {
            int column = column_of<NT>(n, i);
            acc[n][i] = column < outs ? bias[first_out + column] : 0.0f;
        }
    }
    int step = tile_components(s);
    for (int first = 0; first < s.m; first += step) {
        int components = min(step, s.m - first);
        float p[4][4];
        projected(space, p, s, x + start * s.d, rows, w, offset, first, components);
        if (s.r == 1) {
            for (int n = 0; n < 4; n++) {
                for (int i = 0; i < 4; i++) p[n][i] = expf(-0.5f * p[n][i] * p[n][i]);
            }
            put_tile<4, ROW>(tile, p);
        } else {
            put_tile<4, ROW>(tile, p);
            __syncthreads();
            float phi[4][4];
            components_of<ROW>(phi, tile, s.r, components);
            // The components lie over the projections, once all of those are read.
            __syncthreads();
            put_components<ROW>(tile, phi);
        }
        const float* weights = weight + (long long)first_out * s.m + first;
        if (step > 16) {
            for (int from = 0; from < components; from += DEPTH) {
                fetch<WIDTH, DEPTH, LINE>(space, weights + from, s.m, outs, components - from);
                settle();
                add_product<NT, ROW, 1, LINE, 1>(acc, tile + from, space);
                __syncthreads();
            }
        } else {
            fetch<WIDTH, 16, LINE>(space, weights, s.m, outs, components);
            settle();
            add_product<NT, ROW, 1, LINE, 1, 16>(acc, tile, space);
            __syncthreads();
        }
    }
    for (int n = 0; n < NT; n++) {
        for (int i = 0; i < 4; i++) {
            int row = row_of(i), column = column_of<NT>(n, i);
            if (row < rows && column < outs) {
                narrow_to(&out[(start + row) * s.o + first_out + column], acc[n][i]);
            }
        }
    }
}

#define FORWARD(name, T, NT, BLOCKS)                                                                   \
    extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) name(                                \
        const T* x, const float* w, const float* offset, const float* weight, const float* bias, T* out, \
        int rows, int d, int m, int r, int o) {                                                        \
        mixture_forward<T, NT>(x, w, offset, weight, bias, out, Mixture{rows, d, m, r, o});            \
    }
FORWARD(mixture_forward_f32_16, float, 1, 3)
FORWARD(mixture_forward_f32_64, float, 4, 3)
FORWARD(mixture_forward_f32_128, float, 8, 2)
FORWARD(mixture_forward_bf16_16, bf16, 1, 3)
FORWARD(mixture_forward_bf16_64, bf16, 4, 3)
FORWARD(mixture_forward_bf16_128, bf16, 8, 2)
