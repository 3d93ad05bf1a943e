// Batch normalisation over the last axis with its activation and max pooling.
//
// A block is 32 channels wide and 8 rows deep; a thread keeps to one channel and takes every 8th row of its block's
// share, so that neighbours read neighbours and parameters stay in registers. Sums over rows are made in shares (blockIdx.y)
// whose order is fixed.
//
// z = (x - mean)*inverse*weight + bias; y = activation(z), pooled over windows that do not overlap. `statistics` is
// [2, channels]: mean, inverse standard deviation. `weight` and `bias` may be null.

#define CHANNELS 32
#define DEPTH_ROWS 8

struct Channel {
    float mean, inverse, weight, bias;
};

__device__ inline Channel channel_of(
    const float* statistics, const float* weight, const float* bias, int channels, int c) {
    Channel channel;
    channel.mean = statistics[c];
    channel.inverse = statistics[channels + c];
    channel.weight = weight ? weight[c] : 1.0f;
    channel.bias = bias ? bias[c] : 0.0f;
    return channel;
}

__device__ inline float normal(const Channel& channel, float x) { return (x - channel.mean) * channel.inverse; }

__device__ inline float scaled(const Channel& channel, float x) {
    return fmaf(normal(channel, x), channel.weight, channel.bias);
}

// Adds up a block's two sums for each of its channels and writes them to the share's [2, channels].
__device__ inline void store_sums(float first, float second, float* shares, int channels, int c) {
    __shared__ float sums[2][DEPTH_ROWS][CHANNELS];
    int tx = threadIdx.x % CHANNELS, ty = threadIdx.x / CHANNELS;
    sums[0][ty][tx] = first;
    sums[1][ty][tx] = second;
    __syncthreads();
    if (ty < 2 && c < channels) {
        float sum = 0.0f;
        for (int i = 0; i < DEPTH_ROWS; i++) sum += sums[ty][i][tx];
        shares[((long long)blockIdx.y * 2 + ty) * channels + c] = sum;
    }
}

// Sums of x and of its squares around the channel's first value, which keeps a large mean from drowning the spread.
template <typename T>
__device__ inline void batch_norm_moments(const T* x, float* shares, int rows, int channels, int share_rows) {
    int c = blockIdx.x * CHANNELS + threadIdx.x % CHANNELS;
    long long from = (long long)blockIdx.y * share_rows, to = min((long long)rows, from + share_rows);
    float first = 0.0f, second = 0.0f;
    if (c < channels) {
        float origin = widened(x[c]);
        for (long long row = from + threadIdx.x / CHANNELS; row < to; row += DEPTH_ROWS) {
            float v = widened(x[row * channels + c]) - origin;
            first += v;
            second = fmaf(v, v, second);
        }
    }
    store_sums(first, second, shares, channels, c);
}

// The statistics of the batch from the sums of all shares, and the running ones, where given, moved towards them.
template <typename T>
__device__ inline void batch_norm_statistics(
    const T* x, const float* shares, float* statistics, float* running_mean, float* running_var, int count,
    int rows, int channels, float eps, float momentum) {
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= channels) return;
    double first = 0.0, second = 0.0;
    for (int share = 0; share < count; share++) {
        first += shares[(share * 2LL) * channels + c];
        second += shares[(share * 2LL + 1) * channels + c];
    }
    double shift = first / rows, mean = widened(x[c]) + shift;
    double spread = second / rows - shift * shift;
    // Not max(), which would drop a NaN.
    double var = spread < 0.0 ? 0.0 : spread;
    statistics[c] = (float)mean;
    statistics[channels + c] = (float)(1.0 / sqrt(var + eps));
    running_mean[c] = (float)((1.0 - momentum) * running_mean[c] + momentum * mean);
    running_var[c] = (float)((1.0 - momentum) * running_var[c] + momentum * var * rows / (rows - 1.0));
}

// The statistics of evaluation.
extern "C" __global__ void batch_norm_running(
    const float* running_mean, const float* running_var, float* statistics, int channels, float eps) {
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= channels) return;
    statistics[c] = running_mean[c];
    statistics[channels + c] = 1.0f / sqrtf(running_var[c] + eps);
}

template <typename T>
__device__ inline void batch_norm_forward(
    const T* x, const float* statistics, const float* weight, const float* bias, T* y, int rows, int channels,
    int share_rows, int activation) {
    int c = blockIdx.x * CHANNELS + threadIdx.x % CHANNELS;
    if (c >= channels) return;
    Channel channel = channel_of(statistics, weight, bias, channels, c);
    long long from = (long long)blockIdx.y * share_rows, to = min((long long)rows, from + share_rows);
    for (long long row = from + threadIdx.x / CHANNELS; row < to; row += DEPTH_ROWS) {
        long long i = row * channels + c;
        narrow_to(&y[i], activated(activation, scaled(channel, widened(x[i]))));
    }
}

struct Windows {
    int h, w, oh, ow, kernel;
};

// The row of the input where the window of an output row begins.
__device__ inline long long window_of(const Windows& s, long long row) {
    long long image = row / ((long long)s.oh * s.ow);
    int place = (int)(row % ((long long)s.oh * s.ow));
    return (image * s.h + place / s.ow * s.kernel) * s.w + place % s.ow * s.kernel;
}

// `rows` are those of the output; `places` tells where in its window each maximum was.
template <typename T>
__device__ inline void batch_norm_pool_forward(
    const T* x, const float* statistics, const float* weight, const float* bias, T* y, unsigned char* places,
    int rows, int channels, int share_rows, int activation, Windows s) {
    int c = blockIdx.x * CHANNELS + threadIdx.x % CHANNELS;
    if (c >= channels) return;
    Channel channel = channel_of(statistics, weight, bias, channels, c);
    long long from = (long long)blockIdx.y * share_rows, to = min((long long)rows, from + share_rows);
    for (long long row = from + threadIdx.x / CHANNELS; row < to; row += DEPTH_ROWS) {
        long long start = window_of(s, row);
        float best = 0.0f;
        int place = 0;
        for (int k = 0; k < s.kernel * s.kernel; k++) {
            long long at = start + (long long)(k / s.kernel) * s.w + k % s.kernel;
            float v = activated(activation, scaled(channel, widened(x[at * channels + c])));
            // A NaN wins over numbers, the first of equal values over others.
            if (k == 0 || v > best || v != v) {
                best = v;
                place = k;
            }
        }
        narrow_to(&y[row * channels + c], best);
        places[row * channels + c] = (unsigned char)place;
    }
}

// The gradient of z at an output row, and x there. Without pooling `places` is null, and rows are those of x.
template <typename T>
__device__ inline float upstream(
    const T* x, const T* dy, const unsigned char* places, const Channel& channel, long long row, int channels,
    int c, int activation, const Windows& s, float* normalised) {
    long long i = row * channels + c, at = i;
    if (places) {
        int place = places[i];
        at = (window_of(s, row) + (long long)(place / s.kernel) * s.w + place % s.kernel) * channels + c;
    }
    float n = normal(channel, widened(x[at]));
    *normalised = n;
    return widened(dy[i]) * slope(activation, fmaf(n, channel.weight, channel.bias));
}

// Sums over output rows of dz and of dz*(x - mean)*inverse: the gradients of bias and weight.
template <typename T>
__device__ inline void batch_norm_sums(
    const T* x, const T* dy, const unsigned char* places, const float* statistics, const float* weight,
    const float* bias, float* shares, int rows, int channels, int share_rows, int activation, Windows s) {
    int c = blockIdx.x * CHANNELS + threadIdx.x % CHANNELS;
    long long from = (long long)blockIdx.y * share_rows, to = min((long long)rows, from + share_rows);
    float first = 0.0f, second = 0.0f;
    if (c < channels) {
        Channel channel = channel_of(statistics, weight, bias, channels, c);
        for (long long row = from + threadIdx.x / CHANNELS; row < to; row += DEPTH_ROWS) {
            float n;
            float dz = upstream(x, dy, places, channel, row, channels, c, activation, s, &n);
            first += dz;
            second = fmaf(dz, n, second);
        }
    }
    store_sums(first, second, shares, channels, c);
}

// sums [2, channels] of all shares.
extern "C" __global__ void batch_norm_total(const float* shares, float* bias, float* weight, int count, int channels) {
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= channels) return;
    float first = 0.0f, second = 0.0f;
    for (int share = 0; share < count; share++) {
        first += shares[(share * 2LL) * channels + c];
        second += shares[(share * 2LL + 1) * channels + c];
    }
    bias[c] = first;
    weight[c] = second;
}

// The gradient of x, row by row. With the batch's statistics it is
// weight*inverse*(dz - sum(dz)/rows - normal*sum(dz*normal)/rows), otherwise weight*inverse*dz.
template <typename T>
__device__ inline void batch_norm_input(
    const T* x, const T* dy, const unsigned char* places, const float* statistics, const float* weight,
    const float* bias, const float* bias_sum, const float* weight_sum, T* dx, int rows, int channels,
    int share_rows, int activation, int batch_statistics, Windows s) {
    int c = blockIdx.x * CHANNELS + threadIdx.x % CHANNELS;
    if (c >= channels) return;
    Channel channel = channel_of(statistics, weight, bias, channels, c);
    float mean_dz = batch_statistics ? bias_sum[c] / rows : 0.0f;
    float mean_product = batch_statistics ? weight_sum[c] / rows : 0.0f;
    long long from = (long long)blockIdx.y * share_rows, to = min((long long)rows, from + share_rows);
    for (long long row = from + threadIdx.x / CHANNELS; row < to; row += DEPTH_ROWS) {
        long long i = row * channels + c;
        float n = normal(channel, widened(x[i])), dz = 0.0f;
        bool chosen = true;
        long long from_output = row;
        if (places) {
            long long image = row / ((long long)s.h * s.w);
            int position = (int)(row % ((long long)s.h * s.w)), iy = position / s.w, ix = position % s.w;
            int oy = iy / s.kernel, ox = ix / s.kernel;
            chosen = oy < s.oh && ox < s.ow;
            if (chosen) {
                from_output = (image * s.oh + oy) * s.ow + ox;
                int place = iy % s.kernel * s.kernel + ix % s.kernel;
                chosen = places[from_output * channels + c] == place;
            }
        }
        if (chosen) {
            dz = widened(dy[from_output * channels + c]) *
                 slope(activation, fmaf(n, channel.weight, channel.bias));
        }
        float centred = dz - mean_dz - n * mean_product;
        narrow_to(&dx[i], channel.weight * channel.inverse * centred);
    }
}

#define BATCH_NORM(suffix, T)                                                                          \
    extern "C" __global__ void batch_norm_moments_##suffix(                                            \
        const T* x, float* shares, int rows, int channels, int share_rows) {                           \
        batch_norm_moments(x, shares, rows, channels, share_rows);                                     \
    }                                                                                                  \
    extern "C" __global__ void batch_norm_statistics_##suffix(                                         \
        const T* x, const float* shares, float* statistics, float* running_mean, float* running_var,   \
        int count, int rows, int channels, float eps, float momentum) {                                \
        batch_norm_statistics(                                                                         \
            x, shares, statistics, running_mean, running_var, count, rows, channels, eps, momentum);   \
    }                                                                                                  \
    extern "C" __global__ void batch_norm_forward_##suffix(                                            \
        const T* x, const float* statistics, const float* weight, const float* bias, T* y, int rows,   \
        int channels, int share_rows, int activation) {                                                \
        batch_norm_forward(x, statistics, weight, bias, y, rows, channels, share_rows, activation);    \
    }                                                                                                  \
    extern "C" __global__ void batch_norm_pool_forward_##suffix(                                       \
        const T* x, const float* statistics, const float* weight, const float* bias, T* y,             \
        unsigned char* places, int rows, int channels, int share_rows, int activation, int h, int w,   \
        int oh, int ow, int kernel) {                                                                  \
        batch_norm_pool_forward(                                                                       \
            x, statistics, weight, bias, y, places, rows, channels, share_rows, activation,            \
            Windows{h, w, oh, ow, kernel});                                                            \
    }                                                                                                  \
    extern "C" __global__ void batch_norm_sums_##suffix(                                               \
        const T* x, const T* dy, const unsigned char* places, const float* statistics,                 \
        const float* weight, const float* bias, float* shares, int rows, int channels, int share_rows, \
        int activation, int h, int w, int oh, int ow, int kernel) {                                    \
        batch_norm_sums(                                                                               \
            x, dy, places, statistics, weight, bias, shares, rows, channels, share_rows, activation,   \
            Windows{h, w, oh, ow, kernel});                                                            \
    }                                                                                                  \
    extern "C" __global__ void batch_norm_input_##suffix(                                              \
        const T* x, const T* dy, const unsigned char* places, const float* statistics,                 \
        const float* weight, const float* bias, const float* bias_sum, const float* weight_sum, T* dx, \
        int rows, int channels, int share_rows, int activation, int batch_statistics, int h, int w,    \
        int oh, int ow, int kernel) {                                                                  \
        batch_norm_input(                                                                              \
            x, dy, places, statistics, weight, bias, bias_sum, weight_sum, dx, rows, channels,         \
            share_rows, activation, batch_statistics, Windows{h, w, oh, ow, kernel});                  \
    }
BATCH_NORM(f32, float)
BATCH_NORM(bf16, bf16)
