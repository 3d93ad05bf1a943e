// The gradients of the Gaussian mixture; see mixture.cu.

// up(row, component) += sum over o of dy[row, o]*weight[o, component] for the tile's components, at most 16*NT. `space`
// is free afterwards.
template <int NT, typename T>
__device__ inline void upstream(
    float* space, float up[NT][4], const Mixture& s, const T* dy, int rows, const float* weight, int first,
    int components) {
    const int WIDTH = NT * 16, PITCH = WIDTH + 8;
    float* b = space + 64 * LINE;
    for (int from = 0; from < s.o; from += DEPTH) {
        fetch<64, DEPTH, LINE>(space, dy + from, s.o, rows, s.o - from);
        const float* weights = weight + (long long)from * s.m + first;
        fetch<DEPTH, WIDTH, PITCH>(b, weights, s.m, s.o - from, components);
        settle();
        add_product<NT, LINE, 1, 1, PITCH>(up, space, b);
        __syncthreads();
    }
}

// The gradient of each projection, g = -phi*s*p, of a tile of components with several projections, at most 16*NT of
// them, from their p. They are left in `tile` as [row][projection] in lines of P; phi is for each thread as `components_of` gives it, and
// `narrow` [ROWS*LINE] and `space` are free afterwards.
template <int NT, int P, typename T>
__device__ inline void slopes_of_several(
    float* space, float* tile, float* narrow, float phi[4][4], float p[4][4], const Mixture& s, const T* dy,
    int rows, const float* weight, int first, int components) {
    put_tile<4, P>(tile, p);
    __syncthreads();
    components_of<P>(phi, tile, s.r, components);
    put_components<LINE>(narrow, phi);
    float up[NT][4] = {};
    // Its synchronisations lie between phi and what follows.
    upstream<NT>(space, up, s, dy, rows, weight, first, components);
    for (int n = 0; n < NT; n++) {
        for (int i = 0; i < 4; i++) {
            int component = column_of<NT>(n, i);
            if (component < components) narrow[row_of(i) * LINE + component] *= -up[n][i];
        }
    }
    __syncthreads();
    // column/r as a product and a shift, exact for columns of a tile.
    int count = components * s.r, part = (65535 + s.r) / s.r;
    for (int n = 0; n < 4; n++) {
        for (int i = 0; i < 4; i++) {
            int column = column_of<4>(n, i), component = column * part >> 16;
            p[n][i] = column < count ? p[n][i] * narrow[row_of(i) * LINE + component] : 0.0f;
        }
    }
    put_tile<4, P>(tile, p);
}

// The gradient of x: sum over projections of g[p]*w[p], with g = -phi*s*p and s[m] = sum_o dy[o]*weight[o,m].
template <typename T, int NT>
__device__ inline void mixture_input(
    const T* x, const float* w, const float* offset, const float* weight, const T* dy, T* dx, Mixture s) {
    const int WIDTH = NT * 16, PITCH = WIDTH + 8;
    __shared__ __align__(16) float space[128 * LINE];
    __shared__ __align__(16) float tile[ROWS * ROW];
    __shared__ __align__(16) float narrow[ROWS * LINE];
    long long start = (long long)blockIdx.x * ROWS;
    int rows = (int)min((long long)ROWS, s.rows - start);
    int first_in = blockIdx.y * WIDTH, ins = min(WIDTH, s.d - first_in);
    float acc[NT][4] = {};
    int step = tile_components(s);
    for (int first = 0; first < s.m; first += step) {
        int components = min(step, s.m - first), count = components * s.r;
        float p[4][4];
        projected(space, p, s, x + start * s.d, rows, w, offset, first, components);
        if (s.r == 1) {
            float up[4][4] = {};
            upstream<4>(space, up, s, dy + start * s.o, rows, weight, first, components);
            for (int n = 0; n < 4; n++) {
                for (int i = 0; i < 4; i++) p[n][i] *= -up[n][i] * expf(-0.5f * p[n][i] * p[n][i]);
            }
            put_tile<4, ROW>(tile, p);
        } else {
            float phi[4][4];
            const T* rows_dy = dy + start * s.o;
            if (step > 16) {
                slopes_of_several<2, ROW>(
                    space, tile, narrow, phi, p, s, rows_dy, rows, weight, first, components);
            } else {
                slopes_of_several<1, ROW>(
                    space, tile, narrow, phi, p, s, rows_dy, rows, weight, first, components);
            }
        }
        for (int from = 0; from < count; from += DEPTH) {
            const float* lines = w + ((long long)first * s.r + from) * s.d + first_in;
            fetch<DEPTH, WIDTH, PITCH>(space, lines, s.d, count - from, ins);
            settle();
            add_product<NT, ROW, 1, 1, PITCH>(acc, tile + from, space);
            __syncthreads();
        }
    }
    for (int n = 0; n < NT; n++) {
        for (int i = 0; i < 4; i++) {
            int row = row_of(i), column = column_of<NT>(n, i);
            if (row < rows && column < ins) {
                narrow_to(&dx[(start + row) * s.d + first_in + column], acc[n][i]);
            }
        }
    }
}

// acc += tile^T*b over the rows of a block, `tile` as [row][line] of `lines` lines and b [rows, width] from its first of
// `columns_left` columns on. Where `sums` is given, b's columns are summed up, by each thread for its column and a quarter of the rows.
template <typename T>
__device__ inline void add_transposed(
    float* space, float acc[4][4], const float* tile, int lines, const T* b, int rows, long long width,
    int columns_left, float* sum) {
    // A warp whose lines there are not has nothing to do.
    bool works = threadIdx.x / 32 % 4 * 16 < lines;
    for (int from = 0; from < ROWS; from += DEPTH) {
        fetch<DEPTH, 64, ACROSS>(space, b + from * width, width, rows - from, columns_left);
        settle();
        if (works) add_product_apart<4, 1, ACROSS, 1, ACROSS>(acc, tile + from * ACROSS, space);
        if (sum) {
            int column = threadIdx.x % 64, first = threadIdx.x / 64 * (DEPTH / 4);
            for (int row = first; row < first + DEPTH / 4; row++) *sum += space[row * ACROSS + column];
        }
        __syncthreads();
    }
}

// The sum over the four threads of each column; for the first of them.
__device__ inline float over_quarters(float* space, float sum) {
    space[threadIdx.x] = sum;
    __syncthreads();
    int column = threadIdx.x % 64;
    sum = space[column] + space[64 + column] + (space[128 + column] + space[192 + column]);
    __syncthreads();
    return sum;
}

// Writes lines and columns that there are of a tile to `to`, of `width` columns.
__device__ inline void put_share(float* to, const float acc[4][4], int lines, int columns, long long width) {
    for (int n = 0; n < 4; n++) {
        for (int i = 0; i < 4; i++) {
            int line = row_of(i), column = column_of<4>(n, i);
            if (line < lines && column < columns) to[line * width + column] = acc[n][i];
        }
    }
}

// A share of the parameters' gradients over the rows of blockIdx.z: for a tile of components (blockIdx.x) and one of
// columns (blockIdx.y, of d and of o) of
//   dw[m*r, d] = g^T*x | dp[m*r] = sum of g | dweight[m, o] = phi^T*dy | dbias[o] = sum of dy,
// one after the other in `shares`, a gradient's length for each share.
template <typename T>
__device__ inline void mixture_parameters(
    const T* x, const float* w, const float* offset, const float* weight, const T* dy, float* shares,
    Mixture s, int share_rows) {
    __shared__ __align__(16) float space[128 * LINE];
    __shared__ __align__(16) float tile[ROWS * ACROSS];
    __shared__ __align__(16) float narrow[ROWS * LINE];
    int first_column = blockIdx.y * 64;
    int ins = min(64, s.d - first_column), outs = min(64, s.o - first_column);
    int step = tile_components(s), first = blockIdx.x * step;
    int components = min(step, s.m - first), count = components * s.r;
    long long from = (long long)blockIdx.z * share_rows;
    long long to = min((long long)s.rows, from + share_rows);
    float inputs[4][4] = {}, outputs[4][4] = {}, slopes = 0.0f, upstreams = 0.0f;
    for (long long start = from; start < to; start += ROWS) {
        int rows = (int)min((long long)ROWS, to - start);
        const T *rows_x = x + start * s.d, *rows_dy = dy + start * s.o;
        // phi, as the products leave it or as `components_of` does.
        float p[4][4], phi[4][4];
        projected(space, p, s, rows_x, rows, w, offset, first, components);
        if (s.r == 1) {
            float up[4][4] = {};
            if (ins > 0) upstream<4>(space, up, s, rows_dy, rows, weight, first, components);
            for (int n = 0; n < 4; n++) {
                for (int i = 0; i < 4; i++) {
                    phi[n][i] = expf(-0.5f * p[n][i] * p[n][i]);
                    p[n][i] *= -up[n][i] * phi[n][i];
                }
            }
            put_tile<4, ACROSS>(tile, p);
        } else if (step > 16) {
            slopes_of_several<2, ACROSS>(
                space, tile, narrow, phi, p, s, rows_dy, rows, weight, first, components);
        } else {
            slopes_of_several<1, ACROSS>(
                space, tile, narrow, phi, p, s, rows_dy, rows, weight, first, components);
        }
        if (ins > 0) {
            // Rows beyond the last have no upstream gradient, and so no slope.
            add_transposed(
                space, inputs, tile, count, rows_x + first_column, rows, s.d, ins, (float*)nullptr);
            if (blockIdx.y == 0) {
                int line = threadIdx.x % 64, quarter = threadIdx.x / 64 * (ROWS / 4);
                for (int i = 0; i < ROWS / 4; i++) slopes += tile[(quarter + i) * ACROSS + line];
            }
        }
        __syncthreads();
        if (outs > 0) {
            if (s.r == 1) {
                put_tile<4, ACROSS>(tile, phi);
            } else {
                put_components<ACROSS>(tile, phi);
            }
            add_transposed(
                space, outputs, tile, components, rows_dy + first_column, rows, s.o, outs,
                blockIdx.x == 0 ? &upstreams : nullptr);
        }
    }
    long long projections = (long long)s.m * s.r, weights = projections * s.d + projections;
    float* share = shares + blockIdx.z * (weights + (long long)s.m * s.o + s.o);
    long long line = (long long)first * s.r;
    if (ins > 0) put_share(share + line * s.d + first_column, inputs, count, ins, s.d);
    if (outs > 0) {
        put_share(
            share + weights + (long long)first * s.o + first_column, outputs, components, outs, s.o);
    }
    slopes = over_quarters(space, slopes);
    if (blockIdx.y == 0 && threadIdx.x < count) share[projections * s.d + line + threadIdx.x] = slopes;
    upstreams = over_quarters(space, upstreams);
    if (blockIdx.x == 0 && (int)threadIdx.x < outs) {
        share[weights + (long long)s.m * s.o + first_column + threadIdx.x] = upstreams;
    }
}

// total[i] = sum over shares, in a fixed order: eight threads take every eighth of them.
extern "C" __global__ void mixture_total(const float* shares, float* total, int count, long long length) {
    __shared__ float sums[THREADS];
    long long i = (long long)blockIdx.x * 32 + threadIdx.x % 32;
    float sum = 0.0f;
    if (i < length) {
        for (int k = threadIdx.x / 32; k < count; k += 8) sum += shares[k * length + i];
    }
    sums[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x < 32 && i < length) {
        for (int k = 1; k < 8; k++) sum += sums[k * 32 + threadIdx.x];
        total[i] = sum;
    }
}

// The gradients of centers [m, d], projections [m, r, d], weight [o, m] and bias [o], one after the other, from the sums
// over all rows. `r` counts the projections of the parameters, of which w holds the sum where `summed`.
extern "C" __global__ void mixture_gradients(
    const float* total, const float* centers, const float* w, float* gradient, int d, int m, int r, int o,
    int summed) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    long long kept = summed ? 1 : r, projections = m * kept, centers_end = (long long)m * d;
    const float* dp = total + projections * d;
    if (i < centers_end) {
        long long component = i / d, feature = i % d;
        float center = 0.0f;
        for (int j = 0; j < r; j++) {
            long long p = summed ? component : component * r + j;
            float slope = total[p * d + feature] - dp[p] * centers[i];
            gradient[centers_end + (component * r + j) * d + feature] = slope;
            if (j < kept) center -= dp[p] * w[p * d + feature];
        }
        gradient[i] = center;
        return;
    }
    i -= centers_end;
    float* rest = gradient + centers_end + (long long)m * r * d;
    const float* dweight = dp + projections;
    if (i < (long long)o * m) {
        rest[i] = dweight[i % m * o + i / m];
    } else if (i < (long long)o * m + o) {
        rest[i] = dweight[i];
    }
}

#define INPUT(name, T, NT, BLOCKS)                                                                     \
    extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) name(                                \
        const T* x, const float* w, const float* offset, const float* weight, const T* dy, T* dx,      \
        int rows, int d, int m, int r, int o) {                                                        \
        mixture_input<T, NT>(x, w, offset, weight, dy, dx, Mixture{rows, d, m, r, o});                 \
    }
INPUT(mixture_input_f32_16, float, 1, 3)
INPUT(mixture_input_f32_64, float, 4, 3)
INPUT(mixture_input_f32_128, float, 8, 2)
INPUT(mixture_input_bf16_16, bf16, 1, 3)
INPUT(mixture_input_bf16_64, bf16, 4, 3)
INPUT(mixture_input_bf16_128, bf16, 8, 2)

#define PARAMETERS(name, T)                                                                            \
    extern "C" __global__ void __launch_bounds__(THREADS, 2) name(                                     \
        const T* x, const float* w, const float* offset, const float* weight, const T* dy,             \
        float* shares, int rows, int d, int m, int r, int o, int share_rows) {                         \
        mixture_parameters<T>(                                                                         \
            x, w, offset, weight, dy, shares, Mixture{rows, d, m, r, o}, share_rows);                  \
    }
PARAMETERS(mixture_parameters_f32, float)
PARAMETERS(mixture_parameters_bf16, bf16)
