// The gradients of the Gaussian mixture; see mixture.cu.

// The gradient of x: sum over projections of g[p]*w[p], with g = -phi*s*p and s[m] = sum_o dy[o]*weight[o,m].
template <typename T, int GROUPS>
__device__ inline void mixture_input(
    const T* x, const float* w, const float* offset, const float* weight, const T* dy, T* dx, Mixture s) {
    const int WIDTH = GROUPS == 0 ? 16 : GROUPS * 64, COUNT = GROUPS == 0 ? 1 : GROUPS * 4;
    // The products' tiles and the columns of the last one are never needed at once.
    const int COLUMNS = DEPTH * (WIDTH + 4), PRODUCT = 2 * DEPTH * STRIDE;
    __shared__ __align__(16) float space[COLUMNS > PRODUCT ? COLUMNS : PRODUCT];
    __shared__ __align__(16) float p_tile[PROJ * STRIDE];
    __shared__ __align__(16) float m_tile[PROJ * STRIDE];
    Product& product = *(Product*)space;
    int tid = threadIdx.x, tx = tid % 16, ty = tid / 16;
    long long start = (long long)blockIdx.x * ROWS;
    int rows = (int)min((long long)ROWS, s.rows - start);
    int first_in = blockIdx.y * WIDTH, ins = min(WIDTH, s.d - first_in);
    float acc[4][COUNT];
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < COUNT; j++) acc[i][j] = 0.0f;
    }
    int step = tile_components(s);
    for (int first = 0; first < s.m; first += step) {
        int components = min(step, s.m - first), count = components * s.r;
        float p[4][4];
        projected(product, p, s, x + start * s.d, rows, w, offset, first, components);
        for (int j = 0; j < 4; j++) {
            put(&p_tile[(tx * 4 + j) * STRIDE + ty * 4], p[0][j], p[1][j], p[2][j], p[3][j]);
        }
        __syncthreads();
        components_of(m_tile, p_tile, s.r, components);
        float up[4][4] = {};
        add_product(product, up, dy + start * s.o, rows, s.o, weight + first, components, 1, s.m);
        // The product's last synchronisation lies between phi and this.
        for (int j = 0; j < 4; j++) {
            int component = tx * 4 + j;
            for (int i = 0; i < 4 && component < components; i++) {
                m_tile[component * STRIDE + ty * 4 + i] *= -up[i][j];
            }
        }
        __syncthreads();
        for (int j = 0; j < 4; j++) {
            int column = tx * 4 + j;
            for (int i = 0; i < 4 && column < count; i++) {
                p_tile[column * STRIDE + ty * 4 + i] *= m_tile[column / s.r * STRIDE + ty * 4 + i];
            }
        }
        __syncthreads();
        add_outer<GROUPS>(
            space, acc, p_tile, STRIDE, count, w + (long long)first * s.r * s.d + first_in, ins, 1, s.d);
    }
    for (int i = 0; i < 4; i++) {
        int row = ty * 4 + i;
        for (int j = 0; j < COUNT; j++) {
            int column = column_of<GROUPS>(j);
            if (row < rows && column < ins) {
                narrow_to(&dx[(start + row) * s.d + first_in + column], acc[i][j]);
            }
        }
    }
}

// A share of the parameters' gradients over the rows of blockIdx.z: for a tile of components (blockIdx.x) and of columns
// (blockIdx.y, first those of d, then those of o) of
//   dw[m*r, d] = g^T*x | dp[m*r] = sum of g | dweight[m, o] = phi^T*dy | dbias[o] = sum of dy,
// one after the other in `shares`, a gradient's length for each share.
template <typename T>
__device__ inline void mixture_parameters(
    const T* x, const float* w, const float* offset, const float* weight, const T* dy, float* shares,
    Mixture s, int share_rows) {
    __shared__ __align__(16) Product product;
    // [row][projection], as the sums go over rows.
    __shared__ __align__(16) float p_tile[ROWS * STRIDE];
    __shared__ __align__(16) float m_tile[PROJ * STRIDE];
    float* columns = product.a;
    int tid = threadIdx.x, tx = tid % 16, ty = tid / 16;
    int in_tiles = (s.d + 63) / 64, step = tile_components(s);
    bool inputs = (int)blockIdx.y < in_tiles;
    int tile = inputs ? blockIdx.y : blockIdx.y - in_tiles;
    int first_column = tile * 64, columns_left = min(64, (inputs ? s.d : s.o) - first_column);
    int first = blockIdx.x * step, components = min(step, s.m - first), count = components * s.r;
    long long from = (long long)blockIdx.z * share_rows;
    long long to = min((long long)s.rows, from + share_rows);
    float acc[4][4] = {}, sums[4] = {};
    for (long long start = from; start < to; start += ROWS) {
        int rows = (int)min((long long)ROWS, to - start);
        float p[4][4];
        projected(product, p, s, x + start * s.d, rows, w, offset, first, components);
        for (int i = 0; i < 4; i++) {
            put(&p_tile[(ty * 4 + i) * STRIDE + tx * 4], p[i][0], p[i][1], p[i][2], p[i][3]);
        }
        __syncthreads();
        // phi[row][component]; rows beyond the last count for nothing.
        for (int i = tid; i < components * ROWS; i += THREADS) {
            int component = i % components, row = i / components;
            float y2 = 0.0f;
            for (int j = 0; j < s.r; j++) {
                float v = p_tile[row * STRIDE + component * s.r + j];
                y2 = fmaf(v, v, y2);
            }
            m_tile[row * STRIDE + component] = row < rows ? expf(-0.5f * y2) : 0.0f;
        }
        if (inputs) {
            float up[4][4] = {};
            add_product(product, up, dy + start * s.o, rows, s.o, weight + first, components, 1, s.m);
            for (int j = 0; j < 4; j++) {
                int component = tx * 4 + j;
                for (int i = 0; i < 4 && component < components; i++) {
                    m_tile[(ty * 4 + i) * STRIDE + component] *= -up[i][j];
                }
            }
            __syncthreads();
            for (int j = 0; j < 4; j++) {
                int column = tx * 4 + j;
                for (int i = 0; i < 4; i++) {
                    float* g = &p_tile[(ty * 4 + i) * STRIDE + column];
                    *g = column < count ? *g * m_tile[(ty * 4 + i) * STRIDE + column / s.r] : 0.0f;
                }
            }
        } else {
            __syncthreads();
        }
        __syncthreads();
        const float* factor = inputs ? p_tile : m_tile;
        if (inputs && tile == 0 && tx == 0) {
            for (int row = 0; row < rows; row++) {
                for (int i = 0; i < 4; i++) sums[i] += factor[row * STRIDE + ty * 4 + i];
            }
        }
        const T* b = inputs ? x + start * s.d + first_column : dy + start * s.o + first_column;
        int width = inputs ? s.d : s.o;
        if (!inputs && blockIdx.x == 0 && tid < columns_left) {
            for (int row = 0; row < rows; row++) sums[0] += widened(b[(long long)row * width + tid]);
        }
        add_outer<1>(columns, acc, factor, STRIDE, rows, b, columns_left, 1, width);
    }
    long long projections = (long long)s.m * s.r;
    long long length = projections * s.d + projections + (long long)s.m * s.o + s.o;
    float* share = shares + blockIdx.z * length;
    if (!inputs) share += projections * s.d + projections;
    int lines = inputs ? count : components;
    long long first_line = (long long)first * (inputs ? s.r : 1);
    for (int i = 0; i < 4; i++) {
        int line = ty * 4 + i;
        for (int j = 0; j < 4; j++) {
            int column = tx * 4 + j;
            if (line < lines && column < columns_left) {
                share[(first_line + line) * (inputs ? s.d : s.o) + first_column + column] = acc[i][j];
            }
        }
        if (inputs && tile == 0 && tx == 0 && line < lines) {
            share[projections * s.d + first_line + line] = sums[i];
        }
    }
    if (!inputs && blockIdx.x == 0 && tid < columns_left) {
        share[(long long)s.m * s.o + first_column + tid] = sums[0];
    }
}

// total[i] = sum over shares, in their order.
extern "C" __global__ void mixture_total(const float* shares, float* total, int count, long long length) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= length) return;
    float sum = 0.0f;
    for (int k = 0; k < count; k++) sum += shares[k * length + i];
    total[i] = sum;
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

#define INPUT(name, T, GROUPS)                                                                         \
    extern "C" __global__ void __launch_bounds__(THREADS) name(                                        \
        const T* x, const float* w, const float* offset, const float* weight, const T* dy, T* dx,      \
        int rows, int d, int m, int r, int o) {                                                        \
        mixture_input<T, GROUPS>(x, w, offset, weight, dy, dx, Mixture{rows, d, m, r, o});             \
    }
INPUT(mixture_input_f32_16, float, 0)
INPUT(mixture_input_f32_64, float, 1)
INPUT(mixture_input_f32_128, float, 2)
INPUT(mixture_input_bf16_16, bf16, 0)
INPUT(mixture_input_bf16_64, bf16, 1)
INPUT(mixture_input_bf16_128, bf16, 2)

#define PARAMETERS(name, T)                                                                            \
    extern "C" __global__ void __launch_bounds__(THREADS) name(                                        \
        const T* x, const float* w, const float* offset, const float* weight, const T* dy,             \
        float* shares, int rows, int d, int m, int r, int o, int share_rows) {                         \
        mixture_parameters<T>(                                                                         \
            x, w, offset, weight, dy, shares, Mixture{rows, d, m, r, o}, share_rows);                  \
    }
PARAMETERS(mixture_parameters_f32, float)
PARAMETERS(mixture_parameters_bf16, bf16)
