// The Gaussian mixture: G(x)[o] = sum_m weight[o,m] * exp(-y[m]^2 / 2) + bias[o].
//
// A block takes 64 rows and goes through the components 64 projections at a time: p = x*W^T - offset in registers, then
// phi in shared memory, then the product that uses it. phi is never in global memory; the backward computes it again.
// Blocks of the forward and of the input's gradient own rows; those of the parameters' gradient own projections and sum
// over a share of the rows, the shares of all blocks being added in their order by `mixture_total`.
//
// Shapes: x [rows, d]; w [m*r, d]; offset [m*r]; weight [o, m]; bias [o]. Under Sum, r is 1 and w the sum of each
// component's projections.

#define ROWS 64      // rows of a block
#define PROJ 64      // projections of a tile
#define DEPTH 16     // of a product, between two synchronisations
#define STRIDE 68    // of shared rows of 64: 16-byte aligned, off the banks
#define THREADS 256  // 16 by 16, each with 4 by 4 of a tile

struct Four {
    float v[4];
};

__device__ inline Four four(const float* from) {
    float4 x = *(const float4*)from;
    Four y = {{x.x, x.y, x.z, x.w}};
    return y;
}

__device__ inline void put(float* to, float a, float b, float c, float d) {
    float4 x;
    x.x = a;
    x.y = b;
    x.z = c;
    x.w = d;
    *(float4*)to = x;
}

struct Mixture {
    int rows, d, m, r, o;
};

// Tiles of at most 64 projections hold whole components.
__device__ inline int tile_components(const Mixture& s) { return PROJ / s.r; }

struct Product {
    float a[DEPTH * STRIDE];
    float b[DEPTH * STRIDE];
};

// acc[i][j] += sum_k a(row, k) * b(column, k) for rows ty*4+i and columns tx*4+j of a 64 by 64 tile, k up to `depth`.
// `a` is [*, depth] in T, `b` is read through its strides.
template <typename T>
__device__ inline void add_product(
    Product& shared, float acc[4][4], const T* a, int a_rows, int depth, const float* b, int b_columns,
    long long b_column, long long b_depth) {
    int tid = threadIdx.x, tx = tid % 16, ty = tid / 16;
    for (int start = 0; start < depth; start += DEPTH) {
        int left = min(DEPTH, depth - start);
        for (int i = tid; i < 64 * DEPTH; i += THREADS) {
            int k = i % DEPTH, line = i / DEPTH;
            bool inside = k < left;
            shared.a[k * STRIDE + line] =
                inside && line < a_rows ? widened(a[(long long)line * depth + start + k]) : 0.0f;
        }
        for (int i = tid; i < 64 * DEPTH; i += THREADS) {
            // Neighbouring threads read neighbours in memory.
            int k = b_depth == 1 ? i % DEPTH : i / 64;
            int column = b_depth == 1 ? i / DEPTH : i % 64;
            bool inside = k < left && column < b_columns;
            shared.b[k * STRIDE + column] =
                inside ? b[column * b_column + (start + k) * b_depth] : 0.0f;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < DEPTH; k++) {
            Four x = four(&shared.a[k * STRIDE + ty * 4]);
            Four y = four(&shared.b[k * STRIDE + tx * 4]);
#pragma unroll
            for (int i = 0; i < 4; i++) {
#pragma unroll
                for (int j = 0; j < 4; j++) acc[i][j] = fmaf(x.v[i], y.v[j], acc[i][j]);
            }
        }
        __syncthreads();
    }
}

// p of the tile whose first component is `first`, for the block's rows from `x` on.
template <typename T>
__device__ inline void projected(
    Product& shared, float p[4][4], const Mixture& s, const T* x, int rows, const float* w,
    const float* offset, int first, int components) {
    int tx = threadIdx.x % 16, count = components * s.r;
    long long start = (long long)first * s.r;
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++) {
            int column = tx * 4 + j;
            p[i][j] = column < count ? -offset[start + column] : 0.0f;
        }
    }
    add_product(shared, p, x, rows, s.d, w + start * s.d, count, s.d, 1);
}

// acc[i][j] += sum_k a[k][row ty*4+i] * b(k, column), columns as `columns_of` says, k up to `depth` rows of `a`.
// `b(k, column)` is b[k*b_depth + column*b_column], of `columns` columns.
template <int GROUPS, typename B>
__device__ inline void add_outer(
    float* shared, float acc[4][GROUPS == 0 ? 1 : GROUPS * 4], const float* a, int a_stride, int depth,
    const B* b, int columns, long long b_column, long long b_depth) {
    const int WIDTH = GROUPS == 0 ? 16 : GROUPS * 64, PITCH = WIDTH + 4;
    int tid = threadIdx.x, tx = tid % 16, ty = tid / 16;
    for (int start = 0; start < depth; start += DEPTH) {
        int left = min(DEPTH, depth - start);
        for (int i = tid; i < DEPTH * WIDTH; i += THREADS) {
            int k = b_depth == 1 ? i % DEPTH : i / WIDTH;
            int column = b_depth == 1 ? i / DEPTH : i % WIDTH;
            bool inside = k < left && column < columns;
            shared[k * PITCH + column] =
                inside ? widened(b[(start + k) * b_depth + column * b_column]) : 0.0f;
        }
        __syncthreads();
        for (int k = 0; k < left; k++) {
            Four x = four(&a[(start + k) * a_stride + ty * 4]);
            if (GROUPS == 0) {
                float y = shared[k * PITCH + tx];
#pragma unroll
                for (int i = 0; i < 4; i++) acc[i][0] = fmaf(x.v[i], y, acc[i][0]);
            }
#pragma unroll
            for (int g = 0; g < GROUPS; g++) {
                Four y = four(&shared[k * PITCH + g * 64 + tx * 4]);
#pragma unroll
                for (int i = 0; i < 4; i++) {
#pragma unroll
                    for (int j = 0; j < 4; j++) {
                        acc[i][g * 4 + j] = fmaf(x.v[i], y.v[j], acc[i][g * 4 + j]);
                    }
                }
            }
        }
        __syncthreads();
    }
}

// The column of `acc[..][j]` in a tile of `add_outer`.
template <int GROUPS>
__device__ inline int column_of(int j) {
    int tx = threadIdx.x % 16;
    return GROUPS == 0 ? tx : (j / 4) * 64 + tx * 4 + j % 4;
}

// phi[component][row] of the tile from p[projection][row].
__device__ inline void components_of(float* phi, const float* p, int r, int components) {
    for (int i = threadIdx.x; i < components * ROWS; i += THREADS) {
        int row = i % ROWS, component = i / ROWS;
        float y2 = 0.0f;
        for (int j = 0; j < r; j++) {
            float v = p[(component * r + j) * STRIDE + row];
            y2 = fmaf(v, v, y2);
        }
        phi[component * STRIDE + row] = expf(-0.5f * y2);
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

template <typename T, int GROUPS>
__device__ inline void mixture_forward(
    const T* x, const float* w, const float* offset, const float* weight, const float* bias, T* out,
    Mixture s) {
    const int WIDTH = GROUPS == 0 ? 16 : GROUPS * 64, COUNT = GROUPS == 0 ? 1 : GROUPS * 4;
    __shared__ __align__(16) Product product;
    __shared__ __align__(16) float p_tile[PROJ * STRIDE];
    __shared__ __align__(16) float columns[DEPTH * (WIDTH + 4)];
    int tid = threadIdx.x, tx = tid % 16, ty = tid / 16;
    long long start = (long long)blockIdx.x * ROWS;
    int rows = (int)min((long long)ROWS, s.rows - start);
    int first_out = blockIdx.y * WIDTH, outs = min(WIDTH, s.o - first_out);
    float acc[4][COUNT];
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < COUNT; j++) {
            int column = column_of<GROUPS>(j);
            acc[i][j] = column < outs ? bias[first_out + column] : 0.0f;
        }
    }
    int step = tile_components(s);
    for (int first = 0; first < s.m; first += step) {
        int components = min(step, s.m - first);
        float p[4][4];
        projected(product, p, s, x + start * s.d, rows, w, offset, first, components);
        if (s.r == 1) {
            for (int j = 0; j < 4; j++) {
                float e[4];
                for (int i = 0; i < 4; i++) e[i] = expf(-0.5f * p[i][j] * p[i][j]);
                put(&p_tile[(tx * 4 + j) * STRIDE + ty * 4], e[0], e[1], e[2], e[3]);
            }
            __syncthreads();
        } else {
            for (int j = 0; j < 4; j++) {
                put(&p_tile[(tx * 4 + j) * STRIDE + ty * 4], p[0][j], p[1][j], p[2][j], p[3][j]);
            }
            __syncthreads();
            // Of two projections or more: at most 32 components, which lie over the projections once all are read.
            float phi[32 * ROWS / THREADS];
            for (int n = 0; n < 32 * ROWS / THREADS; n++) {
                int i = n * THREADS + tid, row = i % ROWS, component = i / ROWS;
                float y2 = 0.0f;
                if (component < components) {
                    for (int j = 0; j < s.r; j++) {
                        float v = p_tile[(component * s.r + j) * STRIDE + row];
                        y2 = fmaf(v, v, y2);
                    }
                }
                phi[n] = expf(-0.5f * y2);
            }
            __syncthreads();
            for (int n = 0; n < 32 * ROWS / THREADS; n++) {
                int i = n * THREADS + tid;
                p_tile[(i / ROWS) * STRIDE + i % ROWS] = phi[n];
            }
            __syncthreads();
        }
        add_outer<GROUPS>(
            columns, acc, p_tile, STRIDE, components, weight + (long long)first_out * s.m + first, outs,
            s.m, 1);
    }
    for (int i = 0; i < 4; i++) {
        int row = ty * 4 + i;
        for (int j = 0; j < COUNT; j++) {
            int column = column_of<GROUPS>(j);
            if (row < rows && column < outs) {
                narrow_to(&out[(start + row) * s.o + first_out + column], acc[i][j]);
            }
        }
    }
}

#define FORWARD(name, T, GROUPS)                                                                       \
    extern "C" __global__ void __launch_bounds__(THREADS) name(                                        \
        const T* x, const float* w, const float* offset, const float* weight, const float* bias, T* out, \
        int rows, int d, int m, int r, int o) {                                                        \
        mixture_forward<T, GROUPS>(x, w, offset, weight, bias, out, Mixture{rows, d, m, r, o});        \
    }
FORWARD(mixture_forward_f32_16, float, 0)
FORWARD(mixture_forward_f32_64, float, 1)
FORWARD(mixture_forward_f32_128, float, 2)
FORWARD(mixture_forward_bf16_16, bf16, 0)
FORWARD(mixture_forward_bf16_64, bf16, 1)
FORWARD(mixture_forward_bf16_128, bf16, 2)
